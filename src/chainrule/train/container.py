"""One file with arrays and what they mean: safetensors with JSON in its header, written whole.

A file is written under a temporary name beside its place, flushed to the disk and renamed, so
that its name always stands for a whole file: the old one or the new one.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.base.errors import ModelFileError, StorageError
from chainrule.base.trees import flatten, paths, unflatten

_KEY = "chainrule"
_FORMAT = 1


def write_container(
    path: str | os.PathLike[str], kind: str, meaning: Mapping[str, Any], arrays: Mapping[str, Any]
) -> None:
    """Write a file, or leave what was there.

    Args:
        path: its name.
        kind: "model" or "checkpoint".
        meaning: plain data.
        arrays: by name.

    Raises:
        StorageError: it couldn't be written; what was there before is as it was.
    """
    place = Path(path)
    _check_place(place)
    text = json.dumps({"format": _FORMAT, "kind": kind, **meaning})
    # Anything but C order is scrambled by the library, without a word.
    whole = {name: np.array(value, order="C") for name, value in arrays.items()}
    temporary = place.with_name(f".{place.name}.{secrets.token_hex(6)}.part")
    library = importlib.import_module("safetensors.numpy")
    try:
        library.save_file(whole, temporary, metadata={_KEY: text})
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, place)
        _sync_folder(place.parent)
    except (OSError, importlib.import_module("safetensors").SafetensorError) as error:
        raise StorageError(
            f"{place.name} couldn't be written",
            {
                "reason": str(error),
                "bytes": sum(a.nbytes for a in whole.values()),
                "left": "the file that was there before, unchanged"
                if place.exists()
                else "no file",
            },
            "make room on the disk, or choose another place",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _check_place(place: Path) -> None:
    """Refuse a place that no file can be at."""
    if place.is_dir():
        raise StorageError(f"{place.name} can't be written", {"there is": "a folder of that name"})
    if not place.parent.is_dir():
        raise StorageError(
            f"{place.name} can't be written",
            {"there is no folder": str(place.parent)},
            "make the folder first, or choose another place",
        )


def make_folder(folder: Path) -> None:
    """Make a folder, and those it is in, where they aren't there yet.

    Raises:
        StorageError: it can't be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"the folder {str(folder)!r} couldn't be made",
            {"reason": str(error)},
            "choose another place",
        ) from error


def _sync_folder(folder: Path) -> None:
    """Make the new name itself last; not every system lets a folder be opened for that."""
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def read_container(
    path: str | os.PathLike[str], kind: str
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The meaning and the arrays of a file.

    Raises:
        StorageError: it can't be read at all.
        ModelFileError: it is cut off, damaged, or something else.
    """
    place = Path(path)
    if not place.is_file():
        raise StorageError(
            f"{str(place)!r} is a folder" if place.is_dir() else f"there is no file {str(place)!r}",
            fix="check the path",
        )
    library = importlib.import_module("safetensors")
    try:
        with library.safe_open(place, framework="np") as file:
            meaning = json.loads((file.metadata() or {})[_KEY])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except OSError as error:
        raise StorageError(
            f"{place.name} can't be read", {"reason": str(error)}, "check its permissions"
        ) from error
    except (library.SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelFileError(
            f"{place.name} isn't a whole file of this package",
            {"reason": f"{type(error).__name__}: {error}"[:200]},
            "was it cut off while copying, or written by another program?",
        ) from error
    if not isinstance(meaning, dict) or meaning.get("format") != _FORMAT:
        found = meaning.get("format") if isinstance(meaning, dict) else None
        raise ModelFileError(
            f"{place.name} is of another format",
            {"format": repr(found)[:40], "known": _FORMAT},
            "a newer version of this package may read it",
        )
    if meaning.get("kind") != kind:
        raise ModelFileError(
            f"{place.name} holds a {str(meaning.get('kind'))[:40]}, not a {kind}",
            fix="cr.nn.load reads models; checkpoints are read by the callback that writes them",
        )
    return meaning, arrays


def tree_arrays(prefix: str, tree: Any) -> dict[str, Any]:
    """The leaves of a tree by name."""
    leaves = flatten(tree)[0]
    return {f"{prefix}{tail}": leaf for tail, leaf in zip(paths(tree), leaves, strict=True)}


def tree_from(prefix: str, like: Any, arrays: Mapping[str, np.ndarray], file: str) -> Any:
    """The tree that `tree_arrays` named, of the structure of another.

    Raises:
        ModelFileError: leaves are missing, or have other shapes or dtypes.
    """
    leaves, structure = flatten(like)
    found = []
    for tail, leaf in zip(paths(like), leaves, strict=True):
        name = f"{prefix}{tail}"
        wanted = np.asarray(leaf)
        if name not in arrays:
            raise ModelFileError(f"{file} lacks an array", {"array": name})
        if arrays[name].shape != wanted.shape or arrays[name].dtype != wanted.dtype:
            raise ModelFileError(
                f"an array of {file} doesn't fit",
                {
                    "array": name,
                    "in the file": f"{arrays[name].dtype}{list(arrays[name].shape)}",
                    "expected": f"{wanted.dtype}{list(wanted.shape)}",
                },
            )
        found.append(arrays[name])
    return unflatten(structure, found)
