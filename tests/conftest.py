"""Hypothesis profiles: a quick one for every run, and a long one for hunting."""

from __future__ import annotations

import os

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
