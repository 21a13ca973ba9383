"""Golden values for activations, losses, metrics, penalties and constraints.

Run it where PyTorch and Keras are installed; the file it writes names their versions, and the tests
read it. Made with PyTorch 2.13.0 and Keras 3.15.1 on its PyTorch backend:

    python scripts/golden_losses.py tests/nn/golden/losses.json
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import torch
import torch.nn.functional as F

ROWS, CLASSES = 6, 4


def inputs() -> dict[str, np.ndarray]:
    """The arrays that all cases are made of; float32 but for labels."""
    random = np.random.default_rng(20)
    logits = 3 * random.standard_normal((ROWS, CLASSES))
    logits[0] = [90.0, -90.0, 30.0, 0.0]  # where exponentials overflow or vanish
    logits[1] = [0.0, 0.0, 0.0, 0.0]
    positive = np.exp(random.standard_normal((ROWS, CLASSES)))
    probabilities = positive / positive.sum(axis=1, keepdims=True)
    probabilities[0] = [1.0, 0.0, 0.0, 0.0]
    chances = random.random((ROWS, CLASSES))
    chances[0] = [1.0, 0.0, 1.0, 0.0]
    classes = random.integers(0, CLASSES, ROWS)
    classes[3] = 2
    floats = {
        "logits": logits,
        "numbers": 2 * random.standard_normal((ROWS, CLASSES)),
        "other_numbers": 2 * random.standard_normal((ROWS, CLASSES)),
        "positive": positive,
        "other_positive": np.exp(random.standard_normal((ROWS, CLASSES))),
        "probabilities": probabilities,
        "other_probabilities": random.dirichlet(np.ones(CLASSES), ROWS),
        "chances": chances,
        "one_hot": np.eye(CLASSES)[classes],
        "weights": random.random(ROWS) + 0.25,
        "pixel_logits": random.standard_normal((2, 3, 2, CLASSES)),
        "grid": np.concatenate([np.linspace(-6.1, 6.3, 41), [-100.0, -20.0, 20.0, 100.0]]),
        "column": random.standard_normal((ROWS, 1)),
        "other_column": random.standard_normal((ROWS, 1)),
        "kernel": random.standard_normal((3, 4)),
    }
    return {
        **{name: array.astype(np.float32) for name, array in floats.items()},
        "classes": classes,
        "bits": random.integers(0, 2, (ROWS, CLASSES)),
        "signs": 2 * random.integers(0, 2, (ROWS, CLASSES)) - 1,
        "pixel_classes": random.integers(0, CLASSES, (2, 3, 2)),
    }


def with_gradient(function: Callable[[Any], Any], point: np.ndarray) -> dict[str, Any]:
    """A function's value and the gradient of its sum."""
    x = torch.tensor(point, requires_grad=True)
    value = function(x)
    (gradient,) = torch.autograd.grad(value.sum(), x)
    return {"value": as_list(value), "gradient": as_list(gradient)}


def as_list(value: Any) -> Any:
    """Nested lists, each float32 by its shortest text."""
    array = value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    if array.dtype.kind != "f":
        return array.tolist()
    if array.ndim:
        return [as_list(part) for part in array]
    return float(str(array[()]))


# ---- losses --------------------------------------------------------------------------------------

SMOOTHED = ({}, {"label_smoothing": 0.2})
FROM = (("chances", {}), ("logits", {"from_logits": True}))
REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none")


