"""Names, numbers and small arrays as mathematical symbols."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any

import numpy as np

from chainrule.show.source.piece import ADD, ATOM, COMPARE, MULTIPLY, POWER, SIGN, Piece

_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa mu nu xi pi rho sigma tau upsilon "
    "phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega lambda"
).split()


def _greek(name: str) -> str:
    """The letter itself; Unicode spells one of them its own way."""
    case = "CAPITAL" if name[0].isupper() else "SMALL"
    return unicodedata.lookup(f"GREEK {case} LETTER {name.upper().replace('LAMBDA', 'LAMDA')}")


_BY_LETTER = {_greek(name): name for name in _GREEK}
_MOST_ENTRIES = 9
_WITHOUT_BRACKETS = {
    f"\\{name}"
    for name in "sin cos tan sinh cosh tanh arcsin arccos arctan ln log_{2} log_{10} det".split()
}
LIST = r",\, "  # between the parts of a list
_ESCAPED = {"_": r"\_", "{": r"\{", "}": r"\}", "#": r"\#", "$": r"\$", "%": r"\%", "&": r"\&"}


def symbol(name: str, bar: bool = False) -> str:
    """A name as a symbol: W, h_{2}, \\theta, \\mathrm{loss}_{\\mathrm{reg}}; with a bar over it."""
    head, *tail = [part for part in name.split("_") if part] or ["x"]
    split = re.fullmatch(r"(\D+?)(\d+)", head)
    if split:
        head, tail = split[1], [split[2], *tail]
    base = _letters(head)
    base = rf"\bar{{{base}}}" if bar else base
    return base + (f"_{{{','.join(map(_letters, tail))}}}" if tail else "")


def function_symbol(name: str) -> str:
    """A function's name as a symbol: f_{1}; the words of \\mathrm{log\\_loss} belong together."""
    _, *tail = [part for part in name.split("_") if part] or ["f"]
    indices = all(len(part) == 1 or part.isdigit() for part in tail)
    return symbol(name) if indices else _letters(name)


def _letters(word: str) -> str:
    if word in _GREEK:
        return f"\\{word}"
    if word in _BY_LETTER:
        return f"\\{_BY_LETTER[word]}"
    if len(word) == 1 or word.isdigit():
        return word
    return rf"\mathrm{{{''.join(_ESCAPED.get(letter, letter) for letter in word)}}}"


def constant(value: Any) -> Piece:
    """A number, or a small array; of a large one only its shape."""
    array = np.asarray(value)
    if array.shape:
        return _matrix(array)
    text = number(array[()].item())
    level = SIGN if text.startswith("-") else MULTIPLY if " " in text else ATOM
    return Piece(text, ADD if " + " in text else level, cheap=True)


def number(value: Any) -> str:
    """A number as it's printed in books: 2, 0.5, 3 \\cdot 10^{-8}."""
    if isinstance(value, complex):
        if not value.real:
            return rf"{number(value.imag)}\,\mathrm{{i}}"
        return rf"{number(value.real)} + {number(value.imag)}\,\mathrm{{i}}"
    if isinstance(value, bool):
        return rf"\text{{{'true' if value else 'false'}}}"
    if isinstance(value, float):
        if not math.isfinite(value):
            return r"\mathrm{NaN}" if math.isnan(value) else r"\infty" if value > 0 else r"-\infty"
        if value.is_integer() and abs(value) < 1e16:
            return str(int(value))
        mantissa, _, exponent = repr(value).partition("e")
        if exponent:
            return rf"{mantissa} \cdot 10^{{{int(exponent)}}}"
        return mantissa
    return str(value)


def _matrix(array: np.ndarray) -> Piece:
    if array.size and (array == array.flat[0]).all():
        # The same number all over: broadcasting is understood.
        return constant(array.flat[0])
    if array.size > _MOST_ENTRIES or array.ndim > 2:
        sizes = r" \times ".join(map(str, array.shape))
        return Piece(rf"C_{{{sizes}}}", cheap=True)
    rows = array.reshape(-1, 1) if array.ndim == 1 else array
    body = r" \\ ".join(" & ".join(number(entry.item()) for entry in row) for row in rows)
    return Piece(rf"\begin{{pmatrix}} {body} \end{{pmatrix}}", cheap=array.size <= 3)


def within(piece: Piece, level: int) -> str:
    """A piece where at least this level is needed; a condition in square brackets is 1 or 0."""
    pair = (r"\left[", r"\right]") if piece.level <= COMPARE else (r"\left(", r"\right)")
    return piece.within(level, pair)


def applied(function: str, *pieces: Piece) -> Piece:
    """\\sin x, \\max(x, y)."""
    x = pieces[0]
    bare = len(pieces) == 1 and x.level == ATOM and not x.text.startswith(r"\begin")
    if bare and function in _WITHOUT_BRACKETS:
        return Piece(f"{function} {x.text}", SIGN)
    arguments = LIST.join(piece.text for piece in pieces)
    return Piece(rf"{function}\left({arguments}\right)", POWER)


def operator(name: str) -> str:
    """The name of a function that LaTeX has no command for."""
    return rf"\operatorname{{{name}}}"
