"""Functions that only arrange, join, part, move or pick: NumPy's value, both modes, and vmap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.errors import ChainruleError, ShapeError, UnsupportedError

X = np.array([0.3, 0.5, 0.7, 0.9, 0.2, 1.1])


def m(x: Any) -> Any:
    return x.reshape(2, 3)


def t(x: Any) -> Any:
    return x.reshape(1, 2, 3)


SHAPES: dict[str, Callable[[Any], Any]] = {
    "reshape by columns": lambda x: np.reshape(x, (2, 3), order="F"),
    "reshape as it lies": lambda x: np.reshape(m(x), (3, 2), order="A"),
    "reshape unknown": lambda x: x.reshape(3, -1),
    "ravel by columns": lambda x: m(x).ravel("F"),
    "ravel": lambda x: np.ravel(m(x).T),
    "flatten": lambda x: m(x).T.flatten("F"),
    "T": lambda x: m(x).T,
    "mT": lambda x: t(x).mT,
    "matrix_transpose": lambda x: np.matrix_transpose(t(x)),
    "transpose": lambda x: t(x).transpose(2, 0, 1),
    "permute_dims": lambda x: np.permute_dims(t(x), (1, -1, 0)),
    "swapaxes": lambda x: np.swapaxes(t(x), 0, -1),
    "moveaxis": lambda x: np.moveaxis(t(x), [0, 1], [2, 0]),
    "moveaxis one": lambda x: np.moveaxis(t(x), -1, 0),
    "rollaxis": lambda x: np.rollaxis(t(x), 2),
    "rollaxis back": lambda x: np.rollaxis(t(x), 0, 3),
    "squeeze": lambda x: np.squeeze(x[None, :, None]),
    "squeeze one": lambda x: x[None, :, None].squeeze(axis=0),
    "expand_dims": lambda x: np.expand_dims(x, (0, 2)),
    "broadcast_to": lambda x: np.broadcast_to(m(x)[:, :1], (2, 2, 4)),
    "broadcast_arrays": lambda x: np.broadcast_arrays(x, x[:, None]),
    "atleast_1d": lambda x: np.atleast_1d(x[0]),
    "atleast_2d": lambda x: np.atleast_2d(x, x[0]),
    "atleast_3d": lambda x: np.atleast_3d(x[0], x, m(x), t(x)),
    "meshgrid": lambda x: np.meshgrid(x[:2], x[2:5], x[:1]),
    "meshgrid ij": lambda x: np.meshgrid(x[:2], x[2:5], indexing="ij"),
    "meshgrid sparse": lambda x: np.meshgrid(x[:2], x[2:5], sparse=True),
    "astype": lambda x: np.astype(x, np.float32),
    "flat": lambda x: np.array(m(x).T.flat[2:5]),
}

JOINS: dict[str, Callable[[Any], Any]] = {
    "concatenate": lambda x: np.concatenate([m(x), m(x)[:, :1]], axis=1),
    "concatenate lists": lambda x: np.concatenate([[x[0], x[1]], [x[2]], [4.0]]),
    "concatenate flat": lambda x: np.concatenate([m(x), x[None]], axis=None),
    "concatenate an array": lambda x: np.concatenate(m(x)),
    "concat": lambda x: np.concat([x, 2 * x]),
    "concatenate dtype": lambda x: np.concatenate([x, x], dtype=np.float32),
    "stack": lambda x: np.stack([x, x * x], axis=-1),
    "hstack": lambda x: np.hstack([x, x[:2], [x[0], 3.0], x[0]]),
    "hstack matrices": lambda x: np.hstack([m(x), m(x)]),
    "vstack": lambda x: np.vstack([x, x * 2]),
    "dstack": lambda x: np.dstack([x, x * 2]),
    "column_stack": lambda x: np.column_stack([x, x * 2, np.ones((6, 2))]),
    "append": lambda x: np.append(x, x[0] * 2),
    "append rows": lambda x: np.append(m(x), x[:3][None], axis=0),
    "block": lambda x: np.block([[np.eye(2), x[:4].reshape(2, 2)], [x[:2], x[2:4]]]),
    "block row": lambda x: np.block([x[0], x]),
    "block alone": lambda x: np.block(m(x)),
    "r_": lambda x: np.r_[x, 1.0, x[0], 1:4, [x[1], 2.0]],
    "r_ points": lambda x: np.r_[x[0], 0:1:3j],
    "r_ directive": lambda x: np.r_["0,2", x, x],
    "r_ columns": lambda x: np.r_["1,2,0", x, x],
    "c_": lambda x: np.c_[x, x * x],
    "c_ matrix": lambda x: np.c_[m(x), [x[0], x[1]]],
    "array": lambda x: np.array([[x[0], 1], [2, x[1] * x[0]]]),
    "array of rows": lambda x: np.array([x, x * 2, np.ones(6), [*x]]),
    "array ndmin": lambda x: np.array([x[0], x[1]], ndmin=3),
    "array dtype": lambda x: np.array([x[0], 1], dtype=np.float32),
    "asarray": lambda x: np.asarray(x) if np.asarray(x) is x else None,
}

PARTS: dict[str, Callable[[Any], Any]] = {
    "split": lambda x: np.split(x, 3),
    "split places": lambda x: np.split(x, [1, 4]),
    "split beyond": lambda x: np.split(x, [2, 9, 3]),
    "array_split": lambda x: np.array_split(x, 4),
    "hsplit": lambda x: np.hsplit(m(x), 3),
    "vsplit": lambda x: np.vsplit(m(x), 2),
    "dsplit": lambda x: np.dsplit(x.reshape(1, 1, 6), 2),
    "diag": lambda x: np.diag(x),
    "diag below": lambda x: np.diag(x[:3], -1),
    "diag of a matrix": lambda x: np.diag(m(x), 1),
    "diagflat": lambda x: np.diagflat(m(x), 1),
    "diagonal": lambda x: np.diagonal(t(x), 0, 1, 2),
    "diagonal below": lambda x: m(x).diagonal(-1),
    "linalg.diagonal": lambda x: np.linalg.diagonal(t(x), offset=1),
    "tril": lambda x: np.tril(m(x)),
    "triu": lambda x: np.triu(m(x), 1),
    "tril of a vector": lambda x: np.tril(x),
    "vander": lambda x: np.vander(x[:3]),
    "vander increasing": lambda x: np.vander(x[:3], 4, increasing=True),
}

MOVES: dict[str, Callable[[Any], Any]] = {
    "flip": lambda x: np.flip(m(x)),
    "flip one": lambda x: np.flip(m(x), 1),
    "fliplr": lambda x: np.fliplr(m(x)),
    "flipud": lambda x: np.flipud(m(x)),
    "rot90": lambda x: np.rot90(m(x)),
    "rot90 twice": lambda x: np.rot90(m(x), 2),
    "rot90 back": lambda x: np.rot90(m(x), -1),
    "rot90 axes": lambda x: np.rot90(t(x), 1, (1, 2)),
    "roll": lambda x: np.roll(x, 2),
    "roll flat": lambda x: np.roll(m(x), -1),
    "roll axes": lambda x: np.roll(m(x), (1, 5), axis=(0, 1)),
    "tile": lambda x: np.tile(x, 3),
    "tile matrix": lambda x: np.tile(m(x), (2, 1, 2)),
    "tile none": lambda x: np.tile(x, 0),
    "repeat": lambda x: np.repeat(x, 2),
    "repeat axis": lambda x: np.repeat(m(x), 2, axis=1),
    "repeat counts": lambda x: x.repeat([1, 0, 2, 3, 0, 1]),
    "repeat rows": lambda x: np.repeat(m(x), [1, 2], axis=0),
    "pad": lambda x: np.pad(x, 2),
    "pad pairs": lambda x: np.pad(m(x), ((1, 2), (0, 1)), constant_values=((1.0, 2.0), (3.0, 4.0))),
    "pad traced": lambda x: np.pad(x, 1, constant_values=x[0]),
    "pad edge": lambda x: np.pad(m(x), 1, mode="edge"),
    "pad wrap": lambda x: np.pad(x, (8, 3), "wrap"),
    "pad reflect": lambda x: np.pad(m(x), 2, "reflect"),
    "pad symmetric": lambda x: np.pad(x, (1, 7), "symmetric"),
    "diff": lambda x: np.diff(x),
    "diff twice": lambda x: np.diff(x, 2),
    "diff axis": lambda x: np.diff(m(x), axis=0, prepend=0.0),
    "diff ends": lambda x: np.diff(x, prepend=x[0], append=[1.0, 2.0]),
    "ediff1d": lambda x: np.ediff1d(x, to_begin=x[0], to_end=[1.0, 2.0]),
    "linspace": lambda x: np.linspace(x[0], x[1], 5),
    "linspace arrays": lambda x: np.linspace(x[:2], x[2:4], 4, axis=1),
    "linspace open": lambda x: np.linspace(0, x[1], 5, endpoint=False),
    "linspace step": lambda x: np.linspace(x[0], x[1], 3, retstep=True),
    "logspace": lambda x: np.logspace(x[0], x[1], 4),
    "geomspace": lambda x: np.geomspace(x[0], x[1], 4),
    "delete": lambda x: np.delete(x, [1, 3]),
    "delete column": lambda x: np.delete(m(x), 1, axis=1),
    "delete slice": lambda x: np.delete(x, slice(1, 4)),
    "insert": lambda x: np.insert(x, 2, x[0]),
    "insert several": lambda x: np.insert(x, [1, 4], [x[0], 5.0]),
    "insert column": lambda x: np.insert(m(x), 1, x[:2], axis=1),
    "insert columns": lambda x: np.insert(m(x), [1], x[:2, None], axis=1),
    "insert rows": lambda x: np.insert(m(x), [0, 1], 7.0, axis=0),
}

PICKS: dict[str, Callable[[Any], Any]] = {
    "take": lambda x: np.take(x, [0, 5, 1]),
    "take one": lambda x: x.take(2),
    "take none": lambda x: np.take(x, []),
    "take axis": lambda x: m(x).take([[0, 2]], axis=1),
    "take wrap": lambda x: np.take(x, [7, -9], mode="wrap"),
    "take clip": lambda x: np.take(x, [7, -9], mode="clip"),
    "take from constants": lambda x: np.take(np.arange(6.0), np.argsort(x)) * x,
    "take_along_axis": lambda x: np.take_along_axis(m(x), np.argsort(-m(x), axis=1), axis=1),
    "take_along_axis flat": lambda x: np.take_along_axis(x, np.array([0, 0, 2]), None),
    "compress": lambda x: np.compress([True, False, True], m(x), axis=1),
    "extract": lambda x: np.extract(np.arange(6) > 3, x),
    "ix_": lambda x: m(x)[np.ix_([0, 1], [2, 0])],
    "ix_ mask": lambda x: m(x)[np.ix_([True, False], [2, 0])],
    "unravel_index": lambda x: m(x)[np.unravel_index(np.argmax(x), (2, 3))] * x,
    "ravel_multi_index": lambda x: x[np.ravel_multi_index((np.array([0, 1]), [2, 1]), (2, 3))],
}

ALL = SHAPES | JOINS | PARTS | MOVES | PICKS


@pytest.mark.parametrize("f", ALL.values(), ids=ALL)
def test_value_and_derivatives(f: Callable[[Any], Any], agrees: Callable[..., None]) -> None:
    single = {"astype", "concatenate dtype", "array dtype"}
    agrees(f, X, rtol=1e-2 if any(f is ALL[name] for name in single) else 1e-6)


@pytest.mark.parametrize("f", ALL.values(), ids=ALL)
def test_batch(f: Callable[[Any], Any]) -> None:
    batch = np.stack([X, X[::-1] * 0.9, X + 0.1])
    found = cr.vmap(f)(batch)
    rows = [f(x.copy()) for x in batch]
    if isinstance(found, (list, tuple)):
        for k, part in enumerate(found):
            np.testing.assert_allclose(part, np.stack([row[k] for row in rows]), rtol=1e-12)
    else:
        np.testing.assert_allclose(found, np.stack(rows), rtol=1e-12)


def test_memory_order_of_an_argument() -> None:
    """`A` and `K` read a matrix as it lies in memory."""
    columns = np.asfortranarray(X.reshape(2, 3))
    for order in "AK":
        value, pullback = cr.vjp(lambda x, order=order: np.ravel(x, order), columns)
        np.testing.assert_array_equal(value, np.ravel(columns, order))
        np.testing.assert_array_equal(pullback(np.arange(6.0))[0].T.ravel(), np.arange(6.0))


def test_dtypes_of_joins() -> None:
    """In an array Python's numbers count like any other; in np.r_ they give way."""
    x = np.float32([1, 2])
    for f in (
        lambda x: np.array([x[0], 1.0]),
        lambda x: np.array([x[0], 1]),
        lambda x: np.stack([x[0], 1.0]),
        lambda x: np.hstack([x, 1.0]),
        lambda x: np.append(x, 1),
        lambda x: np.r_[x, 1.0],
        lambda x: np.concatenate([x, x.astype(complex)]),
    ):
        value, _ = cr.vjp(f, x)
        assert value.dtype == f(x).dtype
        assert cr.vmap(f)(x[None]).dtype == f(x).dtype

    def from_a_number(x: Any) -> Any:
        return np.array([x, np.float32(2.0)])

    assert cr.vjp(from_a_number, 1.0)[0].dtype == from_a_number(1.0).dtype