def keras_losses() -> list[tuple[str, dict[str, Any], str, str]]:
    """(class, options, labels, predictions) of everything that Keras has too."""
    cases: list[tuple[str, dict[str, Any], str, str]] = [
        ("MeanSquaredError", {}, "numbers", "other_numbers"),
        ("MeanAbsoluteError", {}, "numbers", "other_numbers"),
        ("MeanAbsolutePercentageError", {}, "numbers", "other_numbers"),
        ("MeanSquaredLogarithmicError", {}, "positive", "other_positive"),
        ("Huber", {}, "numbers", "other_numbers"),
        ("Huber", {"delta": 0.3}, "numbers", "other_numbers"),
        ("LogCosh", {}, "numbers", "logits"),
        ("CosineSimilarity", {}, "numbers", "other_numbers"),
        ("CosineSimilarity", {"axis": 0}, "numbers", "other_numbers"),
        ("KLDivergence", {}, "probabilities", "other_probabilities"),
        ("Poisson", {}, "positive", "other_positive"),
        ("Hinge", {}, "signs", "numbers"),
        ("Hinge", {}, "bits", "numbers"),
        ("SquaredHinge", {}, "signs", "numbers"),
        ("CategoricalHinge", {}, "one_hot", "numbers"),
    ]
    for predictions, options in FROM:
        for smoothing in SMOOTHED:
            both = {**options, **smoothing}
            cases.append(("BinaryCrossentropy", both, "bits", predictions))
            cases.append(("CategoricalCrossentropy", both, "one_hot", _several(predictions)))
        # Keras goes through probabilities here, and so loses the gradient of large logits.
        mild = "numbers" if predictions == "logits" else predictions
        cases.append(("BinaryFocalCrossentropy", options, "bits", mild))
        balanced = {"apply_class_balancing": True, "alpha": 0.4, "gamma": 3.0, **options}
        cases.append(("BinaryFocalCrossentropy", balanced, "bits", mild))
        cases.append(("SparseCategoricalCrossentropy", options, "classes", _several(predictions)))
        ignoring = {"ignore_class": 2, **options}
        cases.append(("SparseCategoricalCrossentropy", ignoring, "classes", _several(predictions)))
    pixels = {"from_logits": True, "ignore_class": 1}
    cases.append(("SparseCategoricalCrossentropy", pixels, "pixel_classes", "pixel_logits"))
    soft = {"from_logits": True}
    cases.append(("CategoricalCrossentropy", soft, "other_probabilities", "logits"))
    return cases


def _several(predictions: str) -> str:
    return "probabilities" if predictions == "chances" else predictions


def losses(arrays: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    made = []
    for name, options, labels, predictions in keras_losses():
        per_row = labels != "pixel_classes" and options.get("axis") != 0
        for reduction in REDUCTIONS if name == "MeanSquaredError" else ("none", "mean"):
            for weights in (None, "weights") if per_row else (None,):
                loss = getattr(keras.losses, name)(reduction=reduction, **options)
                weight = None if weights is None else torch.tensor(arrays[weights])
                found = with_gradient(
                    lambda p, loss=loss, labels=labels, weight=weight: loss(
                        torch.tensor(arrays[labels]), p, sample_weight=weight
                    ),
                    arrays[predictions],
                )
                made.append(
                    {
                        "class": name,
                        "options": {**options, "reduction": reduction},
                        "labels": labels,
                        "predictions": predictions,
                        "weights": weights,
                        "by": "keras",
                        **found,
                    }
                )
    return made + torch_losses(arrays)


def torch_losses(arrays: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """What PyTorch has, and Keras has not or has under other rules."""
    t = {name: torch.tensor(array) for name, array in arrays.items()}
    k = CLASSES
    cases: list[tuple[str, dict[str, Any], str, str, Callable[[Any], Any]]] = [
        ("SquaredError", {}, "numbers", "other_numbers",
         lambda p: 0.5 * F.mse_loss(p, t["numbers"], reduction="none").sum(-1)),
        ("SquaredError", {"half": False}, "numbers", "other_numbers",
         lambda p: F.mse_loss(p, t["numbers"], reduction="none").sum(-1)),
        ("MeanAbsoluteError", {}, "numbers", "other_numbers",
         lambda p: F.l1_loss(p, t["numbers"], reduction="none").mean(-1)),
        ("Huber", {"delta": 0.7}, "numbers", "other_numbers",
         lambda p: F.huber_loss(p, t["numbers"], reduction="none", delta=0.7).mean(-1)),
        ("SparseCategoricalCrossentropy", {"from_logits": True}, "classes", "logits",
         lambda p: F.cross_entropy(p, t["classes"], reduction="none")),
        ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1},
         "one_hot", "logits",
         lambda p: F.cross_entropy(p, t["classes"], reduction="none", label_smoothing=0.1)),
        ("BinaryCrossentropy", {"from_logits": True}, "bits", "logits",
         lambda p: F.binary_cross_entropy_with_logits(
             p, t["bits"].float(), reduction="none").mean(-1)),
        ("NegativeLogLikelihood", {}, "bits", "logits",
         lambda p: F.binary_cross_entropy_with_logits(
             p, t["bits"].float(), reduction="none").mean(-1)),
        ("NegativeLogLikelihood", {"labels": [-1, 1]}, "signs", "numbers",
         lambda p: F.soft_margin_loss(p, t["signs"].float(), reduction="none").mean(-1)),
        # PyTorch divides by the number of classes.
        ("MulticlassHinge", {}, "classes", "numbers",
         lambda p: k * F.multi_margin_loss(p, t["classes"], reduction="none")),
        ("MulticlassHinge", {"margin": 0.5}, "classes", "numbers",
         lambda p: k * F.multi_margin_loss(p, t["classes"], reduction="none", margin=0.5)),
    ]  # fmt: skip
    return [
        {
            "class": name,
            "options": {**options, "reduction": "none"},
            "labels": labels,
            "predictions": predictions,
            "weights": None,
            "by": "torch",
            **with_gradient(function, arrays[predictions]),
        }
        for name, options, labels, predictions, function in cases
    ]


