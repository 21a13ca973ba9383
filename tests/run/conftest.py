"""What these tests share: toy programs, comparisons, processes of their own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.trees import flatten


@pytest.fixture(scope="session")
def toys():
    """The module of toy programs beside this file."""
    spec = importlib.util.spec_from_file_location("toys", Path(__file__).with_name("toys.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def agrees():
    """Hold what a function gives compiled, as a tree, against what the NumPy engine gives."""

    def agrees(f, *args, rtol=1e-11, found=None):
        with cr.settings(engine="numpy"), np.errstate(all="ignore"):
            wanted = flatten(cr.jit(f)(*args))[0]
        found = flatten(cr.jit(f)(*args) if found is None else found)[0]
        for one, other in zip(map(np.asarray, found), map(np.asarray, wanted), strict=True):
            assert (one.shape, one.dtype) == (other.shape, other.dtype)
            bound = 1e-4 if one.dtype == np.float32 else rtol
            scale = float(np.max(np.abs(other.astype(float)), initial=0))
            np.testing.assert_allclose(one, other, rtol=bound, atol=bound * scale)

    return agrees


@pytest.fixture(scope="session")
def run_python():
    """Run text in a process of its own, without complaints; what it printed."""

    def run_python(text, *args, **more):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", textwrap.dedent(text), *args],
            capture_output=True,
            text=True,
            timeout=100,
            env={**os.environ, **more},
        )
        assert done.returncode == 0, done.stderr
        assert "Exception ignored" not in done.stderr
        return done.stdout

    return run_python
