"""What every turn of a loop would compute alike in its body: worked out once, before the loop.

Derivatives and users write programs from which that has been taken; what is left are layouts that
the compiler itself chose, copies of matrices that a product reads at every turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from chainrule.loops.cluster import Clusters, Kernel, memory_of
from chainrule.loops.expand import reads_of
from chainrule.loops.value import Value


class Steady(NamedTuple):
    """Kernels that run before a loop, in order, and the values with memory that they make."""

    kernels: Sequence[Kernel] = ()
    values: Sequence[Value] = ()


def steady(clusters: Clusters, fixed: Sequence[Value], outputs: Sequence[Value]) -> Steady:
    """The kernels of a body that read nothing but inputs that stay as they are.

    Args:
        clusters: the body.
        fixed: its inputs that are the same at every turn.
        outputs: its outputs, which are wanted anew at each.
    """
    if not fixed:
        return Steady()
    wanted = {memory_of(value).number for value in outputs}
    # What is written into somebody else's memory lasts if that does: all of its parts together.
    fleeting = set(wanted)
    while True:
        found, left = _found(clusters, fixed, wanted, fleeting)
        if left <= fleeting:
            return found
        fleeting |= left


def _found(
    clusters: Clusters, fixed: Sequence[Value], wanted: set[int], fleeting: set[int]
) -> tuple[Steady, set[int]]:
    """What is steady if some roots aren't; and the parts of values that turn out not to be."""
    known = {value.number for value in fixed}
    kernels: list[Kernel] = []
    values: dict[int, Value] = {}
    left: set[int] = set()
    for step in clusters.steps:
        if isinstance(step, Kernel):
            if _is_steady(step, clusters, known, fleeting):
                known |= {root.number for root in step.roots}
                values.update((root.number, root) for root in step.roots)
                kernels.append(step)
            continue
        parts = {part.number for part, _, _ in step.parts}
        if step.how == "assemble" and parts <= known and step.number not in wanted:
            known.add(step.number)
            values[step.number] = step
            for number in parts:
                values.pop(number, None)
        else:
            left |= parts
    return Steady(kernels, list(values.values())), left


def _is_steady(kernel: Kernel, clusters: Clusters, known: set[int], fleeting: set[int]) -> bool:
    own = {root.number for root in kernel.roots}
    if own & fleeting:
        return False
    for root in kernel.roots:
        for source, _ in reads_of(clusters.expressions[root.number]):
            owner = memory_of(source)
            if owner.number not in known and owner.number not in own and owner.how != "literal":
                return False
    return True
