"""Random bits as LLVM text: Philox4x64-10, many blocks of four words at a time.

What draws is a module of its own, which programs find by its functions' names: it takes longer to
compile than most programs, and is the same for all of them.

A block depends on its number alone, so that chunks of a long stream are made side by side. Products
of two words are put together from those of their halves, which go by vectors.

Source: J. Salmon, M. Moraes, R. Dror, D. Shaw, Parallel random numbers: as easy as 1, 2, 3, SC'11.
"""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.emit.code import Code
from chainrule.emit.region import PARALLEL, POLL, Printing
from chainrule.emit.watch import watching_text
from chainrule.loops.draw import GROUP, Philox
from chainrule.loops.schedule import Target
from chainrule.loops.value import Value

PREFIX = "cr.random."  # of the names of all functions that draw
WORDS, MANY_WORDS = f"{PREFIX}words", f"{PREFIX}many.words"
_ROUNDS = 10
_FACTORS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_STEPS = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)  # what is added to the key after each round
_WORDS = 4  # of a block
_HALF = 2**32 - 1
_EIGHT = "<8 x i64>"
_CHUNK = 64  # groups of words that are worth a thread's while
_LONG = 2**22  # words that take so long that somebody may want to stop it
# What a chunk is told, by words.
_KEYS, _STARTS, _OUT, _REGION, _COUNT, _GROUPS, _PIECES, _SPAN = range(8)


