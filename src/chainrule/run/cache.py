"""Machine code kept on disk, so that the next process needn't compile it."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import stat
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from chainrule.run.engine import compile_text, identity

LIMIT = 512 * 2**20  # bytes; beyond them, what was used longest ago goes
_MAGIC = b"chainrule code 1"
_DIGEST = hashlib.sha256().digest_size
_SUFFIX = ".code"
_UNFINISHED = ".part"
_SWEEP_EVERY = 64  # entries written by this process


def machine_code(text: str, quick: bool = False) -> bytes:
    """What `compile_text` gives, from the disk if it was compiled there before."""
    # The text says everything about a program, and identity() everything about how it's compiled.
    return kept(f"{quick}\n{text}".encode(), lambda: compile_text(text, quick))


def kept(what: bytes, make: Callable[[], bytes]) -> bytes:
    """What was made for the same thing before, on this kind of machine; else it's made now."""
    folder = _folder()
    if folder is None:
        return make()
    key = hashlib.sha256(identity().encode() + b"\n" + what).hexdigest()
    path = folder / f"{key}{_SUFFIX}"
    code = _read(path)
    if code is None:
        code = make()
        _write(path, code)
    return code


def cache_folder() -> Path | None:
    """Where machine code is kept: CHAINRULE_CACHE, or the user's cache folder; None if nowhere.

    Raises:
        RuntimeError: there is no home directory.
    """
    given = os.environ.get("CHAINRULE_CACHE")
    if given is not None:
        return None if given.strip().lower() in ("", "off") else Path(given).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "chainrule"


def _folder() -> Path | None:
    """The folder, there and safe to use; None otherwise, with one warning."""
    try:
        folder = cache_folder()
    except RuntimeError as error:
        _warn(str(error))
        return None
    return folder if folder is not None and _usable(folder) else None


@functools.cache
def _usable(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_own(folder.stat()):
            _warn(f"{folder} can be written by other users, whose code would be run")
            return False
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError as error:
        _warn(f"{folder}: {error.strerror or error}")
        return False


def _is_own(status: os.stat_result) -> bool:
    """Whether nobody but this user can have written it: it holds code that will run."""
    if not hasattr(os, "getuid"):
        return True
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


@functools.cache
def _warn(problem: str) -> None:
    warnings.warn(
        f"compiled code isn't kept for the next process: {problem}. Set CHAINRULE_CACHE to a "
        "folder of your own, or to 'off'",
        RuntimeWarning,
        stacklevel=2,
    )


def _read(path: Path) -> bytes | None:
    """An entry's code; None if there is none, or it's damaged, or somebody else's."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | _no_links())
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        if not _is_own(os.fstat(descriptor)):
            return None
        content = file.read()
    code = content[len(_MAGIC) + _DIGEST :]
    if content[: -len(code) or None] != _MAGIC + hashlib.sha256(code).digest():
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # used now
    return code


def _no_links() -> int:
    return getattr(os, "O_NOFOLLOW", 0)


def _write(path: Path, code: bytes) -> None:
    """Enter an entry, whole or not at all, whatever other processes do."""
    try:
        descriptor, name = tempfile.mkstemp(_UNFINISHED, dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(_MAGIC + hashlib.sha256(code).digest() + code)
            # Not waiting for the disk: an entry that a power cut damages is noticed and replaced.
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
    except OSError as error:
        _warn(f"{path.parent}: {error.strerror or error}")
        return
    if next(_WRITTEN) % _SWEEP_EVERY == 0:
        sweep(path.parent)


def _counter() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


_WRITTEN = _counter()


def sweep(folder: Path, limit: int = LIMIT) -> None:
    """Remove what was used longest ago until a folder is well within its limit."""
    found = []
    for path in folder.iterdir():
        with contextlib.suppress(OSError):  # another process was faster
            status = path.stat()
            if path.suffix == _UNFINISHED and status.st_mtime < time.time() - 3600:
                path.unlink()
            elif path.suffix == _SUFFIX:
                found.append((status.st_mtime, status.st_size, path))
    total = sum(size for _, size, _ in found)
    if total <= limit:
        return
    for _, size, path in sorted(found):
        with contextlib.suppress(OSError):
            path.unlink()
        total -= size
        if total <= limit * 0.9:
            return
