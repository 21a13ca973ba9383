"""Values that aren't there yet: what `Input` gives, and the graph that calls on them build.

A layer or a NumPy function that is called on a `Symbolic` returns another one and remembers the
call. Between its inputs and its outputs the graph is replayed on arrays, or written as data.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, ShapeError, TraceError
from chainrule.ir.types import ArrayType
from chainrule.nn.arguments import whole_number
from chainrule.nn.derived import CALLS
from chainrule.nn.dtype import float_dtype
from chainrule.nn.infer import Inference
from chainrule.nn.scope import Scope
from chainrule.nn.spec import with_batch

_BATCH = 2
_numbers = itertools.count()


class Node:
    """One call: a layer or a NumPy function, its arguments, and the values it gave."""

    def __init__(self, function: Any, args: Any, options: dict[str, Any]) -> None:
        self.number = next(_numbers)
        self.function = function
        self.args = args
        self.options = options
        self.outputs: list[Symbolic] = []

    def inputs(self) -> Iterator[Symbolic]:
        """The values it is called on."""
        yield from _symbols(self.args)
        yield from _symbols(self.options)


class Symbolic(np.lib.mixins.NDArrayOperatorsMixin):
    """A value of a network that is being put together: its shape and dtype, and where it's from.

    NumPy functions, operators and indexing work on it as on an array with one more axis in front,
    the batch.
    """

    def __init__(self, shape: Sequence[Any], dtype: Any, node: Node | None, index: int = 0) -> None:
        self.shape = tuple(shape)
        self.dtype = np.dtype(dtype)
        self.node = node
        self.index = index
        self.name = f"input_{next(_numbers)}"

    def __repr__(self) -> str:
        return f"<Symbolic {self.name} {self.dtype}{list(self.shape)}>"

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, **options: Any) -> Any:
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        return call_symbolically(function, args, options)

    def __array_function__(self, function: Any, kinds: Any, args: Any, options: Any) -> Any:
        return call_symbolically(function, args, options)

    def __array__(self, *args: Any, **options: Any) -> Any:
        raise TraceError(
            "this value stands for an input that isn't there yet, and has no numbers",
            {"value": repr(self)},
            "make a model of it, cr.nn.Model(inputs, outputs), and call that on arrays",
        )

    def __bool__(self) -> bool:
        self.__array__()
        return False

    def __getitem__(self, index: Any) -> Any:
        return call_symbolically(item, (self, index), {})

    def reshape(self, *shape: Any) -> Any:
        """`np.reshape`; the batch is the first axis."""
        return np.reshape(self, shape[0] if len(shape) == 1 else shape)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Any:
        """`np.sum`."""
        return np.sum(self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Any:
        """`np.mean`."""
        return np.mean(self, axis=axis, keepdims=keepdims)


def item(x: Any, index: Any) -> Any:
    """`x[index]`, as a function that a graph can hold."""
    return x[index]


def Input(
    shape: Any = None,
    batch_size: int | None = None,
    dtype: Any = None,
    *,
    batch_shape: Any = None,
    name: str | None = None,
) -> Symbolic:
    """An input of a network, to call layers on.

    Args:
        shape: of one input, without the batch.
        batch_size: kept in the shape. Stateful layers hold to it; else any batch is accepted.
        dtype: of the network's computations; inputs are cast to it. That of integers, such as
            "int32" for ids, stands for the default.
        batch_shape: the shape with the batch size in front, in place of shape and batch_size.
        name: what `predict` and `fit` call it in a dict of inputs.

    Example:
        >>> import chainrule as cr
        >>> x = cr.nn.Input((4,))
        >>> y = cr.nn.Dense(3)(x) * 2
        >>> y.shape
        (None, 3)
        >>> cr.nn.Model(x, y).count_params()
        15
    """
    if batch_shape is not None and shape is None and batch_size is None:
        batch_size, *shape = batch_shape
    elif batch_shape is not None:
        raise ArgumentError(
            "an Input's batch_shape says all of its shape", fix="leave shape and batch_size out"
        )
    if batch_size is not None:
        batch_size = whole_number("batch_size", batch_size)
    if shape is None or isinstance(shape, Symbolic):
        raise ArgumentError(
            "an Input needs the shape of one input", {"shape": repr(shape)}, "Input((784,))"
        )
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    _, *rest = with_batch((None, *sizes), _BATCH)
    if dtype is not None and np.dtype(dtype).kind in "biu":
        dtype = None  # ids and the like are numbers to compute with, as any others
    value = Symbolic((batch_size, *rest), float_dtype(dtype), None)
    if name is not None:
        value.name = name
    return value


def is_symbolic(tree: Any) -> bool:
    """Whether some value in it isn't there yet."""
    return next(_symbols(tree), None) is not None


