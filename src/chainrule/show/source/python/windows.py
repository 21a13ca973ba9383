"""Windows over arrays, convolution, and random numbers: functions that the text brings along."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.show.source.piece import Piece
from chainrule.show.source.python.elementwise import call
from chainrule.show.source.python.literal import dtype, number, tuple_of
from chainrule.show.source.writer import Rule, Site


def _sizes(value: Any) -> str:
    """Numbers, pairs of them, …, as nested tuples."""
    return tuple_of(map(_sizes, value)) if isinstance(value, tuple) else number(value)


def _named(site: Site, *names: str) -> dict[str, str]:
    """Parameters by name, but for those that say what is usual."""
    given = {name: site.params[name] for name in names}
    usual = {
        name
        for name in ("dilation", "input_dilation", "groups")
        if name in given and set(np.ravel(given[name]).tolist()) <= {1}
    }
    return {name: _sizes(value) for name, value in given.items() if name not in usual}


_WINDOW = ("axes", "window", "strides", "dilation")
_PLACES = ("strides", "padding", "dilation", "input_dilation", "groups")


def _windows(site: Site, x: Piece) -> Piece:
    return call("windows", x, **_named(site, *_WINDOW))


def _windows_sum(site: Site, g: Piece) -> Piece:
    return call("add_windows", g, **_named(site, *_WINDOW, "lengths"))


def _window_max(site: Site, x: Piece) -> Piece:
    taken = call("windows", x, **_named(site, *_WINDOW))
    inside = tuple_of(str(k) for k in range(-len(site.params["axes"]), 0))
    return call("np.max", taken, axis=inside)


def _convolution(site: Site, x: Piece, kernel: Piece) -> Piece:
    return call("convolution", x, kernel, **_named(site, *_PLACES))


def _kernel(site: Site, x: Piece, g: Piece) -> Piece:
    return call("convolution_kernel", x, g, **_named(site, "window", *_PLACES))


# ---- random numbers ------------------------------------------------------------------------------


def _key(site: Site, seed: Piece) -> Piece:
    return call("random_key", seed)


def _bits(site: Site, key: Piece, start: Piece) -> Piece:
    p = site.params
    return call(
        "random_bits", key, start, region=number(p["region"]), shape=_sizes(p["shape"]),
        dtype=dtype(p["dtype"]),
    )  # fmt: skip


def _drawn(expression: Callable[[Any], str]) -> Rule:
    """What a generator g of NumPy's draws with each key."""

    def rule(site: Site, key: Piece) -> Piece:
        shape = site.out.shape[site.kind(0).ndim - 1 :]
        text = expression(site.params)
        return call(
            "drawn", key, Piece(f"lambda g: {text}"), Piece(_sizes(shape)),
            Piece(dtype(site.out.dtype)),
        )  # fmt: skip

    return rule


def _shaped(p: Any) -> str:
    return f"{_sizes(p['shape'])}, {dtype(p['dtype'])}"


EXPRESSIONS: dict[str, Callable[..., Any]] = {
    "windows": _windows,
    "windows_sum": _windows_sum,
    "window_max": _window_max,
    "convolution": _convolution,
    "convolution_kernel": _kernel,
    "random_key": _key,
    "random_bits": _bits,
    "random_normal": _drawn(lambda p: f"g.standard_normal({_shaped(p)})"),
    "random_exponential": _drawn(lambda p: f"g.standard_exponential({_shaped(p)})"),
    "random_truncated_normal": _drawn(lambda p: f"within_two(g, {_shaped(p)})"),
    "random_integers": _drawn(
        lambda p: f"g.integers({number(p['low'])}, {number(p['high'])}, {_shaped(p)})"
    ),
    "random_permutation": _drawn(lambda p: f"g.permutation({number(p['count'])})"),
    "random_subset": _drawn(
        lambda p: f"g.choice({number(p['count'])}, {_sizes(p['shape'])}, replace=False)"
    ),
}
