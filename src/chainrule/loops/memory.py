"""Where every value lies: in an argument, or in scratch memory that is used again and again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from chainrule.loops.cluster import Clusters, Kernel, memory_of, reads_of
from chainrule.loops.nest import Targets
from chainrule.loops.value import Value, strides

_ALIGN = 64


@dataclass(eq=False)
class Memory:
    """The place of each value with memory: ("argument", k) or ("scratch", bytes from the start).

    `targets` says per root where it's stored; `copies` are outputs that something else already is.
    """

    places: dict[int, tuple[str, int]] = field(default_factory=dict)
    targets: Targets = field(default_factory=dict)
    copies: list[tuple[Value, int]] = field(default_factory=list)
    scratch: int = 0


def plan_memory(
    clusters: Clusters, inputs: Sequence[Value], outputs: Sequence[Value]
) -> Memory:
    """Arguments first, then scratch by first fit over the steps in which a value is alive."""
    memory = Memory()
    for number, value in enumerate(inputs):
        memory.places[value.number] = ("argument", number)
    for number, value in enumerate(outputs):
        owner = memory_of(value)
        if owner.number in memory.places:
            memory.copies.append((value, len(inputs) + number))
        else:
            memory.places[owner.number] = ("argument", len(inputs) + number)
    spans = _spans(clusters)
    for value in outputs:
        spans.setdefault(memory_of(value).number, (0, len(clusters.steps), memory_of(value)))
    _fill_targets(clusters, memory, spans)
    _first_fit(memory, spans)
    return memory


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
        if step.how == "assemble":
            first = min((made.get(p.number, number) for p, _, _ in step.parts), default=number)
            made[step.number] = first
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
        elif step.how == "assemble":
            for part, start, steps in step.parts:
                memory.targets.setdefault(part.number, []).append((step, start, steps))


def _first_fit(memory: Memory, spans: dict[int, tuple[int, int, Value]]) -> None:
    """The lowest gap that is free for as long as the value lives."""
    taken: list[tuple[int, int, int, int]] = []  # from, to, first step, last step
    order = sorted(spans.values(), key=lambda span: (span[0], -span[2].size))
    for first, last, value in order:
        if value.number in memory.places:
            continue
        size = max(1, value.size * value.dtype.itemsize)
        size = -(-size // _ALIGN) * _ALIGN
        at = 0
        for start, end, f, l in sorted(taken):  # noqa: E741
            if l < first or f > last:
                continue
            if at + size <= start:
                break
            at = max(at, end)
        taken.append((at, at + size, first, last))
        memory.places[value.number] = ("scratch", at)
        memory.scratch = max(memory.scratch, at + size)
