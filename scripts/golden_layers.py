"""Write tests/nn/golden/layers.npz: what Keras and PyTorch compute for layers of many options.

Outputs, and the gradients of Σ output · cotangent in inputs and weights. Both libraries compute in
float64 from numbers that float32 holds, and the results are rounded to float32.

Run by hand, where Keras, JAX and PyTorch are installed:

    KERAS_BACKEND=jax python scripts/golden_layers.py

The versions used stand in the file, under "about".
"""

from __future__ import annotations

import os
import sys
import zlib
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

import jax
import keras
import numpy as np
import torch
from golden_file import TARGET, File, numbers
from golden_layers_torch import torch_cases

# Keras turns some results of float64 back into float32, unless told not to.
keras.src.backend.common.dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"

# (layer, arguments, shapes of its inputs, options of the call). Of a mask the shape is given; for
# initial_state the layer, which says how many there are. Both are drawn.
Keras = tuple[str, dict[str, Any], list[tuple[int, ...]], dict[str, Any]]

PICTURE, VOLUME, STEPS = (2, 6, 5, 4), (1, 4, 5, 4, 2), (2, 7, 4)

PLAIN: list[Keras] = [
    ("Dense", {"units": 3, "activation": "tanh"}, [(4, 5)], {}),
    ("Dense", {"units": 3, "use_bias": False}, [(2, 3, 5)], {}),
    ("Flatten", {}, [PICTURE], {}),
    ("Flatten", {"data_format": "channels_first"}, [PICTURE], {}),
    ("Reshape", {"target_shape": (4, -1)}, [PICTURE], {}),
    ("Permute", {"dims": (3, 1, 2)}, [PICTURE], {}),
    ("RepeatVector", {"n": 3}, [(2, 4)], {}),
    ("Activation", {"activation": "softplus"}, [(3, 4)], {}),
    ("ReLU", {"max_value": 1.0, "negative_slope": 0.2, "threshold": 0.3}, [(3, 9)], {}),
    ("ReLU", {}, [(3, 4)], {}),
    ("LeakyReLU", {"negative_slope": 0.1}, [(3, 4)], {}),
    ("ELU", {"alpha": 0.7}, [(3, 4)], {}),
    ("Softmax", {}, [(3, 4)], {}),
    ("Softmax", {"axis": 1}, [(2, 4, 3)], {}),
    ("Embedding", {"input_dim": 6, "output_dim": 3}, [(2, 5)], {}),
    ("Add", {}, [(2, 3, 4), (2, 3, 4), (2, 1, 4)], {}),
    ("Add", {}, [(2, 3, 4), (2, 4)], {}),
    ("Subtract", {}, [(2, 3), (2, 3)], {}),
    ("Multiply", {}, [(2, 3), (2, 3), (2, 3)], {}),
    ("Average", {}, [(2, 3), (2, 3), (2, 3)], {}),
    ("Maximum", {}, [(2, 3), (2, 3)], {}),
    ("Minimum", {}, [(2, 3), (2, 3)], {}),
    ("Concatenate", {}, [(2, 3, 4), (2, 3, 1)], {}),
    ("Concatenate", {"axis": 1}, [(2, 3, 4), (2, 1, 4)], {}),
    ("Dot", {"axes": 1}, [(2, 3), (2, 3)], {}),
    ("Dot", {"axes": -1, "normalize": True}, [(2, 3), (2, 3)], {}),
    ("Dot", {"axes": (2, 1)}, [(2, 3, 4), (2, 4, 5)], {}),
    ("Dot", {"axes": (1, 2)}, [(2, 3, 4, 2), (2, 5, 3)], {}),
    ("Dot", {"axes": (2, 1)}, [(2, 3, 4), (2, 4)], {}),
    ("ZeroPadding1D", {"padding": (1, 2)}, [STEPS], {}),
    ("ZeroPadding2D", {"padding": (1, 2)}, [PICTURE], {}),
    ("ZeroPadding2D", {"padding": ((1, 0), (2, 1)), "data_format": "channels_first"},
     [PICTURE], {}),
    ("ZeroPadding3D", {"padding": ((1, 0), (0, 1), (2, 2))}, [VOLUME], {}),
    ("Cropping2D", {"cropping": ((1, 2), (0, 1))}, [PICTURE], {}),
    ("UpSampling2D", {"size": (2, 3)}, [PICTURE], {}),
    ("UpSampling2D", {"size": 2, "interpolation": "bilinear"}, [PICTURE], {}),
    ("UpSampling2D", {"size": (3, 2), "data_format": "channels_first"}, [PICTURE], {}),
]  # fmt: skip

