"""Activations, losses, metrics, penalties and constraints agree with Keras and PyTorch.

The numbers come from scripts/golden_losses.py; their file names the versions.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.nn import activations, constraints, losses, metrics, regularizers
from chainrule.nn.initializer import compute_fans

GOLDEN = json.loads((Path(__file__).parent / "golden" / "losses.json").read_text(encoding="utf-8"))
INPUTS = {
    name: np.array(given["values"], given["dtype"]) for name, given in GOLDEN["inputs"].items()
}


def title(case: dict[str, Any]) -> str:
    """A name for a case that says what it is of."""
    parts = [case.get("class") or case["function"], *map(str, case["options"].values())]
    return "-".join([*parts, *filter(None, (case.get("labels"), case.get("weights")))])


def close(found: Any, expected: Any, scale: float = 1.0) -> None:
    """Equal to float32 rounding, of sums of numbers as large as `scale`."""
    assert np.shape(found) == np.shape(expected)
    np.testing.assert_allclose(found, expected, rtol=3e-6, atol=4e-7 * scale)


def run(function: Any, compiled: bool) -> Any:
    return cr.jit(function) if compiled else function


@pytest.mark.parametrize("case", GOLDEN["losses"], ids=title)
def test_losses(case: dict[str, Any]) -> None:
    loss = getattr(losses, case["class"])(**case["options"])
    labels, predictions = INPUTS[case["labels"]], INPUTS[case["predictions"]]
    weights = None if case["weights"] is None else INPUTS[case["weights"]]

    def total(p: Any) -> Any:
        return np.sum(loss(labels, p, weights))

    scale = max(1.0, float(np.max(np.abs(case["value"]))))
    with np.errstate(over="ignore"):
        close(loss(labels, predictions, weights), case["value"], scale)
        gradient = cr.grad(total)(predictions)
    assert gradient.dtype == np.float32
    close(gradient, case["gradient"], max(1.0, float(np.max(np.abs(case["gradient"])))))


def test_losses_compiled() -> None:
    """The compiled losses and gradients, all of one kind in one program."""
    chosen = [case for case in GOLDEN["losses"] if case["options"]["reduction"] == "mean"]

    def everything(arrays: dict[str, Any]) -> list[Any]:
        found = []
        for case in chosen:
            loss = getattr(losses, case["class"])(**case["options"])
            weights = None if case["weights"] is None else arrays[case["weights"]]

            def total(p: Any, loss: Any = loss, case: Any = case, weights: Any = weights) -> Any:
                return loss(arrays[case["labels"]], p, weights)

            found.append(cr.value_and_grad(total)(arrays[case["predictions"]]))
        return found

    for case, (value, gradient) in zip(chosen, cr.jit(everything)(INPUTS), strict=True):
        close(value, case["value"], max(1.0, abs(case["value"])))
        close(gradient, case["gradient"], max(1.0, float(np.max(np.abs(case["gradient"])))))


@pytest.mark.parametrize("compiled", [False, True], ids=["numpy", "compiled"])
@pytest.mark.parametrize("case", GOLDEN["activations"], ids=title)
def test_activations(case: dict[str, Any], compiled: bool) -> None:
    function = getattr(activations, case["function"])
    x = np.array(case["at"], np.float32)
    weights = np.linspace(-1, 1, x.size, dtype=np.float32).reshape(x.shape)

    def both(x: Any) -> Any:
        return (
            function(x, **case["options"]),
            cr.grad(lambda x: np.sum(weights * function(x, **case["options"])))(x),
        )

    value, gradient = run(both, compiled)(x)
    assert value.dtype == gradient.dtype == np.float32
    np.testing.assert_allclose(value, case["value"], rtol=4e-6, atol=1e-6)
    np.testing.assert_allclose(gradient, case["gradient"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", GOLDEN["metrics"], ids=title)
def test_metrics(case: dict[str, Any]) -> None:
    metric = getattr(metrics, case["class"])(**case["options"])
    labels, predictions = INPUTS[case["labels"]], INPUTS[case["predictions"]]
    weights = None if case["weights"] is None else INPUTS[case["weights"]]
    for part in (slice(0, 4), slice(4, None)):
        given = None if weights is None else weights[part]
        metric.update_state(labels[part], predictions[part], sample_weight=given)
    np.testing.assert_allclose(metric.result(), case["result"], rtol=2e-5, atol=2e-6)
    # The pure functions give the same.
    metric.build(predictions.shape)
    state = metric.init()
    for part in (slice(0, 4), slice(4, None)):
        given = None if weights is None else weights[part]
        state = metric.update(state, labels[part], predictions[part], weights=given)
    assert np.array_equal(metric.result(state), metric.result(), equal_nan=True)


@pytest.mark.parametrize("case", GOLDEN["regularizers"], ids=title)
def test_regularizers(case: dict[str, Any]) -> None:
    penalty = getattr(regularizers, case["class"])(**case["options"])
    value, gradient = cr.value_and_grad(penalty)(INPUTS["kernel"])
    assert value.dtype == gradient.dtype == np.float32
    close(value, case["value"])
    close(gradient, case["gradient"])


@pytest.mark.parametrize("case", GOLDEN["constraints"], ids=title)
def test_constraints(case: dict[str, Any]) -> None:
    constraint = getattr(constraints, case["class"])(**case["options"])
    close(constraint(INPUTS["kernel"]), case["value"])


@pytest.mark.parametrize("case", GOLDEN["fans"], ids=lambda case: str(case["shape"]))
def test_fans(case: dict[str, Any]) -> None:
    assert list(compute_fans(case["shape"])) == case["fans"]
