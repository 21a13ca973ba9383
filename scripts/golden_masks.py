"""Write tests/train/golden/masks.json: what Keras makes of masks, from their origin to the loss.

For each model: outputs, the loss and the metrics of a batch, and the weights after one step of SGD.

Run by hand, where Keras and JAX are installed:

    KERAS_BACKEND=jax python scripts/golden_masks.py

The versions used stand in the file, under "about".
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_ENABLE_X64", "1")

import jax
import keras
import numpy as np
from golden_json import write

keras.src.backend.common.dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"

TARGET = Path(__file__).parents[1] / "tests" / "train" / "golden" / "masks.json"
RATE = 0.5

# A model is a chain of layers. A list in place of a layer's name is called side by side on the
# same input; what follows it merges them. MultiHeadAttention is called on (x, x).
Layer = tuple[Any, dict[str, Any]]
WORDS: Layer = ("Embedding", {"input_dim": 6, "output_dim": 3, "mask_zero": True})
PLAIN: Layer = ("Embedding", {"input_dim": 6, "output_dim": 3})
EACH: Layer = ("Dense", {"units": 2})
ALL = {"units": 3, "return_sequences": True}

CHAINS: dict[str, list[Layer]] = {
    "lstm": [WORDS, ("LSTM", {"units": 3}), EACH],
    "gru of steps": [WORDS, ("GRU", ALL), EACH],
    "rnn backwards": [WORDS, ("SimpleRNN", {**ALL, "go_backwards": True}), ("LSTM", {"units": 2})],
    "two deep": [WORDS, ("LSTM", ALL), ("Dropout", {"rate": 0.0}), ("GRU", {"units": 2})],
    "every step": [WORDS, ("Dense", {"units": 4, "activation": "tanh"}), EACH],
    "both ways": [WORDS, ("Bidirectional", {"layer": ("LSTM", ALL)}), EACH],
    "both ways, last": [WORDS, ("Bidirectional", {"layer": ("GRU", {"units": 2})}), EACH],
    "pooled": [WORDS, ("Activation", {"activation": "tanh"}), ("GlobalAveragePooling1D", {}), EACH],
    "normalised": [WORDS, ("LayerNormalization", {}), ("LSTM", {"units": 2})],
    "distributed": [WORDS, ("TimeDistributed", {"layer": EACH})],
    "attention": [
        WORDS, ("MultiHeadAttention", {"num_heads": 2, "key_dim": 2}), ("GRU", {"units": 2}),
    ],
    "added": [([WORDS, WORDS], {}), ("Add", {}), ("LSTM", {"units": 2})],
    "added, one without": [([WORDS, PLAIN], {}), ("Add", {}), EACH],
    "side by side": [([WORDS, PLAIN], {}), ("Concatenate", {}), ("GRU", {"units": 2})],
    "one behind the other": [([WORDS, WORDS], {}), ("Concatenate", {"axis": 1}), EACH],
    "masking": [("Masking", {"mask_value": 0.5}), ("LSTM", ALL), EACH],
    "batch normalisation": [("Masking", {}), ("BatchNormalization", {"momentum": 0.5}), EACH],
    "batch normalisation of each step": [
        ("Masking", {}), ("BatchNormalization", {"axis": 1, "momentum": 0.5}), EACH,
    ],
    "activity": [
        WORDS, ("LSTM", {**ALL, "activity_regularizer": "l2"}),
        ("Dense", {"units": 2, "activity_regularizer": "l1"}),
    ],
}  # fmt: skip


def made(name: str, arguments: dict[str, Any]) -> Any:
    arguments = dict(arguments)
    if "layer" in arguments:
        arguments["layer"] = made(*arguments["layer"])
    return getattr(keras.layers, name)(**arguments)


def network(chain: list[Layer], shape: Any, dtype: str) -> Any:
    x = value = keras.Input(shape, dtype=dtype)
    for name, arguments in chain:
        if isinstance(name, list):
            value = [made(*one)(x) for one in name]
        elif name == "MultiHeadAttention":
            value = made(name, arguments)(value, value)
        else:
            value = made(name, arguments)(value)
    return keras.Model(x, value)


def case(name: str, chain: list[Layer], number: int) -> dict[str, Any]:
    random = np.random.default_rng(number)

    def numbers(shape: Any) -> Any:
        return np.asarray(random.standard_normal(shape).astype(np.float32), np.float64)

    if chain[0][0] == "Masking":
        x = numbers((3, 5, 2))
        x[random.random((3, 5)) < 0.4] = chain[0][1].get("mask_value", 0.0)
        model = network(chain, (5, 2), "float64")
    else:
        x = random.integers(1, 6, (3, 5))
        x[random.random((3, 5)) < 0.4] = 0
        model = network(chain, (5,), "int32")
    weights = [numbers(w.shape) * 0.5 for w in model.weights]
    weights = [
        np.abs(value) + 0.5 if "variance" in w.path else value
        for w, value in zip(model.weights, weights, strict=True)
    ]
    model.set_weights(weights)
    y = numbers((3, *model.output_shape[1:]))
    # Keras weighs either samples or steps; with a mask of steps it has to be steps.
    counts = np.asarray(random.random(y.shape[:-1]).astype(np.float32), np.float64)
    options = {"metrics": ["mae"], "weighted_metrics": ["mse"]}
    model.compile(keras.optimizers.SGD(RATE), "mse", **options)
    outputs = np.asarray(model(x))
    found = {
        weighted: model.evaluate(
            x, y, sample_weight=counts if weighted else None, verbose=0, return_dict=True
        )
        for weighted in (False, True)
    }
    model.train_on_batch(x, y, sample_weight=counts)
    return {
        "name": name,
        "chain": chain,
        "x": x.tolist(),
        "y": y.tolist(),
        "sample_weight": counts.tolist(),
        "weights": [w.tolist() for w in weights],
        "outputs": outputs.tolist(),
        "plain": list(found[False].values()),
        "weighted": list(found[True].values()),
        "numbers": list(found[True]),
        "after": [np.asarray(w).tolist() for w in model.get_weights()],
    }


if __name__ == "__main__":
    keras.config.set_dtype_policy("float64")
    keras.config.set_floatx("float64")
    warnings.filterwarnings("error", message=".*mask", category=UserWarning)
    cases = [case(name, chain, k) for k, (name, chain) in enumerate(CHAINS.items())]
    about = {"keras": keras.__version__, "jax": jax.__version__, "rate": RATE}
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    write(TARGET, about, cases)
