"""A layer as a pure function of the values of its weights."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from chainrule.base.errors import ArgumentError
from chainrule.base.keys import key_of
from chainrule.ir.types import ArrayType
from chainrule.nn.arguments import whole_number
from chainrule.nn.infer import Inference
from chainrule.nn.mask import Masks
from chainrule.nn.scope import Scope
from chainrule.nn.spec import map_shapes, with_batch

Variables: TypeAlias = Mapping[str, Mapping[str, Any]]

_BATCH = 2  # the size of the batch where only shapes are wanted


class Forward(NamedTuple):
    """What one call leaves: the output, the state, the losses that layers have added, masks."""

    output: Any
    state: dict[str, Any]
    losses: tuple[Any, ...]
    masks: Masks


def init(layer: Any, seed: int, input_shape: Any) -> dict[str, dict[str, Any]]:
    """First values for all weights of a layer."""
    seed = whole_number("seed", seed, 0)
    ensure_built(layer, input_shape)
    values = {path: w.first_value(path, seed) for path, w in layer.weights_by_path().items()}
    return sorted_apart(layer, values)


def sorted_apart(layer: Any, values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Values by path, apart: what the optimiser changes, and the state."""
    trainable = layer.trainable_paths()
    return {
        "parameters": {path: value for path, value in values.items() if path in trainable},
        "state": {path: value for path, value in values.items() if path not in trainable},
    }


def ensure_built(layer: Any, input_shape: Any = None) -> None:
    """Make the weights of a layer and of its parts, without values."""
    if input_shape is None:
        if not layer.built:
            raise ArgumentError(
                f"the shapes of the weights of {layer.name!r} depend on its input",
                fix="pass input_shape=, the shape of one input without the batch",
            )
        return
    output_types(layer, map_shapes(lambda shape: with_batch(shape, _BATCH), input_shape))


def output_types(layer: Any, shapes: Any, training: bool = False) -> Any:
    """The types of what a layer returns for inputs of these full shapes; builds it on the way."""
    inference = Inference()
    inputs = map_shapes(lambda shape: inference.value(ArrayType(shape, layer.dtype)), shapes)
    scope = Scope({}, make=lambda w: inference.value(ArrayType(w.shape, w.dtype)))
    scope.training, scope.root = training, layer

    def output() -> Any:
        with scope:
            return layer(inputs)

    return inference.types(output)


def carried_types(layer: Any, shapes: Any) -> dict[str, ArrayType]:
    """The types of what a call on inputs of these full shapes hands on to the next one."""
    carried = layer.carried_by_path()
    inference = Inference()
    inputs = map_shapes(lambda shape: inference.value(ArrayType(shape, layer.dtype)), shapes)
    scope = Scope({}, make=lambda w: inference.value(ArrayType(w.shape, w.dtype)))
    scope.root = layer

    def left() -> Any:
        with scope:
            layer(inputs)
        return {path: scope.updates[c] for path, c in carried.items() if c in scope.updates}

    found: dict[str, ArrayType] = inference.types(left)
    return found


def output_shape(layer: Any, input_shape: Any) -> Any:
    """The shape of the output; the batch is the input's, None included."""
    batches: list[Any] = []

    def full(shape: tuple[Any, ...]) -> tuple[int, ...]:
        batches.append(shape[0] if shape else None)
        return with_batch((None, *shape[1:]), _BATCH)

    types = output_types(layer, map_shapes(full, input_shape))
    return map_types(lambda kind: (batches[0], *kind.shape[1:]), types)


def map_types(function: Any, types: Any) -> Any:
    """A tree of types, each through a function."""
    if isinstance(types, ArrayType):
        return function(types)
    if isinstance(types, Mapping):
        return {key: map_types(function, value) for key, value in types.items()}
    return type(types)(map_types(function, value) for value in types)


def forward(
    layer: Any,
    variables: Variables,
    inputs: tuple[Any, ...],
    *,
    training: bool = False,
    seed: Any = None,
    rows: Any = None,
    watch: Any = None,
    given: Mapping[int, Any] | None = None,
) -> Forward:
    """One call of a layer with these values for its weights; see `Scope` for the last three."""
    if not isinstance(variables, Mapping) or "parameters" not in variables:
        what = ", ".join(variables) if isinstance(variables, Mapping) else type(variables).__name__
        raise ArgumentError(
            "apply takes the values of all weights first, as init returns them",
            {"given": what or "an empty dict"},
            'y, state = model.apply({"parameters": parameters, "state": state}, x)',
        )
    state = variables.get("state", {})
    values = {**variables["parameters"], **state}
    weights = layer.weights_by_path()
    carried = layer.carried_by_path()
    expected = weights.keys() | (carried.keys() & state.keys())
    if expected != values.keys():
        _refuse_paths(layer, set(expected), set(values))
    key = key_of(seed) if isinstance(seed, int) else seed
    known = {w: values[path] for path, w in weights.items()}
    known.update((c, values.get(path)) for path, c in carried.items())
    scope = Scope(known, training, key, rows)
    scope.watch, scope.root = watch, layer
    scope.given = dict(given or {})
    with scope:
        output = layer(*inputs)
    kept = {**weights, **carried}
    after = {path: scope.updates.get(kept[path], value) for path, value in state.items()}
    after |= {path: scope.updates[c] for path, c in carried.items() if c in scope.updates}
    return Forward(output, after, tuple(scope.losses), scope.masks)


def _refuse_paths(layer: Any, expected: set[str], given: set[str]) -> None:
    missing, strange = sorted(expected - given), sorted(given - expected)
    if not expected:
        fix = "build it first: model.init(seed, input_shape) makes weights and their values"
    elif strange and (near := difflib.get_close_matches(strange[0], missing, n=1)):
        fix = f"did you mean {near[0]!r} instead of {strange[0]!r}?"
    else:
        fix = "pass what init returned, with other values but the same names"
    raise ArgumentError(
        f"these values aren't the weights of {layer.name!r}",
        {
            "missing": ", ".join(missing[:5]) or "none",
            "unknown": ", ".join(strange[:5]) or "none",
        },
        fix,
    )
