"""Every compiled primitive × its cases × dtype against the true result, within its stated bound.

Nothing here names an operation: the tests grow out of `family.PRIMITIVES`. What is lowered must
state a bound and have a reference, and must run natively in single and in double precision.
`CHAINRULE_SEED=1` draws other operands, `CHAINRULE_FUZZ=50` tries fifty times as many numbers.
"""

from __future__ import annotations

import pytest

engine = pytest.importorskip("chainrule.run.engine")
if not engine.available():
    pytest.skip("needs llvmlite", allow_module_level=True)

from truth.check import check  # noqa: E402
from truth.move import MOVED  # noqa: E402
from truth.registry import REFERENCES  # noqa: E402

from chainrule.ops.family import PRIMITIVES  # noqa: E402

LOWERED = {name: op for name, op in PRIMITIVES.items() if op.lower is not None}


@pytest.mark.parametrize("name", LOWERED)
def test_within_its_bound(name: str) -> None:
    check(LOWERED[name])


def test_what_calls_numpy_states_no_bound() -> None:
    assert not [op for op in PRIMITIVES.values() if op.lower is None and op.bound is not None]


def test_every_reference_is_of_a_primitive() -> None:
    assert REFERENCES.keys() | MOVED.keys() == LOWERED.keys()
