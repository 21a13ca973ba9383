"""All methods side by side: value, error, time, memory and calls of f of each."""

from __future__ import annotations

import functools
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.base.errors import ChainruleError, DomainError, DtypeError
from chainrule.base.trees import flatten, paths
from chainrule.ir.types import type_of
from chainrule.transform.arguments import Inputs, check_callable
from chainrule.transform.comparison import Comparison, Row, seconds_text
from chainrule.transform.difference import finite_difference
from chainrule.transform.forward import jvp
from chainrule.transform.gradient import grad
from chainrule.transform.jacobian import jacfwd, jacrev
from chainrule.transform.sample import copied, refuse_endless, refuse_traced
from chainrule.transform.symbolic import load, symbolic
from chainrule.transform.symbolic_names import parameter_names

FEW = 8  # input entries that forward mode visits one by one
LONGEST = 20.0  # seconds that one method may be expected to take


def compare(
    f: Callable[..., Any], *args: Any, manual: Callable[..., Any] | None = None
) -> Comparison:
    """Differentiate f by every method and put the results side by side.

    Args:
        f: a function of arrays, numbers or trees of them, in plain NumPy.
        args: where to differentiate. Every floating-point argument is differentiated.
        manual: your own derivative: a function of the same arguments that returns the derivative,
            or a tuple with one per differentiated argument.

    Returns:
        A `Comparison` with one row per method (manual if given, finite difference, symbolic,
        forward mode, reverse mode): the derivative by each argument, its largest error against the
        best method, seconds, peak memory and calls of f. A method that doesn't apply says why. It
        prints as a table, shows as HTML in notebooks, and has `.rows`, `.verdict`, `.to_dict()`.

    Raises:
        DtypeError: no argument is floating-point.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> table = cr.compare(np.sin, 1.0, manual=lambda x: -np.cos(x))
        >>> [row.method for row in table.rows if row.disagrees]
        ['manual']
    """
    check_callable(f, "compare")
    if manual is not None:
        check_callable(manual, "compare")
    refuse_traced(args, "compare")
    setting = _Setting(f, args)
    drafts = [] if manual is None else [_manual(setting, manual)]
    differences, bound = _differences(setting)
    drafts.append(differences)
    drafts.append(_symbolic(setting))
    forward, reverse = _transforms(setting)
    drafts.append(_mode(setting, "forward mode", forward, setting.entries))
    drafts.append(_mode(setting, "reverse mode", reverse, setting.results))
    return Comparison(setting.labels(), setting.value, drafts, bound)


class _Setting:
    """f, its arguments, and what is differentiated."""

    def __init__(self, f: Callable[..., Any], args: Sequence[Any]) -> None:
        self.f, self.args, self.calls = f, tuple(args), 0
        kinds = [[np.asarray(leaf).dtype.kind for leaf in flatten(a)[0]] for a in args]
        self.argnums = tuple(k for k, row in enumerate(kinds) if row and set(row) <= set("fc"))
        if not self.argnums:
            raise DtypeError(
                "compare: no floating-point argument to differentiate",
                {f"argument {k}": type_of(np.asarray(a)) for k, a in enumerate(args)},
                "pass floats: 2.0 instead of 2, or x.astype(float)",
            )
        names = parameter_names(f, len(args))
        self.names = [names[k] for k in self.argnums]
        self.name = getattr(f, "__name__", "f")
        self.name = self.name if self.name.isidentifier() else "f"
        refuse_endless(Inputs(args, self.argnums, "compare"), "compare")
        start = time.perf_counter()
        self.value = f(*copied(args))
        self.seconds = time.perf_counter() - start
        outs = flatten(self.value)[0]
        if any(np.asarray(out).dtype.kind in "fc" and np.isnan(out).any() for out in outs):
            raise DomainError(
                "compare: the function has no value at this point",
                {"returned": self.value if np.ndim(outs[0]) == 0 else "an array with NaN"},
                "choose a point inside its domain; cr.differentiability(f, x) names the operation",
            )
        self.out_shapes = [np.shape(out) for out in outs]
        self.out_paths = paths(self.value)
        self.in_leaves = [
            (argnum, path, np.shape(leaf))
            for argnum in self.argnums
            for leaf, path in zip(flatten(args[argnum])[0], paths(args[argnum]), strict=True)
        ]
        self.entries = sum(int(np.prod(shape)) for _, _, shape in self.in_leaves)
        self.results = sum(int(np.prod(shape)) for shape in self.out_shapes)
        self.all_real = all(set(kinds[k]) == {"f"} for k in self.argnums) and self.entries > 0
        self.scalar = self.out_shapes == [()] and np.asarray(outs[0]).dtype.kind == "f"
        self.counted = self._counter()

    def _counter(self) -> Callable[..., Any]:
        """f, counting its calls."""

        def counted(*args: Any) -> Any:
            self.calls += 1
            return self.f(*args)

        return functools.wraps(self.f)(counted) if hasattr(self.f, "__name__") else counted

    def shapes(self) -> list[tuple[int, ...]]:
        """The shape of every block of the derivative, outputs first."""
        return [(*out, *shape) for out in self.out_shapes for _, _, shape in self.in_leaves]

    def labels(self) -> list[str]:
        """df/dx for every block of the derivative."""
        names = dict(zip(self.argnums, self.names, strict=True))
        return [
            f"d{self.name}{out}/d{names[argnum]}{path}"
            for out in self.out_paths
            for argnum, path, _ in self.in_leaves
        ]


