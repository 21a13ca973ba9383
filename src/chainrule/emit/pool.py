"""A pool of threads as LLVM text.

`parallel(function, data, chunks)` calls function(data, k) for every k below chunks, on several
threads at once.

Which thread does which chunk is a matter of luck, so chunks must not depend on each other; how the
work is cut into them is the caller's business, and must not depend on the number of threads.

One word, the ticket, says what is to do: the number of the job in its upper half, the first chunk
that is left and the end of those in its lower two quarters. A chunk is taken by compare-and-
exchange of the ticket, which fails if there is another job meanwhile. Workers take the first, the
caller takes the last: so the same part of an array mostly meets the same thread from one loop to
the next, and is in its cache. A worker without work spins for a moment, then sleeps. A call that
finds the pool busy, from another thread or from within a chunk, does its chunks itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from chainrule.emit.code import Code
from chainrule.emit.denormal import parallel_text

# Words of the state, each of the busy ones on a cache line of its own.
TICKET, DONE, BUSY, SLEEPERS = 0, 8, 16, 24
FUNCTION, DATA, STARTED, WANTED, QUIT = 32, 33, 34, 35, 36
MUTEX, CONDITION, SIGNALS = 40, 72, 104  # room for any system's, which are below 256 bytes
STATE_WORDS = 136

_MOST = 2**16 - 1  # chunks of a job that is shared

# About 50 µs of waiting for the next job; and 10 µs for the last chunks of this one, before others
# are let go first: a chunk that takes longer may be waiting for the very processor this one is on.
_SPINS = 1000
_PATIENCE = 200


@dataclass(frozen=True)
class System:
    """What differs between systems that have POSIX threads."""

    pause: str  # an instruction that waits a moment, and its declaration
    pause_declaration: str
    set_mask: int  # SIG_SETMASK


def system(machine: str, platform: str) -> System:
    """For `platform.machine()` and `sys.platform`."""
    set_mask = 3 if platform == "darwin" else 2
    if machine in ("x86_64", "amd64"):
        name = "@llvm.x86.sse2.pause"
        return System(f"call void {name}()", f"declare void {name}()", set_mask)
    if machine in ("aarch64", "arm64"):
        name = "@llvm.aarch64.hint"
        return System(f"call void {name}(i32 1)", f"declare void {name}(i32)", set_mask)
    return System("fence seq_cst", "", set_mask)


_DECLARATIONS = """\
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_detach(ptr)
declare i32 @pthread_mutex_init(ptr, ptr)
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_init(ptr, ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_broadcast(ptr)
declare i32 @pthread_sigmask(i32, ptr, ptr)
declare i32 @sigfillset(ptr)
declare i32 @sched_yield()"""


def pool_text(system: System, mode: str | None = None) -> str:
    """The module of one pool; with `mode`, from emit/denormal.py, `@parallel_flushing` as well.

    It defines `void @parallel(ptr function, ptr data, i64 chunks)`; `void @configure(i64 workers)`,
    to be called first, and in a child of fork; `void @stop()`; `i64 @workers()`, how many there are
    so far.
    """
    head = [_DECLARATIONS, system.pause_declaration]
    head.append(f"@state = internal global [{STATE_WORDS} x i64] zeroinitializer, align 64")
    help_ = (_help("help", from_the_end=False), _help("finish", from_the_end=True))
    functions = (_serial(), *help_, _worker(system), _start(system), _parallel(system))
    more = [] if mode is None else [parallel_text(mode)]
    return "\n\n".join([*head, *functions, _configure(), _stop(), _workers(), *more])


def serial_text() -> str:
    """The module of one who works alone; it defines `@serial`."""
    return _serial()


def _at(code: Code, word: int) -> str:
    return code.at("@state", 8 * word)


def _load(code: Code, word: int, kind: str = "i64", order: str = "seq_cst") -> str:
    return code.value(f"load atomic {kind}, ptr {_at(code, word)} {order}, align 8")


def _store(code: Code, word: int, value: str, order: str = "seq_cst") -> None:
    code.line(f"store atomic {value}, ptr {_at(code, word)} {order}, align 8")


def _count(code: Code, word: int, how: str) -> None:
    code.value(f"atomicrmw {how} ptr {_at(code, word)}, i64 1 seq_cst")


def _ends(code: Code, ticket: str) -> tuple[str, str]:
    """The first chunk that is left, and the end of those."""
    first = code.value(f"and i64 {code.value(f'lshr i64 {ticket}, 16')}, {_MOST}")
    return first, code.value(f"and i64 {ticket}, {_MOST}")


def _some_left(code: Code, ticket: str) -> str:
    first, end = _ends(code, ticket)
    return code.value(f"icmp ult i64 {first}, {end}")


def _serial() -> str:
    code = Code("void @serial(ptr %function, ptr %data, i64 %chunks)")
    with code.loop("%chunks") as k:
        code.line(f"call void %function(ptr %data, i64 {k})")
    code.line("ret void")
    return code.text()


def _help(name: str, from_the_end: bool) -> str:
    """Do chunks until none is left."""
    code = Code(f"internal void @{name}()")
    code.jump("next")
    code.label("next")
    ticket = _load(code, TICKET)
    first, end = _ends(code, ticket)
    code.compare("ult", "i64", first, end, "done")
    # They belong to this ticket if it can be taken: they change only while nothing is left.
    function = _load(code, FUNCTION, "ptr", "monotonic")
    data = _load(code, DATA, "ptr", "monotonic")
    if from_the_end:
        chunk = code.value(f"sub i64 {end}, 1")
        after = code.value(f"sub i64 {ticket}, 1")
    else:
        chunk, after = first, code.value(f"add i64 {ticket}, {2**16}")
    exchange = f"cmpxchg ptr {_at(code, TICKET)}, i64 {ticket}, i64 {after} seq_cst seq_cst"
    taken = code.value(f"extractvalue {{i64, i1}} {code.value(exchange)}, 1")
    code.need(taken, "next")
    code.line(f"call void {function}(ptr {data}, i64 {chunk})")
    _count(code, DONE, "add")
    code.jump("next")
    code.label("done")
    code.line("ret void")
    return code.text()


def _worker(system: System) -> str:
    code = Code("internal ptr @worker(ptr %unused)")
    code.jump("awake")
    code.label("awake")
    code.line("call void @help()")
    code.jump("spin")
    code.label("spin")
    again = f"%{code.name('n')}"
    count = code.value(f"phi i64 [0, %awake], [{again}, %idle]")
    code.compare("eq", "i64", _load(code, QUIT), "0", "end")
    code.need(code.value(f"xor i1 {_some_left(code, _load(code, TICKET))}, true"), "awake")
    code.compare("ult", "i64", count, str(_SPINS), "tired")
    code.line(system.pause)
    code.jump("idle")
    code.label("idle")
    code.line(f"{again} = add i64 {count}, 1")
    code.jump("spin")

    # Whoever hands out work looks for sleepers after it wrote the ticket, and this looks at the
    # ticket after it was counted among them: one of both sees the other.
    code.label("tired")
    mutex, condition = _at(code, MUTEX), _at(code, CONDITION)
    code.line(f"call i32 @pthread_mutex_lock(ptr {mutex})")
    _count(code, SLEEPERS, "add")
    code.jump("check")
    code.label("check")
    code.compare("eq", "i64", _load(code, QUIT), "0", "rise")
    code.need(code.value(f"xor i1 {_some_left(code, _load(code, TICKET))}, true"), "rise")
    code.line(f"call i32 @pthread_cond_wait(ptr {condition}, ptr {mutex})")
    code.jump("check")
    code.label("rise")
    _count(code, SLEEPERS, "sub")
    code.line(f"call i32 @pthread_mutex_unlock(ptr {mutex})")
    code.jump("awake")
    code.label("end")
    code.line("ret ptr null")
    return code.text()


def _start(system: System) -> str:
    """Create the workers, which leave all signals to Python's own threads."""
    code = Code("internal void @start()")
    thread = code.value("alloca i64")
    everything, before = _at(code, SIGNALS), _at(code, SIGNALS + 16)
    code.line(f"call i32 @sigfillset(ptr {everything})")
    mask = f"call i32 @pthread_sigmask(i32 {system.set_mask}"
    code.line(f"{mask}, ptr {everything}, ptr {before})")
    with code.loop(_load(code, WANTED)):
        failed = code.value(
            f"call i32 @pthread_create(ptr {thread}, ptr null, ptr @worker, ptr null)"
        )
        code.compare("eq", "i32", failed, "0", "enough")
        handle = code.load("ptr", thread)
        code.line(f"call i32 @pthread_detach(ptr {handle})")
        _count(code, STARTED, "add")
    code.jump("enough")
    code.label("enough")
    code.line(f"{mask}, ptr {before}, ptr null)")
    # As many as could be created: that was the one attempt.
    _store(code, WANTED, f"i64 {_load(code, STARTED)}")
    code.line("ret void")
    return code.text()


def _parallel(system: System) -> str:
    code = Code("void @parallel(ptr %function, ptr %data, i64 %chunks)")
    code.compare("ugt", "i64", "%chunks", "1", "serial")
    code.compare("ule", "i64", "%chunks", str(_MOST), "serial")
    code.compare("ne", "i64", _load(code, WANTED), "0", "serial")
    exchange = f"cmpxchg ptr {_at(code, BUSY)}, i64 0, i64 1 seq_cst seq_cst"
    code.need(code.value(f"extractvalue {{i64, i1}} {code.value(exchange)}, 1"), "serial")
    code.compare("ne", "i64", _load(code, WANTED), _load(code, STARTED), "publish")
    code.line("call void @start()")
    code.jump("publish")

    code.label("publish")
    _store(code, FUNCTION, "ptr %function", "monotonic")
    _store(code, DATA, "ptr %data", "monotonic")
    _store(code, DONE, "i64 0")
    upper = code.value(f"and i64 {_load(code, TICKET)}, {-(2**32)}")
    job = code.value(f"add i64 {upper}, {2**32}")
    _store(code, TICKET, f"i64 {code.value(f'or i64 {job}, %chunks')}")
    code.compare("ne", "i64", _load(code, SLEEPERS), "0", "work")
    mutex = _at(code, MUTEX)
    code.line(f"call i32 @pthread_mutex_lock(ptr {mutex})")
    code.line(f"call i32 @pthread_cond_broadcast(ptr {_at(code, CONDITION)})")
    code.line(f"call i32 @pthread_mutex_unlock(ptr {mutex})")
    code.jump("work")

    code.label("work")
    code.line("call void @finish()")
    code.jump("wait")
    code.label("wait")
    again = f"%{code.name('n')}"
    count = code.value(f"phi i64 [0, %work], [{again}, %idle]")
    finished = code.value(f"icmp eq i64 {_load(code, DONE)}, %chunks")
    code.need(code.value(f"xor i1 {finished}, true"), "done")
    code.compare("ugt", "i64", count, str(_PATIENCE), "patient")
    # Its thread isn't running, maybe because this one is.
    code.line("call i32 @sched_yield()")
    code.jump("idle")
    code.label("patient")
    code.line(system.pause)
    code.jump("idle")
    code.label("idle")
    code.line(f"{again} = add i64 {count}, 1")
    code.jump("wait")
    code.label("done")
    _store(code, BUSY, "i64 0")
    code.line("ret void")

    code.label("serial")
    code.line("call void @serial(ptr %function, ptr %data, i64 %chunks)")
    code.line("ret void")
    return code.text()


def _configure() -> str:
    code = Code("void @configure(i64 %workers)")
    for word in (TICKET, DONE, BUSY, SLEEPERS, STARTED, QUIT):
        _store(code, word, "i64 0")
    code.line(f"call i32 @pthread_mutex_init(ptr {_at(code, MUTEX)}, ptr null)")
    code.line(f"call i32 @pthread_cond_init(ptr {_at(code, CONDITION)}, ptr null)")
    _store(code, WANTED, "i64 %workers")
    code.line("ret void")
    return code.text()


def _stop() -> str:
    """Send the workers home; who calls afterwards works alone."""
    code = Code("void @stop()")
    _store(code, WANTED, "i64 0")
    _store(code, QUIT, "i64 1")
    mutex = _at(code, MUTEX)
    code.line(f"call i32 @pthread_mutex_lock(ptr {mutex})")
    code.line(f"call i32 @pthread_cond_broadcast(ptr {_at(code, CONDITION)})")
    code.line(f"call i32 @pthread_mutex_unlock(ptr {mutex})")
    code.line("ret void")
    return code.text()


def _workers() -> str:
    code = Code("i64 @workers()")
    code.line(f"ret i64 {_load(code, STARTED)}")
    return code.text()
