"""All cases in their order, and the text of the page that lists them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gallery import backpropagation, differentiation, graphs, learning, networks
from gallery.case import Case

PARTS: dict[str, Sequence[Case]] = {
    "Differentiation, and ways to draw it": differentiation.CASES,
    "Backpropagation, gate by gate": backpropagation.CASES,
    "Learning": learning.CASES,
    "Graphs, loops and modes": graphs.CASES,
    "Networks": networks.CASES,
}
CASES = [case for part in PARTS.values() for case in part]

MARK = "<!-- all cases -->"


def filled(markdown: str) -> str:
    """The page with the cases in place of its mark."""
    return markdown.replace(MARK, "\n".join(_lines()))


def _lines() -> Iterator[str]:
    for heading, cases in PARTS.items():
        yield f"## {heading}\n"
        for case in cases:
            page, picture = f"gallery/{case.name}.html", f"gallery/{case.name}.svg"
            yield f"### {case.title}\n"
            yield f"{case.look} ({case.label})\n"
            yield f"[![{case.title}: open the page]({picture})]({page})\n"
