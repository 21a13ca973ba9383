"""docs/operations.md is what its generator writes, and the walk-through quotes true code."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def generator():
    if sys.version_info < (3, 11):
        pytest.skip("code objects know their columns since Python 3.11")
    path = ROOT / "docs" / "generate_operations.py"
    spec = importlib.util.spec_from_file_location("generate_operations", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(generator):
    written = generator.PAGE.read_text(encoding="utf-8")
    made_with = re.search(r"NumPy (\d+\.\d+)", written)[1]
    if not np.__version__.startswith(f"{made_with}."):
        pytest.skip(f"the page lists the names of NumPy {made_with}")
    # A process of its own: which SciPy modules other tests have loaded would show on the page.
    done = subprocess.run(
        [sys.executable, generator.__file__, "--check"], capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, f"run: python docs/generate_operations.py\n{done.stdout}"


def test_every_primitive_is_on_the_page(generator):
    text = generator.page_text()
    missing = [name for name in generator.PRIMITIVES if f"| `{name}` | " not in text]
    assert not missing


def test_rules_are_shown_as_they_are_written(generator):
    text = generator.page_text()
    for row in (
        "| `multiply` | `np.multiply` | partials `z, x, y → y`; `z, x, y → x` |",
        "| `tanh` | `np.tanh` | partials `y, x → 1 - y * y` |",
    ):
        assert row in text
    assert "a lambda" not in text


def test_the_walk_through_quotes_true_code():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text[text.index("## Add an operation") : text.index("## Add a layer")]
    blocks = re.findall(r"```python\n(.*?)\n```", section, re.DOTALL)
    sources = [p.read_text(encoding="utf-8") for p in (ROOT / "src/chainrule/ops").glob("*.py")]
    assert blocks
    for block in blocks:
        assert any(block in source for source in sources), block
