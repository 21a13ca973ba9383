"""Training: callbacks, data, splits. Names are loaded on first use."""

from __future__ import annotations

import importlib
from typing import Any

from chainrule.base.registry import announce

announce("callback", "chainrule.train.monitor", "chainrule.train.logging", "chainrule.train.backup")
announce("layer", "chainrule.train.model", "chainrule.train.sequential")

# Module → the public names that it defines.
_HOMES = {
    "chainrule.train.callback": "Callback",
    "chainrule.train.history": "History",
    "chainrule.train.monitor": "EarlyStopping ReduceLROnPlateau",
    "chainrule.train.logging": "CSVLogger LearningRateScheduler ModelCheckpoint TensorBoard",
    "chainrule.train.backup": "BackupAndRestore",
    "chainrule.train.partition": "Split split",
    "chainrule.train.table": "Encoder",
    "chainrule.train.table_file": "read_table table_chunks",
    "chainrule.train.table_batches": "TableBatches",
}
_LATER = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = sorted(_LATER)  # noqa: PLE0605 - the names are those of the table above


def __getattr__(name: str) -> Any:
    if name in _LATER:
        value = getattr(importlib.import_module(_LATER[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'chainrule.train' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
