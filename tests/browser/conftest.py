"""A real browser for the tests of pages, watched for errors and for calls to other hosts."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_QUIET = [
    "--no-sandbox",  # tests often run as root, where Chromium refuses one
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
_OWN = ("", "127.0.0.1", "localhost")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Debian's Chromium, driven by playwright; a skip with the reason where one is missing."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright isn't installed")
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        pytest.skip("no Chromium is installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_QUIET)
        yield browser
        browser.close()


class Visits:
    """Opened pages, and what they complained of or asked of others."""

    def __init__(self, browser: Any) -> None:
        self.browser = browser
        self.contexts: list[Any] = []
        self.complaints: list[str] = []
        self.foreign: list[str] = []

    def __call__(self, address: str | Path, **options: Any) -> Any:
        """A new page at an address, or of a file; `options` are playwright's for a context."""
        options.setdefault("viewport", {"width": 1280, "height": 800})
        options.setdefault("reduced_motion", "reduce")
        context = self.browser.new_context(**options)
        self.contexts.append(context)
        context.on("request", self._asked)
        context.on("console", self._said)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        page = context.new_page()
        page.goto(Path(address).as_uri() if isinstance(address, Path) else address)
        return page

    def _asked(self, request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob", "about") and (parts.hostname or "") not in _OWN:
            self.foreign.append(request.url)

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)


@pytest.fixture
def visit(chromium: Any) -> Iterator[Visits]:
    """Opens pages; afterwards: no page had an error, or asked another host."""
    visits = Visits(chromium)
    yield visits
    for context in visits.contexts:
        context.close()
    assert visits.complaints == []
    assert visits.foreign == []


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Puts a text into a file of its own."""

    def written(text: str, name: str = "page.html") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return written


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """Writes a graph's page into a file of its own."""

    def save(graph: Any, **options: Any) -> Path:
        path = tmp_path / "graph.html"
        graph.save(path, **options)
        return path

    return save