def _manual(setting: _Setting, manual: Callable[..., Any]) -> Row:
    result, row = _measure(setting, "manual", lambda: manual(*copied(setting.args)))
    leaves = [result] if len(setting.shapes()) == 1 else flatten(result)[0]
    if len(setting.shapes()) == 1 and isinstance(result, (tuple, dict)):
        leaves = flatten(result)[0]
    try:
        blocks = [np.asarray(leaf, np.result_type(float, np.asarray(leaf))) for leaf in leaves]
    except (TypeError, ValueError):
        return Row("manual", None, note=f"returned {type(result).__name__}, not arrays")
    found, wanted = [b.shape for b in blocks], setting.shapes()
    if found != wanted:
        note = f"returned shapes {_list(found)}, the derivative has {_list(wanted)}"
        return Row("manual", None, disagrees=True, note=note)
    return _keep(row, blocks)


def _differences(setting: _Setting) -> tuple[Row, float | None]:
    calls = 2 * setting.entries
    if calls * setting.seconds > LONGEST:
        return Row("finite difference", None, note=_too_long(calls, setting.seconds)), None
    function = finite_difference(setting.counted, setting.argnums)

    def run() -> Any:
        return function(*setting.args)

    try:
        result, row = _measure(setting, "finite difference", run)
        bounds = flatten(function.with_error(*setting.args)[1])[0]
    except ChainruleError as error:
        return Row("finite difference", None, note=error.problem), None
    bound = max((float(np.max(b, initial=0.0)) for b in bounds), default=0.0)
    return _keep(row, flatten(result)[0]), bound


def _symbolic(setting: _Setting) -> Row:
    load()
    start = time.perf_counter()
    setting.calls = 0
    try:
        formula = symbolic(setting.counted, *setting.args)
        functions = [formula.function(k) for k in setting.argnums]
    except ChainruleError as error:
        place = "" if error.where is None else f" ({error.where})"
        return Row("symbolic", None, note=error.problem.removeprefix("symbolic: ") + place)
    made = time.perf_counter() - start
    calls = setting.calls
    parts, row = _measure(setting, "symbolic", lambda: [g(*setting.args) for g in functions])
    columns = [flatten(part)[0] for part in parts]
    outs = len(setting.out_shapes)
    blocks = [
        leaf
        for out in range(outs)
        for column in columns
        for leaf in column[len(column) // outs * out : len(column) // outs * (out + 1)]
    ]
    note = f"formula made in {seconds_text(made)}"
    return _keep(replace(row, evaluations=calls, note=note), blocks)


def _transforms(setting: _Setting) -> tuple[Any, Any]:
    """Forward and reverse mode as one would use them here: single sweeps where a few will do."""
    few = setting.entries <= FEW and setting.all_real
    return (_sweeps if few else jacfwd), (grad if setting.scalar else jacrev)


def _sweeps(f: Callable[..., Any], argnums: tuple[int, ...]) -> Callable[..., Any]:
    """Forward mode, one run of f per input entry."""

    def differentiate(*args: Any) -> Any:
        inputs = Inputs(args, argnums, "compare")
        columns: list[list[Any]] = [[] for _ in inputs.leaves]
        for k, leaf in enumerate(inputs.leaves):
            for index in np.ndindex(leaf.shape):
                seeds = [np.zeros(x.shape, x.dtype) for x in inputs.leaves]
                seeds[k][index] = 1
                tangents = inputs.split(seeds)
                primals = [args[n] for n in argnums]

                def partial(*chosen: Any) -> Any:
                    full = list(args)
                    for n, value in zip(argnums, chosen, strict=True):
                        full[n] = value
                    return f(*full)

                columns[k].append(flatten(jvp(partial, primals, tangents)[1])[0])
        outs = len(columns[0][0])
        return [
            np.stack([c[out] for c in column], -1).reshape((*np.shape(column[0][out]), *leaf.shape))
            for out in range(outs)
            for column, leaf in zip(columns, inputs.leaves, strict=True)
        ]

    return differentiate


def _mode(setting: _Setting, name: str, transform: Any, sweeps: int) -> Row:
    if sweeps * setting.seconds * 4 > LONGEST:
        return Row(name, None, note=_too_long(sweeps, setting.seconds))
    function = transform(setting.counted, setting.argnums)
    try:
        result, row = _measure(setting, name, lambda: function(*setting.args))
    except ChainruleError as error:
        place = "" if error.where is None else f" ({error.where})"
        return Row(name, None, note=f"{error.problem}{place}")
    return _keep(row, flatten(result)[0])


def _measure(setting: _Setting, name: str, run: Callable[[], Any]) -> tuple[Any, Row]:
    """One result, its calls of f, the best time of a few runs, and the peak memory of one."""
    setting.calls = 0
    start = time.perf_counter()
    with np.errstate(all="ignore"):
        result = run()
        best = time.perf_counter() - start
        calls = setting.calls
        spent = best
        while spent < 0.02:
            start = time.perf_counter()
            run()
            once = time.perf_counter() - start
            best, spent = min(best, once), spent + once
        memory = _peak(run)
    return result, Row(name, None, None, best, memory, calls)


def _keep(row: Row, leaves: Sequence[Any]) -> Row:
    return replace(row, values=tuple(np.asarray(leaf)[()] for leaf in leaves))


def _peak(run: Callable[[], Any]) -> int:
    """The most memory that one run holds at once, in bytes."""
    running = tracemalloc.is_tracing()
    if not running:
        tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        run()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        if not running:
            tracemalloc.stop()
    return max(peak - before, 0)


def _too_long(calls: int, seconds: float) -> str:
    return f"not run: {calls:,} runs of f, of {seconds_text(seconds)} each, would take too long"


def _list(shapes: Sequence[tuple[int, ...]]) -> str:
    return ", ".join(map(str, shapes))
