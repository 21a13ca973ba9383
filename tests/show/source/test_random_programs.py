"""Random NumPy programs and their gradients, written as text: run, it gives what they give."""

from __future__ import annotations

import builtins
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given

import chainrule as cr

_FILE = Path(__file__).parents[2] / "fuzz" / "programs.py"
_spec = importlib.util.spec_from_file_location("random_programs", _FILE)
_programs: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_programs)


def executed(f: Any, arrays: Any) -> Any:
    text = cr.source(f, *arrays)
    longest = max(map(len, text.splitlines()))
    assert longest <= 100, text
    namespace: dict[str, Any] = {"__builtins__": builtins}
    exec(str(text), namespace)
    return namespace[text.name](*[np.array(a)[()] for a in arrays], **text.arrays)


@pytest.mark.parametrize("dtypes", [("f8",), ("f8", "f4")])
@pytest.mark.parametrize("which", ["values", "gradients"])
def test_text_gives_what_the_program_gives(which, dtypes):
    @given(steps=_programs.programs(_programs.PLAIN), arrays=_programs.inputs(dtypes))
    def test(steps, arrays):
        # Text is for arrays in C order, as what `cr.jit` compiles is.
        arrays = tuple(np.ascontiguousarray(a) if np.ndim(a) else a for a in arrays)
        f = _programs.last(steps) if which == "values" else _programs.function(steps)
        f = cr.grad(f, argnums=tuple(range(len(arrays)))) if which == "gradients" else f
        with np.errstate(all="ignore"):
            try:
                wanted = f(*[np.array(a)[()] for a in arrays])
            except cr.DomainError:
                assume(False)
            found = executed(f, arrays)
        assume(all(np.all(np.isfinite(w)) for w in wanted))
        assert len(wanted) == len(found)
        for w, g in zip(wanted, found, strict=True):
            w, g = np.asarray(w), np.asarray(g)
            assert (w.shape, w.dtype) == (g.shape, g.dtype)
            # Powers and sums round differently; ill-conditioned steps make more of it.
            single = any(np.asarray(a).dtype == np.float32 for a in (*arrays, w))
            tolerance = 1e-2 if single else 1e-8
            scale = max(1.0, float(np.max(np.abs(w), initial=0.0)))
            np.testing.assert_allclose(g, w, rtol=tolerance, atol=tolerance * scale)

    test()
