"""Every operation compiled, case by case, against what NumPy gives; and which ones are native."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.special  # noqa: F401 - its functions take part once it is imported
from truth.use import Use, cases_of, run_together, usable

from chainrule.ops.family import PRIMITIVES
from chainrule.ops.index_plan import Spot, full_index
from chainrule.run.numpy_engine import Failed
from chainrule.tracing.stage import evaluate, trace_program
from chainrule.tracing.trace import apply

engine = pytest.importorskip("chainrule.run.engine")
if not engine.available():
    pytest.skip("needs llvmlite", allow_module_level=True)

compile_module = pytest.importorskip("chainrule.run.compile")

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


def compiled_table() -> dict[str, bool]:
    """What the page says of each primitive: native or not."""
    table = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        row = re.match(r"\| `(\w+)` \|.*\| (native|calls NumPy) \|", line)
        if row:
            table[row[1]] = row[2] == "native"
    return table


TABLE = compiled_table()


# ---- every case ---------------------------------------------------------------------------------


def check(use: Use, found: Any, wanted: Any) -> None:
    op, args, params = use
    kinds = [(np.shape(a), getattr(a, "dtype", type(a))) for a in args]
    told = f"{op.name} of {kinds} with {params}"
    assert found.dtype == wanted.dtype, told
    assert np.shape(found) == np.shape(wanted), told
    if wanted.dtype.kind in "fc":
        bound = 64 * np.finfo(wanted.dtype).eps
        np.testing.assert_allclose(found, wanted, rtol=bound, atol=bound, err_msg=told)
    else:
        np.testing.assert_array_equal(found, wanted, err_msg=told)


@pytest.mark.parametrize("name", [name for name, op in PRIMITIVES.items() if op.cases])
def test_every_case(name: str) -> None:
    op = PRIMITIVES[name]
    rng = np.random.default_rng(7)
    found = [usable(op, case, rng) for case in cases_of(op)]
    for use, one, other, native in run_together([use for use in found if use is not None]):
        check(use, one, other)
        arrays = [other, *use[1]]
        plain = all(np.asarray(a).dtype.kind in "biuf" for a in arrays)
        half = any(np.asarray(a).dtype == np.float16 for a in arrays)
        unstable = name == "argsort" and use[2]["kind"] is None
        assert native == (TABLE[name] and plain and not half and not unstable), (name, use[1:])


# ---- values that are special ---------------------------------------------------------------------

SPECIAL = (
    0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 3.0, 1e-320, -1e-320, 2.2e-308, 1e300, -1e300,
    np.inf, -np.inf, np.nan,
)  # fmt: skip
UNARY = (
    "absolute", "fabs", "sign", "floor", "ceil", "trunc", "rint", "spacing", "signbit", "isfinite",
    "isinf", "isnan", "isposinf", "isneginf", "logical_not", "reciprocal", "square", "sqrt",
    "negative", "real", "conjugate", "stop_gradient", "logit", "entr", "deg2rad",
)  # fmt: skip
BINARY = (
    "maximum", "minimum", "fmax", "fmin", "copysign", "heaviside", "nextafter", "logaddexp2",
    "rel_entr", "greater", "less_equal", "equal", "not_equal", "logical_and",
    "logical_xor", "add", "multiply", "divide",
)  # fmt: skip


def same(found: Any, wanted: Any, told: str) -> None:
    """Equal, or within a few units in the last place; NaN, infinities and zeros' signs agree."""
    if wanted.dtype.kind != "f":
        np.testing.assert_array_equal(found, wanted, err_msg=told)
        return
    eps = np.finfo(wanted.dtype).eps
    np.testing.assert_allclose(found, wanted, rtol=16 * eps, atol=0, err_msg=told)
    zero = np.equal(wanted, 0) & ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(found)[zero], np.signbit(wanted)[zero], err_msg=told)


