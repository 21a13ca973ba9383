"""Distributions that NumPy draws, as LLVM text: its own C functions, called from native code.

NumPy offers them to extensions, and takes a table of functions that give random words. Ours hand
out the words of a key's stream, drawn a group at a time (see draw.py). So the numbers are NumPy's
bit for bit, with whatever its methods leave out and draw again.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import contextmanager

from chainrule.base.distributions import NUMPYS
from chainrule.emit.code import Code
from chainrule.emit.draw import MANY_WORDS, PREFIX, WORDS, many_words_text, words_text
from chainrule.emit.region import POLL, Printing
from chainrule.loops.draw import GROUP, Distribution
from chainrule.loops.schedule import Target
from chainrule.loops.value import Value

# How C passes unsigned numbers, by their bits.
_WHOLE = {8: "i8 zeroext", 16: "i16 zeroext", 32: "i32", 64: "i64"}
# NumPy's names → what each gives and takes, the table first. Linking gives them addresses.
FUNCTIONS = {
    "random_standard_normal_fill": "void (ptr, i64, ptr)",
    "random_standard_normal_fill_f": "void (ptr, i64, ptr)",
    "random_standard_exponential_fill": "void (ptr, i64, ptr)",
    "random_standard_exponential_fill_f": "void (ptr, i64, ptr)",
    **{
        f"random_bounded_uint{bits}_fill": f"void (ptr, {kind}, {kind}, i64, i1 zeroext, ptr)"
        for bits, kind in _WHOLE.items()
    },
    "random_interval": "i64 (ptr, i64)",
}
# Words of the state: a key, the block it stands at, how many words are used; whether half a word is
# left, and which.
_KEY, _BLOCK, _USED, _HAS_HALF, _HALF, _WORDS = 0, 2, 3, 4, 5, 8
_BLOCKS = GROUP // 4
# Numbers that take so long that somebody may want to stop it; and those between two questions.
_LONG, _PIECE = 2**22, 2**18
_PACKED = (8, 16)  # bits of numbers of which NumPy cuts several out of one word


def print_distribution(region: Printing, value: Value, call: Distribution) -> None:
    """The lines that draw so many numbers for each of several keys."""
    name = _name(call.function, call.within)
    count, size = call.keys, value.size // call.keys
    inside = [*map(region.pointer, (*value.operands, value))]
    numbers = [count, size, value.dtype.itemsize, *call.numbers]
    given = [f"ptr {p}" for p in inside] + [f"i64 {n}" for n in numbers]
    region.text.library.declarations.add(f"declare i1 @{name}(ptr, ptr{', i64' * 5}, ptr)")
    long = value.size >= _LONG
    ask = region.from_context(POLL) if long else "null"
    stopped = region.new(f"call i1 @{name}({', '.join(given)}, ptr {ask})")
    if long:
        region.leave_if(f"icmp eq i1 {stopped}, true", "-1")


def _name(function: str, within: bool) -> str:
    return f"{PREFIX}{function}{'.within' * within}"


def random_text(target: Target, offered: Container[str]) -> tuple[str, list[str]]:
    """The module of all functions that draw, and what it exports.

    Args:
        offered: which of NumPy's functions there are.
    """
    parts, exported = [_DECLARATIONS, words_text(target)], [WORDS, MANY_WORDS]
    parts += [_next64(), _next32(), _next_double(), _TABLE, many_words_text(), _fill()]
    for function, signature in FUNCTIONS.items():
        if function in offered:
            result, arguments = signature.split(" ", 1)
            parts.append(f"declare {result} @{NUMPYS}{function}{arguments}")
            for within in (False, True)[: 1 + ("normal" in function)]:
                exported.append(_name(function, within))
                parts.append(_each_key(function, within))
    return "\n\n".join([*parts, ""]), exported


_DECLARATIONS = """\
declare i64 @llvm.usub.sat.i64(i64, i64)
declare double @llvm.fabs.f64(double)
declare float @llvm.fabs.f32(float)"""
_TABLE = "@table = internal constant [4 x ptr] [ptr @next64, ptr @next32, ptr @double, ptr @next64]"


def _each_key(name: str, within: bool) -> str:
    """Draw for one key after the other, each from the beginning of its stream.

    `ask`, unless it's null, is asked now and then whether to stop; the result says if it was so.
    """
    code = Code(
        f"i1 @{_name(name, within)}(ptr %keys, ptr %out, i64 %count, i64 %size, i64 %bytes, "
        "i64 %first, i64 %second, ptr %ask)"
    )
    state = code.value(f"alloca [{_WORDS + GROUP} x i64], align 64")
    source = code.value("alloca [5 x ptr]")
    code.store(f"ptr {state}", source)
    for number in range(4):
        function = code.load("ptr", "@table", 8 * number)
        code.store(f"ptr {function}", source, 8 * (number + 1))
    row = code.value("mul i64 %size, %bytes")
    with code.loop("%count") as k:
        for word in range(2):
            part = code.word(code.place("[2 x i64]", "%keys", k), word)
            code.store(f"i64 {part}", state, 8 * (_KEY + word))
        code.store("i64 0", state, 8 * _BLOCK)
        code.store(f"i64 {GROUP}", state, 8 * _USED)
        code.store("i64 0", state, 8 * _HAS_HALF)
        start = code.place("i8", "%out", code.value(f"mul i64 {k}, {row}"))
        if name == "random_interval":
            _shuffled(code, source, start)
        elif within:
            _cut(code, f"@{NUMPYS}{name}", source, start)
        elif name.startswith("random_bounded"):
            bits = int(name.removeprefix("random_bounded_uint").removesuffix("_fill"))
            _bounded(code, f"@{NUMPYS}{name}", bits, source, start)
        else:
            inside = f"ptr @{NUMPYS}{name}, ptr {source}, i64 %size, i64 %bytes, ptr {start}"
            stopped = code.value(f"call i1 @fill({inside}, ptr %ask)")
            code.need(code.value(f"xor i1 {stopped}, true"), "stopped")
    code.line("ret i1 false")
    code.label("stopped")
    code.line("ret i1 true")
    return code.text()


def _fill() -> str:
    """Have a function draw so many numbers, piece by piece; whether it was stopped."""
    code = Code(
        "internal i1 @fill(ptr %draw, ptr %source, i64 %size, i64 %bytes, ptr %out, ptr %ask) "
        "noinline"
    )
    with _pieces(code, "%size") as (begin, count):
        place = code.place("i8", "%out", code.value(f"mul i64 {begin}, %bytes"))
        code.line(f"call void %draw(ptr %source, i64 {count}, ptr {place})")
    code.line("ret i1 false")
    code.label("stopped")
    code.line("ret i1 true")
    return code.text()


def _bounded(code: Code, function: str, bits: int, source: str, start: str) -> None:
    """Integers of so many bits; what is left of a word that several come from is lost at last."""
    first, second = (_narrow(code, number, bits) for number in ("%first", "%second"))
    if bits in _PACKED:
        inside = f"ptr {source}, {first}, {second}, i64 %size, i1 zeroext false, ptr {start}"
        code.line(f"call void {function}({inside})")
        return
    with _pieces(code, "%size") as (begin, count):
        place = code.place(f"i{bits}", start, begin)
        inside = f"ptr {source}, {first}, {second}, i64 {count}, i1 zeroext false, ptr {place}"
        code.line(f"call void {function}({inside})")


def _kind(function: str) -> str:
    return "float" if function.endswith("_f") else "double"


@contextmanager
def _pieces(code: Code, total: str) -> Iterator[tuple[str, str]]:
    """What follows for one piece after the other: its first number, and how many it has."""
    more = code.value(f"add i64 {total}, {_PIECE - 1}")
    with code.loop(code.value(f"udiv i64 {more}, {_PIECE}")) as k:
        begin = code.value(f"mul i64 {k}, {_PIECE}")
        rest = code.value(f"sub i64 {total}, {begin}")
        yield begin, code.value(f"call i64 @llvm.umin.i64(i64 {rest}, i64 {_PIECE})")
        ask, on = code.name("ask"), code.name("unasked")
        code.line(f"br i1 {code.value('icmp eq ptr %ask, null')}, label %{on}, label %{ask}")
        code.label(ask)
        answer = code.value("call i32 %ask()")
        code.line(f"br i1 {code.value(f'icmp eq i32 {answer}, 0')}, label %{on}, label %stopped")
        code.label(on)


def _narrow(code: Code, number: str, bits: int) -> str:
    """An argument with its type."""
    if bits < 64:
        number = code.value(f"trunc i64 {number} to i{bits}")
    return f"{_WHOLE[bits]} {number}"


def _shuffled(code: Code, source: str, place: str) -> None:
    """The numbers from 0 on, each from the last one back exchanged with one up to it."""
    with code.loop("%size") as k:
        code.store(f"i64 {k}", code.place("i64", place, k))
    swaps = code.value("call i64 @llvm.usub.sat.i64(i64 %size, i64 1)")
    with _pieces(code, swaps) as (begin, count), code.loop(count) as k:
        done = code.value(f"add i64 {begin}, {k}")
        last = code.value(f"sub i64 {swaps}, {done}")
        other = code.value(f"call i64 @{NUMPYS}random_interval(ptr {source}, i64 {last})")
        places = [code.place("i64", place, number) for number in (last, other)]
        numbers = [code.load("i64", p) for p in places]
        for target, number in zip(places, reversed(numbers), strict=True):
            code.store(f"i64 {number}", target)


def _cut(code: Code, function: str, source: str, place: str) -> None:
    """Numbers drawn one by one, each again until it's within two of zero."""
    kind = _kind(function)
    with _pieces(code, "%size") as (begin, count), code.loop(count) as k:
        number = code.value(f"add i64 {begin}, {k}")
        here, again = code.place(kind, place, number), code.name("again")
        code.jump(again)
        code.label(again)
        code.line(f"call void {function}(ptr {source}, i64 1, ptr {here})")
        size = "f32" if kind == "float" else "f64"
        magnitude = code.value(f"call {kind} @llvm.fabs.{size}({kind} {code.load(kind, here)})")
        code.need(code.value(f"fcmp ole {kind} {magnitude}, 2.0"), again)


