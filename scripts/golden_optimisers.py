"""Write tests/optim/golden.json: what Keras's optimisers and schedules do.

    KERAS_BACKEND=torch python scripts/golden_optimisers.py

Needs Keras 3 and PyTorch. Each case runs twenty updates of two arrays in float64 (a few also in
float32). The gradient depends on the parameters and on the step, by the formula in `gradient`, so
that every mistake is carried on.
"""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import torch

TARGET = Path(__file__).parents[1] / "tests" / "optim" / "golden.json"
STEPS = 20
KEPT = (1, 2, 3, 10, 20)  # the updates whose results are written

CASES = [
    ("SGD", {"learning_rate": 0.1}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.5, "weight_decay": 0.05}),
    ("SGD", {"learning_rate": 0.1, "clipvalue": 0.3}),
    ("SGD", {"learning_rate": 0.1, "clipnorm": 0.7}),
    ("SGD", {"learning_rate": 0.1, "global_clipnorm": 0.7}),
    ("SGD", {"learning_rate": 0.1, "gradient_accumulation_steps": 3, "clipnorm": 0.5}),
    ("SGD", {"learning_rate": 0.1, "use_ema": True, "ema_momentum": 0.8}),
    (
        "SGD",
        {"learning_rate": 0.1, "use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 4},
    ),
    ("Adagrad", {}),
    ("Adagrad", {"learning_rate": 0.1, "initial_accumulator_value": 0.5, "epsilon": 1e-3}),
    ("Adadelta", {}),
    ("Adadelta", {"learning_rate": 1.0, "rho": 0.9, "epsilon": 1e-3}),
    ("RMSprop", {}),
    ("RMSprop", {"learning_rate": 0.05, "rho": 0.8, "momentum": 0.5}),
    ("RMSprop", {"learning_rate": 0.05, "centered": True, "epsilon": 1e-3}),
    ("RMSprop", {"learning_rate": 0.05, "momentum": 0.9, "centered": True, "weight_decay": 0.1}),
    ("Adam", {}),
    ("Adam", {"learning_rate": 0.1, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3}),
    ("Adam", {"learning_rate": 0.1, "beta_2": 0.9, "amsgrad": True}),
    ("Adam", {"learning_rate": 0.1, "gradient_accumulation_steps": 4, "global_clipnorm": 0.5}),
    ("AdamW", {}),
    ("AdamW", {"learning_rate": 0.1, "weight_decay": 0.2, "amsgrad": True}),
    ("Adamax", {}),
    ("Adamax", {"learning_rate": 0.1, "beta_1": 0.8, "beta_2": 0.9}),
    ("Nadam", {}),
    ("Nadam", {"learning_rate": 0.1, "beta_1": 0.8, "beta_2": 0.9}),
]
SINGLE = ("SGD", "Adagrad", "RMSprop", "Adam", "AdamW", "Adamax", "Nadam")  # float32, defaults

SCHEDULES = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.5}),
    (
        "ExponentialDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.5, "staircase": True},
    ),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.5}),
    (
        "InverseTimeDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.5, "staircase": True},
    ),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 20}),
    (
        "PolynomialDecay",
        {
            "initial_learning_rate": 0.1,
            "decay_steps": 8,
            "end_learning_rate": 0.01,
            "power": 2.0,
            "cycle": True,
        },
    ),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 20, "alpha": 0.1}),
    (
        "CosineDecay",
        {
            "initial_learning_rate": 0.01,
            "decay_steps": 20,
            "warmup_target": 0.1,
            "warmup_steps": 5,
        },
    ),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 5}),
    (
        "CosineDecayRestarts",
        {
            "initial_learning_rate": 0.1,
            "first_decay_steps": 6,
            "t_mul": 1.5,
            "m_mul": 0.8,
            "alpha": 0.1,
        },
    ),
    (
        "CosineDecayRestarts",
        {"initial_learning_rate": 0.1, "first_decay_steps": 6, "t_mul": 1.0, "m_mul": 0.5},
    ),
    ("PiecewiseConstantDecay", {"boundaries": [5, 12], "values": [0.1, 0.05, 0.01]}),
]
SCHEDULE_STEPS = list(range(40))


def start():
    kernel = np.cos(np.arange(6.0)).reshape(2, 3)
    return {"dense/kernel": kernel, "dense/bias": np.array([0.5, -1.0, 2.0])}


def gradient(parameters, step):
    return {name: np.sin(3.0 * w) + 0.3 * np.cos(step + w) for name, w in parameters.items()}


def run(name, options, dtype):
    keras.config.set_floatx(dtype)
    optimizer = getattr(keras.optimizers, name)(**options)
    begin = start()
    variables = [
        keras.Variable(value.astype(dtype), dtype=dtype, name=path.replace("/", "_"))
        for path, value in begin.items()
    ]
    optimizer.build(variables)
    kept = {}
    for step in range(STEPS):
        now = {path: v.numpy() for path, v in zip(begin, variables, strict=True)}
        slopes = gradient(now, step)
        slopes = [torch.tensor(slopes[path].astype(dtype)) for path in begin]
        optimizer.apply(slopes, variables)
        if step + 1 in KEPT:
            kept[step + 1] = numbers(begin, variables)
    row = {"optimizer": name, "options": options, "dtype": dtype, "after": kept}
    if options.get("use_ema"):
        optimizer.finalize_variable_values(variables)
        row["final"] = numbers(begin, variables)
    return row


def numbers(paths, variables):
    return {path: v.numpy().tolist() for path, v in zip(paths, variables, strict=True)}


def rates(name, options):
    keras.config.set_floatx("float64")
    schedule = getattr(keras.optimizers.schedules, name)(**options)
    values = [float(schedule(np.int64(step))) for step in SCHEDULE_STEPS]
    return {"schedule": name, "options": options, "values": values}


def main():
    written = {
        "made with": {"keras": keras.__version__, "torch": torch.__version__},
        "optimizers": [run(name, options, "float64") for name, options in CASES]
        + [run(name, {}, "float32") for name in SINGLE],
        "schedules": [rates(name, options) for name, options in SCHEDULES],
    }
    TARGET.write_text(text_of(written), encoding="utf-8")


def text_of(written):
    """JSON with one case per line."""
    parts = []
    for name, value in written.items():
        rows = [f"  {json.dumps(row)}" for row in value] if isinstance(value, list) else None
        text = json.dumps(value) if rows is None else "[\n" + ",\n".join(rows) + "\n ]"
        parts.append(f" {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    main()
