"""Pictures of graphs as files, in notebooks, and as text: what is asked for, in which format."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from chainrule.base.errors import ArgumentError, StorageError, UnsupportedError
from chainrule.show.diagram import compose
from chainrule.show.dot import dot_text
from chainrule.show.draw import Notation, draw
from chainrule.show.fold import By, FoldedGraph, fold
from chainrule.show.frame import framed
from chainrule.show.layout import DIRECTIONS, Direction
from chainrule.show.network import network
from chainrule.show.overview import folded_diagram
from chainrule.show.png import png_bytes
from chainrule.show.scene import Scene
from chainrule.show.style import Theme, check_theme
from chainrule.show.svg import svg_text
from chainrule.show.symbol import is_literal
from chainrule.show.tikz import tikz_text

Convention = Literal["computation", "network"]
CONVENTIONS = ("computation", "network")

MOST = 2500  # nodes that are drawn unfolded
MOST_IN_NOTEBOOK = 400  # of a page in a cell

Writer = Callable[..., bytes]
_WRITERS: dict[str, Writer] = {}
# Formats whose writers stand in modules that import graphs, and are read when they're first used.
_LATER = {".html": "chainrule.show.page"}


def writes(*suffixes: str) -> Callable[[Writer], Writer]:
    """Enter a function (graph, **options) → bytes as the writer of files with these suffixes."""

    def enter(writer: Writer) -> Writer:
        for suffix in suffixes:
            _WRITERS[suffix] = writer
        return writer

    return enter


class Pictured:
    """What can be drawn: a graph, whole or folded."""

    def scene(
        self,
        *,
        notation: Notation = "operations",
        convention: Convention = "computation",
        direction: Direction = "right",
        values: bool = True,
        gradients: bool = True,
        fold: By | None = None,
    ) -> Scene:
        """The picture before it is printed; arguments as for `svg`."""
        if convention not in CONVENTIONS:
            known = ", ".join(CONVENTIONS)
            raise ArgumentError(f"no convention is called {convention!r}", {"known": known})
        if convention == "network":
            return network(getattr(self, "graph", self))
        graph = _chosen(self, fold)
        if isinstance(graph, FoldedGraph):
            return compose(folded_diagram(graph), direction)
        return draw(graph, notation, direction, values, gradients)

    def svg(self, theme: Theme = "auto", **options: Any) -> str:
        """The picture as the text of an SVG file.

        Args:
            theme: "light", "dark", or "auto": as the reader's system has it, light on paper.
            notation: "operations": a box per operation, edges named after the values they carry;
                "variables": a node per value, edges that say what is done with it.
            convention: "computation": rectangles, every weight, feature, label and bias a node,
                the loss included; "network": circles, one per unit, weights on the edges, no
                biases and no loss, for networks of dense layers.
            direction: where edges lead: "right", "down", "left" or "up".
            values: whether values stand above the edges.
            gradients: whether gradients stand below them, once `backward()` has run.
            fold: by what to fold first: "auto", "layer", "function" or "loop". More than 2,500
                nodes are always folded.

        Raises:
            ArgumentError: an option that isn't there.
            UnsupportedError: too large even when folded; the layout library isn't installed.
        """
        check_theme(theme)
        return svg_text(self.scene(**options), theme)

    def save(self, path: str | os.PathLike[str], **options: Any) -> None:
        """Write the picture to a file; its suffix says in which format.

        Args:
            path: ends in .svg, .png, .tex (TikZ, compiles by itself), .dot or .html (a page to
                step through).
            options: of `svg`; for .png also scale=, pixels of the file per pixel of the picture.

        Raises:
            ArgumentError: an unknown suffix or option.
            UnsupportedError: too large for the format; a library isn't installed.
            StorageError: the file can't be written; one that was there is left as it was.
        """
        target = Path(path)
        writer = writer_of(target.suffix)
        _check_options(writer, target.suffix, options)
        write_file(target, writer(self, **options))

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str | None:
        """In a notebook the page itself; of a large graph only the picture."""
        whole: Any = getattr(self, "graph", self)
        if len(whole.nodes) > MOST_IN_NOTEBOOK:
            return None
        return framed(writer_of(".html")(self).decode())


class FoldedPicture(FoldedGraph, Pictured):
    """A folded graph that can be drawn."""


def folded(graph: Any, by: By = "auto", depth: int | None = None) -> FoldedPicture:
    """A folded graph that can be drawn; arguments as for `fold`."""
    return fold(graph, by, depth, FoldedPicture)


def _chosen(graph: Any, by: By | None) -> Any:
    """The graph, folded if that is asked for or if it is too large."""
    if isinstance(graph, FoldedGraph):
        return _checked(graph)
    shown = sum(not is_literal(node) for node in graph.nodes)
    if by is None and shown <= MOST:
        return graph
    return _checked(fold(graph, by or "auto"))


def _checked(graph: FoldedGraph) -> FoldedGraph:
    if len(graph.nodes) <= MOST:
        return graph
    raise UnsupportedError(
        "this graph is too large to be drawn, even folded",
        {
            "operations": f"{sum(n.kind == 'operation' for n in graph.root.nodes):,}",
            "when folded": f"{len(graph.nodes):,} boxes and nodes",
            "most": f"{MOST:,}",
        },
        "put what belongs together into functions or loops, and fold by those: "
        "graph.fold(by='function') or graph.fold(by='loop'); or save it as .dot",
    )


# ---- formats -------------------------------------------------------------------------------------


def writer_of(suffix: str) -> Writer:
    """The writer of files with a suffix."""
    known = sorted({*_WRITERS, *_LATER})
    if suffix not in _WRITERS and suffix in _LATER:
        importlib.import_module(_LATER[suffix])
    if suffix not in _WRITERS:
        raise ArgumentError(
            f"a graph can't be saved as {suffix!r}" if suffix else "the file needs a suffix",
            {"known": ", ".join(known)},
            "name the file with one of these suffixes",
        )
    return _WRITERS[suffix]


def _check_options(writer: Writer, suffix: str, options: Mapping[str, Any]) -> None:
    """Refuse options that a format doesn't have, before anything is drawn."""
    parameters = inspect.signature(writer).parameters
    known = {name for name, p in parameters.items() if p.kind is not p.VAR_KEYWORD} - {"graph"}
    if len(known) + 1 < len(parameters):
        known |= set(inspect.signature(Pictured.scene).parameters) - {"self"}
    for name in options:
        if name not in known:
            raise ArgumentError(
                f"a picture as {suffix} has no option called {name!r}",
                {"known": ", ".join(f"{option}=" for option in sorted(known))},
            )


