"""The optimisers and schedules do what Keras's do; golden.json names its versions."""

import json
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.optim.names import registry

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text(encoding="utf-8"))
# Keras clips by norm in single precision, whatever the arrays are; so `clipped` is looser.
TOLERANCE = {"float64": 1e-11, "clipped": 1e-7, "float32": 1e-5}


def start(dtype):
    kernel = np.cos(np.arange(6.0)).reshape(2, 3)
    bias = np.array([0.5, -1.0, 2.0])
    return {"dense/kernel": kernel.astype(dtype), "dense/bias": bias.astype(dtype)}


def gradient(parameters, step):
    return {name: np.sin(3.0 * w) + 0.3 * np.cos(step + w) for name, w in parameters.items()}


def title(case):
    return case.get("dtype", "") + " " + case.get("optimizer", case.get("schedule"))


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
@pytest.mark.parametrize("case", GOLDEN["optimizers"], ids=title)
def test_twenty_updates_are_those_of_keras(case, compiled):
    optimizer = registry.look_up("optimizer", case["optimizer"])(**case["options"])
    dtype, parameters = case["dtype"], start(case["dtype"])
    by_norm = {"clipnorm", "global_clipnorm"} & set(case["options"])
    tolerance = TOLERANCE["clipped" if by_norm else dtype]

    def step(parameters, state, number):
        return optimizer.update(gradient(parameters, number), state, parameters)

    if compiled:
        step = cr.jit(step)
    state = optimizer.init(parameters)
    for number in range(20):
        kind = np.float32(number) if dtype == "float32" else float(number)
        parameters, state = step(parameters, state, kind)
        expected = case["after"].get(str(number + 1))
        if expected is not None:
            check(parameters, expected, dtype, tolerance)
    if "final" in case:
        check(optimizer.finalize(parameters, state), case["final"], dtype, tolerance)


def check(parameters, expected, dtype, tolerance):
    for name, values in expected.items():
        assert parameters[name].dtype == dtype
        np.testing.assert_allclose(parameters[name], values, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", GOLDEN["schedules"], ids=title)
def test_rates_are_those_of_keras(case):
    schedule = registry.look_up("schedule", case["schedule"])(**case["options"])
    plain = [float(schedule(step)) for step in range(40)]
    np.testing.assert_allclose(plain, case["values"], rtol=1e-12, atol=1e-17)
    traced = cr.jit(cr.vmap(schedule))(np.arange(40))
    np.testing.assert_allclose(traced, case["values"], rtol=1e-12, atol=1e-17)
