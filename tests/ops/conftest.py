"""What every test of NumPy functions asks: NumPy's own value, and derivatives that agree."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr


def _leaves(out: Any) -> list[Any]:
    return list(out) if isinstance(out, (tuple, list)) else [out]


def _random(rng: np.random.Generator, like: Any) -> Any:
    like = np.asarray(like)
    t = rng.normal(size=like.shape)
    if like.dtype.kind == "c":
        t = t + 1j * rng.normal(size=like.shape)
    return t.astype(like.dtype)[()]


def _floating(out: Any) -> bool:
    return np.asarray(out).dtype.kind in "fc"


def _double(x: Any) -> Any:
    x = np.asarray(x)
    return x.astype(complex if x.dtype.kind == "c" else float)[()]


def check_agrees(f: Callable[..., Any], *xs: Any, rtol: float = 1e-6) -> None:
    """Value and type of f as plain NumPy gives them; tangent by differences; the dot test."""
    xs = tuple(np.asarray(x)[()] for x in xs)
    rng = np.random.default_rng(zlib.crc32(repr([np.shape(x) for x in xs]).encode()))
    ts = [_random(rng, x) for x in xs]
    plain = _leaves(f(*xs))
    outs, tangents = map(_leaves, cr.jvp(lambda *a: tuple(_leaves(f(*a))), xs, ts))
    found, pullback = cr.vjp(lambda *a: tuple(_leaves(f(*a))), *xs)
    for want, out, again in zip(plain, outs, found, strict=True):
        assert np.shape(out) == np.shape(again) == np.shape(want)
        assert np.asarray(out).dtype == np.asarray(again).dtype == np.asarray(want).dtype
        np.testing.assert_allclose(out, want, rtol=1e-6 if rtol > 1e-4 else 1e-12, atol=1e-12)
        np.testing.assert_array_equal(out, again)
    # Differences are worth comparing with in double precision only.
    pairs = [(_double(x), _double(t)) for x, t in zip(xs, ts, strict=True)]

    def central(step: float) -> list[Any]:
        ahead, behind = (_leaves(f(*[x + s * step * t for x, t in pairs])) for s in (1, -1))
        return [(a - b) / (2 * step) for a, b in zip(ahead, behind, strict=True) if _floating(a)]

    near, far = central(1e-3), central(2e-3)
    reference = [(4 * a - b) / 3 for a, b in zip(near, far, strict=True)]
    moving = [t for t, out in zip(tangents, plain, strict=True) if _floating(out)]
    for t, want in zip(moving, reference, strict=True):
        np.testing.assert_allclose(t, want, rtol=rtol, atol=rtol * 10)
    gs = [_random(rng, out) if _floating(out) else np.zeros(np.shape(out)) for out in plain]
    back = pullback(tuple(gs))
    forward = sum(np.vdot(g, t).real for g, t in zip(gs, tangents, strict=True))
    backward = sum(np.vdot(g, t).real for g, t in zip(back, ts, strict=True))
    np.testing.assert_allclose(forward, backward, rtol=max(rtol, 1e-9), atol=rtol)


@pytest.fixture
def agrees() -> Callable[..., None]:
    """`agrees(f, *xs)` checks value, type and both modes of f there."""
    return check_agrees
