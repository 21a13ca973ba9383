"""Write tests/train/golden/stateful.json: what Keras computes with stateful recurrent layers.

For each model: losses of two epochs, a reset, losses of another one, then an evaluation, two
predictions after each other and one after a reset, and the weights at the end. Each goes on with
the states that the one before has left.

Run by hand, where Keras and PyTorch are installed (with JAX, Keras can't train such layers):

    KERAS_BACKEND=torch python scripts/golden_stateful.py

The versions used stand in the file, under "about".
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
import torch
from golden_json import write

keras.src.backend.common.dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"

TARGET = Path(__file__).parents[1] / "tests" / "train" / "golden" / "stateful.json"
RATE, SIZE, ROWS, STEPS, FEATURES = 0.1, 3, 9, 4, 2

# A model is a chain of layers, with one more that gives a number per row.
Layer = tuple[str, dict[str, Any]]
ALL = {"stateful": True, "return_sequences": True}
CHAINS: dict[str, list[Layer]] = {
    "plain": [("SimpleRNN", {"units": 3, "stateful": True})],
    "lstm": [("LSTM", {"units": 3, "stateful": True})],
    "two deep": [("GRU", {"units": 2, **ALL}), ("LSTM", {"units": 2, "stateful": True})],
    "only the first": [("GRU", {"units": 2, **ALL}), ("LSTM", {"units": 2})],
    "backwards": [("LSTM", {"units": 2, "go_backwards": True, "stateful": True})],
    "both ways": [("Bidirectional", {"layer": ("GRU", {"units": 2, "stateful": True})})],
    "masked": [("Masking", {}), ("LSTM", {"units": 2, "stateful": True})],
}


def made(name: str, arguments: dict[str, Any]) -> Any:
    arguments = dict(arguments)
    if "layer" in arguments:
        arguments["layer"] = made(*arguments["layer"])
    return getattr(keras.layers, name)(**arguments)


def copy_states() -> None:
    """Begin with copies of the states: Keras writes the new ones over what PyTorch still needs."""
    run = keras.layers.RNN.call

    def call(self: Any, sequences: Any, initial_state: Any = None, **options: Any) -> Any:
        if initial_state is None and self.states is not None:
            initial_state = [state.value.detach().clone() for state in self.states]
        return run(self, sequences, initial_state, **options)

    keras.layers.RNN.call = call


def reset(model: Any) -> None:
    for layer in model.layers:
        if getattr(layer, "stateful", False):
            layer.reset_state()


def case(name: str, chain: list[Layer], number: int) -> dict[str, Any]:
    random = np.random.default_rng(number)

    def numbers(*shape: int) -> Any:
        return np.asarray(random.standard_normal(shape).astype(np.float32), np.float64)

    x, y = numbers(ROWS, STEPS, FEATURES), numbers(ROWS, 1)
    if name == "masked":
        x[random.random((ROWS, STEPS)) < 0.4] = 0.0
    first = keras.Input(batch_shape=(SIZE, STEPS, FEATURES))
    layers = [made(*layer) for layer in chain]
    model = keras.Sequential([first, *layers, keras.layers.Dense(1)])
    weights = [numbers(*w.shape) * 0.5 for w in model.weights]
    model.compile(keras.optimizers.SGD(RATE), "mse")
    model.evaluate(x, y, batch_size=SIZE, verbose=0)  # Keras makes itself ready on the states
    reset(model)
    model.set_weights(weights)
    options = {"batch_size": SIZE, "shuffle": False, "verbose": 0}
    losses = list(model.fit(x, y, epochs=2, **options).history["loss"])
    reset(model)
    losses += model.fit(x, y, epochs=1, **options).history["loss"]
    evaluated = model.evaluate(x, y, batch_size=SIZE, verbose=0)
    predictions = [model.predict(x, batch_size=SIZE, verbose=0) for _ in range(2)]
    reset(model)
    predictions.append(model.predict(x, batch_size=SIZE, verbose=0))
    return {
        "name": name,
        "chain": chain,
        "x": x.tolist(),
        "y": y.tolist(),
        "weights": [w.tolist() for w in weights],
        "losses": losses,
        "evaluated": evaluated,
        "predictions": [p.tolist() for p in predictions],
        "after": [np.asarray(w).tolist() for w in model.get_weights()],
    }


if __name__ == "__main__":
    keras.config.set_dtype_policy("float64")
    keras.config.set_floatx("float64")
    copy_states()
    cases = [case(name, chain, k) for k, (name, chain) in enumerate(CHAINS.items())]
    about = {"keras": keras.__version__, "torch": torch.__version__, "rate": RATE, "size": SIZE}
    write(TARGET, about, cases)
