"""Writes docs/operations.md: every rule of every operation, and every name that reaches it.

`python docs/generate_operations.py` writes the page; with `--check` it only says whether the page
is up to date, as a test does in a fresh process. Needs Python 3.11, whose code objects know their
columns.
"""

from __future__ import annotations

import ast
import difflib
import dis
import functools
import inspect
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import numpy as np

PAGE = Path(__file__).with_name("operations.md")
sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

import scipy.special  # noqa: E402, F401 - its functions take part once it is imported

import chainrule  # noqa: E402, F401 - enters every operation
from chainrule.ir.primitive import (  # noqa: E402
    Custom,
    Flat,
    Linear,
    Multilinear,
    Partials,
    Primitive,
    Undefined,
)
from chainrule.loops.mathematics import BOUNDS  # noqa: E402
from chainrule.ops.family import PRIMITIVES  # noqa: E402
from chainrule.tracing.mathematics import REFUSED  # noqa: E402
from chainrule.tracing.swap import swaps  # noqa: E402
from chainrule.tracing.table import SCIPY_SPECIAL, TABLE, numpy_name  # noqa: E402
from chainrule.transform.unroll import UNROLLED  # noqa: E402

HEAD = """# Operations

Generated from the definitions by `python docs/generate_operations.py` with NumPy {numpy}; a test
holds it up to date.

A *primitive* is one definition with all its rules. Its derivative is one of a closed set:

- **partials**: elementwise, one partial derivative per operand; `y` is the result, then the
  operands. Forward and reverse mode follow from the same line.
- **linear**: the tangent map is the operation itself; reverse mode uses its transpose.
- **multilinear**: linear in each operand separately.
- **custom**: the tangent map is written out; reverse mode transposes it, unless it has its own.
- **flat**: zero almost everywhere. **undefined**: asking for the derivative is an error.

*Batch*: what `cr.vmap` uses, a rule or a loop over the examples. *Symbolic*: whether `cr.symbolic`
can go through it. *Compiled*: what runs it under `cr.jit`, native loops or a call back into NumPy
in the middle of them. (Complex numbers and half precision always call NumPy; so does sorting more
than a few short rows, and an unstable argsort.) *Special*: where `cr.differentiability` reports
something.
"""

ERRORS = """## Errors of compiled operations

How far a compiled result may lie from the true one, that of exact arithmetic on the very operands
given. The tests hold every operation to this with numbers of many digits. Whole numbers are always
exact. What calls NumPy is as good as NumPy.

- **ulp**: units in the last place of the true result, or of what is named. ½ ulp is the nearest
  float there is.
- **u**: 2⁻²⁴ for float32, 2⁻⁵³ for float64: the largest error of one rounding, half an ulp of 1.
- **n**: how many terms a sum or a product has; of matrices, the longer side. Σ|a·b| is the sum that
  the result is, with all signs positive: much larger than the result where terms cancel.
- **κ(a)** = ‖a‖·‖a⁻¹‖, and ‖·‖ the root of the sum of squares. For `solve` and `inv` it is the
  residual that is bounded, a·x − b and a·x − 1; for factorisations, how far the product of the
  factors is from a, and qᵀ·q from 1 (then beside ‖1‖).
- **carried through**: what the bounds of the operations inside add up to.

[Accuracy](accuracy.md) says what that means, and what follows for functions made of several
operations.

**Exact**, to the bit: {exact}.

**½ ulp**, the true result rounded once: {rounded}.
"""

# What isn't reached by a name of NumPy's.
OWN = {
    "scan": ("cr.scan", "cr.fori_loop"),
    "while": ("cr.while_loop",),
    "while_transpose": ("reverse mode through cr.while_loop",),
    "cond": ("cr.cond",),
    "random_key": ("cr.random.key",),
    "random_bits": tuple(
        f"cr.random.{name}" for name in ("bits", "split", "fold_in", "uniform", "bernoulli")
    ),
    "random_placed": ("cr.random.normal", "cr.random.uniform"),
    "random_normal": ("cr.random.normal",),
    "random_truncated_normal": ("cr.random.truncated_normal",),
    "random_exponential": ("cr.random.exponential",),
    "random_integers": ("cr.random.integers", "cr.random.choice"),
    "random_permutation": ("cr.random.permutation",),
    "random_subset": ("cr.random.choice",),
}


# --- which names reach which primitive ---------------------------------------------------------


def entries() -> dict[str, set[str]]:
    """Name as a user types it → the primitives that its handler records directly."""
    found: dict[str, set[str]] = defaultdict(set)
    swaps()  # enters what SciPy writes in Python
    for key, handler in TABLE.items():
        if not isinstance(key, str) and "._" not in (name := numpy_name(key)):
            found[name] |= primitives_of(handler)
    for name, handler in SCIPY_SPECIAL.items():
        found[f"scipy.special.{name}"] |= primitives_of(handler)
    return found


