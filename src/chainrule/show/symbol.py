"""What stands inside the box of an operation: its sign, short enough for a picture.

Literals are part of the function: x + 1 is the function "+ 1" of x. Operations that don't care for
the order of their operands show a sign alone, the others the names of theirs.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from chainrule.ops.index_plan import Spot
from chainrule.show.node import Node
from chainrule.show.numeral import short
from chainrule.show.scene import Run, name_runs, runs_text, runs_words, visible

# Of two values: a sign where the order doesn't matter, else what is done with which.
_BINARY = {
    "add": "+",
    "multiply": "×",
    "maximum": "max",
    "minimum": "min",
    "fmax": "max",
    "fmin": "min",
    "subtract": "{0} − {1}",
    "divide": "{0} / {1}",
    "power": "{0}^{1}",
    "matmul": "{0} · {1}",
    "arctan2": "arctan({0} / {1})",
    "greater": "{0} > {1}",
    "greater_equal": "{0} ≥ {1}",
    "less": "{0} < {1}",
    "less_equal": "{0} ≤ {1}",
    "equal": "{0} = {1}",
    "not_equal": "{0} ≠ {1}",
    "convolution": "{0} ∗ {1}",
    "logaddexp": "log(exp + exp)",
}
# With one literal operand: by which of the two it is.
_LITERAL = {
    ("add", 0): "+ {0}",
    ("add", 1): "+ {1}",
    ("subtract", 1): "− {1}",
    ("multiply", 0): "× {0}",
    ("multiply", 1): "× {1}",
    ("divide", 1): "÷ {1}",
    ("maximum", 0): "max({0}, ·)",
    ("maximum", 1): "max({1}, ·)",
    ("minimum", 0): "min({0}, ·)",
    ("minimum", 1): "min({1}, ·)",
}
_UNARY = {
    "negative": "× −1",
    "reciprocal": "1 / {0}",
    "square": "{0}^2",
    "constant_power": "{0}^{n}",
    "sqrt": "√",
    "absolute": "| · |",
    "fabs": "| · |",
    "modulus": "| · |",
    "expit": "σ",
    "log_expit": "log σ",
    "log1p": "log(1 + ·)",
    "expm1": "exp − 1",
    "arcsin": "arcsin",
    "sum": "Σ",
    "prod": "∏",
    "max": "max",
    "min": "min",
    "astype": "as {dtype}",
    "copy": "copy",
    "stop_gradient": "stop",
}
# Where the names of the operands are too long.
_SHORT = {
    "subtract": "−",
    "divide": "÷",
    "matmul": "·",
    "convolution": "∗",
    "power": "^",
    "getitem": "[…]",
}
_LONGEST = 16
_PART = re.compile(r"\{(\w+)\}|\^T?")


def function_runs(node: Node) -> tuple[Run, ...]:
    """What stands in the box of an operation."""
    name = node.operation or ""
    primitive = name if node.equation is None else node.equation.primitive.name
    literals = [k for k, source in enumerate(node.inputs) if is_literal(source)]
    template = None
    if name == primitive:
        if name in _ARRANGED:
            template = _ARRANGED[name](node)
        elif len(node.inputs) == 1:
            template = _UNARY.get(name)
        elif len(node.inputs) == 2 and len(literals) == 1:
            template = _LITERAL.get((name, literals[0]))
        if template is None and len(node.inputs) == 2:
            template = _BINARY.get(name)
            if literals and template is not None and "{" not in template:
                template = None
    if template is None:
        return (Run(visible(name.replace("_", " "))),)
    runs = tuple(_filled(template, node))
    if len(runs_text(runs)) > _LONGEST:
        return (Run(_SHORT.get(name, visible(name.replace("_", " ")))),)
    return runs


def function_words(node: Node) -> str:
    """What an operation does, for those who don't see its box: its name, and what stands in it."""
    name, inside = node.operation or "", runs_words(function_runs(node))
    return name if inside == name else f"{name} {inside}"


def is_literal(node: Node) -> bool:
    """Whether it is a number of the user's text, which a picture shows within the function."""
    return node.kind == "constant" and np.ndim(node.value) == 0


def leaf_runs(node: Node) -> tuple[Run, ...]:
    """What a leaf is called: of a constant the number, or a few of them."""
    if node.kind != "constant":
        return name_runs(node.name)
    numbers = np.asarray(node.value)
    if numbers.size and (numbers == numbers.flat[0]).all():
        return (Run(short(numbers.flat[0])),)
    text = ", ".join(map(short, numbers.ravel())) if numbers.ndim == 1 else ""
    return (Run(f"[{text}]" if 0 < len(text) <= _LONGEST else visible(node.name, _LONGEST)),)


def _indexed(node: Node) -> str:
    """What is read from an array, such as {0}[2, 1:3] or {0}[{1}]."""
    parts = []
    for entry in node.params["index"]:
        if type(entry) is Spot:
            parts.append(f"{{{entry.number + 1}}}")
        elif isinstance(entry, slice):
            ends = ["" if end is None else short(end) for end in (entry.start, entry.stop)]
            parts.append(":".join(ends if entry.step is None else [*ends, short(entry.step)]))
        else:
            parts.append("…" if entry is Ellipsis else "new" if entry is None else short(entry))
    index = f"[{', '.join(parts)}]"
    whole = f"{{0}}{index}"
    return whole if len(runs_text(_filled(whole, node))) <= _LONGEST else index


def _turned(node: Node) -> str | None:
    """A matrix turned over; an array whose axes change places in another way is no transpose."""
    axes = tuple(node.params.get("axes") or ())
    rank = len(node.type.shape)
    return "{0}^T" if axes in ((), tuple(reversed(range(rank)))) and rank <= 2 else None


_ARRANGED: dict[str, Callable[[Node], str | None]] = {"getitem": _indexed, "transpose": _turned}


def _filled(template: str, node: Node) -> list[Run]:
    runs: list[Run] = []
    raised, start = False, 0

    def put(*found: Run) -> None:
        nonlocal raised
        runs.extend(Run(run.text, "sup") if raised else run for run in found)
        raised = False

    for match in _PART.finditer(template):
        if plain := template[start : match.start()]:
            put(Run(plain))
        start = match.end()
        if match[0] == "^T":
            put(Run("T", "sup"))
        elif match[0] == "^":
            raised = True
        elif match[1] == "dtype":
            put(Run(str(node.type.dtype)))
        elif match[1] == "n":
            put(Run(short(node.params["n"])))
        else:
            source = node.inputs[int(match[1])]
            put(*leaf_runs(source))
    if rest := template[start:]:
        put(Run(rest))
    return runs
