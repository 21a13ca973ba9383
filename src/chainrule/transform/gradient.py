"""grad, value_and_grad, vjp: reverse mode for users."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DtypeError, ShapeError
from chainrule.base.trees import flatten, outline, same_structure, unflatten
from chainrule.ir.types import ArrayType, type_of
from chainrule.tracing.record import RecordTrace
from chainrule.tracing.trace import resolve
from chainrule.tracing.tracer import Tracer
from chainrule.transform.arguments import (
    Argnums,
    Inputs,
    check_callable,
    output_leaves,
    release,
    release_tree,
    run_traced,
    same_shape,
    split_aux,
)
from chainrule.transform.domain import require_value
from chainrule.transform.reverse import pull, result_number


def grad(f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The gradient of a function with a real scalar result.

    Args:
        f: a function of arrays, numbers or trees of them, written in plain NumPy.
        argnums: the argument(s) to differentiate, counted from 0.
        has_aux: f returns `(value, auxiliary)`; the auxiliary part is passed on.

    Returns:
        A function of the same arguments. Its result has the tree, shapes and dtypes of the
        argument (a tuple of them when `argnums` is a tuple); with `has_aux`, `(gradient, aux)`.

    Raises:
        DtypeError: a differentiated argument is an integer, or the result isn't real.
        ShapeError: the result isn't a scalar; use `jacobian` or `vjp`.
        DomainError: the result is NaN, as that of np.log(-1.0) is. Inside another transformation
            NaN goes on as NumPy's does, and so it does through `jvp` and `vjp`.

    Derivative: reverse mode, one sweep for all inputs. For complex arguments the direction of
    steepest ascent, ∂f/∂Re + i ∂f/∂Im.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> cr.grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
        array([2., 4.])
    """
    both = value_and_grad(f, argnums, has_aux)

    @like(f)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, found = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient


