"""The style sheet of all pictures, light, dark or as the reader's system has it."""

from __future__ import annotations

from typing import Literal

from chainrule.base.errors import ArgumentError
from chainrule.show import palette
from chainrule.show.palette import Colour

Theme = Literal["auto", "light", "dark"]
THEMES = ("auto", "light", "dark")

SANS = "'Helvetica Neue', Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
SERIF = "STIXGeneral, 'STIX Two Text', 'Times New Roman', 'Liberation Serif', 'DejaVu Serif', serif"


def check_theme(theme: str) -> None:
    """Refuse a theme that isn't there."""
    if theme not in THEMES:
        raise ArgumentError(f"no theme is called {theme!r}", {"known": ", ".join(THEMES)})


def stylesheet(theme: Theme = "auto", root: str = ".chainrule") -> str:
    """The rules for pictures below a selector.

    Args:
        theme: "light", "dark", or "auto": as the reader's system has it, light on paper.
        root: a selector; no rule reaches anything outside it.
    """
    check_theme(theme)
    rules = [_shapes(root)]
    rules.append(_colours(root, 1 if theme == "dark" else 0))
    if theme == "auto":
        dark = _colours(root, 1).replace("\n", "\n  ")
        rules.append(f"@media screen and (prefers-color-scheme: dark) {{\n  {dark}\n}}")
    return "\n".join(rules)


def _shapes(root: str) -> str:
    """What doesn't depend on the theme."""
    return "\n".join(
        f"{root} {rule}"
        for rule in (
            f"text {{ font-family: {SANS}; white-space: pre }}",
            f".name {{ font-family: {SERIF}; font-style: italic }}",
            ".strong { font-weight: bold }",
            ".wire, .bracket, .stem { fill: none; stroke-width: 1.4 }",
            ".bracket { stroke-width: 1 }",
            ".wrong-wire, .stem { fill: none; stroke-width: 1.4; stroke-dasharray: 4 3 }",
            ".weight { fill: none }",
            ".negative { stroke-dasharray: 6 3 }",
            ".halo { paint-order: stroke; stroke-width: 4; stroke-linejoin: round }",
            "rect, circle { stroke-width: 1.3 }",
            "rect.inset { fill: none; stroke-width: 1 }",
            ".output rect.operation, .output rect.input { stroke-width: 2.6 }",
            ".wrong rect { stroke-dasharray: 4 3; stroke-width: 2 }",
        )
    )


def _colours(root: str, which: int) -> str:
    """The colours of one theme."""

    def rule(selector: str, **properties: Colour) -> str:
        body = "; ".join(f"{key}: {colour[which]}" for key, colour in properties.items())
        return f"{root} {selector} {{ {body} }}"

    rules = [
        rule(".paper", fill=palette.PAPER, stroke=palette.PAPER),
        rule(".ink", fill=palette.INK),
        rule(".quiet", fill=palette.QUIET),
        rule(".value", fill=palette.VALUE),
        rule(".gradient", fill=palette.GRADIENT),
        rule(".wrong-text", fill=palette.WRONG),
        rule(".wire", stroke=palette.LINE),
        rule(".stem", stroke=palette.LINE),
        rule(".head", fill=palette.LINE),
        rule(".weight", stroke=palette.FAINT),
        rule(".positive", stroke=palette.SERIES[0]),
        rule(".negative", stroke=palette.SERIES[1]),
        rule(".halo", stroke=palette.PAPER),
        rule(".bracket", stroke=palette.QUIET),
        rule(".wrong-wire", stroke=palette.WRONG),
        rule("rect.variable", fill=palette.OPERATION[0], stroke=palette.OPERATION[1]),
        rule("rect.inset", stroke=palette.CAPTURED[1]),
        rule(".dots", fill=palette.QUIET, stroke=palette.QUIET),
    ]
    rules += [
        rule(f"{shape}.{role}", fill=ground, stroke=outline)
        for shape in ("rect", "circle")
        for role, (ground, outline) in palette.ROLES.items()
    ]
    rules.append(rule(".wrong rect", stroke=palette.WRONG))
    return "\n".join(rules)
