"""What compiled code costs around the work itself: `python -m benchmarks.calling`.

A call into machine code, in nanoseconds; work handed to the pool of threads; text compiled, linked
and found on disk. Minima of several rounds: these are costs of doing nothing, which only grow when
somebody else is busy.
"""

from __future__ import annotations

import ctypes
import os
import tempfile
import timeit
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.emit.entry import entry_text
from chainrule.run import cache, engine
from chainrule.run.aim import aim, aimed
from chainrule.run.call import Call, Input, Output
from chainrule.run.entry import entry
from chainrule.run.layout import layout
from chainrule.run.portable import portable_entry
from chainrule.run.threads import pool

NOTHING = "define i32 @run(ptr %arguments, ptr %context) {\n  ret i32 0\n}"
IDLE = """
define void @chunk(ptr %data, i64 %k) {
  ret void
}
define void @many(ptr %parallel, i64 %times) {
start:
  br label %loop
loop:
  %i = phi i64 [0, %start], [%next, %loop]
  call void %parallel(ptr @chunk, ptr null, i64 2)
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %times
  br i1 %more, label %loop, label %end
end:
  ret void
}
"""
F8 = np.dtype(np.float64)


class Called:
    """Something with attributes that is called."""


def seconds(run: str, rounds: int = 20, number: int = 20_000, **names: Any) -> float:
    return min(timeit.repeat(run, globals=names, repeat=rounds, number=number)) / number


def row(label: str, value: float) -> None:
    scale, unit = (1e9, "ns") if value < 1e-6 else (1e6, "µs") if value < 1e-3 else (1e3, "ms")
    print(f"  {label:<58}{value * scale:8.1f} {unit}")


def refuse(*args: Any, **keywords: Any) -> None:
    raise AssertionError("not what was planned")


def call(inputs: list[Input], outputs: list[Output], **more: Any) -> Call:
    machine = engine.load(NOTHING)
    address = machine.address("run")
    many = len(outputs) > 1
    return Call("f", address, inputs, outputs, refuse, refuse, many, keep=[machine], **more)


def calls() -> None:
    print("a call (the program itself does nothing)")
    row("lambda a, b: None", seconds("f(a, b)", f=lambda a, b: None, a=2.0, b=3.0))
    floats = [Input(float, F8)] * 2
    numbers = call(floats, [Output(np.float64, F8)] * 3)
    ways: dict[str, Callable[..., Any]] = {"the function itself": entry(numbers)}
    ways["an object aimed at it"] = item = aimed(Called)()
    aim(item, ways["the function itself"])
    ways["class attribute __call__"] = type("C", (), {"__call__": ways["the function itself"]})()
    ways["by ctypes"] = portable_entry(numbers)
    for label, function in ways.items():
        row(f"2 floats in, 3 float64 out, {label}", seconds("f(a, b)", f=function, a=2.0, b=3.0))
    x, out = np.zeros(10), np.zeros(10)
    array = Input(np.ndarray, F8, (10,)), Output(np.ndarray, F8, (10,))
    plain = entry(call([array[0]], [array[1]]))
    row("10 numbers in, 10 out", seconds("f(x)", f=plain, x=x))
    row("10 numbers in, 10 out, out=", seconds("f(x, out=out)", f=plain, x=x, out=out))
    guards = {f"g{k}": float(k) for k in range(5)}
    rows = [(guards, name, value) for name, value in guards.items()]
    for label, more in (
        ("5 guarded names", {"names": rows}),
        ("releasing the GIL", {"release": True}),
        ("1 MB of scratch memory", {"scratch": 10**6}),
    ):
        function = entry(call([array[0]], [array[1]], **more))
        row(f"the same, {label}", seconds("f(x)", f=function, x=x))
    row("np.exp, 10 numbers", seconds("f(x)", f=np.exp, x=x))


def threads() -> None:
    print("work of two chunks handed to a pool, and its end waited for")
    machine = engine.load(IDLE, ("many",))
    many = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(machine.address("many"))
    for number in (1, 2, 4):
        address = pool(number).address
        run = "many(address, 1000)"
        row(f"{number} threads", seconds(run, number=10, many=many, address=address) / 1000)


def compiling() -> None:
    print("machine code")
    text = cache_text()
    row("compiled, 20 kB of text", seconds("f(t)", 5, 1, f=engine.compile_text, t=text))
    row("compiled, quickly", seconds("f(t, True)", 5, 1, f=engine.compile_text, t=text))
    code = engine.compile_text(text)
    row("linked", seconds("f(c, ('call',))", 20, 5, f=engine.link, c=code))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CHAINRULE_CACHE"] = folder
        cache.machine_code(text)
        row("found on disk", seconds("f(t)", 20, 10, f=cache.machine_code, t=text))


def cache_text() -> str:
    found = layout()
    assert found is not None
    return entry_text(found)


if __name__ == "__main__":
    engine.available()
    calls()
    threads()
    compiling()
