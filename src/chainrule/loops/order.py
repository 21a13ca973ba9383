"""The order in which values are given places: numbers first, wherever they can be."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.loops.value import Value

_GIVEN = ("input", "literal")


def numbers_first(values: Sequence[Value]) -> list[Value]:
    """Values with single numbers made of nothing but numbers in front, else as they were.

    A number that is needed beside an array, such as a rate, then is known before the first loop
    over arrays, which needn't be cut in two to wait for it.
    """
    early: set[int] = set()
    for value in values:
        made_of_numbers = all(operand.number in early for operand in value.operands)
        if (value.how in _GIVEN and not value.shape) or (
            value.how == "entry" and not value.domain and made_of_numbers
        ):
            early.add(value.number)
    given = [v for v in values if v.how in _GIVEN]
    numbers = [v for v in values if v.number in early and v.how not in _GIVEN]
    rest = [v for v in values if v.number not in early and v.how not in _GIVEN]
    return given + numbers + rest
