"""Hypothesis profiles, a quick one for every run and a long one for hunting; a cache of our own."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

# Without a deadline: a loaded machine must never decide a test.
settings.register_profile("quick", deadline=None, max_examples=25, suppress_health_check=_SLOW)
settings.register_profile(
    "fuzz",
    deadline=None,
    max_examples=int(os.environ.get("CHAINRULE_FUZZ") or 1000),
    suppress_health_check=_SLOW,
)
settings.load_profile("fuzz" if os.environ.get("CHAINRULE_FUZZ") else "quick")


@pytest.fixture(scope="session", autouse=True)
def cache_of_these_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compiled code of all tests goes into a folder that nobody else has."""
    before = os.environ.get("CHAINRULE_CACHE")
    os.environ["CHAINRULE_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["CHAINRULE_CACHE"]
    else:
        os.environ["CHAINRULE_CACHE"] = before