@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_special_values(dtype: str) -> None:
    with np.errstate(over="ignore"):
        x = np.array(SPECIAL).astype(dtype)
    uses: list[Use] = [(PRIMITIVES[name], (x,), {}) for name in UNARY]
    powers = (0, 1, 2, 3, 5, 8, -1, -2, -3, -0.5, 1.5, 2.5, -2.5)
    uses += [(PRIMITIVES["constant_power"], (x,), {"n": n}) for n in powers]
    uses += [(PRIMITIVES["round"], (x,), {"decimals": d}) for d in (0, 2, -1)]
    whole = [np.dtype(d) for d in ("i1", "i2", "i4", "i8", "u1", "u2", "?")]
    uses += [(PRIMITIVES["truncate"], (x,), {"dtype": d}) for d in whole]
    pairs = x[:, None], x[None, :]
    ties = {"maximum", "minimum", "fmax", "fmin"}
    for name in BINARY:
        uses.append((PRIMITIVES[name], pairs, {"ties": (0.5, 0.5)} if name in ties else {}))
    uses.append((PRIMITIVES["maximum"], (x, 0.0), {"ties": (0.0, 0.0)}))
    uses.append((PRIMITIVES["fmin"], (1.0, x), {"ties": (0.0, 0.0)}))
    for (op, args, params), found, wanted, native in run_together(uses):
        told = f"{op.name} {params} of {args}"
        assert native, told
        # The larger of 0 and -0 may be either.
        signs = op.name in ties or (op.name == "nextafter")
        same(abs(found) if signs else found, abs(wanted) if signs else wanted, told)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "i4", "u4", "i8", "u8"])
def test_whole_numbers(dtype: str) -> None:
    """Extremes, mixed signs, shifts beyond the width, powers that overflow."""
    info = np.iinfo(dtype)
    x = np.array([info.min, info.min + 1, 0, 1, 2, 7, info.max - 1, info.max], dtype)
    if info.min < 0:
        x = np.append(x, np.array([-1, -2, -7], dtype))
    divisors = x[x != 0]
    pairs = x[:, None], divisors
    names = ("floor_divide", "remainder", "fmod")
    uses: list[Use] = [(PRIMITIVES[name], pairs, {}) for name in names]
    # Of 0 NumPy says it can't be divided by; the least number over -1 overflows in both.
    uses += [(PRIMITIVES[name], (divisors, np.array([3], dtype)), {}) for name in names]
    shifts = np.array([0, 1, info.bits - 1, info.bits, 100]).astype(dtype)
    uses += [(PRIMITIVES[n], (x[:, None], shifts), {}) for n in ("left_shift", "right_shift")]
    uses.append((PRIMITIVES["power"], (x[:, None], np.array([0, 1, 2, 5, 63, 90], dtype)), {}))
    uses.append((PRIMITIVES["power"], (x, 3), {}))
    uses += [(PRIMITIVES[n], (x,), {}) for n in ("absolute", "invert", "square", "logical_not")]
    uses += [(PRIMITIVES[n], (x[:, None], x), {"ties": (0.5, 0.5)}) for n in ("maximum", "fmin")]
    uses += [(PRIMITIVES[n], (x[:, None], x), {}) for n in ("less", "greater_equal")]
    other = np.array([-1, 0, 1, 2**62], "i8")
    uses += [(PRIMITIVES[n], (x[:, None], other), {}) for n in ("less", "equal", "greater")]
    uses += [(PRIMITIVES[n], (x, b), {}) for n in ("less", "not_equal") for b in (-1, 300, 0.5)]
    uses += [(PRIMITIVES[n], (x,), {"axis": (0,)}) for n in ("sum", "prod", "max", "min")]
    for (op, args, params), found, wanted, native in run_together(uses):
        told = f"{op.name} {params} of {args}"
        assert native, told
        assert found.dtype == wanted.dtype, told
        np.testing.assert_array_equal(found, wanted, err_msg=told)