def _symbols(tree: Any) -> Iterator[Symbolic]:
    if isinstance(tree, Symbolic):
        yield tree
    elif isinstance(tree, (list, tuple)):
        for entry in tree:
            yield from _symbols(entry)
    elif isinstance(tree, Mapping):
        for entry in tree.values():
            yield from _symbols(entry)


def replaced(tree: Any, function: Callable[[Symbolic], Any]) -> Any:
    """The tree with something else for every symbolic value."""
    if isinstance(tree, Symbolic):
        return function(tree)
    if isinstance(tree, (list, tuple)):
        return type(tree)(replaced(entry, function) for entry in tree)
    if isinstance(tree, Mapping):
        return {key: replaced(entry, function) for key, entry in tree.items()}
    return tree


def call_symbolically(function: Any, args: Any, options: dict[str, Any]) -> Any:
    """Note the call of a layer or a NumPy function; its output, symbolic too."""
    node = Node(function, args, dict(options))
    inference = Inference()
    stand_ins = {
        id(s): inference.value(ArrayType(with_batch((None, *s.shape[1:]), _BATCH), s.dtype))
        for s in node.inputs()
    }
    scope = Scope({}, make=lambda w: inference.value(ArrayType(w.shape, w.dtype)))

    def output() -> Any:
        with scope:
            given, chosen = replaced((args, dict(options)), lambda s: stand_ins[id(s)])
            return function(*given, **chosen)

    found = _outputs(inference.types(output), node)
    if hasattr(type(function), "weights_by_path"):
        function.__dict__.setdefault(CALLS, []).append(node)
    return found


def _outputs(types: Any, node: Node) -> Any:
    if isinstance(types, ArrayType):
        if not types.shape or types.shape[0] != _BATCH:
            raise ShapeError(
                "a value of a network has the batch as its first axis, and this has lost it",
                {"shape": f"{list(types.shape)}, for a batch of {_BATCH}"},
                "leave axis 0 as it is: np.sum(x, axis=-1), np.reshape(x, (-1, 3))",
            )
        value = Symbolic((None, *types.shape[1:]), types.dtype, node, len(node.outputs))
        called = getattr(node.function, "name", None) or node.function.__name__
        value.name = f"{called}_{node.number}"
        node.outputs.append(value)
        return value
    if isinstance(types, Mapping):
        return {key: _outputs(entry, node) for key, entry in types.items()}
    return type(types)(_outputs(entry, node) for entry in types)


def nodes_between(inputs: Sequence[Symbolic], outputs: Any) -> list[Node]:
    """The calls that lead from the inputs to the outputs, in the order they were made.

    Raises:
        ArgumentError: an output depends on an input that isn't among those given.
    """
    known = {id(value) for value in inputs}
    found: dict[int, Node] = {}
    waiting = [value for value in _symbols(outputs) if id(value) not in known]
    while waiting:
        value = waiting.pop()
        if value.node is None:
            raise ArgumentError(
                "the outputs depend on an input that the model isn't given",
                {"input": repr(value)},
                "name it among the inputs: cr.nn.Model([a, b], outputs)",
            )
        if value.node.number not in found:
            found[value.node.number] = value.node
            waiting += [s for s in value.node.inputs() if id(s) not in known]
    return [found[number] for number in sorted(found)]


def replay(nodes: Sequence[Node], values: dict[int, Any], outputs: Any) -> Any:
    """Compute the outputs from the values of the inputs, given by id."""
    for node in nodes:
        args, options = replaced((node.args, node.options), lambda s: values[id(s)])
        _note(node.function(*args, **options), iter(node.outputs), values)
    return replaced(outputs, lambda s: values[id(s)])


def _note(result: Any, places: Iterator[Symbolic], values: dict[int, Any]) -> None:
    if isinstance(result, (list, tuple)):
        for entry in result:
            _note(entry, places, values)
    elif isinstance(result, Mapping):
        for entry in result.values():
            _note(entry, places, values)
    else:
        values[id(next(places))] = result
