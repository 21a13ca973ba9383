"""What other libraries compute for whole models, written as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def write(target: Path, about: Any, cases: list[Any]) -> None:
    """Write cases, with nine digits of every number, and tell how many there are.

    Args:
        target: the file.
        about: the versions and settings that the numbers come from.
        cases: plain data.
    """
    target.write_text(json.dumps(_rounded({"about": about, "cases": cases})) + "\n")
    sys.stdout.write(f"{len(cases)} models, {target.stat().st_size / 1e3:.0f} kB\n")


def _rounded(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _rounded(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_rounded(value) for value in tree]
    return float(f"{tree:.9g}") if isinstance(tree, float) else tree