# ---- what fails ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "args", "params"),
    [
        ("getitem", (np.ones(3), np.array([0, 3])), {"index": (Spot(0),)}),
        ("getitem", (np.ones((2, 3)), np.array([-4])), {"index": (slice(None), Spot(0))}),
        ("put", (np.ones(3), np.ones(2), np.array([0, 5])), {"index": (Spot(0),)}),
        ("put_add", (np.ones(2), np.array([0, -9])), {"index": (Spot(0),), "shape": (3,)}),
        ("floor_divide", (np.array([1, 2]), np.array([1, 0])), {}),
        ("remainder", (np.array([1, 2]), np.array([1, 0])), {}),
        ("reciprocal", (np.array([1, 0]),), {}),
        ("power", (np.array([2, 3]), np.array([2, -1])), {}),
    ],
)
def test_a_program_fails_where_numpy_has_something_to_say(
    name: str, args: tuple[Any, ...], params: dict[str, Any]
) -> None:
    op = PRIMITIVES[name]
    program = trace_program(lambda *xs: 2 * apply(op, *xs, **params), *args, values=False)
    executable = compile_module.NativeExecutable(program)
    with pytest.raises(Failed) as failure:
        executable(args, [])
    assert failure.value.args[0] is program.equations[0]


def test_a_literal_too_large_is_numpys_to_refuse() -> None:
    x = np.arange(3, dtype="u1")
    program = trace_program(lambda x: apply(PRIMITIVES["add"], x, 300), x, values=False)
    with pytest.raises(OverflowError):
        compile_module.NativeExecutable(program)([x], [])


# ---- indices and rows of many kinds --------------------------------------------------------------

SHAPES = ((6,), (40,), (5, 33), (4, 3, 17), (64, 9), (3, 4, 5, 2))


def some_index(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Any, list[np.ndarray]]:
    """Integers, slices, None, dots and broadcasting index arrays, in any mixture."""
    index: list[Any] = []
    arrays: list[np.ndarray] = []
    base = [(), (1,), (5,), (2, 3), (7, 1), (13,)][rng.integers(6)]
    for n in shape:
        start = int(rng.integers(0, n))
        kind = rng.integers(7)
        if kind == 0:
            index.append(int(rng.integers(-n, n)))
        elif kind <= 2:
            own = [base, base[-1:], (1,) * len(base)][rng.integers(3)]
            index.append(Spot(len(arrays)))
            arrays.append(np.asarray(rng.integers(-n, n, own)).astype(["i8", "i4"][kind - 1]))
        elif kind == 3:
            index.append(slice(None, None, int(rng.choice([-1, 2, -2, 3]))))
        elif kind == 4:
            index.append(slice(start, int(rng.integers(start, n + 1))))
        else:
            index.append(slice(None))
        if rng.integers(8) == 0:
            index.append(None)
    if rng.integers(3) == 0:
        index.insert(rng.integers(len(index) + 1), Ellipsis)
    return tuple(index), arrays


