"""Long work that can be stopped, as LLVM text: between its chunks, somebody asks Python.

Ctrl-C is for Python to see, which is waiting for native code. So the thread that called it asks
now and then. Others that help it don't know Python, and stop when they find a word set.
"""

from __future__ import annotations

from chainrule.emit.code import Code
from chainrule.emit.function import Library
from chainrule.emit.region import PARALLEL, POLL

# What stands where in the table of the module that `poll_text` gives.
POLL_NAMES = ("call back", "PyGILState_GetThisThreadState")
_PAUSE = 20_000_000  # nanoseconds in which Python is asked once
_SECOND = 10**9
# What a chunk is told, by words.
_FUNCTION, _DATA, _ASK, _STOPPED = range(4)


def poll_text(clock: int | None) -> str:
    """The module of `i32 @poll()`: not 0 where native code is to stop. Any thread may call it.

    It calls back if the thread is one of Python's and the last time is a while ago. `polling` is
    the table of the functions that it needs.

    Args:
        clock: the number of POSIX's clock that never goes back, if the system has it.
    """
    code = Code("i32 @poll()")
    function = code.load("ptr", "@polling", 8 * POLL_NAMES.index("PyGILState_GetThisThreadState"))
    code.compare("ne", "ptr", code.value(f"call ptr {function}()"), "null", "no")
    heads = [f"@polling = global [{len(POLL_NAMES)} x ptr] zeroinitializer"]
    if clock is not None:
        heads += ["@last = internal global i64 0", "declare i32 @clock_gettime(i32, ptr)"]
        now = code.value("alloca [2 x i64]")
        code.line(f"call i32 @clock_gettime(i32 {clock}, ptr {now})")
        whole = code.value(f"mul i64 {code.word(now, 0)}, {_SECOND}")
        time = code.value(f"add i64 {whole}, {code.word(now, 1)}")
        last = code.value("load atomic i64, ptr @last monotonic, align 8")
        passed = code.value(f"sub i64 {time}, {last}")
        code.compare("ugt", "i64", passed, str(_PAUSE), "no")
        code.line(f"store atomic i64 {time}, ptr @last monotonic, align 8")
    function = code.load("ptr", "@polling", 8 * POLL_NAMES.index("call back"))
    code.line(f"ret i32 {code.value(f'call i32 {function}()')}")
    code.label("no")
    code.line("ret i32 0")
    return "\n\n".join(["\n".join(heads), code.text(), ""])


def watched(library: Library, function: str, data: str, chunks: int | str) -> str:
    """The call that has chunks done by threads until Python wants to stop: whether it does."""
    library.texts["@watched"] = watching_text()
    return f"call i1 @watched(ptr {function}, ptr {data}, i64 {chunks}, ptr %context)"


def watching_text() -> str:
    """`i1 @watched(ptr function, ptr data, i64 chunks, ptr context)`, and what it calls."""
    part = Code("internal void @watched.part(ptr %watch, i64 %chunk)")
    flag = part.at("%watch", 8 * _STOPPED)
    before = part.value(f"load atomic i64, ptr {flag} monotonic, align 8")
    part.compare("eq", "i64", before, "0", "done")
    data = part.word("%watch", _DATA, "ptr")
    part.line(f"call void {part.word('%watch', _FUNCTION, 'ptr')}(ptr {data}, i64 %chunk)")
    answer = part.value(f"call i32 {part.word('%watch', _ASK, 'ptr')}()")
    part.compare("ne", "i32", answer, "0", "done")
    part.line(f"store atomic i64 1, ptr {flag} monotonic, align 8")
    part.jump("done")
    part.label("done")
    part.line("ret void")
    code = Code("internal i1 @watched(ptr %function, ptr %data, i64 %chunks, ptr %context)")
    watch = code.value("alloca [4 x i64]")
    code.store("ptr %function", watch, 8 * _FUNCTION)
    code.store("ptr %data", watch, 8 * _DATA)
    code.store(f"ptr {code.word('%context', POLL, 'ptr')}", watch, 8 * _ASK)
    code.store("i64 0", watch, 8 * _STOPPED)
    parallel = code.word("%context", PARALLEL, "ptr")
    code.line(f"call void {parallel}(ptr @watched.part, ptr {watch}, i64 %chunks)")
    code.line(f"ret i1 {code.value(f'icmp ne i64 {code.word(watch, _STOPPED)}, 0')}")
    return f"{part.text()}\n\n{code.text()}"