def write_file(path: Path, data: bytes) -> None:
    """Write a file as a whole, or not at all."""
    temporary = path.with_name(f".{path.name[:40]}.{secrets.token_hex(6)}.part")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise StorageError(
            f"{path.name} couldn't be written",
            {
                "reason": error.strerror or str(error),
                "folder": path.parent,
                "left": "the file that was there before, unchanged" if path.exists() else "no file",
            },
            "name a folder that exists and that you may write to",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@writes(".svg")
def _svg(graph: Any, theme: Theme = "auto", **options: Any) -> bytes:
    text: str = graph.svg(theme, **options)
    return text.encode()


@writes(".png")
def _png(graph: Any, theme: Theme = "light", scale: float = 2.0, **options: Any) -> bytes:
    check_theme(theme)
    return png_bytes(graph.scene(**options), theme, scale)


@writes(".tex")
def _tex(graph: Any, **options: Any) -> bytes:
    return tikz_text(graph.scene(**options)).encode()


@writes(".dot")
def _dot(graph: Any, direction: Direction = "right", fold: By | None = None) -> bytes:
    if direction not in DIRECTIONS:
        known = ", ".join(DIRECTIONS)
        raise ArgumentError(f"no direction is called {direction!r}", {"known": known})
    chosen = graph if fold is None or isinstance(graph, FoldedGraph) else folded(graph, fold)
    return dot_text(chosen, direction).encode()
