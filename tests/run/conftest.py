"""Compiled code of these tests stays in a folder of their own; toy programs for all of them."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def cache_of_these_tests(tmp_path_factory):
    before = os.environ.get("CHAINRULE_CACHE")
    os.environ["CHAINRULE_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["CHAINRULE_CACHE"]
    else:
        os.environ["CHAINRULE_CACHE"] = before


@pytest.fixture(scope="session")
def toys():
    """The module of toy programs beside this file."""
    spec = importlib.util.spec_from_file_location("toys", Path(__file__).with_name("toys.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
