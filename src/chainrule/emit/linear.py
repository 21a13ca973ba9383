"""Linear algebra by LAPACK, as LLVM text: a routine called for each matrix of a stack.

The addresses come from a table that the context holds, so that code on the disk has none of its
own. Matrices lie column by column, as LAPACK has them, in double precision, in which NumPy works
even on single ones. A routine overwrites what it is given, so operands are copied first, into the
results where they have the same shape, else into scratch.
"""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.emit.code import Code
from chainrule.emit.function import Library
from chainrule.emit.region import LINKED, Printing
from chainrule.loops.call import Linked
from chainrule.loops.value import Value

LAPACK = ("dpotrf", "dgetrf", "dgesv", "dsyevd", "dgesdd", "dgeqrf", "dorgqr")
BLAS = ("sgemm", "dgemm")
# Words of the table: two functions around every stretch of calls, then the routines.
ENTER, LEAVE, FIRST = 0, 1, 2
_BLOCK = 64  # columns that LAPACK's blocked algorithms take at once, at most
_ALIGN = 64
_NUMBER, _WHOLE = 8, 4  # bytes
_COPY = "@llvm.memcpy.p0.p0.i64"


def place_of(routine: str) -> int:
    """Where a routine's address stands in the table."""
    return FIRST + (*LAPACK, *BLAS).index(routine)


def linked_scratch(call: Linked) -> int:
    """Bytes that a routine works in."""
    return sum(_room(size) for size in _work(call))