def primitives_of(handler: Callable[..., Any]) -> set[str]:
    """The primitives that a handler, or a function of its own module that it calls, names."""
    if isinstance(handler, functools.partial):
        named = {a.name for a in handler.args if isinstance(a, Primitive)}
        return named or primitives_of(handler.func)
    found: set[str] = set()
    seen: set[int] = set()
    stack = [inspect.unwrap(handler)]
    while stack:
        function = stack.pop()
        if not isinstance(function, FunctionType) or id(function) in seen:
            continue
        seen.add(id(function))
        for value in reached_values(function):
            if isinstance(value, Primitive):
                found.add(value.name)
            elif getattr(value, "__module__", None) == function.__module__:
                stack.append(value)
    return found


def reached_values(function: FunctionType) -> Iterator[Any]:
    """The globals and closure cells that a function's code, inner functions included, names."""
    codes: list[CodeType] = [function.__code__]
    while codes:
        code = codes.pop()
        codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        loaded = {i.argval for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL"}
        yield from (function.__globals__[n] for n in loaded if n in function.__globals__)
    for cell in function.__closure__ or ():
        yield cell.cell_contents


# --- rules as text -----------------------------------------------------------------------------


@lru_cache
def lambdas_of(filename: str) -> list[ast.Lambda]:
    tree = ast.parse(Path(filename).read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.Lambda)]


def rule_text(rule: Callable[..., Any] | float) -> str:
    """The right-hand side of a partial: the number, the lambda's body, or the function's name."""
    if not callable(rule):
        return f"{rule:g}"
    code = getattr(rule, "__code__", None)
    if code is None:
        return getattr(rule, "__name__", repr(rule))
    if code.co_name != "<lambda>":
        return f"{code.co_name}({', '.join(inspect.signature(rule).parameters)})"
    for node in lambdas_of(code.co_filename):
        if node.lineno == code.co_firstlineno and same_code(node, code):
            return f"{ast.unparse(node.args)} → {ast.unparse(node.body)}"
    return "a lambda"


def same_code(node: ast.Lambda, code: CodeType) -> bool:
    """Whether a lambda of the source is the one that was compiled to this code: same columns."""
    spans = [
        (line, column, end)
        for line, _, column, end in code.co_positions()
        if line is not None and column is not None and end is not None and end > column
    ]
    first = min((line, column) for line, column, _ in spans)
    last = max((end_line, end) for _, end_line, _, end in code.co_positions() if end is not None)
    inside = node.lineno, node.col_offset, node.end_lineno, node.end_col_offset
    return inside[:2] <= first and last <= inside[2:] and body_ends(node) == last


def body_ends(node: ast.Lambda) -> tuple[int | None, int | None]:
    return node.body.end_lineno, node.body.end_col_offset


def derivative_text(op: Primitive) -> str:
    """The derivative in one table cell."""
    d = op.derivative
    if isinstance(d, Partials):
        return "partials " + "; ".join(code_text(rule_text(rule)) for rule in d.rules)
    if isinstance(d, Linear):
        where = "all operands" if d.args is None else "operand " + ", ".join(map(str, d.args))
        return f"linear in {where}" + "; selects" * d.selects
    if isinstance(d, Multilinear):
        count = str(len(d.transposes)) if len(d.transposes) <= 4 else "all"
        return f"multilinear in {count} operands"
    if isinstance(d, Custom):
        return "custom; own reverse" if d.reverse else "custom; reverse by transposing"
    if isinstance(d, Flat):
        return "flat"
    assert isinstance(d, Undefined)
    return f"undefined: {d.reason}"


