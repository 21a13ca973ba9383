"""Writes the gallery when the documentation is built: a hook of MkDocs, named in mkdocs.yml."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gallery.listing import CASES, filled
from mkdocs.structure.files import File, Files


def on_files(files: Files, *, config: Any) -> Files:
    """Add a picture and a page of each case."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for case in CASES:
            case.save(case.graph(), folder)
        for path in sorted(folder.iterdir()):
            content = path.read_bytes()
            files.append(File.generated(config, f"gallery/{path.name}", content=content))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Put the cases into the page that lists them."""
    return filled(markdown) if page.file.src_uri == "gallery.md" else markdown
