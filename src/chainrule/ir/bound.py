"""How far a compiled result may lie from the true one: the bound that each primitive states.

The true result is that of exact arithmetic on the very operands given. Whole numbers and truth
values are exact throughout; sums of whole numbers wrap around as NumPy's do. Of floats, u is half
the distance from 1 to the next number: 2⁻²⁴ for float32, 2⁻⁵³ for float64.

Source: N. Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition (2002), for the form
of the bounds of sums (section 4.2), products (3.5) and factorisations (9, 10, 19).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# What the compiler's own functions state, as float32 and as float64, by name.
Owns = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Exact:
    """The true result itself: what is moved, chosen, compared, or has no rounding in it."""

    def text(self, single: bool, own: Owns) -> str:
        return "exact"


@dataclass(frozen=True)
class Ulps:
    """So many units in the last place of the true result, or of another size; ½: well rounded.

    Args:
        single, double: how many, for float32 and for float64.
        of: what the units are those of, where the result may be a small difference of it.
    """

    single: float
    double: float
    of: str = ""

    def text(self, single: bool, own: Owns) -> str:
        count = self.single if single else self.double
        if not count:
            return EXACT.text(single, own)
        return ("½" if count == 0.5 else f"{count:g}") + " ulp" + (f" of {self.of}" * bool(self.of))


@dataclass(frozen=True)
class Own:
    """What the compiler's own function of this name states (`BOUNDS` in loops/mathematics)."""

    function: str
    of: str = ""

    def ulps(self, own: Owns) -> Ulps:
        """Its bound, looked up."""
        return Ulps(*own[self.function], of=self.of)

    def text(self, single: bool, own: Owns) -> str:
        return self.ulps(own).text(single, own)


@dataclass(frozen=True)
class Roundings:
    """factor · count · u · size: so many roundings, each of something of this size.

    Args:
        count: what is counted: roundings one after the other, or the entries of a sum.
        size: what they are relative to.
        single, double: the factor, for float32 and for float64.
    """

    count: str
    size: str
    single: float = 1.0
    double: float = 1.0

    def text(self, single: bool, own: Owns) -> str:
        factor = self.single if single else self.double
        parts = ("" if factor == 1 else f"{factor:g}", self.count, "u", self.size)
        return "·".join(part for part in parts if part)


@dataclass(frozen=True)
class Decided:
    """The true answer, unless the two sides compared are closer than factor · u · size."""

    factor: float
    size: str

    def text(self, single: bool, own: Owns) -> str:
        return f"exact, or a gap below {self.factor:g}·u·{self.size}"


@dataclass(frozen=True)
class Carried:
    """What the bounds of the operations inside add up to, carried through to the result."""

    def text(self, single: bool, own: Owns) -> str:
        return "as its body, carried through"


Bound = Exact | Ulps | Own | Roundings | Decided | Carried

EXACT = Exact()
ROUNDED = Ulps(0.5, 0.5)
