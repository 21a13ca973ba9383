"""A scene as PNG, without a browser or a system program.

Text is set in fonts that come along, so that a picture is the same everywhere; only for characters
that they lack the system's fonts are asked, and what no font has is shown as a replacement sign.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from importlib.resources import files
from typing import Any

from chainrule.base.errors import ArgumentError, UnsupportedError
from chainrule.show.scene import Run, Scene, Shape, Text, face, runs_text, scale
from chainrule.show.style import Theme
from chainrule.show.svg import MARGIN, svg_text

_FACES = {
    "sans": "DejaVuSans.ttf",
    "bold": "DejaVuSans-Bold.ttf",
    "italic": "STIXGeneralItalic.ttf",
    "serif": "STIXGeneral.ttf",
}
_MOST_PIXELS = 80_000_000


def png_bytes(scene: Scene, theme: Theme = "light", scale: float = 2.0) -> bytes:
    """A PNG file.

    Args:
        scene: what to print.
        theme: "light" or "dark"; "auto" is light, for a bitmap can't change.
        scale: pixels of the file per pixel of the picture; a large picture gets fewer.

    Raises:
        UnsupportedError: the libraries aren't installed, or the picture is too large for a bitmap.
        ArgumentError: a scale that isn't positive.
    """
    if not scale > 0:
        raise ArgumentError("scale= has to be positive", {"given": scale})
    pixels = (scene.width + 2 * MARGIN) * (scene.height + 2 * MARGIN)
    scale = min(scale, (_MOST_PIXELS / pixels) ** 0.5)
    if scale < 0.5:
        raise UnsupportedError(
            "this picture is too large for a PNG that could be read",
            {"size": f"{scene.width:.0f} × {scene.height:.0f} pixels"},
            "fold the graph: save(path, fold='auto'), or by 'layer', 'loop' or 'function'; "
            "or save it as .svg",
        )
    resvg, fonts = _libraries()
    text = svg_text(fonts.set(scene), "dark" if theme == "dark" else "light")
    made: bytes = resvg.svg_to_bytes(
        svg_string=text,
        zoom=scale,
        skip_system_fonts=True,
        font_files=fonts.paths,
        sans_serif_family="DejaVu Sans",
        serif_family="STIXGeneral",
        font_family="DejaVu Sans",
    )
    return made


def _libraries() -> tuple[Any, _Fonts]:
    """The renderer, and the fonts that matplotlib brings along."""
    try:
        import resvg_py
        from matplotlib import font_manager, ft2font
    except ImportError as error:
        raise UnsupportedError(
            "PNG files need resvg-py and the fonts of matplotlib, which aren't installed",
            {"reason": str(error)},
            "pip install 'chainrule[draw]'",
        ) from error
    return resvg_py, _Fonts(font_manager, ft2font)


class _Fonts:
    """The fonts of a picture."""

    def __init__(self, manager: Any, ft2font: Any) -> None:
        folder = files("matplotlib") / "mpl-data" / "fonts" / "ttf"
        self.manager = manager
        self.ft2font = ft2font
        self.paths = [str(folder / name) for name in _FACES.values()]
        self.faces = {
            name: ft2font.FT2Font(path) for name, path in zip(_FACES, self.paths, strict=True)
        }
        # Of each face the characters; of each character some font that has it.
        self.known = {name: font.get_charmap().keys() for name, font in self.faces.items()}
        self.homes = {
            code: self.faces[name] for name in reversed(_FACES) for code in self.known[name]
        }

    def set(self, scene: Scene) -> Scene:
        """The scene with its texts as the renderer can set them."""
        groups = tuple(
            replace(group, shapes=tuple(s for shape in group.shapes for s in self._shape(shape)))
            for group in scene.groups
        )
        return replace(scene, groups=groups)

    def _shape(self, shape: Shape) -> Iterator[Shape]:
        if not isinstance(shape, Text):
            yield shape
            return
        runs = tuple(replace(run, text=self._covered(run.text)) for run in shape.runs)
        # The renderer sets a whole line in another font if one of its characters asks for that.
        lacks = not set(map(ord, runs_text(runs))) <= self.known["italic"]
        mixed = lacks and len(runs) > 1 and any(face(run) == "italic" for run in runs)
        if mixed and not shape.angle:
            yield from self._one_by_one(shape, runs)
        else:
            yield replace(shape, runs=runs)

    def _one_by_one(self, text: Text, runs: Sequence[Run]) -> Iterator[Text]:
        """The runs of a line as texts of their own, side by side."""
        widths = [self._width(run, text.size) for run in runs]
        x = text.x - {"start": 0.0, "middle": 0.5, "end": 1.0}[text.anchor] * sum(widths)
        for run, width in zip(runs, widths, strict=True):
            bare = run.text.lstrip(" ")  # which a line doesn't begin with
            lead = self._width(replace(run, text=" " * (len(run.text) - len(bare))), text.size)
            yield replace(text, x=x + lead, runs=(replace(run, text=bare),), anchor="start")
            x += width

    def _width(self, run: Run, size: float) -> float:
        return sum(self._advance(c, face(run)) for c in run.text) * size * scale(run)

    def _advance(self, c: str, name: str) -> float:
        """How far a character moves on, in units of the size."""
        font = self.faces[name] if ord(c) in self.known[name] else self.homes[ord(c)]
        font.set_size(100, 72)
        advance: float = font.load_char(ord(c)).linearHoriAdvance
        return advance / 65536 / 100

    def _covered(self, text: str) -> str:
        """The text; a character that no font has is replaced."""
        return "".join(c if self._has(ord(c)) else "\N{REPLACEMENT CHARACTER}" for c in text)

    def _has(self, code: int) -> bool:
        if code in self.homes:
            return True
        for path in self._others:
            font = self.ft2font.FT2Font(path)
            known = font.get_charmap()
            if code in known:
                self.paths.append(path)
                self.homes = dict.fromkeys(known, font) | self.homes
                return True
        return False

    @cached_property
    def _others(self) -> list[str]:
        """The fonts of the system, without the one that has a box for every character."""
        found = self.manager.fontManager.ttflist
        return sorted({entry.fname for entry in found if "Last Resort" not in entry.name})