def value_and_grad(
    f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """The value and the gradient of a scalar function, in one sweep.

    Args and errors are those of `grad`.

    Returns:
        A function giving `(value, gradient)`; with `has_aux`, `((value, aux), gradient)`.

    Example:
        >>> import chainrule as cr
        >>> value, gradient = cr.value_and_grad(lambda x: x**3)(2.0)
        >>> float(value), float(gradient)
        (8.0, 12.0)
    """
    check_callable(f, "grad")

    @like(f)
    def evaluate(*args: Any, **kwargs: Any) -> Any:
        inputs = Inputs(args, argnums, "grad")
        trace = RecordTrace()
        tracers = variables(trace, inputs.leaves, args, inputs.positions)
        result = run_traced(f, trace, inputs, tracers, kwargs)
        value, aux = split_aux(result, "grad") if has_aux else (result, None)
        value = _scalar(value)
        plain = value.value if type(value) is Tracer else value
        if type(plain) is not Tracer and plain != plain:
            require_value(plain, f, args, kwargs, argnums, "grad")
        number = result_number(trace, value)
        if number < 0:
            cotangents: list[Any] = [None] * len(tracers)
        else:
            seed = _one(trace.dtypes[number])
            cotangents = pull(trace, [(number, seed)], range(len(tracers)))
        seen: set[int] = set()
        leaves = [finish(g, trace.type_of_number(k), seen) for k, g in enumerate(cotangents)]
        gradient = inputs.gather(leaves, argnums)
        if has_aux:
            return (resolve(value), release_tree(aux)), gradient
        return resolve(value), gradient

    return evaluate


def vjp(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """The value of f, and the function that pulls cotangents back: reverse mode.

    Args:
        f: any function of floating-point arrays or trees of them.
        primals: where to differentiate; every one of them is differentiated.

    Returns:
        `(out, pullback)`. `pullback(cotangent)`, with a cotangent of out's tree and shapes, gives
        a tuple with one cotangent per primal. It may be called any number of times.

    Raises:
        DtypeError, ShapeError: as `grad`; a cotangent that doesn't fit its output.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> out, pullback = cr.vjp(np.sin, np.array([0.0, np.pi]))
        >>> pullback(np.array([1.0, 1.0]))
        (array([ 1., -1.]),)
    """
    check_callable(f, "vjp")
    inputs = Inputs(primals, tuple(range(len(primals))), "vjp")
    trace = RecordTrace()
    tracers = variables(trace, inputs.leaves, primals, inputs.positions)
    outs, out_tree = output_leaves(run_traced(f, trace, inputs, tracers, {}))
    numbers = [result_number(trace, out) for out in outs]
    kinds = [type_of(resolve(out)) for out in outs]

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        """Cotangents of the primals for one cotangent of the output."""
        leaves, tree = flatten(cotangent)
        if not same_structure(tree, out_tree):
            raise ArgumentError(
                "vjp: the cotangent must have the tree of the output",
                {"output": outline(out_tree), "cotangent": outline(tree)},
                "give one cotangent per output, put together in the same way",
            )
        seeds = []
        for g, kind, number in zip(leaves, kinds, numbers, strict=True):
            g = same_shape(g, kind, "cotangent", "vjp")
            if number >= 0 and kind.dtype.kind in "fc":
                seeds.append((number, conjugated(g)))
        found = pull(trace, seeds, range(len(tracers)))
        seen = {id(g) for _, g in seeds}
        done = [finish(g, trace.type_of_number(k), seen) for k, g in enumerate(found)]
        return tuple(inputs.split(done))

    return unflatten(out_tree, [release(out) for out in outs]), pullback


def variables(
    trace: RecordTrace, leaves: list[Any], args: tuple[Any, ...], positions: tuple[int, ...]
) -> list[Tracer]:
    """One input variable per leaf; Python floats stay weak."""
    if len(leaves) == len(positions):
        weak = [type(args[p]) in (float, complex) for p in positions]
    else:
        weak = [type(leaf) in (float, complex) for p in positions for leaf in flatten(args[p])[0]]
    return [
        trace.input(leaf, w or getattr(leaf, "weak", False))
        for leaf, w in zip(leaves, weak, strict=True)
    ]


def finish(g: Any, kind: ArrayType, seen: set[int]) -> Any:
    """A gradient as users get it: full shape, conjugated, an array of its own."""
    if g is None:
        return np.zeros(kind.shape, kind.dtype)[()]
    if np.shape(g) != kind.shape:
        g = np.broadcast_to(g, kind.shape)
    if kind.dtype.kind == "c":
        g = np.conjugate(g)
    if type(g) is np.ndarray:
        if not g.shape:
            return g[()]
        if g.base is not None or not g.flags.writeable or id(g) in seen:
            g = g.copy()
        seen.add(id(g))
    return g


def conjugated(g: Any) -> Any:
    return np.conjugate(g) if g.dtype.kind == "c" else g


_FLOAT64 = np.dtype(float)


def _one(dtype: np.dtype[Any]) -> Any:
    return np.float64(1.0) if dtype is _FLOAT64 else dtype.type(1)


def _scalar(value: Any) -> Any:
    """The one real scalar that a function under grad must return."""
    if type(value) is Tracer and not value.shape and value.dtype.kind == "f":
        return value
    leaves, _ = output_leaves(value)
    if not leaves:
        raise ShapeError(
            "grad: the function must return one scalar; it returned nothing",
            fix="end it with return …",
        )
    if len(leaves) != 1:
        raise ShapeError(
            f"grad: the function must return one scalar; it returned {len(leaves)} values",
            fix="return their sum; or use cr.jacobian(f), or cr.vjp(f, x)",
        )
    leaf = leaves[0]
    if not hasattr(leaf, "dtype"):
        if type(leaf) in (int, float):
            return np.float64(leaf)
        shown = "nothing (None)" if leaf is None else type(leaf).__name__
        raise DtypeError(
            f"grad: the function must return a real scalar; it returned {shown}",
            fix="return one floating-point number; has_aux=True returns more beside it",
        )
    if tuple(leaf.shape) != ():
        raise ShapeError(
            "grad: the function must return a scalar",
            {"returned": type_of(leaf)},
            "reduce it (np.sum, np.mean); or use cr.jacobian(f), or cr.vjp(f, x)",
        )
    if leaf.dtype.kind != "f":
        fix = (
            "return a real number: np.real(z), or np.abs(z)**2" if leaf.dtype.kind == "c" else None
        )
        raise DtypeError(
            "grad: the function must return a real floating-point number",
            {"returned": type_of(leaf)},
            fix or "an integer or a truth value has no derivative; return a float",
        )
    return leaf


def like(f: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """functools.wraps, for anything callable."""

    def decorate(wrapper: Callable[..., Any]) -> Callable[..., Any]:
        return functools.wraps(f)(wrapper) if hasattr(f, "__name__") else wrapper

    return decorate
