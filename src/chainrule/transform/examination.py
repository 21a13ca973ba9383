"""One derivative held against finite differences, entry by entry."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.base.trees import flatten, paths, unflatten
from chainrule.transform.arguments import Inputs
from chainrule.transform.forward import jvp
from chainrule.transform.gradient import vjp
from chainrule.transform.sample import Point, default_step, richardson

MOST_ENTRIES = 64  # checked one by one; of more, a seeded choice and random directions


@dataclass(frozen=True)
class Settings:
    """What is checked, and how closely."""

    modes: tuple[str, ...]
    rtol: float | None = None
    atol: float | None = None


@dataclass(frozen=True)
class Entry:
    """One entry of a derivative.

    Args:
        path: which input entry (and output entry) it belongs to.
        analytic, numeric: its value by the mode, and by differences.
        bound: the error bound of the differences.
        allowed: how far the two may be apart, bound included.
    """

    path: str
    analytic: complex
    numeric: complex
    bound: float
    allowed: float

    @property
    def error(self) -> float:
        """The distance between analytic and numeric."""
        return abs(self.analytic - self.numeric)


@dataclass(frozen=True)
class Check:
    """One mode at one order.

    Args:
        modes: innermost first, such as ("reverse", "forward").
        entries: how many entries were compared.
        worst: the entry furthest beyond (or nearest to) what is allowed.
        passed: whether every entry is within what is allowed.
        unsettled: entries that no difference could settle.
        kinks: entries between two slopes, accepted.
        step: the largest step; the extrapolation went down from there.
    """

    modes: tuple[str, ...]
    entries: int
    worst: Entry | None
    passed: bool
    unsettled: int
    kinks: int
    step: float

    def of(self, chain: tuple[str, ...]) -> Check:
        """The same check, of a function that was itself derived."""
        return Check(
            (*chain, *self.modes),
            self.entries,
            self.worst,
            self.passed,
            self.unsettled,
            self.kinks,
            self.step,
        )


def examine(
    f: Callable[..., Any], values: Sequence[Any], settings: Settings, names: Sequence[str]
) -> list[Check]:
    """Each mode of the first derivative against differences."""
    inputs = Inputs(values, tuple(range(len(values))), "check_grads")
    return _Examination(f, inputs, settings, names).checks()


class _Examination:
    """Numeric directional derivatives, computed once, and the modes held against them."""

    def __init__(
        self, f: Callable[..., Any], inputs: Inputs, settings: Settings, names: Sequence[str]
    ) -> None:
        self.f, self.inputs, self.settings = f, inputs, settings
        self.point = Point(f, inputs, {}, "check_grads")
        self.base = self.point.base()
        kinds = [x.dtype for x in (*inputs.leaves, *self.base)]
        self.eps = max((float(np.finfo(kind).eps) for kind in kinds), default=0.0)
        largest = max((float(np.max(np.abs(x), initial=0.0)) for x in inputs.leaves), default=0.0)
        self.step = default_step("richardson", max(largest, 1.0), self.eps)
        self.paths = [
            f"{names[k]}{path}" for k, value in enumerate(inputs.args) for path in paths(value)
        ]
        self.out_paths = paths(unflatten(self.point.tree, [0.0] * len(self.base)))
        self.directions = list(self._directions())
        self.numeric = [self._difference(v) for _, v in self.directions]
        sizes = [np.abs(d[np.isfinite(d)]) for ds, _ in self.numeric for d in ds]
        self.scale = max((float(np.max(s, initial=0.0)) for s in sizes), default=0.0)

    def checks(self) -> list[Check]:
        return [self._check(mode) for mode in self.settings.modes]

    def _directions(self) -> Iterator[tuple[str, list[Any]]]:
        """Single entries, all or a seeded choice of them; then, if not all, random mixtures."""
        leaves = self.inputs.leaves
        spots = [
            (k, i, unit)
            for k, leaf in enumerate(leaves)
            for i in range(leaf.size)
            for unit in ((1.0, 1j) if leaf.dtype.kind == "c" else (1.0,))
        ]
        rng = np.random.default_rng(0)
        few = len(spots) <= MOST_ENTRIES
        picked = range(len(spots)) if few else sorted(rng.choice(len(spots), MOST_ENTRIES, False))
        for number in picked:
            k, i, unit = spots[number]
            seeds = [np.zeros(x.shape, x.dtype) for x in leaves]
            seeds[k].flat[i] = unit
            yield self.paths[k] + _index(i, leaves[k].shape), [s[()] for s in seeds]
        if not few:
            for number in range(2):
                yield f"random direction {number}", [random_like(rng, x) for x in leaves]

    def _difference(self, v: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """The derivative along v, with smaller steps where larger ones leave it unclear."""
        sample = functools.partial(self.point.along, v)
        found, bounds = richardson(sample, self.step, self.eps)
        for level in range(1, 5):
            if all(np.all(b <= 1e-6 * np.abs(d)) for d, b in zip(found, bounds, strict=True)):
                break
            finer = richardson(sample, self.step / 2.0 ** (6 * level), self.eps)
            for n, (d, b) in enumerate(zip(*finer, strict=True)):
                better = np.isfinite(d) & ((b < bounds[n]) | ~np.isfinite(found[n]))
                found[n] = np.where(better, d, found[n])
                bounds[n] = np.where(better, b, bounds[n])
        return found, bounds

    def _check(self, mode: str) -> Check:
        pairs = self._forward() if mode == "forward" else self._reverse()
        worst: Entry | None = None
        entries = unsettled = kinks = 0
        passed = True
        for number, path, analytic, numeric, bound in pairs:
            entries += 1
            allowed = float(self._allowed(numeric) + bound)
            entry = Entry(path, analytic, numeric, bound, allowed)
            settled = np.isfinite(numeric) and allowed <= 1e-2 * max(
                self.scale, abs(analytic), 1e-30
            )
            if not settled and not (self.scale == 0 and bound < np.inf):
                unsettled += 1
                continue
            wrong = not entry.error <= allowed
            if wrong and self._between(number, analytic, path):
                kinks += 1
                continue
            if _beyond(entry) > _beyond(worst):
                worst = entry
            passed = passed and not wrong
        return Check((mode,), entries, worst, passed, unsettled, kinks, self.step)

    def _allowed(self, numeric: Any) -> float:
        rtol = 10 * float(np.sqrt(self.eps)) if self.settings.rtol is None else self.settings.rtol
        atol = rtol * self.scale if self.settings.atol is None else self.settings.atol
        return atol + rtol * float(abs(numeric)) if np.isfinite(numeric) else atol

    def _forward(self) -> Iterator[tuple[Any, str, Any, Any, float]]:
        """(where, path, analytic, numeric, bound) for every direction and output entry."""
        for number, (name, v) in enumerate(self.directions):
            tangents = self.inputs.split(v)
            out = flatten(jvp(self.f, self.inputs.split(self.inputs.leaves), tangents)[1])[0]
            derivative, bounds = self.numeric[number]
            for n, (a, d, b) in enumerate(zip(out, derivative, bounds, strict=True)):
                for i in range(np.size(d)):
                    yield (number, n, i), self._name(name, n, i), _at(a, i), _at(d, i), _at(b, i)

    def _reverse(self) -> Iterator[tuple[Any, str, Any, Any, float]]:
        """The same through cotangents: ⟨u, Jv⟩ numerically against ⟨Jᵀu, v⟩."""
        out, pullback = vjp(self.f, *self.inputs.split(self.inputs.leaves))
        outs, tree = flatten(out)
        for where, suffix, us in self._cotangents(outs):
            cotangent = unflatten(tree, us)
            gradients = flatten(pullback(cotangent))[0]
            for number, (name, v) in enumerate(self.directions):
                derivative, bounds = self.numeric[number]
                numeric = sum(_inner(u, d) for u, d in zip(us, derivative, strict=True))
                bound = sum(float(np.sum(np.abs(u) * b)) for u, b in zip(us, bounds, strict=True))
                analytic = sum(_inner(g, t) for g, t in zip(gradients, v, strict=True))
                spot = None if where is None else (number, *where)
                yield spot, name + suffix, analytic, numeric, bound

    def _cotangents(self, outs: Sequence[Any]) -> Iterator[tuple[Any, str, list[Any]]]:
        spots = [
            (n, i, unit)
            for n, out in enumerate(outs)
            for i in range(np.size(out))
            for unit in ((1.0, 1j) if np.asarray(out).dtype.kind == "c" else (1.0,))
        ]
        if len(spots) <= MOST_ENTRIES:
            for n, i, unit in spots:
                us = [np.zeros(np.shape(out), np.asarray(out).dtype) for out in outs]
                us[n].flat[i] = unit
                yield (n, i), self._name("", n, i), [u[()] for u in us]
            return
        rng = np.random.default_rng(1)
        for number in range(4):
            yield None, f", random cotangent {number}", [random_like(rng, out) for out in outs]

    def _name(self, name: str, n: int, i: int) -> str:
        """Which output entry, where there's more than one."""
        if len(self.base) == 1 and self.base[0].size == 1:
            return name
        return f"{name} → output{self.out_paths[n]}{_index(i, self.base[n].shape)}"

    def _between(self, where: Any, analytic: Any, path: str) -> bool:
        """Whether a value lies between two different slopes on both sides: a kink."""
        if where is None or np.iscomplexobj(analytic):
            return False
        number, n, i = where
        _, v = self.directions[number]
        h = float(np.sqrt(self.eps)) * self.step
        slopes = []
        for sign in (1.0, -1.0):
            move, outs = self.point.along(v, sign * h)
            slopes.append(float(np.real((outs[n].flat[i] - self.base[n].flat[i]) / move)))
        low, high = min(slopes), max(slopes)
        slack = 1e3 * float(np.sqrt(self.eps)) * max(abs(low), abs(high))
        return high - low > 2 * slack and low - slack <= analytic <= high + slack


def _beyond(entry: Entry | None) -> float:
    """How far an entry is off, in terms of what is allowed."""
    if entry is None:
        return -1.0
    ratio = entry.error / (entry.allowed or 1e-300)
    return np.inf if np.isnan(ratio) else ratio


def _inner(u: Any, v: Any) -> Any:
    """The real inner product: derivatives along real and imaginary parts alike."""
    with np.errstate(all="ignore"):
        chosen = np.asarray(u) != 0
        products = np.real(np.conjugate(u) * v)
    return float(np.sum(np.where(chosen, products, 0.0)))


def _at(array: Any, i: int) -> Any:
    return np.asarray(array).flat[i].item()


def _index(i: int, shape: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, np.unravel_index(i, shape)))}]" if shape else ""


def random_like(rng: np.random.Generator, like: Any) -> Any:
    """A random tangent or cotangent of a leaf, away from zero."""
    array = np.asarray(like)
    value = rng.uniform(0.5, 1.5, array.shape)
    if array.dtype.kind == "c":
        value = value + 1j * rng.uniform(0.5, 1.5, array.shape)
    return np.asarray(value, array.dtype if array.dtype.kind in "fc" else float)[()]
