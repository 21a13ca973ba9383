"""Small programs as the compiler would print them, and what it takes to call them."""

from __future__ import annotations

import ctypes

import numpy as np

from chainrule.run import engine
from chainrule.run.call import Call, Input, Output

F8 = np.dtype(np.float64)

# Doubles x, y to x + y, x - y, x * y; says 7 where x is 99.
NUMBERS = """
define i32 @run(ptr %arguments, ptr %context) {
  %a = load ptr, ptr %arguments
  %p1 = getelementptr ptr, ptr %arguments, i64 1
  %b = load ptr, ptr %p1
  %p2 = getelementptr ptr, ptr %arguments, i64 2
  %o0 = load ptr, ptr %p2
  %p3 = getelementptr ptr, ptr %arguments, i64 3
  %o1 = load ptr, ptr %p3
  %p4 = getelementptr ptr, ptr %arguments, i64 4
  %o2 = load ptr, ptr %p4
  %x = load double, ptr %a
  %y = load double, ptr %b
  %sum = fadd double %x, %y
  %difference = fsub double %x, %y
  %product = fmul double %x, %y
  store double %sum, ptr %o0
  store double %difference, ptr %o1
  store double %product, ptr %o2
  %bad = fcmp oeq double %x, 99.0
  %state = select i1 %bad, i32 7, i32 0
  ret i32 %state
}
"""


def doubled(count: int) -> str:
    """Text of a program that doubles so many doubles."""
    return f"""
define i32 @run(ptr %arguments, ptr %context) {{
start:
  %a = load ptr, ptr %arguments
  %p = getelementptr ptr, ptr %arguments, i64 1
  %o = load ptr, ptr %p
  br label %head
head:
  %k = phi i64 [0, %start], [%next, %body]
  %more = icmp ult i64 %k, {count}
  br i1 %more, label %body, label %end
body:
  %from = getelementptr double, ptr %a, i64 %k
  %to = getelementptr double, ptr %o, i64 %k
  %x = load double, ptr %from
  %y = fadd double %x, %x
  store double %y, ptr %to
  %next = add i64 %k, 1
  br label %head
end:
  ret i32 0
}}
"""


def constant(kind: str, value: str) -> str:
    """Text of a program without arguments whose one result is a number."""
    return f"""
define i32 @run(ptr %arguments, ptr %context) {{
  %o = load ptr, ptr %arguments
  store {kind} {value}, ptr %o
  ret i32 0
}}
"""


# Writes over its scratch memory and adds it up again: 8-byte words to 0 + 1 + 2 + …, from the
# number of words that its argument, an int, says.
SCRATCH = """
define i32 @run(ptr %arguments, ptr %context) {
start:
  %a = load ptr, ptr %arguments
  %n = load i64, ptr %a
  %p = getelementptr ptr, ptr %arguments, i64 1
  %o = load ptr, ptr %p
  %scratch = load ptr, ptr %context
  %number = ptrtoint ptr %scratch to i64
  %low = and i64 %number, 63
  %even = icmp eq i64 %low, 0
  br i1 %even, label %write, label %odd
write:
  %k = phi i64 [0, %start], [%next, %write]
  %to = getelementptr i64, ptr %scratch, i64 %k
  store volatile i64 %k, ptr %to
  %next = add i64 %k, 1
  %more = icmp ult i64 %next, %n
  br i1 %more, label %write, label %read
read:
  %j = phi i64 [0, %write], [%following, %read]
  %sum = phi i64 [0, %write], [%total, %read]
  %from = getelementptr i64, ptr %scratch, i64 %j
  %x = load volatile i64, ptr %from
  %total = add i64 %sum, %x
  %following = add i64 %j, 1
  %on = icmp ult i64 %following, %n
  br i1 %on, label %read, label %end
end:
  store i64 %total, ptr %o
  ret i32 0
odd:
  ret i32 1
}
"""

# Calls the function in slot 1 of its context with its argument, an int; gives what it returns.
CALLS = """
define i32 @run(ptr %arguments, ptr %context) {
  %a = load ptr, ptr %arguments
  %n = load i64, ptr %a
  %p = getelementptr ptr, ptr %arguments, i64 1
  %o = load ptr, ptr %p
  %s = getelementptr ptr, ptr %context, i64 1
  %f = load ptr, ptr %s
  %y = call i64 %f(i64 %n)
  store i64 %y, ptr %o
  ret i32 0
}
"""

# Work for a pool: `@chunk` steps data[1 + k] on data[0] times, `@many` hands out so many jobs.
CHUNKS = """
define void @chunk(ptr %data, i64 %k) {
start:
  %n = load i64, ptr %data
  %p = getelementptr i64, ptr %data, i64 1
  %q = getelementptr i64, ptr %p, i64 %k
  %old = load i64, ptr %q
  br label %loop
loop:
  %i = phi i64 [0, %start], [%next, %loop]
  %v = phi i64 [%old, %start], [%w, %loop]
  %w1 = mul i64 %v, 6364136223846793005
  %w = add i64 %w1, 1442695040888963407
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %n
  br i1 %more, label %loop, label %end
end:
  store i64 %w, ptr %q
  ret void
}

define void @many(ptr %parallel, ptr %data, i64 %chunks, i64 %times) {
start:
  br label %loop
loop:
  %i = phi i64 [0, %start], [%next, %loop]
  call void %parallel(ptr @chunk, ptr %data, i64 %chunks)
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %times
  br i1 %more, label %loop, label %end
end:
  ret void
}
"""


def fallback(*args, **keywords):
    return "fallback", args, keywords


def failed(state, *args, **keywords):
    return "failed", state, args, keywords


def numbers(**changes) -> Call:
    """The call of NUMBERS: two floats to three float64."""
    machine = engine.load(NUMBERS)
    given = {
        "name": "numbers",
        "run": machine.address("run"),
        "inputs": [Input(float, F8)] * 2,
        "outputs": [Output(np.float64, F8)] * 3,
        "fallback": fallback,
        "failed": failed,
        "many": True,
        "keep": [machine],
    }
    return Call(**{**given, **changes})


def doubling(shape: tuple[int, ...], dtype: np.dtype = F8, **changes) -> Call:
    """The call of a program that doubles an array."""
    machine = engine.load(doubled(int(np.prod(shape))))
    given = {
        "name": "doubling",
        "run": machine.address("run"),
        "inputs": [Input(np.ndarray, dtype, shape)],
        "outputs": [Output(np.ndarray, dtype, shape)],
        "fallback": fallback,
        "failed": failed,
        "keep": [machine],
    }
    return Call(**{**given, **changes})


def one(text: str, inputs: list[Input], output: Output, **changes) -> Call:
    """The call of a program with one result."""
    machine = engine.load(text)
    given = {
        "name": "one",
        "run": machine.address("run"),
        "inputs": inputs,
        "outputs": [output],
        "fallback": fallback,
        "failed": failed,
        "keep": [machine],
    }
    return Call(**{**given, **changes})


def resident() -> int:
    """Bytes of memory this process has in use (Linux)."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


def jobs(address: int, work: int, chunks: int, times: int) -> np.ndarray:
    """Have a pool do CHUNKS' work; what became of the chunks' numbers."""
    machine = engine.load(CHUNKS, ("chunk", "many"))
    word = ctypes.c_int64
    many = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, word, word)
    data = np.arange(chunks + 1, dtype=np.int64)
    data[0] = work
    many(machine.address("many"))(address, data.ctypes.data, chunks, times)
    return data[1:]
