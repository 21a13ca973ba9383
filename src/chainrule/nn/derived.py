"""Names that Keras's users know, answered from what a layer is; its own attributes come first."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from chainrule.base.errors import ArgumentError

CALLS = "_calls"  # the attribute with a layer's calls on what `Input` gave, the first in front


def output_of(layer: Any) -> Any:
    """What the first call of a layer on an `Input`, or on what came from one, gave."""
    outputs = _first_call(layer, "output").outputs
    return outputs[0] if len(outputs) == 1 else list(outputs)


def input_of(layer: Any) -> Any:
    """What it was called on then."""
    inputs = list(_first_call(layer, "input").inputs())
    return inputs[0] if len(inputs) == 1 else inputs


def _first_call(layer: Any, name: str) -> Any:
    calls = layer.__dict__.get(CALLS)
    if not calls:
        raise AttributeError(
            f"the layer {layer.name!r} has no {name}: it wasn't called on a cr.nn.Input. (A "
            "Sequential calls its layers on one when it is asked for model.inputs)"
        )
    return calls[0]


# Names that are answered where a layer has no attribute of the name.
DERIVED: Mapping[str, Callable[[Any], Any]] = {
    "output": output_of,
    "input": input_of,
    "trainable_weights": lambda layer: layer.weights_of(True),
    "trainable_variables": lambda layer: layer.weights_of(True),
    "non_trainable_weights": lambda layer: layer.weights_of(False),
    "non_trainable_variables": lambda layer: layer.weights_of(False),
}

# And names that have another one here.
_ELSEWHERE = {
    "adapt": "take np.mean and np.std of the training data, and scale the data by them",
    "load_weights": "cr.nn.load(path) reads a whole model; model.set_weights(arrays) sets values",
    "losses": "what add_loss was given counts in fit and evaluate",
    "predict_on_batch": "model.predict(x)",
    "save_weights": "model.save(path) keeps the whole model; model.get_weights() gives arrays",
    "test_on_batch": "model.evaluate(x, y)",
    "to_json": "cr.nn.serialize(model) is plain data; model.save(path) writes a file",
    "train_on_batch": "model.fit(x, y, batch_size=len(x), verbose=0) makes one step",
}


def refuse_name(thing: Any, name: str) -> AttributeError:
    """The error for an attribute that isn't there."""
    text = f"{type(thing).__name__} has no attribute {name!r}"
    return AttributeError(f"{text}: {_ELSEWHERE[name]}" if name in _ELSEWHERE else text)


def refuse_arguments(kind: type, unknown: Iterable[str]) -> None:
    """Refuse arguments that a layer doesn't have.

    Raises:
        ArgumentError: names the first, and the nearest that there is.
    """
    names = list(unknown)
    if not names:
        return
    known = {
        name
        for cls in kind.__mro__[:-1]
        if "__init__" in vars(cls)
        for name, parameter in inspect.signature(vars(cls)["__init__"]).parameters.items()
        if name != "self"
        and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    }
    near = difflib.get_close_matches(names[0], sorted(known), n=1)
    if names[0] in ("input_dim", "batch_input_shape"):
        fix = "begin the model with cr.nn.Input(shape), or its batch_shape="
    else:
        fix = f"did you mean {near[0]!r}?" if near else "leave it out"
    raise ArgumentError(
        f"{kind.__name__} has no argument {names[0]!r}", {"it takes": ", ".join(sorted(known))}, fix
    )
