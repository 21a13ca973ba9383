"""Uses of operations beyond their own cases: numbers of every size, large and awkward arrays."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.ir.primitive import Draw, Primitive
from chainrule.ir.program import Program
from chainrule.ir.types import ArrayType
from chainrule.ops.family import PRIMITIVES, elementwise_batch
from chainrule.tracing.body import stage_body
from chainrule.tracing.stage import evaluate
from truth.point import everywhere
from truth.program import CONTROL
from truth.scalar import REFERENCES as OWN
from truth.use import Use

_KINDS = (("f32", np.dtype("f4")), ("f64", np.dtype("f8")))
_COUNT = 16 * int(os.environ.get("CHAINRULE_FUZZ") or 1)  # of each kind of point


def more_uses(op: Primitive, rng: np.random.Generator) -> list[Use]:
    """What else is worth a try."""
    uses = list(_larger(op, rng)) if op.name in MORE else []
    if op.name in CONTROL:
        uses += _single_control(op, rng)
    # Of the compiler's own functions tests/loops/test_mathematics.py asks far more.
    if op.batch is elementwise_batch and op.name not in OWN:
        uses += [(op, *given) for given in _anywhere(op, rng)]
    return uses


# ---- numbers of every size -----------------------------------------------------------------------


def _anywhere(op: Primitive, rng: np.random.Generator) -> Iterator[tuple[Any, Any]]:
    """Operands of every size for each set of parameters that the cases have."""
    operands = len(op.cases[0].args)
    if not any(type(a) is Draw and a.dtype == "f8" for case in op.cases for a in case.args):
        return  # of whole numbers only
    known: list[Any] = []
    for case in op.cases:
        if dict(case.params) not in known:
            known.append(dict(case.params))
    for params in [*known, *_PARAMS.get(op.name, ())]:
        for kind, _ in _KINDS:
            yield tuple(_points(op.name, kind, rng, operands)), params


def _points(name: str, kind: str, rng: np.random.Generator, operands: int) -> list[np.ndarray]:
    given = [rng.permutation(everywhere(kind, rng, _COUNT)) for _ in range(operands)]
    size = min(map(len, given))
    given = [x[:size] for x in given]
    if name in _POSITIVE:
        given = [abs(x) for x in given]
        if operands == 2:  # one near the other, too
            given[1][: size // 3] = given[0][: size // 3] * rng.uniform(0.4, 2.5, size // 3)
    if name == "logit":
        inside = [np.where(x > 1, 1 / x, x) for x in map(abs, given)]
        given = [np.concatenate([x, rng.uniform(0, 1, 4 * _COUNT).astype(x.dtype)]) for x in inside]
    if name == "logaddexp2":
        given[1][: size // 2] = given[0][: size // 2] + rng.normal(size=size // 2) * 3
    return given


_POSITIVE = {"entr", "rel_entr", "kl_div", "sqrt", "deviation"}
_PARAMS: dict[str, tuple[dict[str, Any], ...]] = {
    "constant_power": tuple(
        {"n": n}
        for n in (0, 1, 2, 4, 5, 6, 7, 8, -1, -3, -5, -7, -8, 9, -9, 0.5, 1.5, -1.5, -2.5, 0.3)
    ),
    "sinc": ({"order": 3}, {"order": 4}),
    "round": ({"decimals": -1}, {"decimals": 1}, {"decimals": 3}),
    "isclose": ({"rtol": 1e-5, "atol": 1e-8, "equal_nan": True},),
    "astype": ({"dtype": np.dtype("f4")}, {"dtype": np.dtype("f8")}),
}


# ---- larger arrays, and harder ones --------------------------------------------------------------

More = Callable[[np.random.Generator], Iterator[tuple[Any, Any]]]
MORE: dict[str, More] = {}


def _more(*names: str) -> Callable[[More], More]:
    """Enter `rule(rng)` → operands in double precision, and parameters."""

    def enter(rule: More) -> More:
        MORE.update(dict.fromkeys(names, rule))
        return rule

    return enter


def _larger(op: Primitive, rng: np.random.Generator) -> Iterator[Use]:
    """In double and in single precision."""
    for operands, params in MORE[op.name](rng):
        yield op, operands, params
        single = [a.astype("f4") if a.dtype == np.float64 else a for a in operands]
        if any(a.dtype == np.float32 for a in single):
            yield op, tuple(single), params


def _mixed(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Numbers of very different sizes and both signs, so that sums of them cancel."""
    return rng.normal(size=shape) * np.exp(rng.normal(size=shape) * 4)


