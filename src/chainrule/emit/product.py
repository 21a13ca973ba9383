"""Large products of matrices, as LLVM text: blocks of the result, each by a call of BLAS.

Blocks are cut by the shapes alone and shared out among the threads, each of which calls the library
single-threaded: so the result is the same bit for bit on any number of them.
"""

from __future__ import annotations

from chainrule.emit.code import Code
from chainrule.emit.linear import ENTER, LEAVE, place_of
from chainrule.emit.region import LINKED, PARALLEL, POLL, Printing
from chainrule.emit.watch import watched
from chainrule.loops.call import Product
from chainrule.loops.value import Value

_ROWS, _COLUMNS = 512, 1024  # of a block, at most
_LEAST_ROWS = 32
_DEEP = 2**20  # numbers of a block's rows, beyond which it takes too long to be waited for
_LONG = 2**29  # pairs that are multiplied, from which on somebody may want to stop it
_LETTER = {"f32": "s", "f64": "d"}
_TYPE = {"f32": "float", "f64": "double"}
# What a block is told, by words.
_GEMM, _LEFT, _RIGHT, _RESULT = range(4)


def print_product(region: Printing, value: Value, call: Product) -> None:
    """The lines that multiply: the blocks, between the functions that keep BLAS to one thread."""
    name = region.text.name("product")
    library = region.text.library
    region.text.parts.append(_block(name, call, library.texts))
    library.declarations.add("declare i64 @llvm.umin.i64(i64, i64)")
    table = region.from_context(LINKED)
    gemm = _entry(region, table, place_of(_LETTER[call.kind] + "gemm"))
    data = region.table([gemm, *map(region.pointer, (*value.operands, value))])
    region.lines.append(f"  call void {_entry(region, table, ENTER)}()")
    chunks = call.count * _count(call.rows, _rows(call)) * _count(call.columns, _COLUMNS)
    stopped = ""
    if call.count * call.rows * call.inner * call.columns >= _LONG:
        region.text.reads |= {PARALLEL, POLL}
        stopped = region.new(watched(library, name, data, chunks))
    else:
        parallel = region.from_context(PARALLEL)
        region.lines.append(f"  call void {parallel}(ptr {name}, ptr {data}, i64 {chunks})")
    region.lines.append(f"  call void {_entry(region, table, LEAVE)}()")
    if stopped:
        region.leave_if(f"icmp eq i1 {stopped}, true", "-1")


def _entry(region: Printing, table: str, place: int) -> str:
    at = region.new(f"getelementptr ptr, ptr {table}, i64 {place}")
    return region.new(f"load ptr, ptr {at}")


def _rows(call: Product) -> int:
    """Rows of a block, at most: of a deep product fewer, so that no block takes long."""
    return min(_ROWS, max(_LEAST_ROWS, _DEEP // call.inner))


def _count(length: int, most: int) -> int:
    return -(-length // most)


def _block(name: str, call: Product, texts: dict[str, str]) -> str:
    """`void (ptr data, i64 chunk)`: one block of one matrix.

    Rows of ours are BLAS's columns, so what it multiplies are the right operand and the left one.
    """
    code = Code(f"internal void {name}(ptr %data, i64 %chunk)")
    across = _count(call.columns, _COLUMNS)
    per_matrix = across * _count(call.rows, _rows(call))
    matrix = code.value(f"udiv i64 %chunk, {per_matrix}")
    within = code.value(f"urem i64 %chunk, {per_matrix}")
    starts, sizes = [], []
    for number, length, most in (
        (code.value(f"udiv i64 {within}, {across}"), call.rows, _rows(call)),
        (code.value(f"urem i64 {within}, {across}"), call.columns, _COLUMNS),
    ):
        # Of about the same size each, so that threads have equal work.
        part = _count(length, _count(length, most))
        start = code.value(f"mul i64 {number}, {part}")
        rest = code.value(f"sub i64 {length}, {start}")
        starts.append(start)
        sizes.append(code.value(f"call i64 @llvm.umin.i64(i64 {rest}, i64 {part})"))
    row, column = starts
    rows, inner, columns = call.rows, call.inner, call.columns
    left = _place(code, call, _LEFT, matrix, rows * inner, row, 1 if call.turned[0] else inner)
    right = _place(
        code, call, _RIGHT, matrix, inner * columns, column, inner if call.turned[1] else 1
    )
    result = _place(code, call, _RESULT, matrix, rows * columns, row, columns)
    result = code.place(_TYPE[call.kind], result, column)
    height, width = (_by_reference(code, size) for size in sizes)

    def constant(kind: str, number: int | float) -> str:
        known = f"@cr.{kind}.{number}"
        texts[known] = f"{known} = internal constant {kind} {number}"
        return known

    letters = [constant("i8", ord("T" if turned else "N")) for turned in call.turned]
    steps = [rows if call.turned[0] else inner, inner if call.turned[1] else columns, columns]
    step_left, step_right, step_result = (constant("i32", step) for step in steps)
    one, zero = (constant(_TYPE[call.kind], number) for number in (1.0, 0.0))
    depth = constant("i32", inner)
    given = [
        letters[1], letters[0], width, height, depth, one, right, step_right, left, step_left, zero,
        result, step_result,
    ]  # fmt: skip
    inside = ", ".join(f"ptr {a}" for a in given)
    code.line(f"call void {code.word('%data', _GEMM, 'ptr')}({inside})")
    code.line("ret void")
    return code.text()


def _place(
    code: Code, call: Product, word: int, matrix: str, size: int, offset: str, step: int
) -> str:
    """Where a block begins in an operand, or in the result."""
    base = code.word("%data", word, "ptr")
    kind = _TYPE[call.kind]
    if word == _RESULT or not call.repeated[word - _LEFT]:
        base = code.place(kind, base, code.value(f"mul i64 {matrix}, {size}"))
    return code.place(kind, base, code.value(f"mul i64 {offset}, {step}"))


def _by_reference(code: Code, number: str) -> str:
    at = code.value("alloca i32")
    code.store(f"i32 {code.value(f'trunc i64 {number} to i32')}", at)
    return at
