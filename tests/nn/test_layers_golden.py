"""Outputs, states and gradients are those of Keras and PyTorch, over the options."""

from __future__ import annotations

import json
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr

SOURCE = Path(__file__).parent / "golden" / "layers.npz"


def load() -> list[dict[str, Any]]:
    """All cases, their arrays in place: a case's "inputs", "outputs" … are lists or dicts."""
    with np.load(SOURCE, allow_pickle=False) as file:
        about = json.loads(zlib.decompress(file["about"].tobytes()))
        layout = json.loads(zlib.decompress(file["layout"].tobytes()))
        data = file["data"].tobytes()
    arrays, start = {}, 0
    for name, (dtype, shape) in layout.items():
        end = start + math.prod(shape) * np.dtype(dtype).itemsize
        arrays[name] = np.frombuffer(data[start:end], dtype).reshape(shape)
        start = end
    cases = []
    for number, case in enumerate(about["cases"]):
        found = {}
        for key, value in case.items():
            if isinstance(value, list):
                group = {
                    name: arrays[f"{number}/{key}/{name}/0"]
                    if count is None
                    else [arrays[f"{number}/{key}/{name}/{i}"] for i in range(count)]
                    for name, count in value
                }
                found[key] = group if key == "options" else list(group.values())
            else:
                found[key] = value
        cases.append(found)
    return cases


def layer_of(case: dict[str, Any], dtype: str) -> Any:
    """The layer of a case."""
    arguments = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in case["arguments"].items()
    }
    if case["layer"] == "Bidirectional":
        inner = getattr(cr.nn, arguments["inner"])(**arguments["inner_arguments"], dtype=dtype)
        return cr.nn.Bidirectional(inner, arguments["merge_mode"], dtype=dtype)
    return getattr(cr.nn, case["layer"])(**arguments, dtype=dtype)


def name_of(case: dict[str, Any]) -> str:
    """A name for a test."""
    said = "-".join(f"{k}={v}" for k, v in case["arguments"].items())
    more = "-".join([*case["plain"], *case["options"]])
    shapes = "x".join(str(x.shape).replace(" ", "") for x in case["inputs"])
    return f"{case['source']}-{case['layer']}-{said}-{more}-{shapes}"


CASES = load()
TOLERANCE = {"float32": 3e-5, "float64": 2e-6}


def as_dtype(values: Any, dtype: str) -> Any:
    if isinstance(values, dict):
        return {name: as_dtype(value, dtype) for name, value in values.items()}
    if isinstance(values, list):
        return [as_dtype(value, dtype) for value in values]
    return values.astype(dtype) if values.dtype.kind == "f" else values


def agree(found: Any, expected: Any, dtype: str, what: str) -> None:
    expected = np.asarray(expected)
    assert found.shape == expected.shape, what
    assert found.dtype == dtype, what
    tolerance = TOLERANCE[dtype]
    scale = max(1.0, float(np.max(np.abs(expected), initial=0.0)))
    np.testing.assert_allclose(
        found, expected, rtol=tolerance, atol=tolerance * scale, err_msg=what
    )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CASES, ids=map(name_of, CASES))
def test_golden(case: dict[str, Any], dtype: str) -> None:
    layer = layer_of(case, dtype)
    inputs = as_dtype(case["inputs"], dtype)
    shapes = [x.shape[1:] for x in inputs]
    options = {**case["plain"], **as_dtype(case["options"], dtype)}
    training = options.pop("training", False)
    several = case["layer"] != "MultiHeadAttention"

    def called(*xs: Any) -> Any:
        return (
            layer(list(xs) if len(xs) > 1 and several else xs[0], **options)
            if (several or len(xs) == 1)
            else layer(*xs, **options)
        )

    class Call(cr.nn.Layer):
        """The layer with the options of this case."""

        def __init__(self) -> None:
            super().__init__(dtype=dtype, autocast=False)
            self.part = layer

        def call(self, *xs: Any) -> Any:
            return called(*xs)

    whole = Call()
    variables = layer.init(0, shapes[0] if len(shapes) == 1 else shapes)
    names = {group: list(variables[group]) for group in variables}
    given = {
        group: {
            f"part/{name}": value.astype(dtype)
            for name, value in zip(names[group], case[group], strict=True)
        }
        for group in names
    }
    cotangents = as_dtype(case["cotangents"], dtype)

    def run(parameters: Any, xs: Any) -> Any:
        y, state = whole.apply({**given, "parameters": parameters}, *xs, training=training)
        return (list(y) if isinstance(y, (tuple, list)) else [y]), state

    outputs, state = (run if dtype == "float64" else cr.jit(run))(given["parameters"], inputs)
    assert len(outputs) == len(case["outputs"])
    for found, expected in zip(outputs, case["outputs"], strict=True):
        agree(found, expected, dtype, "output")
    for found, expected in zip(state.values(), case["state_after"], strict=True):
        agree(found, expected, dtype, "state")

    def loss(parameters: Any, xs: Any) -> Any:
        found, _ = run(parameters, xs)
        return sum(np.sum(y * g) for y, g in zip(found, cotangents, strict=True))

    smooth = all(x.dtype.kind == "f" for x in inputs)
    slopes = cr.grad(loss, argnums=(0, 1) if smooth else (0,))
    found = (slopes if dtype == "float64" else cr.jit(slopes))(given["parameters"], inputs)
    for name, expected in zip(given["parameters"], case["slopes"], strict=True):
        agree(found[0][name], expected, dtype, name)
    if smooth:
        for i, expected in enumerate(case["input_slopes"]):
            agree(found[1][i], expected, dtype, f"slope of input {i}")
