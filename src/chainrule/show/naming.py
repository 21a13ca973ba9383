"""What the nodes of a graph are called: as the user's text calls them, shorter, or as told."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chainrule.base.errors import ArgumentError
from chainrule.base.place import Place
from chainrule.ir.naming import named, relabelled
from chainrule.ir.program import Program, Var
from chainrule.tracing.stage import trace_program

Names = Mapping[str, str] | Sequence[str]

_LAST_KEY = re.compile(r".*\['([^'\]]+)'\]")


def program_of(f: Callable[..., Any], args: tuple[Any, ...], outside: Place | None) -> Program:
    """The program of f with origins and names, those of a deep tree cut to their last part."""
    program = named(trace_program(f, *args, origins=True), outside)
    labels = {var.number: var.label for var in program.variables() if var.label is not None}
    heads = {var.number for var in (*program.inputs, *(var for var, _ in program.captured))}
    short = {n: _shorter(label) if n in heads else label for n, label in labels.items()}
    if short == labels:
        return program
    often = Counter(short.values())
    return relabelled(
        program, {n: short[n] if often[short[n]] == 1 else label for n, label in labels.items()}
    )


def _shorter(label: str) -> str:
    found = _LAST_KEY.fullmatch(label)
    return label if found is None else found[1]


def renamed(program: Program, names: Names) -> Program:
    """The program with other names.

    Raises:
        ArgumentError: a name that is nobody's, or two variables of one name.
    """
    shown = _nodes(program)
    labels = {var.number: var.label for var in shown if var.label is not None}
    if isinstance(names, Mapping):
        by_name = {var.name: var.number for var in shown}
        unknown = [name for name in names if name not in by_name]
        if unknown:
            raise ArgumentError(
                f"graph: names= speaks of {unknown[0]!r}, and no node is called that",
                {"nodes": ", ".join(by_name)},
                "rename those that there are: names={old: new, …}",
            )
        labels.update((by_name[name], _text(label)) for name, label in names.items())
    else:
        given = [names] if isinstance(names, str) else list(names)
        if len(given) > len(shown):
            raise ArgumentError(
                "graph: names= has more names than the graph has inputs and intermediate values",
                {"names": len(given), "nodes": ", ".join(var.name for var in shown)},
                "give fewer; literals have none",
            )
        labels.update((var.number, _text(label)) for var, label in zip(shown, given, strict=False))
    twice = [label for label, count in Counter(labels.values()).items() if count > 1]
    if twice:
        raise ArgumentError(
            f"graph: two nodes would be called {twice[0]!r}",
            fix="rename both, or neither: names={old: new, …}",
        )
    return relabelled(program, labels)


def _text(label: Any) -> str:
    if not isinstance(label, str) or not label.strip():
        raise ArgumentError(
            "graph: a name must be text that isn't empty",
            {"given": repr(label)},
            "names={'c': 'area'} or names=['x', 'y', 'area']",
        )
    return label


def _nodes(program: Program) -> list[Var]:
    """The variables that are nodes, in topological order."""
    read = {a.number for e in program.equations for a in e.inputs if isinstance(a, Var)}
    read |= {a.number for a in program.outputs if isinstance(a, Var)}
    heads = [*program.inputs, *(var for var, _ in program.captured)]
    made = [var for e in program.equations for var in e.outputs if var.number in read]
    return [*heads, *made]
