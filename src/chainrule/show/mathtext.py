"""One line of mathematics in three notations: text, LaTeX and MathML.

A line is written once, in a small notation of its own: `{0}` is the first operand, `{y}` the
result, `{g}` the gradient that comes to it; ᵀ after one of them turns it over; signs are signs, and
all other characters are words.
"""

from __future__ import annotations

import functools
import html
import keyword
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega"
).split()
_BAR, _DOT = "\N{COMBINING MACRON}", "\N{COMBINING DOT ABOVE}"
_ACCENTS = {_BAR: ("bar", "&#175;"), _DOT: ("dot", "&#729;")}
_INDEXED = re.compile(r"([^\W\d_]+)_?(\d+)")
_TOKEN = re.compile(
    r"\{(\w+)\}(ᵀ?)|([-+·=(),:\[\]|Σ⊙−/<>≤≥≠¬∧∨])|(\d+)"
    r"|([^-{}+·=(),:\[\]|Σ⊙−/<>≤≥≠¬∧∨\d]+)"
)
_LATEX_SIGNS = {
    "·": r" \cdot ", "−": "-", "Σ": r"\sum ", "⊙": r" \odot ",
    "≤": r" \le ", "≥": r" \ge ", "≠": r" \ne ", "¬": r"\lnot ", "∧": r" \land ", "∨": r" \lor ",
}  # fmt: skip
_FORMS = {
    "(": 'form="prefix" stretchy="false"', "[": 'form="prefix" stretchy="false"',
    ")": 'form="postfix" stretchy="false"', "]": 'form="postfix" stretchy="false"',
    "Σ": 'form="prefix" lspace="0"',
}  # fmt: skip
_LATEX_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "%": r"\%", "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
}  # fmt: skip
_ENTITIES = {
    "&InvisibleTimes;": "&#8290;",
    "&ExponentialE;": "e",
    "&ImaginaryI;": "i",
    "<mi>sigma</mi>": "<mi>&#963;</mi>",
}


class Formula(NamedTuple):
    """A formula in three notations. LaTeX is for math mode, MathML without its <math>."""

    text: str
    latex: str
    mathml: str

    def __str__(self) -> str:
        return self.text

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex}$"


def written(line: str, names: Mapping[str, str]) -> Formula:
    """A line in the notation above, with these names."""
    text, latex, mathml = [], [], []
    for key, turned, sign, digits, words in _TOKEN.findall(line):
        if key:
            name = names[key]
            text.append(name + turned)
            latex.append(latex_name(name) + r"^{\top}" * bool(turned))
            symbol = mathml_name(name)
            mathml.append(f"<msup>{symbol}<mo>&#8868;</mo></msup>" if turned else symbol)
        elif sign:
            text.append(sign)
            latex.append(_LATEX_SIGNS.get(sign, sign))
            mathml.append(mathml_sign(sign))
        elif digits:
            text.append(digits)
            latex.append(digits)
            mathml.append(f"<mn>{digits}</mn>")
        elif not words.strip():
            text.append(words)
        else:
            text.append(words)
            latex.append(rf"\text{{{latex_text(words)}}}")
            mathml.append(f"<mtext>{_kept_spaces(words)}</mtext>")
    return Formula("".join(text), "".join(latex), f"<mrow>{''.join(mathml)}</mrow>")


def mathml_sign(sign: str) -> str:
    """A sign in MathML; of brackets and Σ it's told where they open to, which sets their spaces."""
    opening = f"<mo {_FORMS[sign]}>" if sign in _FORMS else "<mo>"
    return f"{opening}{html.escape(sign)}</mo>"


def equation(name: str, right: Formula) -> Formula:
    """name = right."""
    left = written("{0}", {"0": name})
    return Formula(
        f"{left.text} = {right.text}",
        f"{left.latex} = {right.latex}",
        f"<mrow>{left.mathml}<mo>=</mo>{right.mathml}</mrow>",
    )


def added(parts: Sequence[Formula]) -> Formula:
    """The sum of some formulas; one that begins with a minus is subtracted."""
    if not parts:
        return written("0", {})
    text, latex, mathml = parts[0]
    for part in parts[1:]:
        minus = part.text.startswith("−")
        text += f" − {part.text[1:]}" if minus else f" + {part.text}"
        latex += f" {part.latex}" if minus else f" + {part.latex}"
        mathml += part.mathml if minus else f"<mo>+</mo>{part.mathml}"
    return Formula(text, latex, f"<mrow>{mathml}</mrow>")