def test_positions_are_plain() -> None:
    def f(x: Any) -> Any:
        assert type(np.flatnonzero(x > 0.4)) is np.ndarray
        assert np.argwhere(x > 0.4).shape == (4, 1)
        assert np.count_nonzero(x > 0.4) == 4
        return np.sum(x[np.nonzero(x > 0.4)])

    np.testing.assert_array_equal(cr.grad(f)(X), X > 0.4)


REFUSED: dict[str, tuple[Callable[[Any], Any], type[ChainruleError]]] = {
    "reshape": (lambda x: np.reshape(x, (4, 2)), ShapeError),
    "transpose": (lambda x: np.transpose(m(x), (0, 0)), ShapeError),
    "axis": (lambda x: np.swapaxes(x, 0, 1), ShapeError),
    "squeeze": (lambda x: np.squeeze(x, 0), ShapeError),
    "broadcast": (lambda x: np.broadcast_to(x, (5,)), ShapeError),
    "nothing": (lambda x: np.concatenate([]) + x, ValueError),
    "scalars": (lambda x: np.concatenate([x[0], x[1]]), ShapeError),
    "unequal": (lambda x: np.stack([x, x[1:]]), ShapeError),
    "mismatch": (lambda x: np.concatenate([m(x), m(x).T]), ShapeError),
    "ragged": (lambda x: np.array([[x[0]], [x[1], x[2]]]), ShapeError),
    "parts": (lambda x: np.split(x, 4)[0], ShapeError),
    "pad mode": (lambda x: np.pad(x, 1, "linear_ramp"), UnsupportedError),
    "pad function": (lambda x: np.pad(x, 1, lambda *a: None), UnsupportedError),
    "pad width": (lambda x: np.pad(x, -1), ShapeError),
    "counts": (lambda x: np.repeat(x, [1, 2]), ShapeError),
    "take mode": (lambda x: np.take(x, [0], mode="other"), ShapeError),
    "take outside": (lambda x: np.take(x, [6]), IndexError),
    "take out": (lambda x: np.take(x, [0], out=np.zeros(1)), UnsupportedError),
    "block": (lambda x: np.block([[x], x]), ShapeError),
    "r_ range": (lambda x: np.r_[x[0] : 3.0], ShapeError),
    "r_ directive": (lambda x: np.r_["r", x], ShapeError),
    "concatenate out": (lambda x: np.concatenate([x], out=np.zeros(6)), UnsupportedError),
}


@pytest.mark.parametrize(("f", "error"), REFUSED.values(), ids=REFUSED)
def test_refused(f: Callable[[Any], Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        cr.grad(lambda x: np.sum(f(x)))(X)
