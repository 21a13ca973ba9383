"""Every operation, at each of its cases, written as Python: the text runs and gives its value."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.ir.primitive import Case, Primitive
from chainrule.ops.family import PRIMITIVES
from chainrule.show.source.python.module import Python
from chainrule.tracing.trace import apply

# What the inliner dissolves; tests of custom rules write them.
DISSOLVED = {"call", "call_with_reverse", "unseen"}
PAIRS = [
    pytest.param(op, case, id=f"{op.name}-{k}")
    for op in PRIMITIVES.values()
    for k, case in enumerate(op.cases)
    if op.name not in DISSOLVED
]


def run(text: Any, *args: Any) -> Any:
    """What a text's function gives, in a namespace with nothing in it."""
    namespace: dict[str, Any] = {"__builtins__": builtins}
    exec(str(text), namespace)
    return namespace[text.name](*args, **text.arrays)


@pytest.mark.parametrize(("op", "case"), PAIRS)
def test_text_runs_and_gives_the_value(op: Primitive, case: Case) -> None:
    args = case.sample(np.random.default_rng(0))
    wanted = op.value(*args, **case.params)

    def f(*xs: Any) -> Any:
        return apply(op, *xs, **case.params)

    with np.errstate(all="ignore"):
        found = run(cr.source(f, *args), *args)
    wanted, found = (part if op.multiple else (part,) for part in (wanted, found))
    assert len(wanted) == len(found)
    for w, g in zip(wanted, found, strict=True):
        assert np.shape(w) == np.shape(g)
        assert np.asarray(w).dtype == np.asarray(g).dtype
        np.testing.assert_allclose(g, w, rtol=1e-12 if np.asarray(w).dtype.itemsize >= 8 else 1e-5)


def test_each_operation_is_written_in_one_way() -> None:
    expressions, statements = set(Python.expressions), set(Python.statements)
    assert not expressions & statements
    assert expressions | statements == set(PRIMITIVES) - {"call", "call_with_reverse"}