# ---- activations ---------------------------------------------------------------------------------


def activations(arrays: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    names = """linear sigmoid hard_sigmoid tanh relu leaky_relu elu selu gelu softplus softsign silu
        exponential mish relu6""".split()
    options: dict[str, tuple[dict[str, Any], ...]] = {
        "relu": ({}, {"negative_slope": 0.3}, {"max_value": 2.0}, {"threshold": 1.0},
                 {"negative_slope": 0.3, "max_value": 2.0, "threshold": 1.0}),
        "leaky_relu": ({"negative_slope": 0.1}, {"negative_slope": 0.25}),
        "elu": ({}, {"alpha": 0.5}),
        "gelu": ({"approximate": False}, {"approximate": True}),
    }  # fmt: skip
    cases = [(name, given, "grid") for name in names for given in options.get(name, ({},))]
    for axis in (-1, 0):
        cases += [("softmax", {"axis": axis}, "logits"), ("log_softmax", {"axis": axis}, "logits")]
    made = []
    for name, given, at in cases:
        point = np.clip(arrays[at], -80, 80) if name == "exponential" else arrays[at]
        function = getattr(keras.activations, name)
        # Weighted, because the sum of a softmax is flat.
        weights = torch.linspace(-1, 1, point.size).reshape(point.shape)
        x = torch.tensor(point, requires_grad=True)
        value = function(x, **given)
        (gradient,) = torch.autograd.grad((value * weights).sum(), x)
        made.append(
            {
                "function": name,
                "options": given,
                "at": as_list(point),
                "value": as_list(value),
                "gradient": as_list(gradient),
            }
        )
    return made


# ---- metrics -------------------------------------------------------------------------------------


def metrics(arrays: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Results after two batches, with and without weights."""
    cases: list[tuple[str, dict[str, Any], str, str]] = [
        ("Accuracy", {}, "bits", "signs"),
        ("BinaryAccuracy", {}, "bits", "chances"),
        ("BinaryAccuracy", {"threshold": 0.3}, "bits", "chances"),
        ("CategoricalAccuracy", {}, "one_hot", "logits"),
        ("SparseCategoricalAccuracy", {}, "classes", "numbers"),
        ("TopKCategoricalAccuracy", {"k": 2}, "one_hot", "numbers"),
        ("SparseTopKCategoricalAccuracy", {"k": 2}, "classes", "numbers"),
        ("MeanSquaredError", {}, "numbers", "other_numbers"),
        ("RootMeanSquaredError", {}, "numbers", "other_numbers"),
        ("MeanAbsoluteError", {}, "numbers", "other_numbers"),
        ("MeanAbsolutePercentageError", {}, "numbers", "other_numbers"),
        ("MeanSquaredLogarithmicError", {}, "positive", "other_positive"),
        ("LogCosh", {}, "numbers", "other_numbers"),
        ("CosineSimilarity", {}, "numbers", "other_numbers"),
        ("KLDivergence", {}, "other_probabilities", "probabilities"),
        ("Poisson", {}, "positive", "other_positive"),
        ("Hinge", {}, "signs", "numbers"),
        ("SquaredHinge", {}, "signs", "numbers"),
        ("CategoricalHinge", {}, "one_hot", "numbers"),
        ("BinaryCrossentropy", {"from_logits": True}, "bits", "numbers"),
        ("CategoricalCrossentropy", {"label_smoothing": 0.1}, "one_hot", "probabilities"),
        ("SparseCategoricalCrossentropy", {"from_logits": True}, "classes", "logits"),
        ("Precision", {}, "bits", "chances"),
        ("Precision", {"thresholds": [0.2, 0.5, 0.8]}, "bits", "chances"),
        ("Precision", {"top_k": 2}, "bits", "chances"),
        ("Precision", {"class_id": 1}, "bits", "chances"),
        ("Recall", {}, "bits", "chances"),
        ("Recall", {"top_k": 2, "class_id": 3}, "bits", "chances"),
        ("R2Score", {}, "numbers", "other_numbers"),
        ("R2Score", {"class_aggregation": None}, "numbers", "other_numbers"),
        ("R2Score", {"class_aggregation": "variance_weighted_average"},
         "numbers", "other_numbers"),
        # Keras counts outputs as samples when it adjusts for regressors; of one output it's right.
        ("R2Score", {"num_regressors": 2}, "column", "other_column"),
        ("F1Score", {}, "one_hot", "probabilities"),
        ("F1Score", {"average": "macro", "threshold": 0.4}, "bits", "chances"),
        ("FBetaScore", {"average": "micro", "beta": 2.0, "threshold": 0.4}, "bits", "chances"),
        ("FBetaScore", {"average": "weighted", "beta": 0.5}, "one_hot", "other_probabilities"),
        ("AUC", {}, "bits", "chances"),
        ("AUC", {"curve": "PR"}, "bits", "chances"),
        ("AUC", {"curve": "PR", "summation_method": "minoring", "num_thresholds": 11},
         "bits", "chances"),
        ("AUC", {"summation_method": "majoring", "thresholds": [0.25, 0.6]}, "bits", "chances"),
        ("AUC", {"multi_label": True, "label_weights": [1.0, 2.0, 1.0, 0.5]}, "bits", "chances"),
        ("AUC", {"from_logits": True}, "bits", "numbers"),
    ]  # fmt: skip
    made = []
    for name, options, labels, predictions in cases:
        for weights in (None, "weights"):
            theirs = "LogCoshError" if name == "LogCosh" else name
            metric = getattr(keras.metrics, theirs)(**options)
            for part in (slice(0, 4), slice(4, None)):
                given = {} if weights is None else {"sample_weight": arrays[weights][part]}
                metric.update_state(arrays[labels][part], arrays[predictions][part], **given)
            made.append(
                {
                    "class": name,
                    "options": options,
                    "labels": labels,
                    "predictions": predictions,
                    "weights": weights,
                    "result": as_list(metric.result()),
                }
            )
    return made


# ---- penalties, constraints, fans ----------------------------------------------------------------


def penalties(arrays: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    cases: list[tuple[str, dict[str, Any]]] = [
        ("L1", {}),
        ("L2", {"l2": 0.3}),
        ("L1L2", {"l1": 0.2, "l2": 0.1}),
        ("OrthogonalRegularizer", {}),
        ("OrthogonalRegularizer", {"factor": 0.5, "mode": "columns"}),
    ]
    return [
        {
            "class": name,
            "options": options,
            **with_gradient(getattr(keras.regularizers, name)(**options), arrays["kernel"]),
        }
        for name, options in cases
    ]


def constraints(arrays: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    cases: list[tuple[str, dict[str, Any]]] = [
        ("MaxNorm", {"max_value": 1.0}),
        ("NonNeg", {}),
        ("UnitNorm", {"axis": 1}),
        ("MinMaxNorm", {"min_value": 0.5, "max_value": 1.5, "rate": 0.7}),
    ]
    return [
        {
            "class": name,
            "options": options,
            "value": as_list(getattr(keras.constraints, name)(**options)(arrays["kernel"])),
        }
        for name, options in cases
    ]


def fans() -> list[dict[str, Any]]:
    compute = keras.src.initializers.random_initializers.compute_fans
    shapes = [(), (7,), (3, 5), (4, 3, 5), (3, 3, 16, 32), (2, 3, 4, 5, 6)]
    return [{"shape": list(shape), "fans": list(compute(shape))} for shape in shapes]


def main(path: Path) -> None:
    torch.manual_seed(0)
    arrays = inputs()
    golden = {
        "versions": {
            "keras": keras.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "inputs": {
            name: {"dtype": array.dtype.name, "values": as_list(array)}
            for name, array in arrays.items()
        },
        "losses": losses(arrays),
        "activations": activations(arrays),
        "metrics": metrics(arrays),
        "regularizers": penalties(arrays),
        "constraints": constraints(arrays),
        "fans": fans(),
    }
    lines = []
    for key, part in golden.items():
        items = part.items() if isinstance(part, dict) else enumerate(part)
        rows = [
            f"{json.dumps(k)}: {json.dumps(v)}" if isinstance(part, dict) else json.dumps(v)
            for k, v in items
        ]
        opening, closing = "{}" if isinstance(part, dict) else "[]"
        lines.append(f"{json.dumps(key)}: {opening}\n" + ",\n".join(rows) + f"\n{closing}")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