NORMAL: list[Keras] = [
    ("BatchNormalization", {}, [(5, 4)], {}),
    ("BatchNormalization", {}, [(5, 4)], {"training": True}),
    ("BatchNormalization", {"axis": 1, "momentum": 0.9, "epsilon": 1e-2},
     [PICTURE], {"training": True}),
    ("BatchNormalization", {"scale": False}, [STEPS], {"training": True, "mask": (2, 7)}),
    ("BatchNormalization", {"center": False}, [PICTURE], {"training": True}),
    ("LayerNormalization", {}, [STEPS], {}),
    ("LayerNormalization", {"axis": (1, 2), "epsilon": 1e-5}, [STEPS], {}),
    ("LayerNormalization", {"axis": 1, "center": False}, [STEPS], {}),
    ("LayerNormalization", {"scale": False}, [STEPS], {}),
    ("GroupNormalization", {"groups": 2}, [PICTURE], {}),
    ("GroupNormalization", {"groups": -1}, [PICTURE], {}),
    ("GroupNormalization", {"groups": 1, "axis": 1, "scale": False}, [PICTURE], {}),
    ("RMSNormalization", {}, [STEPS], {}),
    ("RMSNormalization", {"epsilon": 1e-2}, [(3, 6)], {}),
]  # fmt: skip

ALL = {"return_sequences": True, "return_state": True}
RECURRENT: list[Keras] = [
    case
    for layer in ("SimpleRNN", "LSTM", "GRU")
    for case in (
        (layer, {"units": 3}, [(2, 5, 4)], {}),
        (layer, {"units": 3, **ALL}, [(2, 5, 4)], {"initial_state": layer}),
        (layer, {"units": 3, "go_backwards": True, **ALL}, [(2, 5, 4)], {}),
        (layer, {"units": 3, "return_sequences": True}, [(3, 5, 2)], {"mask": (3, 5)}),
        (layer, {"units": 3, "activation": "relu", "use_bias": False}, [(2, 3, 4)], {}),
        (layer, {"units": 3, "go_backwards": True}, [(3, 5, 2)], {"mask": (3, 5)}),
    )
] + [
    ("GRU", {"units": 3, "reset_after": False, **ALL}, [(2, 5, 4)], {}),
    ("LSTM", {"units": 3, "recurrent_activation": "hard_sigmoid"}, [(2, 5, 4)], {}),
    ("LSTM", {"units": 3, "unit_forget_bias": False}, [(1, 1, 4)], {}),
]
BOTH_WAYS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("LSTM", "concat", {}, {}),
    ("LSTM", "sum", ALL, {}),
    ("GRU", "mul", {"return_sequences": True}, {}),
    ("GRU", "ave", {"return_state": True}, {}),
    ("SimpleRNN", "concat", {"return_sequences": True}, {"mask": (2, 5)}),
    ("SimpleRNN", "concat", {}, {"mask": (2, 5)}),
]

ATTENTION: list[Keras] = [
    ("Attention", {}, [(2, 3, 4), (2, 5, 4)], {}),
    ("Attention", {"use_scale": True}, [(2, 3, 4), (2, 5, 6), (2, 5, 4)], {}),
    ("Attention", {"score_mode": "concat", "use_scale": True}, [(2, 3, 4), (2, 5, 4)], {}),
    ("Attention", {}, [(2, 4, 3), (2, 4, 3)], {"use_causal_mask": True}),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3}, [(2, 4, 6), (2, 4, 6)], {}),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, "value_dim": 5, "output_shape": 7},
     [(2, 4, 6), (2, 5, 4), (2, 5, 3)], {"return_attention_scores": True}),
    ("MultiHeadAttention", {"num_heads": 3, "key_dim": 2, "use_bias": False},
     [(2, 4, 6), (2, 4, 6)], {"use_causal_mask": True}),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3}, [(2, 4, 6), (2, 5, 6)],
     {"value_mask": (2, 5)}),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3}, [(2, 4, 6), (2, 5, 6)],
     {"attention_mask": (2, 4, 5)}),
]  # fmt: skip


