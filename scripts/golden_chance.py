"""Write tests/nn/golden/chance.json: what PyTorch computes for Dropout, StochasticDepth, Maxout.

PyTorch drops by patterns of its own, which stand in the file: the test gives them to our layers.
StochasticDepth is the paper's formula (Huang and others, 2016, equations 2 and 5) and Maxout that
of Goodfellow and others (2013), both in PyTorch's operations. Outputs, and the gradients of
Σ output · cotangent in the input and the weights, in float64.

Run by hand, where PyTorch is installed:

    python scripts/golden_chance.py

The version used stands in the file, under "about".
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

TARGET = Path(__file__).parents[1] / "tests" / "nn" / "golden" / "chance.json"
RATES = (0.2, 0.5, 0.75)


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64).float().double().requires_grad_()


def finished(case: dict[str, Any], y: torch.Tensor, given: dict[str, torch.Tensor]) -> dict:
    """The case with its output and gradients."""
    cotangent = numbers(*y.shape).detach()
    slopes = torch.autograd.grad(torch.sum(y * cotangent), list(given.values()))
    arrays = {**given, "output": y, "cotangent": cotangent}
    arrays.update({f"slope of {name}": g for name, g in zip(given, slopes, strict=True)})
    return {**case, **{name: a.detach().tolist() for name, a in arrays.items()}}


def dropouts() -> list[dict[str, Any]]:
    cases = []
    for rate in RATES:
        x = numbers(4, 5)
        y, kept = torch.native_dropout(x, rate, True)
        case = {"layer": "Dropout", "arguments": {"rate": rate}, "kept": kept.double().tolist()}
        cases.append(finished(case, y, {"x": x}))
    for name, drop, shape in (
        ("SpatialDropout1D", functional.dropout1d, (3, 4, 5)),
        ("SpatialDropout2D", functional.dropout2d, (3, 4, 3, 2)),
    ):
        x = numbers(*shape)
        first = torch.movedim(x, -1, 1)  # PyTorch has the channels first
        y = torch.movedim(drop(first, 0.4, training=True), 1, -1)
        axes = tuple(range(1, x.ndim - 1))
        kept = (y != 0).double().amax(axes, keepdim=True)
        case = {"layer": name, "arguments": {"rate": 0.4}, "kept": kept.tolist()}
        cases.append(finished(case, y, {"x": x}))
    return cases


def depths() -> list[dict[str, Any]]:
    cases = []
    for mode, rows in (("batch", 1), ("row", 4)):
        for training in (True, False):
            for survival in RATES:
                x, kernel, bias = numbers(4, 3), numbers(3, 3), numbers(3)
                taken = torch.bernoulli(torch.full((rows, 1), survival, dtype=torch.float64))
                share = taken if training else survival
                y = x + share * torch.tanh(x @ kernel + bias)
                case = {
                    "layer": "StochasticDepth",
                    "arguments": {"survival": survival, "mode": mode},
                    "training": training,
                    "kept": taken.tolist(),
                }
                cases.append(finished(case, y, {"x": x, "kernel": kernel, "bias": bias}))
    return cases


def maxouts() -> list[dict[str, Any]]:
    cases = []
    for shape, units, pieces in (((4, 3), 2, 3), ((2, 4, 3), 3, 2), ((4, 2), 2, 1)):
        x, kernel = numbers(*shape), numbers(shape[-1], units * pieces)
        bias = numbers(units * pieces)
        z = (x @ kernel + bias).reshape(*shape[:-1], units, pieces)
        case = {"layer": "Maxout", "arguments": {"units": units, "pieces": pieces}}
        cases.append(finished(case, z.amax(-1), {"x": x, "kernel": kernel, "bias": bias}))
    return cases


if __name__ == "__main__":
    torch.manual_seed(0)
    cases = [*dropouts(), *depths(), *maxouts()]
    about = {"torch": torch.__version__}
    TARGET.write_text(json.dumps({"about": about, "cases": cases}) + "\n")
    sys.stdout.write(f"{len(cases)} cases, {TARGET.stat().st_size / 1e3:.0f} kB\n")