def drawn(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    return np.asarray(5 * rng.normal(size=shape)).astype(dtype)


@pytest.mark.parametrize("seed", range(3))
def test_reading_and_writing_at_any_index(seed: int) -> None:
    rng = np.random.default_rng(seed)
    uses: list[Use] = []
    for _ in range(30):
        shape = SHAPES[rng.integers(len(SHAPES))]
        dtype = ("f8", "f4", "i4", "?", "u1")[rng.integers(5)]
        x = drawn(rng, shape, dtype)
        index, arrays = some_index(rng, shape)
        for array in arrays:
            array.flags.writeable = bool(rng.integers(3))
        place = np.shape(x[full_index(index, arrays)])
        value = drawn(rng, place, dtype)
        part = drawn(rng, place[rng.integers(len(place) + 1) :], ("f8", "i8")[rng.integers(2)])
        uses.append((PRIMITIVES["getitem"], (x, *arrays), {"index": index}))
        uses.append((PRIMITIVES["put"], (x, value, *arrays), {"index": index}))
        uses.append((PRIMITIVES["put"], (x, part, *arrays), {"index": index}))
        uses.append((PRIMITIVES["put_add"], (value, *arrays), {"index": index, "shape": shape}))
    for use, found, wanted, native in run_together(uses):
        assert native
        check(use, found, wanted)


@pytest.mark.parametrize("seed", range(3))
def test_rows_of_many_lengths(seed: int) -> None:
    rng = np.random.default_rng(seed)
    uses: list[Use] = []
    for k in range(8):
        shape = SHAPES[rng.integers(len(SHAPES))]
        dtype = ("f8", "f4", "i4", "?")[k % 4]
        x = drawn(rng, shape, dtype)
        holes = x.copy()
        if dtype[0] == "f":
            holes.reshape(-1)[rng.integers(0, x.size, 2)] = np.nan
        axis = int(rng.integers(len(shape)))
        axes = tuple(sorted({int(a) for a in rng.integers(0, len(shape), 2)}))
        for name in ("cumsum", "cumprod"):
            uses.append((PRIMITIVES[name], (x / 5 if dtype[0] == "f" else x,), {"axis": axis}))
        uses += [(PRIMITIVES[n], (holes,), {"axis": axis}) for n in ("argmax", "argmin")]
        uses += [(PRIMITIVES[n], (holes,), {"axis": axes}) for n in ("max", "min", "any", "all")]
        uses.append((PRIMITIVES["sum"], (x,), {"axis": axes}))
        side = ("left", "right")[k % 2]
        uses.append((PRIMITIVES["searchsorted"], (np.sort(holes.ravel()), x), {"side": side}))
        lengths = rng.integers(0, 6, rng.integers(1, 7))
        parts = [drawn(rng, (*shape[:axis], n, *shape[axis + 1 :]), dtype) for n in lengths]
        uses.append((PRIMITIVES["concatenate"], tuple(parts), {"axis": axis}))
        rows = tuple(drawn(rng, shape, dtype) for _ in range(rng.integers(1, 7)))
        uses.append((PRIMITIVES["stack"], rows, {"axis": axis}))
        if dtype[0] == "f":
            starts = rng.random(x.size) < 0.3
            starts[0] = True
            uses.append((PRIMITIVES["share_runs"], (x, starts.reshape(shape)), {}))
            uses.append((PRIMITIVES["length"], (x,), {"axis": axes}))
            uses.append((PRIMITIVES["shift"], (holes,), {"axis": axes}))
            uses.append((PRIMITIVES["sort"], (holes,), {}))
            tied = np.round(holes)
            uses.append((PRIMITIVES["argsort"], (tied,), {"axis": axis, "kind": "stable"}))
    for n, m in ((300, 31), (70, 70), (64, 1)):
        uses.append((PRIMITIVES["convolve"], (drawn(rng, (n,), "f8"), drawn(rng, (m,), "f8")), {}))
    for use, found, wanted, native in run_together(uses):
        assert native or use[0].name == "argsort"  # of many comparisons
        close = use[0].name in ("cumsum", "cumprod", "sum", "share_runs", "convolve")
        if close and wanted.dtype.kind == "f":
            eps = np.finfo(wanted.dtype).eps
            scale = np.max(np.abs(wanted), initial=1.0)
            np.testing.assert_allclose(found, wanted, rtol=256 * eps, atol=256 * eps * scale)
        else:
            check(use, found, wanted)


@pytest.mark.parametrize(
    ("shape", "index", "arrays"),
    [
        ((4, 9), (Spot(0), Spot(1)), (np.arange(4), np.array([3, 0, -1, 3]))),
        ((7, 9), (Spot(0), Spot(1)), (np.arange(5, 1, -1), np.array([3, 0, -1, 3]))),
        ((4, 2, 9), (Spot(0), slice(None), Spot(1)), (np.arange(4), np.array([3, 0, -1, 3]))),
        ((2, 3, 5), (Spot(0), Spot(1), Spot(2)),
         (np.arange(2)[:, None], np.arange(3), np.array([[0, 4, 4], [1, -5, 2]]))),
    ],
)  # fmt: skip
def test_one_place_per_row_needs_no_scatter(shape: Any, index: Any, arrays: Any) -> None:
    """As in x[np.arange(n), labels]: then writing there is choosing, entry by entry."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape)
    value = rng.normal(size=x[full_index(index, arrays)].shape)

    def program(x: Any, value: Any, labels: Any) -> Any:
        places = (*arrays[:-1], labels)
        return (
            apply(PRIMITIVES["put"], x, value, *places, index=index),
            apply(PRIMITIVES["put_add"], value, *places, index=index, shape=shape),
        )

    leaves = x, value, arrays[-1]
    traced = trace_program(program, *leaves, values=False)
    executable = compile_module.NativeExecutable(traced)
    assert "@serial" not in executable.llvm
    found = executable(leaves, [array for _, array in traced.captured])
    for one, other in zip(found, evaluate(traced, *leaves), strict=True):
        np.testing.assert_array_equal(one, other)
