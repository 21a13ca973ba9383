"""A table like one a user brings, and a wait that never hangs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """90 rows of three kinds, with a category, a gap and names that look like markup."""
    chance = np.random.default_rng(0)
    lines = [f'height,"{HOSTILE}",depth,colour,kind']
    for row in range(90):
        kind = row % 3
        numbers = [f"{value:.3f}" for value in chance.normal(kind, 0.4, 3)]
        if row == 4:
            numbers[0] = ""
        colour = ("red", "green")[row % 2]
        lines.append(",".join([*numbers, colour, ("ape", "</script>", "cat")[kind]]))
    path = tmp_path / "animals.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """Wait until something is true, or fail."""

    def wait(true: Callable[[], bool], seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, "it never came true"
            time.sleep(0.01)

    return wait
