"""A built-in function that calls a Python function and lets no exception out, as LLVM text."""

from __future__ import annotations

from chainrule.emit.code import Code

# What stands where in the table that is exported as `table`: functions of Python, then the key
# under which a thread keeps what it caught.
CATCHING_NAMES = (
    "PyObject_Call",
    "PyErr_Fetch",
    "PyErr_NormalizeException",
    "PyException_SetTraceback",
    "PyThreadState_GetDict",
    "PyDict_SetItem",
    "PyErr_Clear",
    "PyLong_FromLongLong",
    "Py_DecRef",
    "key",
)


def catching_text() -> str:
    """A module that exports `ptr @catching(ptr %function, ptr %arguments)`, and `table`.

    It returns what the function returns, or 1 where it raised; the exception goes into the
    dictionary of the running thread. Python itself may raise between any two of its instructions,
    the first ones of a function included, before any `try`: a signal's handler does.
    """
    code = Code("ptr @catching(ptr %function, ptr %arguments)")
    spots = [code.value("alloca ptr") for _ in range(3)]
    found = _call(code, "PyObject_Call", "ptr", "ptr %function, ptr %arguments, ptr null")
    code.compare("eq", "ptr", found, "null", "fine")
    given = ", ".join(f"ptr {spot}" for spot in spots)
    _call(code, "PyErr_Fetch", "void", given)
    _call(code, "PyErr_NormalizeException", "void", given)
    kind, error, trace = (code.load("ptr", spot) for spot in spots)
    code.compare("ne", "ptr", trace, "null", "bare")
    _call(code, "PyException_SetTraceback", "i32", f"ptr {error}, ptr {trace}")
    code.jump("bare")
    code.label("bare")
    kept = _call(code, "PyThreadState_GetDict", "ptr", "")
    code.compare("ne", "ptr", kept, "null", "lost")
    key = code.load("ptr", "@table", 8 * CATCHING_NAMES.index("key"))
    _call(code, "PyDict_SetItem", "i32", f"ptr {kept}, ptr {key}, ptr {error}")
    code.jump("lost")
    code.label("lost")
    for item in (kind, error, trace):
        _call(code, "Py_DecRef", "void", f"ptr {item}")
    _call(code, "PyErr_Clear", "void", "")
    code.line(f"ret ptr {_call(code, 'PyLong_FromLongLong', 'ptr', 'i64 1')}")
    code.label("fine")
    code.line(f"ret ptr {found}")
    table = f"@table = global [{len(CATCHING_NAMES)} x ptr] zeroinitializer"
    return f"{table}\n\n{code.text()}\n"


def _call(code: Code, name: str, result: str, arguments: str) -> str:
    function = code.load("ptr", "@table", 8 * CATCHING_NAMES.index(name))
    if result == "void":
        code.line(f"call void {function}({arguments})")
        return ""
    return code.value(f"call {result} {function}({arguments})")