def symbolic(sympy: Any, expression: Any, names: Mapping[Any, str]) -> Formula:
    """A SymPy expression whose symbols stand for these names."""
    text, latex, mathml = _stand_ins(sympy, expression, tuple(names))
    put = {_stand_in(k): name for k, name in enumerate(names.values())}
    return Formula(
        re.sub("Q[a-z]+Q", lambda m: put[m[0]], text),
        re.sub("Q[a-z]+Q", lambda m: latex_name(put[m[0]]), latex),
        re.sub("<mi>(Q[a-z]+Q)</mi>", lambda m: mathml_name(put[m[1]]), mathml),
    )


@functools.lru_cache(maxsize=1024)
def _stand_ins(sympy: Any, expression: Any, symbols: tuple[Any, ...]) -> tuple[str, str, str]:
    """The expression printed three times, with stand-ins for its symbols."""
    plain = expression.xreplace(
        {s: sympy.Symbol(_stand_in(k), real=s.is_real) for k, s in enumerate(symbols)}
    )
    text = re.sub(r"\*\*", "^", sympy.sstr(plain)).replace("*", "·").replace("sigma(", "σ(")
    text = re.sub(r"\^([23])(?!\d)", lambda m: "²³"[int(m[1]) - 2], text)
    mathml = sympy.mathml(plain, printer="presentation")
    for entity, number in _ENTITIES.items():
        mathml = mathml.replace(entity, number)
    mathml = re.sub(r"&([a-zA-Z]\w+);", _numbered, mathml)
    if "<mfrac>" not in mathml:  # else brackets grow with what they hold
        mathml = re.sub(r"<mo>([()\[\]])</mo>", lambda m: mathml_sign(m[1]), mathml)
    return text, sympy.latex(plain), mathml


def _numbered(entity: re.Match[str]) -> str:
    """A named entity as XML knows it."""
    if entity[1] in ("amp", "lt", "gt", "quot", "apos"):
        return entity[0]
    return "".join(f"&#{ord(c)};" for c in html.unescape(entity[0]))


def _stand_in(k: int) -> str:
    return f"Q{_letters(k)}Q"


def bar(name: str) -> str:
    """A name with a bar over its first letter: the gradient of what is called so."""
    return unicodedata.normalize("NFC", name[0] + _BAR) + name[1:]


def dot(name: str) -> str:
    """A name with a dot over its first letter: the tangent of what is called so."""
    return unicodedata.normalize("NFC", name[0] + _DOT) + name[1:]


def free_name(name: str) -> str:
    """A name without the underscore that Python asks for after its own words: lambda_ is lambda."""
    return name[:-1] if name.endswith("_") and keyword.iskeyword(name[:-1]) else name


def latex_name(name: str) -> str:
    """A name in math mode: l_{2}, \\alpha, \\mathrm{loss}, or any text, escaped."""
    accent, bare = _accent(name)
    if accent is not None:
        return rf"\{accent[0]}{{{latex_name(bare)}}}"
    name = free_name(name)
    indexed = _INDEXED.fullmatch(name)
    if indexed is not None:
        return f"{latex_name(indexed[1])}_{{{indexed[2]}}}"
    if name in _GREEK:
        return f"\\{name}"
    if len(name) == 1 and name.isalpha():
        return name
    if re.fullmatch(r"-?\d+(\.\d+)?", name):
        return name
    return rf"\mathrm{{{name}}}" if name.isalpha() else rf"\text{{{latex_text(name)}}}"


def mathml_name(name: str) -> str:
    """A name in MathML, indices lowered, anything special escaped."""
    accent, bare = _accent(name)
    if accent is not None:
        return f'<mover accent="true">{mathml_name(bare)}<mo>{accent[1]}</mo></mover>'
    name = free_name(name)
    indexed = _INDEXED.fullmatch(name)
    if indexed is not None:
        return f"<msub>{mathml_name(indexed[1])}<mn>{indexed[2]}</mn></msub>"
    if name in _GREEK:
        return f"<mi>{html.unescape(f'&{name};')}</mi>"
    if re.fullmatch(r"-?\d+(\.\d+)?", name):
        return f"<mn>{name}</mn>"
    return f"<mi>{html.escape(name)}</mi>"


def _accent(name: str) -> tuple[tuple[str, str] | None, str]:
    """The bar or dot over the first letter of a name, if there is one, and the name without it."""
    whole = unicodedata.normalize("NFD", name[:1]) + name[1:]
    found = _ACCENTS.get(whole[1:2])
    return (None, name) if found is None else (found, whole[0] + whole[2:])


def latex_text(text: str) -> str:
    """Text with everything that means something to LaTeX escaped."""
    return "".join(_LATEX_SPECIAL.get(c, c) for c in " ".join(text.splitlines()))


def _kept_spaces(words: str) -> str:
    """Words whose spaces at either end are kept, which MathML would drop."""
    left = "&#160;" * words.startswith(" ")
    return left + html.escape(words.strip()) + "&#160;" * words.endswith(" ")


def _letters(number: int) -> str:
    return chr(ord("a") + number % 26) * (number // 26 + 1)
