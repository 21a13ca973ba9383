"""What the gallery says of one worked case, and how its picture and its page are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import chainrule as cr
from chainrule.show.fold import By


@dataclass(frozen=True)
class Case:
    """One worked case.

    Attributes:
        label: as the list of the lectures' cases calls it; several forms of one have a word more.
        title: its heading.
        function: as a user writes it.
        point: the arguments; a function that makes them where they are large.
        look: what to look at, one sentence of Markdown.
        value: what comes out, exact.
        gradient: by each argument, exact.
        inside: the gradients of some values on the way, by their names.
        folded: by what picture and page are folded.
        picture: options of the picture, for `save`.
    """

    label: str
    title: str
    function: Callable[..., Any]
    point: tuple[Any, ...] | Callable[[], tuple[Any, ...]]
    look: str
    value: Any = None
    gradient: tuple[Any, ...] | None = None
    inside: Mapping[str, Any] = field(default_factory=dict)
    folded: By | None = None
    picture: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What its files are called."""
        return self.label.lower().replace(",", "").replace(" ", "-")

    def arguments(self) -> tuple[Any, ...]:
        return self.point() if callable(self.point) else self.point

    def graph(self) -> cr.ComputationGraph:
        """The graph, with values and gradients."""
        graph = cr.graph(self.function, *self.arguments())
        graph.backward()
        return graph

    def save(self, graph: cr.ComputationGraph, folder: Path) -> None:
        """Write the picture and the page."""
        shown = graph.fold(self.folded) if self.folded else graph
        # The pages of the documentation are light, whatever the reader's system is.
        shown.save(folder / f"{self.name}.svg", theme="light", **self.picture)
        shown.save(folder / f"{self.name}.html")