def convolutions() -> list[Keras]:
    """Convolutions and poolings over their options."""
    found: list[Keras] = []
    inputs = {1: STEPS, 2: PICTURE, 3: VOLUME}

    def add(layer: str, rank: int, **arguments: Any) -> None:
        found.append((f"{layer}{rank}D" if "{}" not in layer else layer.format(f"{rank}D"),
                      arguments, [inputs[rank]], {}))  # fmt: skip

    for rank in (1, 2, 3):
        groups = 2
        size = {1: 3, 2: (3, 2), 3: (2, 3, 2)}[rank]
        add("Conv", rank, filters=4, kernel_size=size)
        add("Conv", rank, filters=4, kernel_size=size, padding="same", activation="relu")
        add("Conv", rank, filters=2, kernel_size=size, strides=2, padding="same", use_bias=False)
        add("Conv", rank, filters=2, kernel_size=2, strides=2)
        add("Conv", rank, filters=4, kernel_size=2, groups=groups, padding="same")
        for padding in ("valid", "same"):
            add("Conv", rank, filters=2, kernel_size=2, dilation_rate=2, padding=padding)
            add("Conv{}Transpose", rank, filters=3, kernel_size=size, padding=padding)
            add("Conv{}Transpose", rank, filters=3, kernel_size=3, strides=2, padding=padding)
            add("Conv{}Transpose", rank, filters=2, kernel_size=2, strides=3, padding=padding)
            add("MaxPooling", rank, pool_size=2, padding=padding)
            add("MaxPooling", rank, pool_size=3, strides=2, padding=padding)
            add("AveragePooling", rank, pool_size=2, padding=padding)
            add("AveragePooling", rank, pool_size=3, strides=2, padding=padding)
        add("Conv{}Transpose", rank, filters=2, kernel_size=3, strides=2, output_padding=1)
        add("Conv{}Transpose", rank, filters=2, kernel_size=3, strides=2, output_padding=1,
            padding="same")  # fmt: skip
        add("Conv{}Transpose", rank, filters=2, kernel_size=2, dilation_rate=2)
        for pool in ("GlobalAveragePooling", "GlobalMaxPooling"):
            add(pool, rank)
            add(pool, rank, keepdims=True)
    add("Conv", 1, filters=3, kernel_size=3, padding="causal")
    add("Conv", 1, filters=3, kernel_size=2, padding="causal", dilation_rate=2)
    for rank in (1, 2):
        for padding in ("valid", "same"):
            add("DepthwiseConv", rank, kernel_size=3, depth_multiplier=2, padding=padding)
            add("DepthwiseConv", rank, kernel_size=2, strides=2, padding=padding)
            add("SeparableConv", rank, filters=3, kernel_size=3, padding=padding)
            add("SeparableConv", rank, filters=3, kernel_size=2, strides=2, depth_multiplier=2,
                padding=padding)  # fmt: skip
        add("DepthwiseConv", rank, kernel_size=2, dilation_rate=2, use_bias=False)
    first = {"data_format": "channels_first"}
    add("Conv", 2, filters=4, kernel_size=2, padding="same", **first)
    add("Conv", 2, filters=3, kernel_size=2, strides=2, groups=3, **first)
    add("Conv{}Transpose", 2, filters=2, kernel_size=3, strides=2, padding="same", **first)
    add("DepthwiseConv", 2, kernel_size=2, padding="same", **first)
    add("SeparableConv", 2, filters=2, kernel_size=2, **first)
    add("MaxPooling", 2, pool_size=2, **first)
    add("AveragePooling", 2, pool_size=2, padding="same", **first)
    add("GlobalMaxPooling", 2, **first)
    return found


# ---- drawing -------------------------------------------------------------------------------------


def drawn_options(options: dict[str, Any], random: Any, units: int, batch: int) -> dict[str, Any]:
    """The options of a call: shapes of masks become masks, a layer's name its initial states."""
    found: dict[str, Any] = {}
    for name, value in options.items():
        if name.endswith("mask") and isinstance(value, tuple):
            found[name] = random.random(value) < 0.6
            found[name][..., 0] = True
        elif name == "initial_state":
            count = 2 if value == "LSTM" else 1
            found[name] = [numbers(random, (batch, units)) for _ in range(count)]
        else:
            found[name] = value
    return found


