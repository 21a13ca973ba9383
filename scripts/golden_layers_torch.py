"""What PyTorch computes for layers that Keras has too, its weights written as ours."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import torch
from golden_file import File, numbers

ALL = {"return_sequences": True, "return_state": True}

# A weight of ours as a function of PyTorch's; its slope is the same function of the slopes.
Ours = list[tuple[Any, tuple[str, ...]]]


def torch_case(
    file: File,
    layer: str,
    arguments: dict[str, Any],
    module: torch.nn.Module,
    shapes: list[tuple[int, ...]],
    ours: Ours,
    call: Any = None,
) -> None:
    random = np.random.default_rng(zlib.crc32(repr((layer, arguments, shapes)).encode()))
    module = module.double()
    weights = dict(module.named_parameters())
    with torch.no_grad():
        for weight in weights.values():
            spread = 0.5 if weight.requires_grad else 0.0
            weight.copy_(torch.tensor(numbers(random, tuple(weight.shape), spread)))
    inputs = [numbers(random, shape) for shape in shapes]
    tensors = [torch.tensor(x, requires_grad=True) for x in inputs]
    results = (call or module)(*tensors)
    outputs = list(results) if isinstance(results, (list, tuple)) else [results]
    cotangents = [numbers(random, tuple(y.shape)) for y in outputs]
    sum((y * torch.tensor(g)).sum() for y, g in zip(outputs, cotangents, strict=True)).backward()
    values = {name: w.detach().numpy() for name, w in weights.items()}
    slopes = {name: w.grad.numpy() for name, w in weights.items() if w.requires_grad}
    file.add(
        "torch",
        layer,
        arguments,
        {},
        inputs=inputs,
        parameters=[change(*(values[name] for name in names)) for change, names in ours],
        state=[],
        state_after=[],
        outputs=[y.detach().numpy() for y in outputs],
        cotangents=cotangents,
        input_slopes=[x.grad.numpy() for x in tensors],
        slopes=[change(*(slopes[name] for name in names)) for change, names in ours],
    )


def same(x: np.ndarray) -> np.ndarray:
    return x


def kernel(x: np.ndarray) -> np.ndarray:
    """(filters, channels, *size), or for a transpose (channels, filters, *size), as ours."""
    return np.moveaxis(x, (0, 1), (-1, -2))


def by_gate(order: tuple[int, ...]) -> Any:
    """Rows of gates in PyTorch's order as columns in ours."""
    return lambda x: np.concatenate([np.split(x, len(order))[i] for i in order]).T


def torch_cases(file: File) -> None:
    nn, first = torch.nn, {"data_format": "channels_first"}
    picture, bias = (2, 4, 7, 6), (same, ("bias",))
    torch_case(
        file,
        "Dense",
        {"units": 3},
        nn.Linear(5, 3),
        [(4, 5)],
        [(np.transpose, ("weight",)), bias],
    )
    for more, ours in (
        ({}, {}),
        ({"stride": 2}, {"strides": 2}),
        ({"groups": 2}, {"groups": 2}),
        ({"dilation": 2}, {"dilation_rate": 2}),
    ):
        torch_case(
            file,
            "Conv2D",
            {"filters": 6, "kernel_size": (3, 2), **ours, **first},
            nn.Conv2d(4, 6, (3, 2), **more),
            [picture],
            [(kernel, ("weight",)), bias],
        )
        if "groups" not in more:
            # Ours, as Keras's, is at least stride long; the windows here are longer.
            torch_case(
                file,
                "Conv2DTranspose",
                {"filters": 3, "kernel_size": (3, 2), **ours, **first},
                nn.ConvTranspose2d(4, 3, (3, 2), **more),
                [picture],
                [(kernel, ("weight",)), bias],
            )
    for pool, ours in ((nn.MaxPool2d, "MaxPooling2D"), (nn.AvgPool2d, "AveragePooling2D")):
        arguments = {"pool_size": 3, "strides": 2, **first}
        torch_case(file, ours, arguments, pool(3, 2), [picture], [])
    affine: Ours = [(same, ("weight",)), bias]
    torch_case(file, "LayerNormalization", {"epsilon": 1e-5}, nn.LayerNorm(6), [(3, 4, 6)], affine)
    torch_case(
        file,
        "GroupNormalization",
        {"groups": 2, "axis": 1, "epsilon": 1e-5},
        nn.GroupNorm(2, 4),
        [picture],
        affine,
    )
    torch_case(
        file,
        "RMSNormalization",
        {"epsilon": 1e-5},
        nn.RMSNorm(6, 1e-5),
        [(3, 6)],
        [(same, ("weight",))],
    )
    torch_case(
        file,
        "LocalResponseNormalization",
        {"size": 5, "alpha": 0.2, "beta": 0.75, "k": 2.0, **first},
        nn.LocalResponseNorm(5, 0.2 * 5, 0.75, 2.0),
        [(2, 8, 3, 2)],
        [],
    )

    def in_order(module: Any) -> Any:
        def call(x: Any) -> Any:
            y, states = module(x)
            states = states if isinstance(states, tuple) else (states,)
            return y, *(state[0] for state in states)

        return call

    both = ("bias_ih_l0", "bias_hh_l0")
    everything = {"units": 3, **ALL}
    lstm, gru = nn.LSTM(4, 3, batch_first=True), nn.GRU(4, 3, batch_first=True)
    plain = nn.RNN(4, 3, batch_first=True)
    for name, module, order, biased in (
        # One bias of ours stands for two of theirs: the second stays 0.
        ("LSTM", lstm, (0, 1, 2, 3), None),
        ("SimpleRNN", plain, (0,), None),
        ("GRU", gru, (1, 0, 2), lambda x, y: np.stack([by_gate((1, 0, 2))(b) for b in (x, y)])),
    ):
        if biased is None:
            module.bias_hh_l0.requires_grad_(False)
        turned = by_gate(order)
        torch_case(
            file,
            name,
            everything,
            module,
            [(2, 5, 4)],
            [
                (turned, ("weight_ih_l0",)),
                (turned, ("weight_hh_l0",)),
                (biased or same, both if biased else both[:1]),
            ],
            in_order(module),
        )
    heads = nn.MultiheadAttention(6, 2, batch_first=True)

    def part(i: int) -> Any:
        return lambda w: np.split(w, 3)[i].T.reshape(6, 2, 3)

    def part_bias(i: int) -> Any:
        return lambda b: np.split(b, 3)[i].reshape(2, 3)

    torch_case(
        file, "MultiHeadAttention", {"num_heads": 2, "key_dim": 3}, heads, [(2, 4, 6), (2, 5, 6)],
        [
            *((make(i), (f"in_proj_{what}",)) for i in range(3)
              for make, what in ((part, "weight"), (part_bias, "bias"))),
            (lambda w: w.T.reshape(2, 3, 6), ("out_proj.weight",)),
            (same, ("out_proj.bias",)),
        ],
        lambda query, value: heads(query, value, value)[0],
    )  # fmt: skip
