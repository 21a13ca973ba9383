"""Derivatives by finite differences: f is called on plain numbers, nothing is traced."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DtypeError, UnsupportedError
from chainrule.base.trees import flatten, map_tree, unflatten
from chainrule.ir.types import type_of
from chainrule.transform.arguments import Argnums, Inputs, check_callable
from chainrule.transform.sample import (
    LEVELS,
    Estimate,
    Outs,
    Point,
    Sample,
    central_slope,
    default_step,
    refuse_endless,
    richardson,
)

_CURVE = tuple(10.0**-k for k in range(1, 16))


def finite_difference(
    f: Callable[..., Any],
    argnums: Argnums = 0,
    method: str = "central",
    step: float | None = None,
) -> FiniteDifference:
    """The derivative of f by finite differences, with an error bound on request.

    Args:
        f: a function of arrays, numbers or trees of them. It gets plain arrays, copies of its own.
        argnums: the argument(s) to differentiate, counted from 0.
        method: `forward`, (f(x+h) − f(x))/h, n + 1 evaluations of f for n input entries;
            `backward`, the same with −h; `central`, (f(x+h) − f(x−h))/2h, 2n evaluations;
            `complex`, Im f(x+ih)/h, n + 2, exact to rounding where f is analytic
            (two real evaluations check that it is; more where those leave it unclear);
            `richardson`, central differences extrapolated to h = 0, 16n. An entry whose
            neighbours fall outside the domain is taken again with a smaller step.
        step: h itself, for every entry. By default it's chosen per entry from the entry's size
            and dtype, to balance truncation (small h) against rounding (large h).

    Returns:
        A function of f's arguments. Its result has shape `out.shape + in.shape`, in the trees of
        the output and of the argument(s): for a scalar output the gradient's shape. Its
        `with_error(*args)` gives `(derivative, bound)`, `evaluations(*args)` the cost, and
        `curve(*args, exact=…)` the error for many steps.

    Raises:
        ArgumentError: an unknown method, a step that isn't positive or too small for x.
        DtypeError: an integer argument or output.
        UnsupportedError: `complex` on a function that isn't analytic as NumPy computes it.

    Source: Ridders, Accurate computation of F'(x), 1982 (richardson); Squire & Trapp, Using
    complex variables to estimate derivatives, 1998 (complex).

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> derivative, bound = cr.finite_difference(np.sin).with_error(0.0)
        >>> bool(abs(derivative - 1) <= bound < 1e-8)
        True
    """
    check_callable(f, "finite_difference")
    if method not in _METHODS:
        raise ArgumentError(
            f"finite_difference: unknown method {method!r}", fix=f"use one of {', '.join(_METHODS)}"
        )
    if step is not None and not (isinstance(step, (int, float, np.floating)) and 0 < step < np.inf):
        raise ArgumentError(
            "finite_difference: the step must be a positive number",
            {"step": repr(step)},
            "write step=1e-5, or leave it out: then one is chosen that suits the argument",
        )
    return FiniteDifference(f, argnums, method, None if step is None else float(step))


class FiniteDifference:
    """What `finite_difference` returns: call it, or ask for bounds, cost or the error curve."""

    def __init__(
        self, f: Callable[..., Any], argnums: Argnums, method: str, step: float | None
    ) -> None:
        self.f, self.argnums, self.method, self.step = f, argnums, method, step
        if hasattr(f, "__name__"):
            functools.update_wrapper(self, f, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The derivative."""
        return self._run(args, kwargs, bounds=False)[0]

    def with_error(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """The derivative, and a bound on its error estimated from a second, halved step.

        Costs 2n + 1 evaluations for `forward` and `backward`, 4n for `central`, and what the plain
        call costs for the others.
        """
        return self._run(args, kwargs, bounds=True)

    def evaluations(self, *args: Any) -> int:
        """How often the plain call evaluates f at these arguments."""
        inputs = Inputs(args, self.argnums, "finite_difference")
        n = sum(leaf.size * (2 if leaf.dtype.kind == "c" else 1) for leaf in inputs.leaves)
        return _METHODS[self.method][1](n)

    def curve(
        self, *args: Any, exact: Any, steps: Sequence[float] = _CURVE
    ) -> list[tuple[float, float]]:
        """The largest error for each step: falling with h, then rising as rounding takes over.

        Args:
            args: where to differentiate.
            exact: the true derivative, of the shape of the result.
            steps: the steps to try.
        """
        rows = []
        for step in steps:
            found = FiniteDifference(self.f, self.argnums, self.method, float(step))(*args)
            errors, _ = flatten(map_tree(lambda a, b: np.max(np.abs(a - b)), found, exact))
            rows.append((float(step), float(max(errors))))
        return rows

    def _run(self, args: Sequence[Any], kwargs: Mapping[str, Any], bounds: bool) -> tuple[Any, Any]:
        inputs = Inputs(args, self.argnums, "finite_difference")
        refuse_endless(inputs, "finite_difference")
        point = Point(self.f, inputs, kwargs)
        rule = _METHODS[self.method][0]
        real = _real_slope(point) if self.method == "complex" else None
        columns = [
            [self._entry(point, rule, k, i, bounds) for i in range(leaf.size)]
            for k, leaf in enumerate(inputs.leaves)
        ]
        if real is not None:
            _check_analytic(point, columns, *real)
        if point.tree is None:  # no entries at all
            point.base()
        return self._assemble(point, columns, 0), self._assemble(point, columns, 1)

    def _entry(self, point: Point, rule: Any, k: int, i: int, bounds: bool) -> Estimate:
        leaf = point.inputs.leaves[k]
        if leaf.dtype.kind != "c":
            return self._direction(point, rule, k, i, 1.0, bounds)
        if self.method == "complex":
            raise UnsupportedError(
                "finite_difference: the complex step is for real arguments",
                {"argument": type_of(leaf)},
                "use method='central'",
            )
        real = self._direction(point, rule, k, i, 1.0, bounds)
        imaginary = self._direction(point, rule, k, i, 1j, bounds)
        pairs = zip(*real, *imaginary, strict=True)
        merged = [_complex_derivative(*pair) for pair in pairs]
        return [d for d, _ in merged], [e for _, e in merged]

    def _direction(
        self, point: Point, rule: Any, k: int, i: int, unit: complex, bounds: bool
    ) -> Estimate:
        leaf = point.inputs.leaves[k]
        size = float(abs(leaf.flat[i]))
        eps = float(np.finfo(leaf.dtype).eps)
        sample = functools.partial(point.at, k, i, unit)
        if self.step is not None:
            if leaf.flat[i] + leaf.dtype.type(self.step) == leaf.flat[i]:
                raise ArgumentError(
                    "finite_difference: the step is too small, x + h rounds to x",
                    {"step": self.step, "x": leaf.flat[i], "dtype": leaf.dtype},
                    "leave step=None: it scales with x",
                )
            return rule(sample, self.step, eps, point, bounds)
        found = rule(sample, default_step(self.method, max(size, 1.0), eps), eps, point, bounds)
        if 0 < size < 1 and not _finite(found[0]) and _finite(point.base()):
            found = rule(sample, default_step(self.method, size, eps), eps, point, bounds)
        return found

    def _assemble(self, point: Point, columns: list[list[Estimate]], part: int) -> Any:
        inputs, leaves = point.inputs, []
        for number, kind in enumerate(point.kinds):
            blocks = []
            for leaf, column in zip(inputs.leaves, columns, strict=True):
                shape = (*kind.shape, *leaf.shape)
                entries = [estimate[part][number] for estimate in column]
                dtype = np.result_type(*entries) if entries else kind.dtype
                block = np.empty((*kind.shape, leaf.size), dtype)
                for i, entry in enumerate(entries):
                    block[..., i] = entry
                blocks.append(block.reshape(shape)[()])
            leaves.append(inputs.gather(blocks, self.argnums))
        return unflatten(point.tree, leaves)


# ---- the rules: (sample, h, eps, point, bounds) → derivatives and bounds -------------------------


def _one_sided(sign: int) -> Callable[..., Estimate]:
    def rule(sample: Sample, h: float, eps: float, point: Point, bounds: bool) -> Estimate:
        base = point.base()

        def slope(t: float) -> tuple[Outs, Outs, float]:
            move, outs = sample(sign * t)
            return [(y - y0) / move for y, y0 in zip(outs, base, strict=True)], outs, abs(move)

        return _halved(slope, h, eps, bounds)

    return rule


def _central(sample: Sample, h: float, eps: float, point: Point, bounds: bool) -> Estimate:
    return _halved(functools.partial(central_slope, sample), h, eps, bounds)


def _halved(
    slope: Callable[[float], tuple[Outs, Outs, float]], h: float, eps: float, bounds: bool
) -> Estimate:
    """The quotient at h, bounded by twice its change at h/2 and the rounding of f."""
    derivative, outs, width = slope(h)
    if not bounds:
        return derivative, derivative
    finer, _, _ = slope(h / 2)
    errors = [
        4 * np.abs(a - b) + 4 * eps * np.abs(y) / width + 2 * eps * np.abs(a)
        for a, b, y in zip(derivative, finer, outs, strict=True)
    ]
    return derivative, errors


def _complex(sample: Sample, h: float, eps: float, point: Point, bounds: bool) -> Estimate:
    k, i = sample.args[:2]  # type: ignore[attr-defined]
    derivative = []
    for out in point.complexified(k, i, h):
        if out.dtype.kind != "c":
            raise UnsupportedError(
                "finite_difference: the complex step lost its imaginary part",
                {"returned": type_of(out)},
                "the function isn't analytic as NumPy computes it (np.abs, np.real, a comparison "
                "on real parts); use method='central'",
            )
        derivative.append(out.imag / h)
    return derivative, [16 * eps * np.abs(d) for d in derivative]


def _richardson(sample: Sample, h: float, eps: float, point: Point, bounds: bool) -> Estimate:
    return richardson(sample, h, eps)


def _real_slope(point: Point) -> tuple[Sample, float, float, Estimate]:
    """A real difference along a mixture of all entries: sample, a larger step, eps, estimate."""
    leaves = point.inputs.leaves
    sample = functools.partial(point.along, mixture(leaves))
    eps = max(float(np.finfo(x.dtype).eps) for x in leaves)
    size = max(float(np.max(np.abs(x), initial=0.0)) for x in leaves)
    scale = min(size, 1.0) or 1.0
    h = default_step("central", scale, eps)
    slopes, outs, _ = central_slope(sample, h)
    slack = [1e-3 * np.abs(d) + _noise(eps, y, h) for d, y in zip(slopes, outs, strict=True)]
    return sample, default_step("richardson", scale, eps), eps, (slopes, slack)


def mixture(leaves: Sequence[Any]) -> list[Any]:
    """A fixed direction in which every entry has a part of its own."""
    sizes = [x.size for x in leaves]
    waves = np.split(np.cos(np.arange(sum(sizes))), np.cumsum(sizes)[:-1])
    return [wave.reshape(x.shape)[()] for wave, x in zip(waves, leaves, strict=True)]


def _noise(eps: float, y: Any, h: float) -> Any:
    """What rounding of the outputs y may do to a difference quotient of step h."""
    tiny = float(np.finfo(np.asarray(y).dtype).tiny)
    return (16 * eps * np.abs(y) + tiny) / h


def _check_analytic(
    point: Point,
    columns: list[list[Estimate]],
    sample: Sample,
    coarse: float,
    eps: float,
    quick: Estimate,
) -> None:
    """The complex steps, mixed, must give that real difference, or else a more careful one."""
    if any(kind.dtype.kind == "c" for kind in point.kinds):
        raise _not_analytic({"output": ", ".join(map(str, point.kinds))})
    mixed = []
    for n, kind in enumerate(point.kinds):
        total = np.zeros(kind.shape)
        for column, v in zip(columns, mixture(point.inputs.leaves), strict=True):
            for estimate, weight in zip(column, np.ravel(v), strict=True):
                total = total + weight * estimate[0][n]
        mixed.append(total)
    if not any(_apart(*row).any() for row in zip(mixed, *quick, strict=True)):
        return
    slopes, bounds = richardson(sample, coarse, eps)
    slack = [10 * b + 1e-3 * np.abs(d) for d, b in zip(slopes, bounds, strict=True)]
    for total, slope, allowed in zip(mixed, slopes, slack, strict=True):
        wrong = _apart(total, slope, allowed)
        if wrong.any():
            raise _not_analytic(
                {"complex step": _first(total, wrong), "real difference": _first(slope, wrong)}
            )


def _apart(total: Any, slope: Any, slack: Any) -> Any:
    with np.errstate(invalid="ignore"):
        return np.isfinite(slope) & ~(np.abs(total - slope) <= slack)


def _not_analytic(facts: dict[str, Any]) -> UnsupportedError:
    return UnsupportedError(
        "finite_difference: the complex step disagrees with a real difference",
        facts,
        "the function isn't analytic as NumPy computes it (np.abs, np.conj, a comparison "
        "on real parts); use method='central'",
    )


_METHODS: dict[str, tuple[Callable[..., Estimate], Callable[[int], int]]] = {
    "central": (_central, lambda n: 2 * n),
    "forward": (_one_sided(1), lambda n: n + 1),
    "backward": (_one_sided(-1), lambda n: n + 1),
    "complex": (_complex, lambda n: n + 2),
    "richardson": (_richardson, lambda n: 2 * LEVELS * n),
}


def _complex_derivative(dx: Any, ex: Any, dy: Any, ey: Any) -> tuple[Any, Any]:
    """From the derivatives along Re and Im: the gradient, or the holomorphic derivative."""
    if dx.dtype.kind != "c":
        return dx + 1j * dy, ex + ey
    if not np.allclose(dy, 1j * dx, rtol=1e-3, atol=1e-3 * float(np.max(np.abs(dx), initial=0.0))):
        raise DtypeError(
            "finite_difference: not holomorphic: no complex derivative",
            {"along the real axis": dx, "along the imaginary axis": dy},
            "differentiate its real and imaginary parts one at a time",
        )
    return dx, ex


def _first(values: Any, where: Any) -> Any:
    chosen = np.asarray(values)[np.asarray(where)]
    return chosen.flat[0] if chosen.size else np.asarray(values).flat[0]


def _finite(outs: Outs) -> bool:
    return all(np.isfinite(out).all() for out in outs)
