"""The house's colours as a style sheet, so that the page has the same as every picture."""

from __future__ import annotations

from chainrule.show.palette import CONSTANT, FAINT, INK, PAPER, QUIET, SERIES, VALUE, WRONG, Colour

NAMED: dict[str, Colour] = {
    "ground": PAPER,
    "panel": CONSTANT[0],
    "line": FAINT,
    "ink": INK,
    "faint": QUIET,
    "strong": VALUE,
    "wrong": WRONG,
    **{f"series-{place}": colour for place, colour in enumerate(SERIES)},
}


def style_sheet() -> str:
    """CSS that defines a variable for each colour, for light and for dark."""
    light = "".join(f"  --{name}: {colour.light};\n" for name, colour in NAMED.items())
    dark = "".join(f"    --{name}: {colour.dark};\n" for name, colour in NAMED.items())
    return (
        f":root {{\n{light}}}\n\n"
        f"@media (prefers-color-scheme: dark) {{\n  :root {{\n{dark}  }}\n}}\n"
    )