def _next64() -> str:
    """The next word; after the last of a group, another group is drawn."""
    code = Code("internal i64 @next64(ptr %state)")
    used = code.word("%state", _USED)
    more = code.value(f"icmp ult i64 {used}, {GROUP}")
    before = code.block
    code.line(f"br i1 {more}, label %give, label %draw")
    code.label("draw")
    words, start = code.at("%state", 8 * _WORDS), code.at("%state", 8 * _BLOCK)
    pointers = f"ptr %state, ptr {start}, ptr {words}, ptr null"
    code.line(f"call void @{WORDS}({pointers}, i64 0, i64 1, i64 1, i64 1, i64 1, i64 1)")
    block = code.value(f"add i64 {code.load('i64', start)}, {_BLOCKS}")
    code.store(f"i64 {block}", start)
    code.jump("give")
    code.label("give")
    number = code.value(f"phi i64 [{used}, %{before}], [0, %draw]")
    code.store(f"i64 {code.value(f'add i64 {number}, 1')}", "%state", 8 * _USED)
    word = code.element("i64", code.at("%state", 8 * _WORDS), number)
    code.line(f"ret i64 {word}")
    return code.text()


def _next32() -> str:
    """Half a word: first the lower half, at the next call the upper one."""
    code = Code("internal i32 @next32(ptr %state)")
    code.compare("eq", "i64", code.word("%state", _HAS_HALF), "0", "kept")
    word = code.value("call i64 @next64(ptr %state)")
    code.store("i64 1", "%state", 8 * _HAS_HALF)
    code.store(f"i64 {code.value(f'lshr i64 {word}, 32')}", "%state", 8 * _HALF)
    code.line(f"ret i32 {code.value(f'trunc i64 {word} to i32')}")
    code.label("kept")
    code.store("i64 0", "%state", 8 * _HAS_HALF)
    half = code.word("%state", _HALF)
    code.line(f"ret i32 {code.value(f'trunc i64 {half} to i32')}")
    return code.text()


def _next_double() -> str:
    """A number from 0 to 1, of all the bits that it has."""
    code = Code("internal double @double(ptr %state)")
    word = code.value("call i64 @next64(ptr %state)")
    whole = code.value(f"uitofp i64 {code.value(f'lshr i64 {word}, 11')} to double")
    code.line(f"ret double {code.value(f'fmul double {whole}, 0x3CA0000000000000')}")
    return code.text()