def _room(size: int) -> int:
    return -(-max(1, size) // _ALIGN) * _ALIGN


def _work(call: Linked) -> list[int]:
    """Bytes of the arrays that a routine needs besides its operands and results."""
    rows, columns = call.rows, call.columns
    if call.routine == "gesv":
        return [_NUMBER * rows * rows, _WHOLE * rows]
    if call.routine == "syevd":
        return [_NUMBER * _length(call), _WHOLE * (3 + 5 * rows)]
    if call.routine == "gesdd":
        least = min(rows, columns)
        return [_NUMBER * rows * columns, _NUMBER * _length(call), _WHOLE * 8 * least]
    if call.routine == "geqrf":
        return [_NUMBER * columns, _NUMBER * _length(call)]
    return []


def _length(call: Linked) -> int:
    """How many numbers a routine may work with: at least what it would ask for."""
    rows, columns = call.rows, call.columns
    least = min(rows, columns)
    if call.routine == "syevd":
        return 1 + 6 * rows + 2 * rows * rows + rows * _BLOCK
    if call.routine == "gesdd":
        return 4 * least * least + 7 * least + (rows + columns + least) * _BLOCK
    return columns * _BLOCK


def print_linked(region: Printing, value: Value, call: Linked, results: Sequence[Value]) -> None:
    """The lines that run a routine on all matrices; the program fails where one of them does."""
    name = region.text.name(call.routine)
    arrays = [*value.operands, *results]
    region.text.parts.append(_Calls(name, call, arrays, region.text.library).text)
    at = region.memory.inside.get(value.number, 0)
    work = region.new(f"getelementptr i8, ptr %scratch, i64 {at}")
    table = region.from_context(LINKED)
    inside = ", ".join(f"ptr {p}" for p in (table, work, *map(region.pointer, arrays)))
    code = region.new(f"call i32 {name}({inside})")
    region.leave_if(f"icmp ne i32 {code}, 0", str(call.equation + 1))


class _Calls:
    """A function `i32 (ptr table, ptr work, ptr …)`; 1 where a routine couldn't do its work."""

    def __init__(self, name: str, call: Linked, arrays: Sequence[Value], library: Library) -> None:
        self.call = call
        self.library = library
        self.sizes = [v.size // call.count * v.dtype.itemsize for v in arrays]
        names = [f"%x{k}" for k in range(len(arrays))]
        given = ", ".join(f"ptr {p}" for p in ("%table", "%work", *names))
        code = self.code = Code(f"internal i32 {name}({given})")
        self.info = code.value("alloca i32")
        offsets = [0]
        for size in _work(call):
            offsets.append(offsets[-1] + _room(size))
        self.work = [code.at("%work", offset) for offset in offsets]
        code.line(f"call void {code.word('%table', ENTER, 'ptr')}()")
        with code.loop(str(call.count)) as k:
            here = [
                code.place(f"[{size} x i8]", array, k)
                for array, size in zip(names, self.sizes, strict=True)
            ]
            getattr(self, f"_{call.routine}")(*here)
        self._leave(0)
        code.label("failed")
        self._leave(1)
        self.text = code.text()

    def _leave(self, result: int) -> None:
        self.code.line(f"call void {self.code.word('%table', LEAVE, 'ptr')}()")
        self.code.line(f"ret i32 {result}")

    def _copy(self, target: str, source: str, number: int) -> None:
        """As many bytes as operand or result `number` has."""
        self.library.declarations.add(f"declare void {_COPY}(ptr, ptr, i64, i1)")
        inside = f"ptr {target}, ptr {source}, i64 {self.sizes[number]}, i1 false"
        self.code.line(f"call void {_COPY}({inside})")

    def _constant(self, kind: str, value: int) -> str:
        """The address of a number: LAPACK has everything by reference."""
        name = f"@cr.{kind}.{value}"
        self.library.texts[name] = f"{name} = internal constant {kind} {value}"
        return name

    def _routine(self, name: str, *arguments: int | str, may_fail: bool = True) -> None:
        """Call one; a number, a letter, or an address. Its verdict comes last."""
        given = [
            self._constant("i32", a)
            if isinstance(a, int)
            else self._constant("i8", ord(a))
            if len(a) == 1
            else a
            for a in arguments
        ]
        function = self.code.word("%table", place_of("d" + name), "ptr")
        inside = ", ".join(f"ptr {a}" for a in (*given, self.info))
        self.code.line(f"call void {function}({inside})")
        if may_fail:
            self.code.compare("eq", "i32", self.code.load("i32", self.info), "0", "failed")

    def _potrf(self, a: str, y: str) -> None:
        rows = self.call.rows
        self._copy(y, a, 0)
        self._routine("potrf", "L", rows, y, rows)

    def _getrf(self, a: str, y: str, pivots: str) -> None:
        rows = self.call.rows
        self._copy(y, a, 0)
        self._routine("getrf", rows, rows, y, rows, pivots, may_fail=False)

    def _gesv(self, a: str, b: str, x: str) -> None:
        rows, columns = self.call.rows, self.call.columns
        self._copy(self.work[0], a, 0)
        self._copy(x, b, 1)
        self._routine("gesv", rows, columns, self.work[0], rows, self.work[1], x, rows)

    def _syevd(self, a: str, w: str, v: str) -> None:
        rows, half = self.call.rows, "L" if self.call.lower else "U"
        self._copy(v, a, 0)
        work, whole = self.work[:2]
        length = _length(self.call)
        self._routine("syevd", "V", half, rows, v, rows, w, work, length, whole, 3 + 5 * rows)

    def _gesdd(self, a: str, u: str, s: str, vt: str) -> None:
        rows, columns = self.call.rows, self.call.columns
        copied, work, whole = self.work[:3]
        self._copy(copied, a, 0)
        self._routine(
            "gesdd", "S", rows, columns, copied, rows, s, u, rows, vt, min(rows, columns), work,
            _length(self.call), whole,
        )  # fmt: skip

    def _geqrf(self, a: str, y: str, q: str) -> None:
        rows, columns = self.call.rows, self.call.columns
        tau, work = self.work[:2]
        length = _length(self.call)
        self._copy(y, a, 0)
        self._routine("geqrf", rows, columns, y, rows, tau, work, length)
        self._copy(q, y, 0)
        self._routine("orgqr", rows, columns, columns, q, rows, tau, work, length)


# What stands where in the table that `gate_text` exports.
GATE_NAMES = ("threads", "set_threads")


def gate_text() -> str:
    """A module that exports `enter` and `leave`: between them the library uses one thread.

    Whoever comes first keeps how many it had, and whoever goes last gives them back. Only the
    number is kept under the lock, for some nanoseconds. `table` holds the library's functions that
    ask for the number and set it, and nulls where it has none.
    """
    enter, leave = Code("void @enter()"), Code("void @leave()")
    for code in (enter, leave):
        code.compare("ne", "ptr", code.load("ptr", "@table", 8), "null", "done")
        _locked(code)
    inside = enter.load("i64", "@inside")
    enter.store(f"i64 {enter.value(f'add i64 {inside}, 1')}", "@inside")
    enter.compare("eq", "i64", inside, "0", "unlock")
    threads = enter.value(f"call i32 {enter.load('ptr', '@table')}()")
    enter.store(f"i32 {threads}", "@threads")
    enter.compare("sgt", "i32", threads, "1", "unlock")
    enter.line(f"call void {enter.load('ptr', '@table', 8)}(i32 1)")
    inside = leave.value(f"sub i64 {leave.load('i64', '@inside')}, 1")
    leave.store(f"i64 {inside}", "@inside")
    leave.compare("eq", "i64", inside, "0", "unlock")
    threads = leave.load("i32", "@threads")
    leave.compare("sgt", "i32", threads, "1", "unlock")
    leave.line(f"call void {leave.load('ptr', '@table', 8)}(i32 {threads})")
    for code in (enter, leave):
        code.jump("unlock")
        code.label("unlock")
        code.line("store atomic i32 0, ptr @lock release, align 4")
        code.jump("done")
        code.label("done")
        code.line("ret void")
    forget = Code("void @forget()")
    forget.store("i32 0", "@lock")
    forget.line("ret void")
    heads = [
        "@table = global [2 x ptr] zeroinitializer",
        "@lock = internal global i32 0",
        "@inside = internal global i64 0",
        "@threads = internal global i32 0",
    ]
    return "\n\n".join(["\n".join(heads), enter.text(), leave.text(), forget.text(), ""])


def _locked(code: Code) -> None:
    code.jump("lock")
    code.label("lock")
    pair = code.value("cmpxchg ptr @lock, i32 0, i32 1 acquire monotonic")
    taken = code.value(f"extractvalue {{ i32, i1 }} {pair}, 1")
    code.line(f"br i1 {taken}, label %own, label %lock")
    code.label("own")
