"""Sums over the rows or columns of a matrix product, taken before it is multiplied out.

Σₙ Σₖ Aₙₖ Bₖₘ = Σₖ (Σₙ Aₙₖ) Bₖₘ, which is one row's work instead of all. It's the same up to
rounding, and its bound: either way an error is a few units of Σ |Aₙₖ| |Bₖₘ|. Derivatives are full
of them: the cotangent of what was broadcast over rows before a product is such a sum.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from chainrule.ir.program import Equation, Operand, Program, Var
from chainrule.ir.types import ArrayType
from chainrule.ops.family import PRIMITIVES
from chainrule.optimise.rewrite import Rewrite, operand_type

_SUM, _MATMUL = PRIMITIVES["sum"], PRIMITIVES["matmul"]


def distribute(program: Program) -> Program:
    """The program with sums of products that nobody else reads as products of sums."""
    if not any(equation.primitive is _MATMUL for equation in program.equations):
        return program
    readers = Counter(a.number for e in program.equations for a in e.inputs if isinstance(a, Var))
    readers.update(out.number for out in program.outputs if isinstance(out, Var))
    rewrite = Rewrite(program)
    for equation in program.equations:
        equation = rewrite.current(equation)
        if equation.primitive is not _SUM or not _earlier(rewrite, equation, readers):
            rewrite.keep(equation)
    return rewrite.finish()


def _earlier(rewrite: Rewrite, equation: Equation, readers: Counter[int]) -> bool:
    """Put a sum of a product's rows or columns in front of the product, if it is one."""
    inner, signs = equation.inputs[0], 0
    while (minus := rewrite.maker(inner, "negative")) and readers[inner.number] == 1:  # type: ignore[union-attr]
        inner, signs = minus.inputs[0], signs + 1
    product = rewrite.maker(inner, "matmul")
    if product is None or readers[inner.number] != 1:  # type: ignore[union-attr]
        return False
    axes, kind = equation.params["axis"], operand_type(inner)
    factors = list(product.inputs)
    types = [operand_type(a) for a in factors]
    if len(axes) != 1 or kind.dtype.kind not in "fc" or any(t.ndim < 2 for t in types):
        return False
    side = kind.ndim - axes[0] - 2  # 0: rows of the left factor; -1: columns of the right
    if side not in (0, -1) or any(t.dtype != kind.dtype for t in types):
        return False
    which = 0 if side == 0 else 1
    own = types[which]
    axis = own.ndim - 2 if which == 0 else own.ndim - 1
    thin = (*own.shape[:axis], *own.shape[axis + 1 :])
    single = (*own.shape[:axis], 1, *own.shape[axis + 1 :])
    dtype = kind.dtype
    summed = _new(rewrite, equation, "sum", (factors[which],), thin, dtype, {"axis": (axis,)})
    factors[which] = _new(rewrite, equation, "reshape", (summed,), single, dtype, {"shape": single})
    shape = tuple(1 if k == axes[0] else n for k, n in enumerate(kind.shape))
    made = _new(rewrite, equation, "matmul", tuple(factors), shape, dtype, {})
    out = equation.outputs[0].type.shape
    made = _new(rewrite, equation, "reshape", (made,), out, dtype, {"shape": out})
    for _ in range(signs):
        made = _new(rewrite, equation, "negative", (made,), out, dtype, {})
    rewrite.replace(equation.outputs[0], made, equation)
    return True


def _new(
    rewrite: Rewrite,
    site: Equation,
    name: str,
    inputs: tuple[Operand, ...],
    shape: tuple[int, ...],
    dtype: Any,
    params: dict[str, Any],
) -> Var:
    var = rewrite.var(ArrayType(shape, dtype))
    made = Equation(PRIMITIVES[name], inputs, params, (var,), site.place, site.backward)
    rewrite.keep(made)
    return var
