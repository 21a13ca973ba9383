"""Random NumPy programs, their gradients too: compiled, they give what they give uncompiled."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import chainrule as cr

_spec = importlib.util.spec_from_file_location(
    "random_programs", Path(__file__).with_name("programs.py")
)
_programs = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_programs)


@pytest.fixture(autouse=True, scope="module")
def fresh_memory_holds_nan():
    """What compiled code reads before it has written it shows."""
    compiling = pytest.importorskip("chainrule.run.compile")
    make = compiling._memory

    def full_of_nan(shape, dtype, what):
        memory = make(shape, dtype, what)
        if memory.dtype == np.uint8:
            memory.fill(255)
        elif memory.dtype.kind in "fc":
            memory.fill(np.nan)
        return memory

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiling, "_memory", full_of_nan)
        yield


def usable(values):
    return all(np.all(np.isfinite(v)) and np.max(np.abs(v), initial=0) < 1e4 for v in values)


@pytest.mark.parametrize("engine", ["numpy", "llvm"])
@settings(deadline=None)
@given(
    steps=_programs.programs(_programs.NESTED),
    arrays=_programs.inputs(("f8", "f4")),
    which=st.sampled_from(["values", "sum", "gradient"]),
)
def test_compiled_programs(engine, steps, arrays, which):
    f = _programs.last(steps) if which == "values" else _programs.function(steps)
    f = cr.grad(f, argnums=tuple(range(len(arrays)))) if which == "gradient" else f
    with np.errstate(all="ignore"):
        with _programs.what_is_refused():
            expected = f(*[np.array(a, order="K")[()] for a in arrays])
        expected = expected if isinstance(expected, tuple) else (expected,)
        assume(usable(expected))
        with cr.settings(engine=engine):
            found = cr.jit(f)(*arrays)
    found = found if isinstance(found, tuple) else (found,)
    for left, right in zip(found, expected, strict=True):
        assert np.shape(left) == np.shape(right)
        assert np.asarray(left).dtype == np.asarray(right).dtype
        # Sums of float32 in another order; ill-conditioned steps make more of it.
        single = any(np.asarray(a).dtype == np.float32 for a in (*arrays, left))
        tolerance = 1e-2 if single else 1e-8
        scale = max(1.0, float(np.max(np.abs(right), initial=0)))
        np.testing.assert_allclose(left, right, rtol=tolerance, atol=tolerance * scale)
