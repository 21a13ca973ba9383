"""What can't stand next to a traced value in an operation, and why."""

from __future__ import annotations

import opcode
import sys
from types import FrameType
from typing import Any

import numpy as np

from chainrule.base.errors import DtypeError, TraceError, UnsupportedError
from chainrule.base.place import user_frame

_REMEDY = "traced values work with numbers and arrays of numbers; keep the rest apart"

# What Python runs for a[i] = …, and for a[i:j] = … since 3.12.
_STORES = {opcode.opmap[name] for name in ("STORE_SUBSCR", "STORE_SLICE") if name in opcode.opmap}

# NumPy's own: while a trace runs, its name stands for a version that makes buffers.
_array = np.array


def is_masked(value: Any) -> bool:
    """Whether a value is a masked array; np.ma itself is imported only where somebody names it."""
    masked = sys.modules.get("numpy.ma")
    return masked is not None and isinstance(value, masked.MaskedArray)


def refuse_masked(value: Any) -> None:
    """np.ma reads the memory of what it masks, and keeps what a traced value is to itself."""
    raise UnsupportedError(
        "masked arrays can't be mixed with traced values",
        {"array": f"{type(value).__name__} of shape {np.shape(value)}"},
        "take the values and the mask apart: np.where(a.mask, 0, a.data * x)",
    )


def refuse_other_rules(value: np.ndarray) -> None:
    """Subclasses of ndarray whose arithmetic isn't ndarray's would be wrong as plain arrays."""
    if is_masked(value):
        refuse_masked(value)
    if isinstance(value, np.matrix):
        raise UnsupportedError(
            "np.matrix can't be mixed with traced values, as its * isn't an array's",
            {"operand": f"{type(value).__name__} of shape {value.shape}"},
            "use np.asarray(m), and @ for products of matrices",
        )


def not_numbers(value: Any) -> TraceError:
    """None, text and the like."""
    return TraceError(f"{value!r} is not an array or a number"[:120], fix=_REMEDY)


def numeric(array: np.ndarray) -> np.ndarray:
    """An array of numbers, also out of the Python numbers in an object array; or an error."""
    if array.dtype.kind in "biufc":
        return array
    if array.dtype.hasobject:
        try:
            plain = _array(array.tolist())
        except ValueError:
            plain = array
        if plain.dtype.kind in "biufc":
            return plain
    raise DtypeError(
        "an array that doesn't hold numbers can't be mixed with traced values",
        {"array": f"{array.dtype}{list(array.shape)}"},
        _REMEDY,
    )


def refuse_outer_write(shown: str) -> None:
    """Raise where the user's line, running just now, writes into an array made elsewhere."""
    frame = user_frame()
    if frame is None or frame.f_code.co_code[frame.f_lasti] not in _STORES:
        return
    raise TraceError(
        "a traced value can't be written into a plain array",
        {"value": shown},
        "make the array inside the traced function, and as np.zeros(n): functions called by\n"
        "a name of their own (from numpy import zeros) make plain arrays",
    )


def instead_of_plain_values() -> str:
    """What to write where library code, named by the running stack, wanted a traced array plain."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        package, name = (
            module.partition(".")[0],
            getattr(frame.f_code, "co_qualname", frame.f_code.co_name),
        )
        if package == "numpy" and (name.startswith("vectorize.") or name == "_vectorize_call"):
            return "np.vectorize can't be traced: np.array([f(v) for v in x]), or cr.vmap(f)(x)"
        if package == "scipy":
            path = ".".join(part for part in module.split(".") if not part.startswith("_"))
            return (
                f"{path} computes on plain values: write it with NumPy and scipy.special "
                "(ndtr, erf, gammaln, logsumexp ...), or give its derivative with cr.custom_jvp"
            )
        if package not in ("numpy", "chainrule"):
            break
        frame = frame.f_back
    return (
        "write np.array(...) instead of a name imported from NumPy or a list of traced "
        "values; and fill arrays that were made inside the function"
    )
