"""Seeing it: computation graphs with values and gradients, drawings, pages, plots, source.

`cr.graph`, `cr.source` and their kin stand in `chainrule` itself; the plots stand here, and are
loaded when they're first used.
"""

from __future__ import annotations

import importlib
from typing import Any

# Public name → the module that defines it.
_LATER = {
    "Plot": "chainrule.show.plot.plot",
    "activation_histograms": "chainrule.show.plot.layer",
    "curves": "chainrule.show.plot.curve",
    "decision_boundary": "chainrule.show.plot.boundary",
    "expression_swell": "chainrule.show.plot.swell",
    "gradient_histograms": "chainrule.show.plot.layer",
    "learning_curves": "chainrule.show.plot.history",
    "mode_cost": "chainrule.show.plot.cost",
    "step_size_error": "chainrule.show.plot.step",
}

__all__ = sorted(_LATER)  # noqa: PLE0605 - the names are those of the table above


def __getattr__(name: str) -> Any:
    if name in _LATER:
        value = getattr(importlib.import_module(_LATER[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'chainrule.show' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