def _near_one(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return np.exp(rng.normal(size=shape) * 0.2)


_REDUCED = (((3000,), (0,)), ((37, 41), (0,)), ((37, 41), (1,)), ((3, 50, 7), (0, 1)))
_RUNNING = (((700,), 0), ((9, 40), 0), ((9, 40), 1))


@_more("sum", "length")
def _sums(rng: np.random.Generator) -> Iterator[Any]:
    for shape, axis in _REDUCED:
        yield (_mixed(rng, *shape),), {"axis": axis}


@_more("prod")
def _products(rng: np.random.Generator) -> Iterator[Any]:
    for shape, axis in _REDUCED[1:]:
        yield (_near_one(rng, *shape),), {"axis": axis}


@_more("max", "min", "shift", "any", "all")
def _extremes(rng: np.random.Generator) -> Iterator[Any]:
    for shape, axis in _REDUCED:
        yield (np.round(_mixed(rng, *shape)),), {"axis": axis}


@_more("cumsum")
def _running_sums(rng: np.random.Generator) -> Iterator[Any]:
    for shape, axis in _RUNNING:
        yield (_mixed(rng, *shape),), {"axis": axis}


@_more("cumprod")
def _running_products(rng: np.random.Generator) -> Iterator[Any]:
    for shape, axis in _RUNNING:
        yield (_near_one(rng, *shape),), {"axis": axis}


@_more("matmul")
def _matrix_products(rng: np.random.Generator) -> Iterator[Any]:
    for left, right in (
        ((33, 40), (40, 19)),
        ((200,), (200,)),
        ((60, 70), (70,)),
        ((2, 5, 30), (30, 9)),
    ):
        yield (_mixed(rng, *left), _mixed(rng, *right)), {}


@_more("einsum")
def _contractions(rng: np.random.Generator) -> Iterator[Any]:
    for subscripts, shapes in {
        "bij,bjk->bik": ((3, 5, 17), (3, 17, 4)),
        "ij,jk,kl->il": ((3, 6), (6, 5), (5, 3)),
        "ij,ij->": ((15, 20), (15, 20)),
        "i,j,ij->": ((9,), (11,), (9, 11)),
    }.items():
        yield tuple(_mixed(rng, *n) for n in shapes), {"subscripts": subscripts, "optimize": False}


@_more("convolve")
def _convolutions(rng: np.random.Generator) -> Iterator[Any]:
    for sizes in ((100, 9), (70, 70)):
        yield tuple(_mixed(rng, n) for n in sizes), {}


@_more("convolution")
def _images(rng: np.random.Generator) -> Iterator[Any]:
    (params,) = (c.params for c in PRIMITIVES["convolution"].cases[8:9])
    yield (_mixed(rng, 2, 9, 8, 4), _mixed(rng, 3, 3, 4, 8)), params


@_more("convolution_kernel")
def _image_gradients(rng: np.random.Generator) -> Iterator[Any]:
    (params,) = (c.params for c in PRIMITIVES["convolution_kernel"].cases[8:9])
    yield (_mixed(rng, 2, 9, 8, 4), _mixed(rng, 2, 7, 6, 8)), {**params, "window": (3, 3)}


@_more("put_add")
def _scattered(rng: np.random.Generator) -> Iterator[Any]:
    (index,) = (c.params["index"] for c in PRIMITIVES["put_add"].cases[8:9])
    yield (_mixed(rng, 900), rng.integers(0, 7, 900)), {"index": index, "shape": (7,)}


@_more("share_runs")
def _runs(rng: np.random.Generator) -> Iterator[Any]:
    starts = rng.random(300) < 0.1
    starts[0] = True
    yield (_mixed(rng, 300), starts), {}


@_more("sort")
def _rows(rng: np.random.Generator) -> Iterator[Any]:
    yield (np.round(rng.normal(size=(4, 37)) * 9),), {}


@_more("argmax", "argmin")
def _first_of_several(rng: np.random.Generator) -> Iterator[Any]:
    for axis in (0, 1):
        yield (np.round(rng.normal(size=(23, 37))),), {"axis": axis}


@_more("argsort")
def _ties(rng: np.random.Generator) -> Iterator[Any]:
    for axis in (0, 1):
        yield (np.round(rng.normal(size=(6, 19))),), {"axis": axis, "kind": "stable"}


@_more("searchsorted")
def _searched(rng: np.random.Generator) -> Iterator[Any]:
    for side in ("left", "right"):
        a = np.sort(np.round(rng.normal(size=45) * 9))
        yield (a, np.round(rng.normal(size=80) * 12)), {"side": side}


@_more("unseen")
def _kept(rng: np.random.Generator) -> Iterator[Any]:
    yield (_mixed(rng, 5),), {"rule": "a rule", "place": None}


@_more("imag", "modulus")
def _real_numbers(rng: np.random.Generator) -> Iterator[Any]:
    yield (_mixed(rng, 5),), {}


# ---- matrices ------------------------------------------------------------------------------------


def _matrices(rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Random, graded, and nearly singular ones."""
    yield rng.normal(size=(7, 7))
    yield rng.normal(size=(6, 6)) * 10.0 ** np.arange(-3, 3)
    yield 1.0 / (np.arange(5)[:, None] + np.arange(5) + 1)
    yield rng.normal(size=(3, 4, 4))


@_more("det", "slogdet", "inv")
def _square(rng: np.random.Generator) -> Iterator[Any]:
    for a in _matrices(rng):
        yield (a,), {}


@_more("cofactor")
def _regular(rng: np.random.Generator) -> Iterator[Any]:
    yield (rng.normal(size=(6, 6)) + 3 * np.eye(6),), {}


@_more("solve")
def _systems(rng: np.random.Generator) -> Iterator[Any]:
    for a in _matrices(rng):
        yield (a, rng.normal(size=(a.shape[-1], 2))), {}


@_more("cholesky")
def _positive(rng: np.random.Generator) -> Iterator[Any]:
    for a in _matrices(rng):
        yield (a @ np.swapaxes(a, -1, -2) + 1e-3 * np.eye(a.shape[-1]),), {}


@_more("eigh")
def _symmetric(rng: np.random.Generator) -> Iterator[Any]:
    for a in _matrices(rng):
        for lower in (True, False):
            yield (a,), {"lower": lower}


@_more("svd", "qr")
def _tall(rng: np.random.Generator) -> Iterator[Any]:
    for a in _matrices(rng):
        yield (a,), {}
        yield (a[..., :3],), {}


@_more("pinv")
def _any_shape(rng: np.random.Generator) -> Iterator[Any]:
    for a in _matrices(rng):
        yield (a[..., :3, :],), {"rcond": None}
    yield (np.outer(np.arange(1.0, 5.0), np.arange(2.0, 5.0)),), {"rcond": 1e-5}


# ---- random bits ---------------------------------------------------------------------------------


@_more("random_bits")
def _long_streams(rng: np.random.Generator) -> Iterator[Any]:
    keys = rng.integers(0, 2**64, (2, 2), np.uint64, endpoint=False)
    for dtype in ("u8", "u4"):
        yield (keys, np.int64(0)), {"region": 0, "shape": (501,), "dtype": np.dtype(dtype)}


# ---- control flow in single precision ------------------------------------------------------------


def _restaged(given: Any) -> Any:
    """A program of doubles, or several, as one of singles."""
    if isinstance(given, tuple):
        return tuple(map(_restaged, given))
    if not isinstance(given, Program):
        return given
    kinds = [
        ArrayType(var.type.shape, np.dtype("f4") if var.type.dtype == float else var.type.dtype)
        for var in given.inputs
    ]
    return stage_body(lambda *xs: tuple(evaluate(given, *xs)), kinds, "case").program


def _single_control(op: Primitive, rng: np.random.Generator) -> Iterator[Use]:
    for case in op.cases:
        if all(a.dtype in ("f8", "?") for a in case.args):
            args = [replace(a, dtype="f4" if a.dtype == "f8" else a.dtype) for a in case.args]
            params = {key: _restaged(value) for key, value in case.params.items()}
            yield op, tuple(a.sample(rng) for a in args), params