def print_draw(region: Printing, value: Value, call: Philox) -> None:
    """The lines that draw the words of some keys: so many groups of blocks each."""
    count, groups = call.keys, value.size // call.keys // GROUP
    pieces = -(-groups // _CHUNK)
    span = max(1, _CHUNK // groups)
    chunks = -(-count // span) * pieces
    numbers = [call.region, count, groups, pieces, span, chunks]
    pointers = [*map(region.pointer, (*value.operands, value)), "%context"]
    inside = [f"ptr {p}" for p in pointers] + [f"i64 {n}" for n in numbers]
    region.text.reads.add(PARALLEL)
    types = f"(ptr, ptr, ptr, ptr{', i64' * 6})"
    if value.size < _LONG:
        region.text.library.declarations.add(f"declare void @{WORDS}{types}")
        region.lines.append(f"  call void @{WORDS}({', '.join(inside)})")
        return
    region.text.reads.add(POLL)
    region.text.library.declarations.add(f"declare i1 @{MANY_WORDS}{types}")
    stopped = region.new(f"call i1 @{MANY_WORDS}({', '.join(inside)})")
    region.leave_if(f"icmp eq i1 {stopped}, true", "-1")


def words_text(target: Target) -> str:
    """The function that draws the words of some keys, and one of a chunk of them."""
    return "\n\n".join(["declare i64 @llvm.umin.i64(i64, i64)", _Part(target).text(), _whole()])


def many_words_text() -> str:
    """The same for many words, which somebody may want to stop; it says whether it was stopped."""
    code, data = _told(f"i1 @{MANY_WORDS}")
    inside = f"ptr @part, ptr {data}, i64 %chunks, ptr %context"
    code.line(f"ret i1 {code.value(f'call i1 @watched({inside})')}")
    return f"{watching_text()}\n\n{code.text()}"


def _told(name: str) -> tuple[Code, str]:
    """The beginning of a function that has chunks done; what they are told."""
    code = Code(
        f"{name}(ptr %keys, ptr %starts, ptr %out, ptr %context, i64 %region, "
        "i64 %count, i64 %groups, i64 %pieces, i64 %span, i64 %chunks)"
    )
    data = code.value("alloca [8 x i64]")
    for place, pointer in ((_KEYS, "keys"), (_STARTS, "starts"), (_OUT, "out")):
        code.store(f"ptr %{pointer}", data, 8 * place)
    numbers = ("region", "count", "groups", "pieces", "span")
    for place, number in zip((_REGION, _COUNT, _GROUPS, _PIECES, _SPAN), numbers, strict=True):
        code.store(f"i64 %{number}", data, 8 * place)
    return code, data


def _whole() -> str:
    """All chunks: of one alone, or by the threads."""
    code, data = _told(f"void @{WORDS}")
    code.compare("ugt", "i64", "%chunks", "1", "alone")
    parallel = code.word("%context", PARALLEL, "ptr")
    code.line(f"call void {parallel}(ptr @part, ptr {data}, i64 %chunks)")
    code.line("ret void")
    code.label("alone")
    code.line(f"call void @part(ptr {data}, i64 0)")
    code.line("ret void")
    return code.text()


class _Part(Code):
    """One chunk: a piece of one key's stream, or the streams of several keys."""

    def __init__(self, target: Target) -> None:
        super().__init__("internal void @part(ptr %data, i64 %chunk)")
        # Each product waits for the one before: two vectors side by side, where registers allow.
        self.lanes = 16 if target.vector_bytes >= 64 else 8
        self.vector = f"<{self.lanes} x i64>"
        steps = GROUP // (_WORDS * self.lanes)  # of a group
        mixed = self.value(f"alloca [{2 * _ROUNDS} x i64], align 64")
        keys, starts, out = (self.word("%data", k, "ptr") for k in (_KEYS, _STARTS, _OUT))
        region, count, groups, pieces, span = (
            self.word("%data", k) for k in (_REGION, _COUNT, _GROUPS, _PIECES, _SPAN)
        )
        first = self.of("mul", self.of("udiv", "%chunk", pieces), span)
        piece = self.of("mul", self.of("urem", "%chunk", pieces), _CHUNK)
        here = self._least(span, self.of("sub", count, first))
        most = self._least(str(_CHUNK), self.of("sub", groups, piece))
        rounds = self.of("mul", most, steps)
        top = self._spread(region)
        with self.loop(here) as k:
            number = self.of("add", first, k)
            key = self.place("[2 x i64]", keys, number)
            self._mix(mixed, key)
            start = self._spread(self.element("i64", starts, number))
            whole = self.of("add", self.of("mul", number, groups), piece)
            place = self.place(f"[{GROUP} x i64]", out, whole)
            block = self.of("mul", piece, steps * self.lanes)
            with self.loop(rounds) as g:
                ahead = self.of("add", block, self.of("mul", g, self.lanes))
                words = self._block([*self._counter(start, ahead), "zeroinitializer", top], mixed)
                self._store(words, self.place(f"[{_WORDS * self.lanes} x i64]", place, g))
        self.line("ret void")

    def of(self, op: str, a: str, b: str | int) -> str:
        """An operation of two numbers."""
        return self.value(f"{op} i64 {a}, {b}")

    def each(self, op: str, a: str, b: str | int) -> str:
        """An operation of two vectors, or of one and the same number in every lane."""
        right = b if isinstance(b, str) else f"splat (i64 {b})"
        return self.value(f"{op} {self.vector} {a}, {right}")

    def _least(self, a: str, b: str) -> str:
        return self.value(f"call i64 @llvm.umin.i64(i64 {a}, i64 {b})")

    def _spread(self, number: str) -> str:
        """The same number in every lane."""
        first = self.value(f"insertelement {self.vector} poison, i64 {number}, i64 0")
        zeros = f"<{self.lanes} x i32> zeroinitializer"
        return self.value(f"shufflevector {self.vector} {first}, {self.vector} poison, {zeros}")

    def _counter(self, start: str, ahead: str) -> tuple[str, str]:
        """The lower two words of each lane's counter.

        NumPy counts on before it draws; what the first word can't hold goes to the second.
        """
        lanes = ", ".join(f"i64 {lane + 1}" for lane in range(self.lanes))
        steps = self.each("add", self._spread(ahead), f"<{lanes}>")
        low = self.each("add", start, steps)
        over = self.value(f"icmp ult {self.vector} {low}, {steps}")
        return low, self.value(f"zext <{self.lanes} x i1> {over} to {self.vector}")

    def _mix(self, table: str, key: str) -> None:
        """The two words that each round mixes in, one round's after the other's."""
        for word, step in enumerate(_STEPS):
            first = self.word(key, word)
            for number in range(_ROUNDS):
                mixed = self.of("add", first, number * step % 2**64)
                self.store(f"i64 {mixed}", table, 8 * (2 * number + word))

    def _block(self, counter: Sequence[str], table: str) -> Sequence[str]:
        """The four words of one block per lane."""
        before, head, done = self.block, self.name("round"), self.name("drawn")
        self.jump(head)
        self.label(head)
        number, following = f"%{self.name()}", f"%{self.name()}"
        after = [f"%{self.name()}" for _ in counter]
        self.line(f"{number} = phi i64 [0, %{before}], [{following}, %{head}]")
        state = [
            self.value(f"phi {self.vector} [{first}, %{before}], [{name}, %{head}]")
            for first, name in zip(counter, after, strict=True)
        ]
        mixed = self.place("[2 x i64]", table, number)
        products = [self._wide_product(state[2 * k], factor) for k, factor in enumerate(_FACTORS)]
        for k in range(2):
            high, low = products[1 - k]
            changed = self.each("xor", high, state[2 * k + 1])
            key = self._spread(self.word(mixed, k))
            self.line(f"{after[2 * k]} = xor {self.vector} {changed}, {key}")
            self.line(f"{after[2 * k + 1]} = or {self.vector} {low}, zeroinitializer")
        self.line(f"{following} = add nuw i64 {number}, 1")
        more = self.value(f"icmp ult i64 {following}, {_ROUNDS}")
        self.line(f"br i1 {more}, label %{head}, label %{done}")
        self.label(done)
        return after

    def _wide_product(self, x: str, factor: int) -> tuple[str, str]:
        """The upper and the lower word of the product with a known word."""
        of = self.each
        upper, lower = of("lshr", x, 32), of("and", x, _HALF)
        lowest = of("mul", lower, factor & _HALF)
        middle = of("add", of("mul", upper, factor & _HALF), of("lshr", lowest, 32))
        other = of("add", of("mul", lower, factor >> 32), of("and", middle, _HALF))
        high = of("add", of("mul", upper, factor >> 32), of("lshr", middle, 32))
        low = of("or", of("shl", other, 32), of("and", lowest, _HALF))
        return of("add", high, of("lshr", other, 32)), low

    def _store(self, words: Sequence[str], pointer: str) -> None:
        """The words of each lane's block side by side, eight blocks at a time."""
        for first in range(0, self.lanes, 8):
            places = ", ".join(f"i32 {first + k}" for k in range(8))
            poison = f"{self.vector} poison, <8 x i32> <{places}>"
            eight = [self.value(f"shufflevector {self.vector} {word}, {poison}") for word in words]
            self._interleave(eight, self.at(pointer, 8 * _WORDS * first))

    def _interleave(self, words: Sequence[str], pointer: str) -> None:
        """Pairs of words first, then fours, then whole vectors of two blocks."""

        def picked(a: str, b: str, places: Sequence[int]) -> str:
            mask = ", ".join(f"i32 {place}" for place in places)
            return self.value(f"shufflevector {_EIGHT} {a}, {_EIGHT} {b}, <8 x i32> <{mask}>")

        even, odd = (0, 8, 2, 10, 4, 12, 6, 14), (1, 9, 3, 11, 5, 13, 7, 15)
        first, second = (0, 1, 8, 9, 2, 3, 10, 11), (4, 5, 12, 13, 6, 7, 14, 15)
        left, right = (0, 1, 2, 3, 8, 9, 10, 11), (4, 5, 6, 7, 12, 13, 14, 15)
        pairs = [[picked(a, b, way) for way in (even, odd)] for a, b in (words[:2], words[2:])]
        fours = [
            [picked(both[0], both[1], way) for way in (first, second)]
            for both in zip(*pairs, strict=True)
        ]
        number = 0
        for both in zip(*fours, strict=True):
            for way in (left, right):
                vector = picked(both[0], both[1], way)
                self.line(f"store {_EIGHT} {vector}, ptr {self.at(pointer, 64 * number)}, align 8")
                number += 1
