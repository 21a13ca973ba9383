"""Plain loops over arrays, one for each function of `chainrule.loops.mathematics`."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.emit.function import Library
from chainrule.emit.text import type_name
from chainrule.loops.mathematics import DEFINITIONS
from chainrule.loops.scalar import Node, numpy_type
from chainrule.run.engine import load

# Vectors of 64 bytes: <8 x double>, <16 x float>.
LANES = {"f64": 8, "f32": 16}

_LOOP = """
define void @{name}({parameters}, ptr %out, i64 %count, i64 %repeat) "prefer-vector-width"="512" {{
start:
  br label %round
round:
  %r = phi i64 [ 0, %start ], [ %r.next, %round.end ]
  br label %body
body:
  %i = phi i64 [ 0, %round ], [ %i.next, %body ]
{loads}  %y = call {vector} {function}({arguments})
  %o = getelementptr {single}, ptr %out, i64 %i
  store {vector} %y, ptr %o, align {size}
  %i.next = add i64 %i, {lanes}
  %more = icmp slt i64 %i.next, %count
  br i1 %more, label %body, label %round.end
round.end:
  call void asm sideeffect "", "~{{memory}}"()
  %r.next = add i64 %r, 1
  %again = icmp slt i64 %r.next, %repeat
  br i1 %again, label %round, label %done
done:
  ret void
}}"""


class Loops:
    """Compiled loops.

    Args:
        wanted: (name, kind, number of arguments) of each function.
        lanes: numbers that are computed side by side; by default as many as fill 64 bytes.
    """

    def __init__(
        self,
        wanted: Sequence[tuple[str, str, int]],
        lanes: int | None = None,
        definitions: dict[str, Callable[..., Node]] | None = None,
    ) -> None:
        library = Library(definitions or DEFINITIONS)
        loops = []
        self.lanes = {kind: lanes or full for kind, full in LANES.items()}
        for name, kind, count in wanted:
            width = self.lanes[kind]
            vector, single = type_name(kind, width), type_name(kind)
            size = numpy_type(kind).itemsize
            loads = "".join(
                f"  %q{k} = getelementptr {single}, ptr %a{k}, i64 %i\n"
                f"  %x{k} = load {vector}, ptr %q{k}, align {size}\n"
                for k in range(count)
            )
            loops.append(
                _LOOP.format(
                    name=f"{name}_{kind}",
                    parameters=", ".join(f"ptr %a{k}" for k in range(count)),
                    arguments=", ".join(f"{vector} %x{k}" for k in range(count)),
                    function=library.need(name, [kind] * count, width),
                    lanes=width,
                    loads=loads,
                    vector=vector,
                    single=single,
                    size=size,
                )
            )
        names = [f"{name}_{kind}" for name, kind, _ in wanted]
        self.text = library.text() + "".join(loops)
        self.machine = load(self.text, names)
        self.functions: dict[tuple[str, str], Any] = {}
        for name, kind, count in wanted:
            types = [ctypes.c_void_p] * (count + 1) + [ctypes.c_int64] * 2
            address = self.machine.address(f"{name}_{kind}")
            self.functions[name, kind] = ctypes.CFUNCTYPE(None, *types)(address)

    def __call__(self, name: str, kind: str, *arguments: Any) -> np.ndarray:
        """A function of arrays of one length, which are padded to whole vectors."""
        width, dtype = self.lanes[kind], numpy_type(kind)
        arrays = [np.atleast_1d(np.asarray(a, dtype)) for a in arguments]
        count = len(arrays[0])
        padded = -(-count // width) * width
        arrays = [np.concatenate([a, np.ones(padded - count, dtype)]) for a in arrays]
        out = np.empty(padded, dtype)
        pointers = [a.ctypes.data for a in (*arrays, out)]
        self.functions[name, kind](*pointers, padded, 1)
        return out[:count]

    def runner(self, name: str, kind: str, arrays: Sequence[Any]) -> Callable[[int], None]:
        """What runs a loop over arrays of whole vectors, a number of times."""
        arrays = [np.ascontiguousarray(a, numpy_type(kind)) for a in arrays]
        out = np.empty_like(arrays[0])
        keep = (*arrays, out)
        pointers = [a.ctypes.data for a in keep]
        function = self.functions[name, kind]
        return lambda repeat: function(*pointers, len(keep[-1]), repeat)
