"""A scene as PNG, without a browser, a system program or the system's fonts."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from chainrule.base.errors import ArgumentError, UnsupportedError
from chainrule.show.scene import Scene
from chainrule.show.style import Theme
from chainrule.show.svg import MARGIN, svg_text

_FONTS = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "STIXGeneral.ttf", "STIXGeneralItalic.ttf")
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
    text = svg_text(scene, "dark" if theme == "dark" else "light")
    made: bytes = resvg.svg_to_bytes(
        svg_string=text,
        zoom=scale,
        skip_system_fonts=True,
        font_files=fonts,
        sans_serif_family="DejaVu Sans",
        serif_family="STIXGeneral",
        font_family="DejaVu Sans",
    )
    return made


def _libraries() -> tuple[Any, list[str]]:
    """The renderer, and the fonts that matplotlib brings along."""
    try:
        import resvg_py

        folder = files("matplotlib") / "mpl-data" / "fonts" / "ttf"
    except ImportError as error:
        raise UnsupportedError(
            "PNG files need resvg-py and the fonts of matplotlib, which aren't installed",
            {"reason": str(error)},
            "pip install 'chainrule[draw]'",
        ) from error
    return resvg_py, [str(folder / name) for name in _FONTS]
