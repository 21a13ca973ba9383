"""The limits: small C sources, compiled by the C compiler of this machine where there is one."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

SOURCES = Path(__file__).with_name("limits")
# What a compiler may do at best: any order of sums, vectors as wide as they are, all threads.
OPTIONS = "-O3 -march=native -mprefer-vector-width=512 -ffast-math -fopenmp -shared -fPIC".split()
PORTABLE = "-O3 -ffast-math -shared -fPIC".split()
POINTER, LONG = ctypes.c_void_p, ctypes.c_long


def compiled(name: str, **constants: int) -> Path:
    """A library made of `limits/name.c`, with these constants defined.

    Raises:
        ImportError: there is no C compiler, as if a library were not installed.
    """
    return _compiled(name, tuple(constants.items()))


@functools.cache
def _compiled(name: str, constants: tuple[tuple[str, int], ...]) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise ImportError("no C compiler found")
    target = _folder() / f"{name}{'_'.join(str(value) for _, value in constants)}.so"
    command = [compiler, str(SOURCES / f"{name}.c"), "-o", str(target)]
    command += [f"-D{key}={value}" for key, value in constants]
    command += [f"-I{sysconfig.get_paths()['include']}"]
    said = ""
    for options in (OPTIONS, PORTABLE):
        done = subprocess.run([*command, *options, "-lm"], capture_output=True, text=True)
        if not done.returncode:
            return target
        said = done.stderr
    raise ImportError(f"{compiler} can't compile limits/{name}.c: {said.strip()[:200]}")


@functools.cache
def _folder() -> Path:
    """Where libraries stay for as long as this process lives."""
    keeper = tempfile.TemporaryDirectory(prefix="chainrule-bench-", ignore_cleanup_errors=True)
    _KEPT.append(keeper)
    return Path(keeper.name)


_KEPT: list[Any] = []


def function(
    name: str, entry: str, arguments: list[Any], result: Any = None, **constants: int
) -> Any:
    """A function of a compiled library, for ctypes."""
    found = getattr(ctypes.CDLL(str(compiled(name, **constants))), entry)
    found.argtypes, found.restype = arguments, result
    return found


def extension(name: str) -> ModuleType:
    """A compiled library that is a Python extension module."""
    specification = importlib.util.spec_from_file_location(name, compiled(name))
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def address(array: np.ndarray) -> int:
    return array.ctypes.data
