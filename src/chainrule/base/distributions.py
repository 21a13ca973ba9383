"""Where NumPy's own distributions lie in memory, for native code that calls them.

Their C functions take a table of functions that give random bits; NumPy's manual shows extensions
to find them in this very library ("Extending").
"""

from __future__ import annotations

import ctypes
import functools
import importlib

_LIBRARY = "numpy.random._generator"
NUMPYS = "numpy."  # before their names in our code


@functools.cache
def address(name: str) -> int | None:
    """A function's address; None where the system doesn't show it, as Windows."""
    try:
        library = ctypes.CDLL(importlib.import_module(_LIBRARY).__file__)
        function = library[name]
    except (AttributeError, ImportError, OSError):
        return None
    return ctypes.cast(function, ctypes.c_void_p).value
