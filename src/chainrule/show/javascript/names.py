"""Names in JavaScript: a user's own as far as they may be, and none twice."""

from __future__ import annotations

import re
from collections.abc import Iterable

_RESERVED = frozenset(
    """abstract arguments await boolean break byte case catch char class const continue debugger
    default delete do double else enum eval export extends false final finally float for function
    goto if implements import in instanceof int interface let long native new null of package
    private protected public return short static super switch synchronized this throw throws
    transient true try typeof undefined var void volatile while with yield async get set NaN
    Infinity Math Number BigInt Object RangeError Float64Array Float32Array Int32Array Int16Array
    Int8Array Uint32Array Uint16Array Uint8Array BigInt64Array
    whole natural rint copysign power twoSum twoProduct fma bitsOf fromBits toBig scratchBits
    scratchNumber""".split()
)


def identifier(name: str) -> str:
    """A user's name as JavaScript allows it."""
    plain = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_") or "v"
    if plain[0].isdigit() or plain in _RESERVED or plain.startswith("cr_"):
        plain = f"_{plain}"
    return plain


class Names:
    """Names that are taken, and new ones."""

    def __init__(self, taken: Iterable[str]) -> None:
        self.taken = set(taken)
        self.counts: dict[str, int] = {}

    def new(self, wanted: str) -> str:
        """A name like the wanted one that isn't taken; it is, from now on."""
        name = base = identifier(wanted)
        while name in self.taken:
            count = self.counts[base] = self.counts.get(base, 1) + 1
            name = f"{base}_{count}"
        self.taken.add(name)
        return name
