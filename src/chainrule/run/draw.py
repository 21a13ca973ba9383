"""What draws random numbers for compiled programs: compiled once, and linked to those that draw."""

from __future__ import annotations

import functools

from chainrule.base.distributions import NUMPYS, address
from chainrule.emit.distribution import FUNCTIONS, random_text
from chainrule.emit.draw import PREFIX
from chainrule.loops.schedule import Target
from chainrule.run.cache import machine_code
from chainrule.run.engine import Machine, link


def drawing(code: bytes, target: Target) -> dict[str, int]:
    """Name → address of the functions that machine code draws with."""
    if PREFIX.encode() not in code:
        return {}
    machine, names = _library(target)
    return {name: machine.address(name) for name in names}


@functools.cache
def _library(target: Target) -> tuple[Machine, list[str]]:
    """The machine code of all that draw, and their names; kept for as long as any may call them."""
    found = {name: place for name in FUNCTIONS if (place := address(name)) is not None}
    text, exported = random_text(target, found)
    given = {f"{NUMPYS}{name}": place for name, place in found.items()}
    return link(machine_code(text), exported, given), exported
