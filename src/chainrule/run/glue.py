"""The little machine code that every process needs, linked at once: each link takes 0.4 ms."""

from __future__ import annotations

import functools
import time

from chainrule.emit.catching import catching_text
from chainrule.emit.entry import detour_text
from chainrule.emit.watch import poll_text
from chainrule.run.cache import machine_code
from chainrule.run.engine import Machine, link
from chainrule.run.layout import layout


@functools.cache
def glue() -> Machine:
    """`catching`, `poll` and their tables; `detour`, where Python's objects lie as they should."""
    found = layout()
    texts = [catching_text(), poll_text(getattr(time, "CLOCK_MONOTONIC", None))]
    names = ["catching", "table", "poll", "polling"]
    if found is not None:
        texts.append(detour_text(found))
        names.append("detour")
    return link(machine_code("\n".join(texts), quick=True), names)
