"""Dropout, StochasticDepth and Maxout: PyTorch's numbers for given patterns; shares by chance."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.nn import noise

CASES = json.loads((Path(__file__).parent / "golden" / "chance.json").read_text())["cases"]


def name_of(case: dict[str, Any]) -> str:
    said = "-".join(f"{k}={v}" for k, v in case["arguments"].items())
    return f"{case['layer']}-{said}-{'training' if case.get('training', True) else 'after'}"


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("case", CASES, ids=map(name_of, CASES))
def test_as_pytorch(case: dict[str, Any], compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if "kept" in case:
        pattern = np.array(case["kept"])

        def given(key: Any, share: float, shape: tuple[int, ...], dtype: Any) -> Any:
            assert tuple(shape) == pattern.shape
            return pattern.astype(dtype)

        monkeypatch.setattr(noise, "bernoulli", given)
    arguments = dict(case["arguments"], dtype="float64")
    if case["layer"] == "StochasticDepth":
        arguments["block"] = cr.nn.Dense(3, activation="tanh", dtype="float64")
    layer = getattr(cr.nn, case["layer"])(**arguments)
    x, cotangent = np.array(case["x"]), np.array(case["cotangent"])
    start = layer.init(0, x.shape[1:])["parameters"]
    parameters = {path: np.array(case[path.split("/")[-1]]) for path in start}

    def result(x: Any, parameters: Any) -> Any:
        variables = {"parameters": parameters, "state": {}}
        training = case.get("training", case["layer"] != "Maxout")
        y, _ = layer.apply(variables, x, training=training, seed=1)
        return np.sum(y * cotangent), y

    slope = cr.grad(result, argnums=(0, 1), has_aux=True)
    (by_x, by_weight), y = (cr.jit(slope) if compiled else slope)(x, parameters)
    close = {"rtol": 1e-12, "atol": 1e-12}
    np.testing.assert_allclose(y, case["output"], **close)
    np.testing.assert_allclose(by_x, case["slope of x"], **close)
    for path, found in by_weight.items():
        np.testing.assert_allclose(found, case[f"slope of {path.split('/')[-1]}"], **close)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_share_that_is_dropped(rate: float) -> None:
    count = 200_000
    x = np.ones((2, count // 2), np.float32)
    y, _ = cr.nn.Dropout(rate).apply({"parameters": {}}, x, training=True, seed=3)
    kept = np.count_nonzero(y) / count
    spread = math.sqrt(rate * (1 - rate) / count)
    assert abs(kept - (1 - rate)) < 5 * spread
    np.testing.assert_array_equal(np.unique(y), np.float32([0, 1 / (1 - rate)]))
    # Entries side by side, and rows, are independent of each other.
    left_out = y == 0
    for pair in (left_out[:, 1:] & left_out[:, :-1], left_out[:1] & left_out[1:]):
        assert abs(np.mean(pair) - rate**2) < 5 * math.sqrt(rate**2 / pair.size)


def test_the_share_of_blocks_that_take_part() -> None:
    block = cr.nn.StochasticDepth(cr.nn.Activation("linear"), 0.7, mode="row")
    x = np.ones((40_000, 1), np.float32)
    y, _ = block.apply({"parameters": {}}, x, training=True, seed=0)
    assert sorted(np.unique(y)) == [1.0, 2.0]
    assert abs(np.mean(y) - 1.7) < 5 * math.sqrt(0.21 / len(x))
