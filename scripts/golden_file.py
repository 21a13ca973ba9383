"""The file of what other libraries compute for layers, tests/nn/golden/layers.npz."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

TARGET = Path(__file__).parents[1] / "tests" / "nn" / "golden" / "layers.npz"


def numbers(random: np.random.Generator, shape: Any, spread: float = 1.0) -> np.ndarray:
    """Normal numbers that float32 holds."""
    drawn = (random.standard_normal(shape) * spread).astype(np.float32)
    return np.asarray(drawn, np.float64)


class File:
    """The arrays and the list of cases that are written."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self.cases: list[dict[str, Any]] = []

    def add(self, source: str, layer: str, arguments: Any, options: Any, **groups: Any) -> None:
        """One case: groups of arrays "inputs", "parameters", "state", "outputs" …"""
        number = len(self.cases)
        plain = {k: v for k, v in options.items() if isinstance(v, bool)}
        groups["options"] = {k: v for k, v in options.items() if not isinstance(v, (bool, str))}
        named: dict[str, Any] = {}
        for group, values in groups.items():
            pairs = values.items() if isinstance(values, dict) else enumerate(values)
            named[group] = []
            for key, value in pairs:
                parts = value if isinstance(value, list) else [value]
                named[group].append([key, len(parts) if isinstance(value, list) else None])
                for i, part in enumerate(parts):
                    kept = np.asarray(part)
                    kept = kept.astype(np.float32) if kept.dtype.kind == "f" else kept
                    self.arrays[f"{number}/{group}/{key}/{i}"] = kept
        self.cases.append(
            {"source": source, "layer": layer, "arguments": arguments, "plain": plain, **named}
        )

    def save(self, **versions: str) -> None:
        """Write the file."""
        about = {**versions, "cases": self.cases}
        text = np.frombuffer(zlib.compress(json.dumps(about).encode(), 9), np.uint8)
        TARGET.parent.mkdir(parents=True, exist_ok=True)
        flat = [np.ravel(a) for a in self.arrays.values()]
        places = {name: [str(a.dtype), list(a.shape)] for name, a in self.arrays.items()}
        layout = np.frombuffer(zlib.compress(json.dumps(places).encode(), 9), np.uint8)
        joined = np.frombuffer(b"".join(a.tobytes() for a in flat), np.uint8)
        np.savez_compressed(TARGET, about=text, layout=layout, data=joined)