def code_text(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`"


def named_rules(ops: list[Primitive]) -> Iterator[Callable[..., Any]]:
    """Rules of partials and custom derivatives that are functions with a name."""
    seen = set()
    for op in ops:
        d = op.derivative
        rules: list[Any] = list(d.rules) if isinstance(d, Partials) else []
        if isinstance(d, Custom):
            rules += [d.forward, d.reverse]
        for rule in rules:
            plain = isinstance(rule, FunctionType) and rule.__code__.co_name != "<lambda>"
            if plain and rule.__code__ not in seen:
                seen.add(rule.__code__)
                yield rule


# --- the page ----------------------------------------------------------------------------------


def page_text() -> str:
    names = entries()
    reached_by: dict[str, list[str]] = defaultdict(list)
    for name, primitives in sorted(names.items()):
        for primitive in primitives:
            reached_by[primitive].append(name)
    parts = [HEAD.format(numpy=numpy_version()), errors_text()]
    for family, ops in families().items():
        parts.append(family_text(family, ops, reached_by))
    parts.append(names_text(names))
    return "\n".join(parts)


def numpy_version() -> str:
    return ".".join(np.__version__.split(".")[:2])


def families() -> dict[str, list[Primitive]]:
    """The primitives by the file that defines them."""
    homes = {op: module for module in modules() for op in bound(module)}
    grouped: dict[str, list[Primitive]] = defaultdict(list)
    for op in PRIMITIVES.values():
        module = homes.get(op) or next(m for m in modules() if mentions(m, op))
        grouped[module.__name__.removeprefix("chainrule.").replace(".", "/")].append(op)
    return dict(sorted(grouped.items()))


def modules() -> list[Any]:
    """The modules that may define operations, those of `ops` first."""
    names = [n for n in sys.modules if n.startswith("chainrule.") and not n.endswith(".family")]
    names.sort(key=lambda name: (not name.startswith("chainrule.ops."), name))
    return [sys.modules[name] for name in names if sys.modules[name] is not None]


def bound(module: Any) -> list[Primitive]:
    """The primitives that a module makes and gives a name."""
    return [v for v in vars(module).values() if isinstance(v, Primitive) and defines(module, v)]


def mentions(module: Any, op: Primitive) -> bool:
    """Whether a module makes a primitive that it gives no name: in a loop over ufuncs."""
    text = inspect.getsource(module)
    return "elementwise(" in text and re.search(rf"\b{op.name}\b", text) is not None


def defines(module: Any, op: Primitive) -> bool:
    """Whether a module makes the record, rather than importing it."""
    imported = {
        alias.asname or alias.name
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    return not any(vars(module).get(name) is op for name in imported)


def family_text(family: str, ops: list[Primitive], reached_by: dict[str, list[str]]) -> str:
    lines = [
        f"## {family}",
        "",
        "| primitive | reached by | derivative | batch | symbolic | compiled | special |",
        "|---|---|---|---|---|---|---|",
    ]
    for op in ops:
        cells = [
            f"`{op.name}`",
            ", ".join(f"`{name}`" for name in [*reached_by[op.name], *OWN.get(op.name, ())])
            or "other operations, indexing, writing",
            derivative_text(op),
            "loop" if op.batch is None else "rule",
            "unrolled" if op in UNROLLED else "no" if op.symbolic is None else "yes",
            "calls NumPy" if op.lower is None else "native",
            "; ".join(f"{i.kind}: {i.reason}" for i in op.irregular) or "–",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    for rule in named_rules(ops):
        lines += ["", f"`{rule.__name__}`:", "", "```text", dedented(rule), "```"]
    return "\n".join([*lines, ""])


def errors_text() -> str:
    """What every compiled primitive states of its error, the commonest bounds taken together."""
    alike: dict[tuple[str, str], list[str]] = defaultdict(list)
    for op in PRIMITIVES.values():
        if op.bound is not None:
            single, double = (op.bound.text(single, BOUNDS) for single in (True, False))
            alike[single, double].append(f"`{op.name}`")
    exact, rounded = (", ".join(alike.pop((text, text))) for text in ("exact", "½ ulp"))
    lines = [ERRORS.format(exact=exact, rounded=rounded)]
    for columns, one_for_both in (("float32 and float64",), True), (("float32", "float64"), False):
        lines += ["| operation | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
        for texts, names in alike.items():
            if (texts[0] == texts[1]) is one_for_both:
                cells = (text.replace("|", "\\|") for text in texts[: len(columns)])
                lines.append("| " + " | ".join([", ".join(names), *cells]) + " |")
        lines.append("")
    return "\n".join(lines)


def dedented(rule: Callable[..., Any]) -> str:
    return inspect.cleandoc("\n" + inspect.getsource(rule)).rstrip()


def names_text(names: dict[str, set[str]]) -> str:
    """Every supported name, by namespace, with the primitives it leads to."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        groups[name.rpartition(".")[0]].append(name)
    lines = [
        "## Every supported name",
        "",
        "A name without a primitive is written with other operations, or answers at once without",
        "recording anything (shapes, dtypes).",
        "",
        "| name | primitives |",
        "|---|---|",
    ]
    for _, group in sorted(groups.items()):
        for name in group:
            text = ", ".join(f"`{p}`" for p in sorted(names[name])) or "–"
            lines.append(f"| `{name}` | {text} |")
    return "\n".join([*lines, "", *swapped_text()])


def swapped_text() -> list[str]:
    """The names that NumPy does not dispatch, and that are replaced during a trace."""
    prefixes = {"numpy": "np", "numpy.linalg": "np.linalg"}
    rows = []
    for swap in swaps():
        home = swap.namespace["__name__"]
        if "._" in home:
            continue
        known = sorted(name for name in swap.new if home != "math" or name not in REFUSED)
        rows.append((prefixes.get(home, home), known))
    return [
        "## Names that work although NumPy does not dispatch them",
        "",
        "These are replaced while a function is traced, on that thread only: creation functions,",
        "functions that take lists of traced values, and `math`.",
        "",
        *(
            f"- {', '.join(f'`{prefix}.{name}`' for name in found)}"
            for prefix, found in rows
            if found
        ),
        "",
    ]


def main() -> int:
    text = page_text()
    if "--check" not in sys.argv:
        PAGE.write_text(text, encoding="utf-8")
        print(f"{PAGE}: {len(PRIMITIVES)} primitives, {len(entries())} names")
        return 0
    written = PAGE.read_text(encoding="utf-8")
    print("\n".join(difflib.unified_diff(written.splitlines(), text.splitlines(), n=0)))
    return int(written != text)


if __name__ == "__main__":
    sys.exit(main())
