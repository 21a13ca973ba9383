"""Jacobians: one recording of the function, swept once for a whole basis.

Forward pushes the standard basis of the inputs through the tape, reverse pulls that of the
outputs back, each in blocks that bound the memory. A seed of the basis carries the pattern of its
one entry, so that an infinite derivative elsewhere doesn't turn zeros into NaN.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DomainError
from chainrule.base.trees import flatten, unflatten
from chainrule.ir.types import ArrayType, type_of
from chainrule.tracing.record import RecordTrace
from chainrule.tracing.trace import resolve
from chainrule.tracing.tracer import Tracer
from chainrule.transform.arguments import (
    Argnums,
    Inputs,
    check_callable,
    chosen,
    output_leaves,
    run_traced,
)
from chainrule.transform.basis import Basis, columns_of, in_layout, rows_of
from chainrule.transform.batch import vmap
from chainrule.transform.difference import finite_difference
from chainrule.transform.gradient import variables
from chainrule.transform.linear import tangent_dtype
from chainrule.transform.mask import Mask
from chainrule.transform.pushforward import push_tape
from chainrule.transform.reverse import pull, result_number
from chainrule.transform.symbolic import symbolic

# Entries that one intermediate value may have for a whole block of seeds: 64 MB of float64.
_BLOCK_ENTRIES = 2**23
_MODES = ("auto", "forward", "reverse", "finite", "symbolic")
_LAYOUTS = ("numerator", "denominator")


def jacfwd(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """The Jacobian by forward mode: one sweep per input entry, all at once.

    Args:
        f: a function of arrays, numbers or trees of them, with any result.
        argnums: the argument(s) to differentiate, counted from 0.

    Returns:
        A function of the same arguments. Its result has f's result tree; each leaf is replaced by
        a tree of the argument(s), of arrays of shape `out.shape + in.shape`.

    Raises:
        DtypeError: a differentiated argument is an integer.
        DomainError: a complex function of a complex argument that is not holomorphic there.

    Derivative: for a real result of a complex argument ∂f/∂Re + i ∂f/∂Im, as `grad`; for a complex
    result the complex derivative, which exists for holomorphic functions only.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> cr.jacfwd(lambda x: x[0] * x)(np.array([2.0, 3.0]))
        array([[4., 0.],
               [3., 2.]])
    """
    return jacobian_function(f, argnums, "forward", "numerator", "jacfwd")


def jacrev(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """The Jacobian by reverse mode: one sweep per output entry, all at once.

    Arguments, result, errors and conventions are those of `jacfwd`.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> cr.jacrev(np.sqrt)(np.array([0.0, 4.0]))
        array([[ inf, 0.  ],
               [0.  , 0.25]])
    """
    return jacobian_function(f, argnums, "reverse", "numerator", "jacrev")


def jacobian(
    f: Callable[..., Any],
    argnums: Argnums = 0,
    mode: str = "auto",
    layout: str = "numerator",
) -> Callable[..., Any]:
    """The Jacobian by the mode of your choice, in either layout.

    Args:
        f: a function of arrays, numbers or trees of them, with any result.
        argnums: the argument(s) to differentiate, counted from 0.
        mode: `forward` sweeps once per input entry, `reverse` once per output entry, and `auto`
            takes forward where there are no more input than output entries. `finite` uses central
            differences, `symbolic` the differentiated formula.
        layout: `numerator`, shape `out.shape + in.shape` (rows are outputs), or `denominator`,
            shape `in.shape + out.shape`. A scalar's gradient has the shape of its variable in both.

    Returns:
        A function of the same arguments, giving f's result tree of trees of the argument(s).

    Raises:
        ArgumentError: an unknown mode or layout.
        DtypeError: a differentiated argument is an integer.

    Derivative: as `jacfwd`.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> A = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
        >>> cr.jacobian(lambda x: A @ x)(np.ones(3)).shape
        (2, 3)
        >>> cr.jacobian(lambda x: A @ x, layout="denominator")(np.ones(3)).shape
        (3, 2)
    """
    if mode not in _MODES:
        raise ArgumentError(
            f"jacobian: unknown mode {mode!r}", fix=f"use one of {', '.join(_MODES)}"
        )
    if layout not in _LAYOUTS:
        raise ArgumentError(
            f"jacobian: unknown layout {layout!r}", fix=f"use one of {', '.join(_LAYOUTS)}"
        )
    return jacobian_function(f, argnums, mode, layout, "jacobian")


# ---- one recording -------------------------------------------------------------------------------


def jacobian_function(
    f: Callable[..., Any], argnums: Argnums, mode: str, layout: str, caller: str
) -> Callable[..., Any]:
    check_callable(f, caller)
    wrap: Any = functools.wraps(f) if hasattr(f, "__name__") else lambda g: g

    @wrap
    def differentiate(*args: Any, **kwargs: Any) -> Any:
        if mode in _OTHERS:
            return _relaid(_OTHERS[mode](f, argnums, args, kwargs), argnums, args, layout)
        tape = _Tape(f, args, kwargs, argnums, caller)
        return tape.jacobian(mode, layout)

    return differentiate


def _by_differences(
    f: Callable[..., Any], argnums: Argnums, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    return finite_difference(f, argnums)(*args, **kwargs)


def _by_formula(
    f: Callable[..., Any], argnums: Argnums, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    if kwargs:
        raise ArgumentError(
            "jacobian: mode='symbolic' takes its arguments by position",
            {"given by name": ", ".join(kwargs)},
            fix="pass them by position, or choose mode='auto'",
        )
    formula = symbolic(f, *args)
    positions = chosen(argnums, len(args), "jacobian")
    found = [formula.function(position)(*args) for position in positions]
    if not isinstance(argnums, (tuple, list)):
        return found[0]
    tree = formula.program.out_tree
    columns = [flatten(by)[0] for by in found]
    rows = []
    for k in range(tree.num_leaves):
        parts = []
        for position, column in zip(positions, columns, strict=True):
            leaves, argument = flatten(args[position])
            parts.append(unflatten(argument, column[k * len(leaves) : (k + 1) * len(leaves)]))
        rows.append(tuple(parts))
    return unflatten(tree, rows)


_OTHERS = {"finite": _by_differences, "symbolic": _by_formula}


def _relaid(found: Any, argnums: Argnums, args: Sequence[Any], layout: str) -> Any:
    """A Jacobian in numerator layout, in the layout that was asked for."""
    inputs = Inputs(args, argnums, "jacobian")
    blocks, tree = flatten(found)
    ranks = [len(leaf.shape) for leaf in inputs.leaves]
    turned = [
        in_layout(block, np.ndim(block) - ranks[k % len(ranks)], layout)
        for k, block in enumerate(blocks)
    ]
    return unflatten(tree, turned)


class _Tape:
    """A function recorded once, and its Jacobian by sweeping the tape either way."""

    def __init__(
        self,
        f: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        argnums: Argnums,
        caller: str,
    ) -> None:
        self.argnums, self.caller = argnums, caller
        self.inputs = Inputs(args, argnums, caller)
        self.trace = RecordTrace()
        tracers = variables(self.trace, self.inputs.leaves, tuple(args), self.inputs.positions)
        result = run_traced(f, self.trace, self.inputs, tracers, kwargs)
        self.outs, self.out_tree = output_leaves(result)
        self.numbers = [result_number(self.trace, out) for out in self.outs]
        self.out_kinds = [type_of(_plain_or_traced(out)) for out in self.outs]
        self.in_kinds = [self.trace.type_of_number(k) for k in range(len(tracers))]

    def jacobian(self, mode: str, layout: str) -> Any:
        """Per output leaf a tree of the differentiated arguments."""
        entries_in = sum(kind.size for kind in self.in_kinds)
        entries_out = sum(kind.size for kind in self.out_kinds)
        if mode == "auto":
            mode = "forward" if entries_in <= entries_out else "reverse"
        blocks = self.forward() if mode == "forward" else self.reverse()
        rows = [
            self.inputs.gather(
                [in_layout(block, len(out.shape), layout) for block in row],
                self.argnums,
            )
            for row, out in zip(blocks, self.out_kinds, strict=True)
        ]
        return unflatten(self.out_tree, rows)

    # ---- forward: along the inputs ---------------------------------------------------------------

    def forward(self) -> list[list[Any]]:
        """Blocks [output][input] of shape out.shape + in.shape."""
        basis = Basis(self.in_kinds, self.block_size())
        complex_in = any(kind.dtype.kind == "c" for kind in self.in_kinds)
        columns = self.push_basis(basis, 1.0)
        second = self.push_basis(basis, 1j) if complex_in else columns
        return [
            [
                self.merge(
                    columns_of(mine, basis, k, out.shape, kind.shape),
                    columns_of(other, basis, k, out.shape, kind.shape),
                    out,
                    kind,
                )
                for k, kind in enumerate(self.in_kinds)
            ]
            for mine, other, out in zip(columns, second, self.out_kinds, strict=True)
        ]

    def merge(self, along_real: Any, along_imaginary: Any, out: ArrayType, kind: ArrayType) -> Any:
        """One derivative, from those along the real and the imaginary part of the input."""
        if kind.dtype.kind != "c":
            return along_real
        if out.dtype.kind != "c":
            return along_real + 1j * along_imaginary
        _check_holomorphic(along_imaginary, 1j * along_real, self.caller)
        return along_real

    def push_basis(self, basis: Basis, factor: complex) -> list[Any]:
        """Per output leaf its tangents, shape (seeds, *out.shape)."""

        def push(seeds: list[Any], patterns: list[Any]) -> list[Any]:
            tangents = {
                k: (seed, None if basis.size == 1 else _known(pattern))
                for k, (seed, pattern) in enumerate(zip(seeds, patterns, strict=True))
            }
            found = push_tape(self.trace, tangents, self.numbers)
            return [
                np.zeros(kind.shape, tangent_dtype(kind.dtype)) if t is None else t
                for t, kind in zip(found, self.out_kinds, strict=True)
            ]

        factors = [factor if kind.dtype.kind == "c" else 1.0 for kind in self.in_kinds]
        return self.run(push, basis, self.in_kinds, self.out_kinds, factors)

    # ---- reverse: along the outputs --------------------------------------------------------------

    def reverse(self) -> list[list[Any]]:
        """Blocks [output][input] of shape out.shape + in.shape."""
        live = [
            k
            for k, (number, kind) in enumerate(zip(self.numbers, self.out_kinds, strict=True))
            if number >= 0 and kind.dtype.kind in "fc"
        ]
        basis = Basis([self.out_kinds[k] for k in live], self.block_size())
        complex_out = any(kind.dtype.kind == "c" for kind in basis.kinds)
        rows = self.pull_basis(basis, live, 1.0)
        second = self.pull_basis(basis, live, -1j) if complex_out else rows
        blocks = []
        for k, out in enumerate(self.out_kinds):
            if k not in live:
                zeros = [np.zeros((*out.shape, *kind.shape), kind.dtype) for kind in self.in_kinds]
                blocks.append([z[()] for z in zeros])
                continue
            place = live.index(k)
            blocks.append(
                [
                    self.unite(
                        rows_of(mine, basis, place, out.shape, kind.shape),
                        rows_of(other, basis, place, out.shape, kind.shape),
                        out,
                        kind,
                    )
                    for mine, other, kind in zip(rows, second, self.in_kinds, strict=True)
                ]
            )
        return blocks

    def unite(self, of_real: Any, of_imaginary: Any, out: ArrayType, kind: ArrayType) -> Any:
        """One derivative, from those of the real and the imaginary part of the output."""
        if kind.dtype.kind != "c":
            return of_real if out.dtype.kind != "c" else of_real + 1j * of_imaginary
        if out.dtype.kind != "c":
            return np.conjugate(of_real)
        _check_holomorphic(of_imaginary, -1j * of_real, self.caller)
        return of_real

    def pull_basis(self, basis: Basis, live: list[int], factor: complex) -> list[Any]:
        """Per input leaf its cotangents, shape (seeds, *in.shape)."""

        def pull_back(seeds: list[Any], patterns: list[Any]) -> list[Any]:
            pairs = [(self.numbers[k], seed) for k, seed in zip(live, seeds, strict=True)]
            masks = [None if basis.size == 1 else _known(p) for p in patterns]
            found = pull(self.trace, pairs, range(len(self.in_kinds)), masks)
            return [
                np.zeros(kind.shape, kind.dtype) if g is None else np.broadcast_to(g, kind.shape)
                for g, kind in zip(found, self.in_kinds, strict=True)
            ]

        factors = [factor if kind.dtype.kind == "c" else 1.0 for kind in basis.kinds]
        return self.run(pull_back, basis, basis.kinds, self.in_kinds, factors)

    # ---- a sweep for every block of the basis ----------------------------------------------------

    def run(
        self,
        sweep: Callable[..., list[Any]],
        basis: Basis,
        kinds: Sequence[ArrayType],
        results: Sequence[ArrayType],
        factors: Sequence[complex],
    ) -> list[Any]:
        parts: list[list[Any]] = []
        for patterns in basis.blocks():
            seeds = [
                pattern.astype(kind.dtype) * kind.dtype.type(factor)
                for pattern, kind, factor in zip(patterns, kinds, factors, strict=True)
            ]
            if basis.size == 1:
                only = [seed[0] for seed in seeds], [pattern[0] for pattern in patterns]
                found = [np.reshape(r, (1, *np.shape(r))) for r in sweep(*only)]
            else:
                found = vmap(sweep)(seeds, patterns)
            parts.append(found)
        if not parts:
            return [np.zeros((0, *kind.shape), tangent_dtype(kind.dtype)) for kind in results]
        if len(parts) == 1:
            return parts[0]
        return [np.concatenate(column) for column in zip(*parts, strict=True)]

    def block_size(self) -> int:
        """How many seeds to sweep at once."""
        largest = max((kind.size for kind in self.out_kinds), default=1)
        for shape in self.trace.shapes:
            size = 1
            for n in shape:
                size *= n
            largest = max(largest, size)
        return max(1, _BLOCK_ENTRIES // max(largest, 1))


def _known(pattern: Any) -> Mask:
    return Mask(lambda: pattern)


def _plain_or_traced(out: Any) -> Any:
    value = resolve(out)
    return value if type(value) is Tracer else np.asarray(value)


def _check_holomorphic(found: Any, expected: Any, caller: str) -> None:
    """Cauchy and Riemann's equations, where there are plain numbers to compare."""
    if type(found) is Tracer or type(expected) is Tracer:
        return
    scale = np.sqrt(np.finfo(found.dtype).eps)
    if not np.allclose(found, expected, rtol=scale, atol=scale, equal_nan=True):
        raise DomainError(
            f"{caller}: this complex function of a complex argument isn't holomorphic here",
            {"along the imaginary axis": found, "i × along the real axis": expected},
            "differentiate its real and imaginary part: np.real(f(z)), np.imag(f(z))",
        )
