"""What an operation computes and its local derivatives, as formulas: one place for all pictures.

Operations that work entry by entry have the formula of their own symbolic rule, which SymPy
differentiates. Of operations on whole arrays the formula is written here, the derivative in words.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from chainrule.ir.primitive import Flat, Linear, Multilinear, Partials, Primitive
from chainrule.show.mathtext import Formula, bar, dot, mathml_sign, symbolic, written
from chainrule.show.node import Node
from chainrule.transform.symbolic import load
from chainrule.transform.symbolic_terms import as_objects, number

_LONGEST = 24  # operations in a formula that is still read


class Lines(NamedTuple):
    """The lines of an operation: what it is, and per operand its local derivative and its pull.

    The last of several lines stands for all further operands.
    """

    formula: str
    local: tuple[str, ...]
    pull: tuple[str, ...]


_MOVED = ("1, each entry in its new place",), ("{g}, moved back",)

LINES: dict[str, Lines] = {
    "matmul": Lines(
        "{0} · {1}",
        ("{1}ᵀ, from the right", "{0}ᵀ, from the left"),
        ("{g} · {1}ᵀ", "{0}ᵀ · {g}"),
    ),
    "sum": Lines("Σ {0}", ("1 for every entry that is added",), ("{g} for every entry",)),
    "getitem": Lines("{0}[…]", ("1 where it is read, else 0",), ("{g} where it is read, else 0",)),
    "reshape": Lines("reshape({0})", *_MOVED),
    "transpose": Lines("{0}ᵀ", *_MOVED),
    "copy": Lines("{0}", ("1",), ("{g}",)),
    "astype": Lines("{0}", ("1",), ("{g}",)),
    "broadcast_to": Lines("{0} repeated", ("1 for every copy",), ("Σ {g} over the copies",)),
    "stack": Lines("stack({all})", ("1 in its own part",), ("its part of {g}",)),
    "concatenate": Lines("[{all}]", ("1 in its own part",), ("its part of {g}",)),
    "select": Lines(
        "{1} where {0}, else {2}",
        ("0", "1 where {0} holds, else 0", "0 where {0} holds, else 1"),
        ("0", "{g} where {0} holds, else 0", "0 where {0} holds, else {g}"),
    ),
    "maximum": Lines(
        "max({0}, {1})",
        ("1 where {0} is larger, else 0", "1 where {1} is larger, else 0"),
        ("{g} where {0} is larger, else 0", "{g} where {1} is larger, else 0"),
    ),
    "minimum": Lines(
        "min({0}, {1})",
        ("1 where {0} is smaller, else 0", "1 where {1} is smaller, else 0"),
        ("{g} where {0} is smaller, else 0", "{g} where {1} is smaller, else 0"),
    ),
    "max": Lines(
        "max {0}", ("1 at the largest entry, else 0",), ("{g} at the largest entry, else 0",)
    ),
    "min": Lines(
        "min {0}", ("1 at the smallest entry, else 0",), ("{g} at the smallest entry, else 0",)
    ),
    "window_max": Lines(
        "max of each window of {0}",
        ("1 at the largest entry of its window, else 0",),
        ("{g} at the largest entry of its window, else 0",),
    ),
    "prod": Lines(
        "product of {0}", ("product of the other entries",), ("{g} · product of the other entries",)
    ),
    "cumsum": Lines("running sum of {0}", ("1 from its place on",), ("Σ {g} from its place on",)),
    "convolution": Lines(
        "{0} convolved with {1}",
        ("the kernel {1}, placed everywhere", "the windows of {0}"),
        ("{g} convolved with {1} turned over", "{g} times the windows of {0}, added up"),
    ),
    "absolute": Lines("|{0}|", ("sign of {0}",), ("{g} · sign of {0}",)),
    "fabs": Lines("|{0}|", ("sign of {0}",), ("{g} · sign of {0}",)),
}
LINES |= {
    name: Lines(f"{{0}} {sign} {{1}}", ("0",), ("0",))
    for name, sign in (
        ("greater", ">"), ("greater_equal", "≥"), ("less", "<"), ("less_equal", "≤"),
        ("equal", "="), ("not_equal", "≠"), ("logical_and", "∧"), ("logical_or", "∨"),
    )
}  # fmt: skip
LINES["fmax"], LINES["fmin"] = LINES["maximum"], LINES["minimum"]

# Derivatives that read better than what SymPy makes of the formula: (S, result, *operands).
_EXPRESSIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "expit": (lambda S, x: S.Function("sigma")(x), (lambda S, y, x: y * (1 - y),)),
    "log_expit": (
        lambda S, x: S.log(S.Function("sigma")(x)),
        (lambda S, y, x: 1 - S.Function("sigma")(x),),
    ),
    "logit": (lambda S, x: S.log(x / (1 - x)), (lambda S, y, x: 1 / (x * (1 - x)),)),
    "tanh": (lambda S, x: S.tanh(x), (lambda S, y, x: 1 - y**2,)),
    "cbrt": (lambda S, x: S.cbrt(x), (lambda S, y, x: 1 / (3 * y**2),)),
    "power": (
        lambda S, x, p: x**p,
        (lambda S, y, x, p: p * x ** (p - 1), lambda S, y, x, p: y * S.log(x)),
    ),
    "xlogy": (
        lambda S, x, y: x * S.log(y),
        (lambda S, z, x, y: S.log(y), lambda S, z, x, y: x / y),
    ),
    "logaddexp": (
        lambda S, x, y: S.log(S.exp(x) + S.exp(y)),
        (lambda S, z, x, y: S.exp(x - z), lambda S, z, x, y: S.exp(y - z)),
    ),
}


def formula(node: Node, names: Mapping[str, str] | None = None) -> Formula:
    """What a node computes from its operands, such as x·z.

    For a leaf its name. `names` may call the operands "0", "1" … and the node itself, "y", by
    other names than theirs.

    Example:
        >>> import chainrule as cr
        >>> g = cr.graph(lambda x, z: x * z, 2.0, 3.0)
        >>> formula(g.outputs[0]).text
        'x·z'
    """
    names = names or _names(node)
    if node.equation is None:
        return written("{y}", names)
    op = node.equation.primitive
    found = _template(node)
    if found is not None:
        return _printed(node, found[0], names)
    if op.name in LINES:
        return written(LINES[op.name].formula.replace("{all}", _all(node)), names)
    return written(f"{_safe(node.operation)}({_all(node)})", names)


def local_formula(node: Node, slot: int, names: Mapping[str, str] | None = None) -> Formula:
    """The derivative of a node by one of its operands, the others held fixed, such as z.

    `names` as for `formula`.
    """
    names = names or _names(node)
    op, found = node.equation.primitive, _template(node)  # type: ignore[union-attr]
    if found is not None:
        return _printed(node, found[1][slot], names)
    return written(_line(node, op, slot, "local"), names)


def pull_formula(node: Node, slot: int, upstream: str | None = None) -> Formula:
    """What flows back to one operand: upstream × local.

    `upstream` is what to call the gradient that comes to the node; its name with a bar otherwise.
    """
    op, found = node.equation.primitive, _template(node)  # type: ignore[union-attr]
    g = bar(node.name) if upstream is None else upstream
    if found is None:
        return written(_line(node, op, slot, "pull"), _names(node) | {"g": g})
    sympy, local = load(), found[1][slot]
    if local == 0:
        return written("0", {})
    # The gradient stays in front, as the lectures write it: upstream × local.
    upward, factor = written("{g}", {"g": g}), _printed(node, local, _names(node))
    if local == 1:
        return upward
    if local == -1:
        return Formula(f"−{upward.text}", f"-{upward.latex}", f"<mo>−</mo>{upward.mathml}")
    wrapped = local.is_Add or (local.is_Mul and local.could_extract_minus_sign())
    wrapped = (
        wrapped or (local.is_number and local.is_negative) or isinstance(local, sympy.Piecewise)
    )
    left, right = ("(", ")") if wrapped else ("", "")
    fence = (mathml_sign(left), mathml_sign(right)) if wrapped else ("", "")
    return Formula(
        f"{upward.text} · {left}{factor.text}{right}",
        rf"{upward.latex} \cdot {left}{factor.latex}{right}",
        f"<mrow>{upward.mathml}<mo>·</mo>{fence[0]}{factor.mathml}{fence[1]}</mrow>",
    )


def push_formula(node: Node, slot: int) -> Formula:
    """What goes forward from one operand: local × its tangent, which is called with a dot."""
    op, source = node.equation.primitive, node.inputs[slot]  # type: ignore[union-attr]
    if isinstance(op.derivative, (Linear, Multilinear)) and _template(node) is None:
        line = LINES[op.name].formula if op.name in LINES else f"{_safe(node.operation)}({{all}})"
        names = _names(node) | {str(slot): dot(source.name)}
        return written(line.replace("{all}", _all(node)), names)
    return pull_formula(node, slot, dot(source.name))


# ---- where the formulas come from ----------------------------------------------------------------


def _line(node: Node, op: Primitive, slot: int, which: str) -> str:
    if op.name in LINES:
        lines: tuple[str, ...] = getattr(LINES[op.name], which)
        line = lines[min(slot, len(lines) - 1)]
        vectors = op.name == "matmul" and not node.type.shape  # nothing to turn over
        return line.replace("ᵀ", "").partition(",")[0] if vectors else line
    if isinstance(op.derivative, Flat):
        return "0"
    if isinstance(op.derivative, (Linear, Partials)):
        words = f"the derivative of {_safe(node.operation)} by {{{slot}}}"
    else:
        words = f"the rule of {_safe(node.operation)} for {{{slot}}}"
    return words if which == "local" else f"{{g}} · {words}"


def _names(node: Node) -> dict[str, str]:
    names = {str(k): source.name for k, source in enumerate(node.inputs)}
    return names | {"y": node.name, "g": bar(node.name)}


def _all(node: Node) -> str:
    return ", ".join(f"{{{k}}}" for k in range(len(node.inputs)))


def _safe(name: str | None) -> str:
    """A name as a word of a line, without the underscore that Python gives to private ones."""
    return "".join(c for c in name or "" if c not in "{}").lstrip("_")


class _Shape(NamedTuple):
    """What a formula depends on besides names: parameters, and the values of literals."""

    params: tuple[tuple[str, Any], ...]
    literals: tuple[Any, ...]


def _template(node: Node) -> tuple[Any, tuple[Any, ...]] | None:
    """The formula and its derivatives in symbols o0, o1 … and y; None if it has none to read."""
    assert node.equation is not None
    op = node.equation.primitive
    if op.name in LINES or not isinstance(op.derivative, Partials) or op.symbolic is None:
        return None
    literals = tuple(
        None if source.kind != "constant" or np.shape(source.value) else source.value
        for source in node.inputs
    )
    shape = _Shape(tuple(node.params.items()), literals)
    try:
        return _known(op, shape)
    except TypeError:  # a parameter without a hash
        return _made(op, shape)


@functools.lru_cache(maxsize=1024)
def _known(op: Primitive, shape: _Shape) -> tuple[Any, tuple[Any, ...]] | None:
    return _made(op, shape)


def _made(op: Primitive, shape: _Shape) -> tuple[Any, tuple[Any, ...]] | None:
    sympy = load()
    symbols = [_operand(k) for k in range(len(shape.literals))]
    values = [
        symbol if literal is None else number(sympy, literal)
        for symbol, literal in zip(symbols, shape.literals, strict=True)
    ]
    y = sympy.Symbol("y", real=True)
    if op.name in _EXPRESSIONS:
        rule, rules = _EXPRESSIONS[op.name]
        return rule(sympy, *values), tuple(slope(sympy, y, *values) for slope in rules)
    arrays = [as_objects([value], ()) for value in symbols]
    found = op.symbolic(sympy, *arrays, **dict(shape.params))  # type: ignore[misc]
    expression = np.asarray(found, object).ravel()[0]
    if expression.has(sympy.Piecewise):
        return None
    slopes = [sympy.diff(expression, symbol) for symbol in symbols]
    literals = dict(zip(symbols, values, strict=True))
    expression, *slopes = (part.xreplace(literals) for part in (expression, *slopes))
    if any(part.count_ops() > _LONGEST or part.has(sympy.Piecewise) for part in slopes):
        return None
    return expression, tuple(slopes)


def _operand(k: int) -> Any:
    return load().Symbol(f"o{k}", real=True)


def _printed(node: Node, expression: Any, names: Mapping[str, str]) -> Formula:
    sympy = load()
    put = {_operand(k): names[str(k)] for k in range(len(node.inputs))}
    return symbolic(sympy, expression, {sympy.Symbol("y", real=True): names["y"], **put})
