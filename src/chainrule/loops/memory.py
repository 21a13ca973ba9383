"""Where every value lies: in an argument, or in scratch memory that is used again and again."""

from __future__ import annotations

import bisect
import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

from chainrule.loops.cluster import Clusters, Kernel, memory_of
from chainrule.loops.expand import reads_of
from chainrule.loops.nest import Targets
from chainrule.loops.value import Value, strides

_ALIGN = 64
_PAGE, _STAGGER = 4096, 320


@dataclass(eq=False)
class Memory:
    """Where each value with memory lies, and where each root is stored.

    `places`: ("argument", k), ("scratch", bytes from the start) or ("literal", the value's number);
    `targets` says per root where it's stored; `copies` are outputs that something else already is;
    `inside` is where the scratch of a loop's body begins.
    """

    places: dict[int, tuple[str, int]] = field(default_factory=dict)
    targets: Targets = field(default_factory=dict)
    copies: list[tuple[Value, int]] = field(default_factory=list)
    inside: dict[int, int] = field(default_factory=dict)
    scratch: int = 0


def plan_memory(
    clusters: Clusters,
    inputs: Sequence[Value],
    outputs: Sequence[Value],
    needs: dict[int, int],
    lasting: Sequence[Value] = (),
) -> Memory:
    """Arguments first, then scratch by first fit over the steps in which a value is alive.

    Args:
        needs: bytes of scratch that the body of a loop needs, by the loop's number.
        lasting: values that are there from before the first step to after the last.
    """
    memory = Memory()
    for number, value in enumerate(inputs):
        memory.places[value.number] = ("argument", number)
    for number, value in enumerate(outputs):
        owner = memory_of(value)
        if owner.number in memory.places or owner.how == "literal":
            memory.copies.append((value, len(inputs) + number))
        else:
            memory.places[owner.number] = ("argument", len(inputs) + number)
    spans = _spans(clusters)
    for value in outputs:
        spans.setdefault(memory_of(value).number, (0, len(clusters.steps), memory_of(value)))
    for value in lasting:
        spans[value.number] = (0, len(clusters.steps), value)
    _fill_targets(clusters, memory, spans)
    _first_fit(memory, spans, _bodies(clusters, needs))
    return memory


def _bodies(clusters: Clusters, needs: dict[int, int]) -> list[tuple[int, int, int]]:
    """(step, number, bytes) of every loop whose body needs scratch."""
    return [
        (k, step.number, needs[step.number])
        for k, step in enumerate(clusters.steps)
        if isinstance(step, Value) and needs.get(step.number)
    ]


def read_by(step: Value, clusters: Clusters) -> Sequence[Value]:
    """What a step that isn't a kernel reads."""
    if step.expression is None:
        return step.operands
    return [source for source, _ in reads_of(clusters.expressions[step.number])]


def _spans(clusters: Clusters) -> dict[int, tuple[int, int, Value]]:
    """The steps from the first that writes a value's memory to the last that reads it."""
    made: dict[int, int] = {}
    spans: dict[int, tuple[int, int, Value]] = {}

    def use(value: Value, step: int) -> None:
        owner = memory_of(value)
        first, last, _ = spans.get(owner.number, (made.get(owner.number, step), step, owner))
        spans[owner.number] = (min(first, made.get(owner.number, first)), max(last, step), owner)

    for number, step in enumerate(clusters.steps):
        if isinstance(step, Kernel):
            own = {root.number for root in step.roots}
            for root in step.roots:
                made[root.number] = number
            for root in step.roots:
                for source, _ in reads_of(clusters.expressions[root.number]):
                    if source.number not in own:
                        use(source, number)
            continue
        if step.how in ("assemble", "scatter", "running"):
            first = min((made.get(p.number, number) for p, _, _ in step.parts), default=number)
            made[step.number] = first
            if step.expression is not None:
                use(step, number)
                for operand in read_by(step, clusters):
                    use(operand, number)
            continue
        results = step.call[1] if step.how == "external" else ()
        for value in results:
            made[value.number] = number
            use(value, number)
        for operand in step.operands:
            use(operand, number)
    return spans


def _fill_targets(
    clusters: Clusters, memory: Memory, spans: dict[int, tuple[int, int, Value]]
) -> None:
    for step in clusters.steps:
        if isinstance(step, Kernel):
            for root in step.roots:
                if root.number in spans or root.number in memory.places:
                    own = (root, 0, strides(root.shape))
                    memory.targets.setdefault(root.number, []).append(own)
        else:
            for part, start, steps in step.parts:
                memory.targets.setdefault(part.number, []).append((step, start, steps))


def _first_fit(
    memory: Memory,
    spans: dict[int, tuple[int, int, Value]],
    bodies: list[tuple[int, int, int]],
) -> None:
    """The lowest gap that is free for as long as the value lives."""
    wanted: list[tuple[int, int, int, int, bool]] = []  # first, last, bytes, number, a body's own
    for first, last, value in spans.values():
        if value.how == "literal":
            memory.places[value.number] = ("literal", value.number)
        if value.number not in memory.places:
            size = max(1, value.size * value.dtype.itemsize)
            wanted.append((first, last, size, value.number, False))
    wanted += [(step, step, size, number, True) for step, number, size in bodies]
    arena = _Arena()
    for first, last, size, number, inside in sorted(wanted, key=lambda w: (w[0], -w[2])):
        at = arena.take(first, last, size)
        if inside:
            memory.inside[number] = at
        else:
            memory.places[number] = ("scratch", at)
    memory.scratch = arena.top


class _Arena:
    """Memory that is handed out and given back as the steps go by."""

    def __init__(self) -> None:
        self.top = 0
        self.free: list[tuple[int, int]] = []  # gaps (from, to), by address
        self.used: list[tuple[int, int, int]] = []  # a heap: last step, from, to

    def take(self, first: int, last: int, size: int) -> int:
        """Room from one step to another."""
        while self.used and self.used[0][0] < first:
            _, start, end = heapq.heappop(self.used)
            self._give_back(start, end)
        size = -(-size // 8) * 8
        if size >= _PAGE:
            size += _STAGGER  # else arrays of whole pages would all meet in the same cache lines
        align = _ALIGN if size > 8 else 8
        for k, (start, end) in enumerate(self.free):
            at = -(-start // align) * align
            if at + size <= end:
                rest = [(start, at), (at + size, end)]
                self.free[k : k + 1] = [gap for gap in rest if gap[0] < gap[1]]
                break
        else:
            at = -(-self.top // align) * align
            if at > self.top:
                self.free.append((self.top, at))
            self.top = at + size
        heapq.heappush(self.used, (last, at, at + size))
        return at

    def _give_back(self, start: int, end: int) -> None:
        k = bisect.bisect(self.free, (start, end))
        if k < len(self.free) and self.free[k][0] == end:
            end = self.free.pop(k)[1]
        if k and self.free[k - 1][1] == start:
            start = self.free.pop(k - 1)[0]
            k -= 1
        self.free.insert(k, (start, end))
