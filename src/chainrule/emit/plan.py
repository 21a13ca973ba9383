"""The plan of a call: what machine code that passes arguments is told about one program.

A plan is a table of 64-bit words. `run/entry.py` writes it, the text of `emit/entry.py` reads it.
"""

from __future__ import annotations

from dataclasses import dataclass

from chainrule.emit.code import Code

# Words of a plan. A table is given by the number of its entries, and its address.
FALLBACK, FAILED, RUN, API, SWITCH, SCRATCH, FLAGS = range(7)
INPUTS, INPUT_TABLE, CAPTURED, CAPTURED_TABLE, OUTPUTS, OUTPUT_TABLE = range(7, 13)
CONTEXT, CONTEXT_TABLE, NAMES, NAME_TABLE, CELLS, CELL_TABLE = range(13, 19)
NEST, NEST_TABLE = 19, 20  # how results nest: −1 takes the next one, n makes a tuple of the last n
VERSIONS, VERSION_TABLE = 21, 22  # rows: a dict that names are looked up in, its version then
# Results to hand out again when nobody else has them any more: how many sets, of how many objects
# each; rows: these, what is returned first, then where the numbers go.
SPARES, SPARE_TABLE, SPARE_OBJECTS = 23, 24, 25
PLAN_WORDS = 26

# Words of a record, of which the tables of inputs, captured arrays and outputs consist.
KIND, TYPE, DESCR, NDIM, SHAPE, BYTES, MAKE, MADE, OFFSET, ADDRESS, REUSE = range(11)
RECORD_WORDS = 11
RECORD = f"[{RECORD_WORDS} x i64]"
# REUSE, of a result: 1 + the number of the argument in whose array it is written, or 0.
# What KIND says: a number inside an object (OFFSET bytes from its start), a Python int, an array,
# one of NumPy's two truth values.
NUMBER, INTEGER, ARRAY, TRUTH = range(4)

# Bits of FLAGS.
RETURN_TUPLE, RELEASE_GIL = 1, 2

# What a program that couldn't get its scratch memory is taken to have returned.
NO_MEMORY = -(2**31)

# What stands where in the table at API: functions and objects of CPython and NumPy, then the spare
# block of scratch memory.
API_NAMES = (
    "PyObject_Vectorcall",  # from Python 3.11 on; before, the next two do the same
    "_PyObject_MakeTpCall",
    "PyThreadState_Get",
    "PyTuple_New",
    "PyDict_GetItemWithError",
    "PyErr_Clear",
    "PyErr_NoMemory",
    "PyEval_SaveThread",
    "PyEval_RestoreThread",
    "PyLong_AsLongLongAndOverflow",
    "PyLong_FromLongLong",
    "Py_IncRef",
    "Py_DecRef",
    "PyMem_RawMalloc",
    "PyMem_RawFree",
    "PyArray_NewFromDescr",
    "PyArray_Type",
    "PyLong_Type",
    "PyTuple_Type",
    "True",
    "False",
    "out",
    "spare",
)

# Scratch memory up to so many bytes lies on the stack; a larger block is kept for the next call,
# unless it is huge.
STACK_BYTES = 16384
KEPT_BYTES = 1 << 28

# NumPy's flags: C_CONTIGUOUS | ALIGNED, and WRITEABLE too.
READABLE = 0x101
WRITEABLE = 0x501


@dataclass(frozen=True)
class Layout:
    """Where things lie inside Python's objects, in bytes."""

    type: int
    vector: int  # in objects of ours: the function of PEP 590, and what it goes to
    target: int
    tuple_items: int
    cell_content: int
    array_data: int
    array_ndim: int
    array_shape: int
    array_descr: int
    array_flags: int
    dict_version: int  # a word that changes whenever a dict does; 0 where there is none

    @property
    def size(self) -> int:
        """Where a tuple keeps its length."""
        return self.type + 8


def api(code: Code, table: str, name: str, result: str, arguments: str) -> str:
    """Text that calls one of CPython's or NumPy's functions."""
    function = code.word(table, API_NAMES.index(name), "ptr")
    if result == "void":
        code.line(f"call void {function}({arguments})")
        return ""
    return code.value(f"call {result} {function}({arguments})")


def api_object(code: Code, table: str, name: str) -> str:
    """Text that gets one of CPython's or NumPy's objects."""
    return code.word(table, API_NAMES.index(name), "ptr")
