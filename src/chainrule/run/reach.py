"""What a function's code reads from outside: the names in it, and whose code it is."""

from __future__ import annotations

import dis
import functools
import os
import sys
import sysconfig
from collections.abc import Iterator
from types import CodeType, ModuleType
from typing import NamedTuple

import numpy as np

from chainrule.base.place import INTERNAL

_LIBRARIES = tuple(
    os.path.abspath(folder) + os.sep
    for folder in {
        *(sysconfig.get_paths()[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")),
        os.path.dirname(os.path.dirname(os.path.abspath(np.__file__))),
    }
)
# Names by which code gets at attributes that it doesn't spell out.
_ANY_ATTRIBUTE = {"getattr", "vars", "__dict__", "attrgetter", "fields", "asdict", "astuple"}


# Operations that read a global → how far their argument is shifted from the number of its name.
_READS = {
    dis.opmap["LOAD_GLOBAL"]: int(sys.version_info >= (3, 11)),  # the lowest bit pushes a null
    dis.opmap["LOAD_NAME"]: 0,
}
_IMPORT = dis.opmap["IMPORT_NAME"]


class Reads(NamedTuple):
    """What a piece of code, with the functions written inside it, reads by name."""

    globals: tuple[str, ...]
    imports: tuple[str, ...]
    names: frozenset[str]  # attributes, methods and globals alike

    @property
    def any_attribute(self) -> bool:
        return not self.names.isdisjoint(_ANY_ATTRIBUTE)


@functools.lru_cache(maxsize=4096)
def reads(code: CodeType) -> Reads:
    """What this code reads."""
    found: dict[str, None] = {}
    imports: dict[str, None] = {}
    names: set[str] = set()
    todo = [code]
    while todo:
        piece = todo.pop()
        names.update(piece.co_names)
        for operation, argument in _instructions(piece):
            if operation in _READS:
                found[piece.co_names[argument >> _READS[operation]]] = None
            elif operation == _IMPORT:
                imports[piece.co_names[argument]] = None
        todo += [part for part in piece.co_consts if isinstance(part, CodeType)]
    return Reads(tuple(found), tuple(imports), frozenset(names))


def _instructions(code: CodeType) -> Iterator[tuple[int, int]]:
    """Operations and arguments: `dis.get_instructions` takes ten times as long to tell more."""
    high = 0
    text = code.co_code
    for operation, low in zip(text[::2], text[1::2], strict=True):
        argument = high | low
        high = argument << 8 if operation == dis.EXTENDED_ARG else 0
        yield operation, argument


class Territory:
    """Whose code is the user's: everything but libraries, and the package the function is of."""

    def __init__(self, module: str | None) -> None:
        self.package = (module or "").partition(".")[0]

    def holds_module(self, module: ModuleType) -> bool:
        path = getattr(module, "__file__", None)
        if path is None:  # the main module of a notebook or a prompt
            return module.__name__ == "__main__"
        return self._holds(path, module.__name__)

    def holds_code(self, code: CodeType, module: str | None) -> bool:
        return self._holds(code.co_filename, module)

    def holds_class(self, kind: type) -> bool:
        return self._named(kind.__module__)

    def _named(self, module: str) -> bool:
        found = sys.modules.get(module)
        return found is not None and self.holds_module(found)

    def _holds(self, path: str, module: str | None) -> bool:
        if INTERNAL[path]:
            return False
        if self.package and (module or "").partition(".")[0] == self.package:
            return True
        return not os.path.abspath(path).startswith(_LIBRARIES)
