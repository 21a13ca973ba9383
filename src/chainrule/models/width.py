"""Networks narrower or wider than they were published."""

from chainrule.base.errors import ArgumentError


def scaled(count: int, width: float) -> int:
    """So many channels times a factor, as the nearest even number, so that two groups share them.

    Raises:
        ArgumentError: a factor that isn't above 0.

    Example:
        >>> scaled(96, 1), scaled(96, 0.1)
        (96, 10)
    """
    if not width > 0:
        raise ArgumentError(
            "width is the factor of all channels, above 0", {"width": width}, "width=0.5 for half"
        )
    return max(2, 2 * round(count * width / 2))
