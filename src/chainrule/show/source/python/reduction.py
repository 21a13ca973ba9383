"""Sums, products, extremes, and what is made of matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule.show.source.piece import MULTIPLY, Piece
from chainrule.show.source.python.elementwise import call
from chainrule.show.source.python.literal import axes, number
from chainrule.show.source.writer import Rule, Site


def _reduced(function: str) -> Rule:
    """np.sum(x), np.sum(x, axis=0)."""

    def rule(site: Site, x: Piece) -> Piece:
        along = site.params["axis"]
        if not along:
            # Over no axes at all: of the entries themselves.
            return call(f"np.{function}", x, axis="()")
        every = len(along) == site.kind(0).ndim
        return call(f"np.{function}", x, **({} if every else {"axis": axes(along)}))

    return rule


def _along(function: str) -> Rule:
    """Functions along one axis."""

    def rule(site: Site, x: Piece) -> Piece:
        axis = site.params["axis"]
        single = site.kind(0).ndim == 1 or axis is None
        return call(f"np.{function}", x, **({} if single else {"axis": number(axis)}))

    return rule


def _shift(site: Site, x: Piece) -> Piece:
    """What is taken off before exp: the largest entry, 0 where there's no finite one."""
    return call("largest", x, axis=axes(site.params["axis"]))


def _length(site: Site, x: Piece) -> Piece:
    along = site.params["axis"]
    if len(along) == site.kind(0).ndim:
        return call("np.linalg.norm", x)
    inner = f"{x.text}**2" if site.out.dtype == site.kind(0).dtype and x.cheap else None
    if inner is None:
        inner = f"np.abs({x.text})**2"
    return Piece(f"np.sqrt(np.sum({inner}, axis={axes(along)}))")


def _matmul(site: Site, a: Piece, b: Piece) -> Piece:
    return Piece(f"{a.within(MULTIPLY)} @ {b.within(MULTIPLY + 1)}", MULTIPLY)


def _einsum(site: Site, *xs: Piece) -> Piece:
    named = {"optimize": "True"} if site.params["optimize"] else {}
    return call("np.einsum", Piece(repr(str(site.params["subscripts"]))), *xs, **named)


def _linalg(function: str, **named: str) -> Rule:
    return lambda site, *xs: call(f"np.linalg.{function}", *xs, **named)


def _eigh(site: Site, a: Piece) -> Piece:
    return call("np.linalg.eigh", a, **({} if site.params["lower"] else {"UPLO": "'U'"}))


def _svd(site: Site, a: Piece) -> Piece:
    return call("np.linalg.svd", a, full_matrices="False")


def _pinv(site: Site, a: Piece) -> Piece:
    given = site.params.get("rcond")
    return call("np.linalg.pinv", a, **({} if given is None else {"rcond": number(given)}))


def _fourier(site: Site, x: Piece) -> Piece:
    p = site.params
    name = "ifftn" if p["inverse"] else "fftn"
    along = f"({', '.join(map(str, p['axes']))},)" if p["axes"] else "()"
    return call(f"np.fft.{name}", x, axes=along, **_norm(p["norm"]))


def _rfft(site: Site, x: Piece) -> Piece:
    p = site.params
    return call("np.fft.rfft", x, axis=number(p["axis"]), **_norm(p["norm"]))


def _irfft(site: Site, x: Piece) -> Piece:
    p = site.params
    return call(
        "np.fft.irfft", x, Piece(number(p["n"])), axis=number(p["axis"]), **_norm(p["norm"])
    )


def _norm(norm: str | None) -> dict[str, str]:
    return {} if norm in (None, "backward") else {"norm": repr(str(norm))}


EXPRESSIONS: dict[str, Callable[..., Any]] = {
    **{name: _reduced(name) for name in ("sum", "prod", "max", "min", "any", "all")},
    **{name: _along(name) for name in ("cumsum", "cumprod", "argmax", "argmin")},
    "shift": _shift,
    "length": _length,
    "matmul": _matmul,
    "einsum": _einsum,
    "convolve": lambda site, a, v: call("np.convolve", a, v),
    "inv": _linalg("inv"),
    "det": _linalg("det"),
    "slogdet": _linalg("slogdet"),
    "solve": _linalg("solve"),
    "cholesky": _linalg("cholesky"),
    "qr": _linalg("qr"),
    "eigh": _eigh,
    "svd": _svd,
    "pinv": _pinv,
    "cofactor": lambda site, a: call("cofactor", a),
    "fourier": _fourier,
    "rfft": _rfft,
    "irfft": _irfft,
}
