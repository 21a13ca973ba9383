"""Which results may be written where an input lies: a loop's next state, memory that was given up.

Nothing may read the input afterwards, and in the loop that writes the result only the entry that is
being replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from chainrule.loops.call import Branch, Linked, Scan, While, WhileBack
from chainrule.loops.cluster import Clusters, Kernel, memory_of
from chainrule.loops.expand import is_counting, reads_of
from chainrule.loops.lower import Callback, Lowered
from chainrule.loops.memory import read_by
from chainrule.loops.value import Shape, Value


class _Reading(NamedTuple):
    """One place that reads an input: which step; of a kernel also for which root, and how."""

    step: int
    root: Value | None
    own: bool  # the entry at the loop's own counters, of the input itself


class Overwriting:
    """The readings of all inputs of a region, and what they allow."""

    def __init__(self, clusters: Clusters, lowered: Lowered) -> None:
        self.steps = clusters.steps
        self.inputs, self.outputs = lowered.inputs, lowered.outputs
        self.kept = {memory_of(output).number for output in self.outputs}
        self.readings: dict[int, list[_Reading]] = {value.number: [] for value in self.inputs}
        self.written: dict[int, int] = {}  # the step that writes a value
        for number, step in enumerate(self.steps):
            if isinstance(step, Kernel):
                self._kernel(number, step, clusters)
                continue
            for operand in read_by(step, clusters):
                self._read(operand, _Reading(number, None, False))
            if step.how == "external":
                self.written.update((value.number, number) for value in step.call[1])
        failing = [k for k, step in enumerate(self.steps) if _may_fail(step)]
        self.last_failing = failing[-1] if failing else -1

    def _kernel(self, number: int, kernel: Kernel, clusters: Clusters) -> None:
        for root in kernel.roots:
            self.written[root.number] = number
            for source, index in reads_of(clusters.expressions[root.number]):
                own = memory_of(source) is source and is_counting(index)
                self._read(source, _Reading(number, root, own))

    def _read(self, source: Value, reading: _Reading) -> None:
        owner = memory_of(source).number
        if owner in self.readings:
            self.readings[owner].append(reading)

    def may(self, given: int, made: int) -> bool:
        """Whether output `made` may be written where input `given` lies."""
        source, result = self.inputs[given], self.outputs[made]
        if (source.shape, source.dtype) != (result.shape, result.dtype):
            return False
        if source.number in self.kept:
            return False  # it's copied at the very end
        at = self.written.get(result.number)
        if at is None:
            return False
        step = self.steps[at]
        if not isinstance(step, Kernel):
            return self._is_carried(step, source, result) and all(
                reading.step <= at for reading in self.readings[source.number]
            )
        together = step.outer if result in step.outer else step.inner
        return all(
            reading.step < at
            or (
                reading.step == at
                and reading.own
                and reading.root in together
                and reading.root.domain == result.shape
            )
            for reading in self.readings[source.number]
        )

    def _is_carried(self, step: Value, source: Value, result: Value) -> bool:
        """Whether a loop begins with this input as the state that becomes this result."""
        call, results = step.call
        if isinstance(call, Scan):
            first, last = call.consts, call.consts + call.carry
        elif isinstance(call, While):
            first, last = call.seen + call.consts, len(step.operands)
        else:
            return False
        place = results.index(result)
        starts = step.operands[first:last]
        if place >= len(starts) or memory_of(starts[place]) is not source:
            return False
        others = [o for k, o in enumerate(step.operands) if k != first + place]
        return all(memory_of(other) is not source for other in others)

    def pairs(
        self, donated: Sequence[int], given_as: Sequence[Shape], made_as: Sequence[Shape]
    ) -> list[tuple[int, int]]:
        """Outputs, and the inputs that are given up in whose place they are to be written.

        Only after everything that may fail: then the program is run again, on the same inputs.

        Args:
            donated: the inputs that are given up.
            given_as, made_as: the shapes of all inputs and outputs for the caller, with the axes of
                length one that loops know nothing of: a result is the very array that was given.
        """
        found: list[tuple[int, int]] = []
        free = list(range(len(self.outputs)))
        for given in donated:
            for made in free:
                late = self.written.get(self.outputs[made].number, -1) > self.last_failing
                alike = given_as[given] == made_as[made]
                if late and alike and self.outputs[made].size and self.may(given, made):
                    found.append((made, given))
                    free.remove(made)
                    break
        return found


def _may_fail(step: Kernel | Value) -> bool:
    """Whether the program may end here because of the values that it has met."""
    if isinstance(step, Kernel):
        return False
    if step.how != "external":
        return step.how == "check"
    call = step.call[0]
    if isinstance(call, (Callback, Linked)):
        return True
    bodies = []
    if isinstance(call, Scan):
        bodies = [call.body]
    elif isinstance(call, While):
        bodies = [call.condition, call.body]
    elif isinstance(call, WhileBack):
        return True  # memory for what it keeps may run out
    elif isinstance(call, Branch):
        bodies = list(call.branches)
    return any(_may_fail(value) for body in bodies for value in body.builder.values)