# ---- Keras ---------------------------------------------------------------------------------------


def keras_case(file: File, case: Keras) -> None:
    name, arguments, shapes, options = case
    random = np.random.default_rng(zlib.crc32(repr(case).encode()))
    layer = make(name, arguments)
    if name == "Embedding":
        inputs = [random.integers(0, arguments["input_dim"], shape) for shape in shapes]
    else:
        inputs = [numbers(random, shape) for shape in shapes]
    chosen = drawn_options(options, random, arguments.get("units", 0), shapes[0][0])
    run_keras(file, name, arguments, layer, inputs, chosen, random)


def make(name: str, arguments: dict[str, Any]) -> Any:
    return getattr(keras.layers, name)(**arguments, dtype="float64")


def run_keras(
    file: File, name: str, arguments: Any, layer: Any, inputs: Any, options: Any, random: Any
) -> None:
    several = name == "MultiHeadAttention"

    def call(trainable: Any, state: Any, xs: Any) -> Any:
        given = tuple(xs) if several else (xs if len(xs) > 1 else xs[0],)
        return layer.stateless_call(trainable, state, *given, **options)

    shapes = [x.shape for x in inputs]
    if several:
        layer.build(*(shapes if len(shapes) > 2 else [*shapes, shapes[1]]))
    else:
        layer.build(shapes if len(shapes) > 1 else shapes[0])
    for weight in layer.weights:
        value = numbers(random, weight.shape, 0.5)
        weight.assign(np.abs(value) + 0.5 if "variance" in weight.name else value)
    parameters = [np.array(w.value) for w in layer.trainable_variables]
    state = [np.array(w.value) for w in layer.non_trainable_variables]
    smooth = inputs[0].dtype.kind == "f"

    def listed(results: Any) -> list[Any]:
        return list(results) if isinstance(results, (list, tuple)) else [results]

    kinds = jax.eval_shape(lambda: listed(call(parameters, state, inputs)[0]))
    cotangents = [numbers(random, kind.shape) for kind in kinds]

    def loss(trainable: Any, xs: Any) -> Any:
        results, after = call(trainable, state, xs)
        found = listed(results)
        return sum((y * g).sum() for y, g in zip(found, cotangents, strict=True)), (found, after)

    slope = jax.grad(loss, argnums=(0, 1) if smooth else (0,), has_aux=True)
    slopes, (outputs, after) = jax.jit(slope)(parameters, inputs)
    file.add(
        "keras",
        name,
        arguments,
        options,
        inputs=inputs,
        parameters=parameters,
        state=[w for w in state if w.dtype.kind == "f"],
        state_after=[np.array(w) for w in after if w.dtype.kind == "f"],
        outputs=[np.array(y) for y in outputs],
        cotangents=cotangents,
        input_slopes=[np.array(x) for x in slopes[1]] if smooth else [],
        slopes=[np.array(x) for x in slopes[0]],
    )


def both_ways(file: File) -> None:
    for inner, mode, extra, options in BOTH_WAYS:
        random = np.random.default_rng(zlib.crc32(repr((inner, mode, extra)).encode()))
        arguments = {"inner": inner, "merge_mode": mode, "inner_arguments": {"units": 3, **extra}}
        layer = keras.layers.Bidirectional(
            make(inner, arguments["inner_arguments"]), merge_mode=mode, dtype="float64"
        )
        chosen = drawn_options(options, random, 3, 2)
        inputs = [numbers(random, (2, 5, 4))]
        run_keras(file, "Bidirectional", arguments, layer, inputs, chosen, random)


if __name__ == "__main__":
    keras.config.set_dtype_policy("float64")
    keras.config.set_floatx("float64")
    keras.config.set_epsilon(1e-7)
    file = File()
    for case in PLAIN + NORMAL + RECURRENT + ATTENTION:
        keras_case(file, case)
    for case in convolutions():
        try:
            keras_case(file, case)
        except (ValueError, RuntimeError, NotImplementedError) as error:
            sys.stderr.write(f"Keras refuses {case}: {str(error)[:90]}\n")
    both_ways(file)
    torch_cases(file)
    file.save(keras=keras.__version__, torch=torch.__version__)
    sys.stdout.write(f"{len(file.cases)} cases, {TARGET.stat().st_size / 1e6:.2f} MB\n")
