"""The way from Python's call into machine code, as LLVM text: one function for all programs.

`@call` is what CPython calls (METH_FASTCALL | METH_KEYWORDS). What it has to do for one program
stands in a plan, a table of 64-bit words that `run/plan.py` fills in; so this text depends on the
interpreter only and is compiled once. A call that isn't exactly as planned goes to a fallback in
Python, which decides what it means.
"""

from __future__ import annotations

from dataclasses import dataclass

from chainrule.emit.code import Code

# Words of a plan. A table is given by the number of its entries, and its address.
FALLBACK, FAILED, RUN, API, SWITCH, SCRATCH, FLAGS = range(7)
INPUTS, INPUT_TABLE, CAPTURED, CAPTURED_TABLE, OUTPUTS, OUTPUT_TABLE = range(7, 13)
CONTEXT, CONTEXT_TABLE, NAMES, NAME_TABLE, CELLS, CELL_TABLE = range(13, 19)
PLAN_WORDS = 19

# Words of a record, of which the tables of inputs, captured arrays and outputs consist.
KIND, TYPE, DESCR, NDIM, SHAPE, BYTES, MAKE, MADE, OFFSET, ADDRESS = range(10)
RECORD_WORDS = 10
RECORD = f"[{RECORD_WORDS} x i64]"
# What KIND says: a number inside an object (OFFSET bytes from its start), a Python int, an array.
NUMBER, INTEGER, ARRAY = range(3)

# Bits of FLAGS.
RETURN_TUPLE, RELEASE_GIL = 1, 2

# What a program that couldn't get its scratch memory is taken to have returned.
NO_MEMORY = -(2**31)

# What stands where in the table at API: functions and objects of CPython and NumPy, then the spare
# block of scratch memory.
API_NAMES = (
    "PyObject_Vectorcall",
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
    tuple_items: int
    cell_content: int
    array_data: int
    array_ndim: int
    array_shape: int
    array_descr: int
    array_flags: int

    @property
    def size(self) -> int:
        """Where a tuple keeps its length."""
        return self.type + 8


def entry_text(at: Layout) -> str:
    """The module that defines `@call` for an interpreter whose objects are laid out so."""
    parts = (_array(at), _input(at), _given(at), _overlap(), _make(at), _release())
    more = (_take(), _give(), _guard(at), _execute(), _report(at), _call(at))
    return "\n\n".join([*parts, *more])


def _api(code: Code, api: str, name: str, result: str, arguments: str) -> str:
    """Call one of CPython's or NumPy's functions."""
    function = code.word(api, API_NAMES.index(name), "ptr")
    if result == "void":
        code.line(f"call void {function}({arguments})")
        return ""
    return code.value(f"call {result} {function}({arguments})")


def _array(at: Layout) -> str:
    """An array's data, or null where it isn't exactly as recorded."""
    code = Code("internal ptr @array(ptr %record, ptr %object, i32 %flags)")
    for offset, word in ((at.type, TYPE), (at.array_descr, DESCR)):
        wanted = code.word("%record", word, "ptr")
        code.compare("eq", "ptr", code.load("ptr", "%object", offset), wanted, "no")
    ndim = code.value(f"sext i32 {code.load('i32', '%object', at.array_ndim)} to i64")
    code.compare("eq", "i64", ndim, code.word("%record", NDIM), "no")
    flags = code.value(f"and i32 {code.load('i32', '%object', at.array_flags)}, %flags")
    code.compare("eq", "i32", flags, "%flags", "no")
    shape = code.load("ptr", "%object", at.array_shape)
    wanted = code.word("%record", SHAPE, "ptr")
    with code.loop(ndim) as k:
        here, there = code.element("i64", shape, k), code.element("i64", wanted, k)
        code.compare("eq", "i64", here, there, "no")
    code.line(f"ret ptr {code.load('ptr', '%object', at.array_data)}")
    code.label("no")
    code.line("ret ptr null")
    return code.text()


def _input(at: Layout) -> str:
    """Where the numbers of an argument lie, or null where it isn't as recorded."""
    code = Code("internal ptr @input(ptr %record, ptr %object, ptr %slot, ptr %api)")
    kind = code.word("%record", KIND)
    code.line(f"switch i64 {kind}, label %array [i64 {NUMBER}, label %number")
    code.line(f"  i64 {INTEGER}, label %integer]")
    code.label("number")
    kind = code.load("ptr", "%object", at.type)
    code.compare("eq", "ptr", kind, code.word("%record", TYPE, "ptr"), "no")
    offset = code.word("%record", OFFSET)
    code.line(f"ret ptr {code.place('i8', '%object', offset)}")
    code.label("integer")
    overflow = code.value("alloca i32")
    kind = code.load("ptr", "%object", at.type)
    code.compare("eq", "ptr", kind, code.word("%api", API_NAMES.index("PyLong_Type"), "ptr"), "no")
    whole = _api(
        code, "%api", "PyLong_AsLongLongAndOverflow", "i64", f"ptr %object, ptr {overflow}"
    )
    code.compare("eq", "i32", code.load("i32", overflow), "0", "no")
    code.store(f"i64 {whole}", "%slot")
    code.line("ret ptr %slot")
    code.label("array")
    found = code.value(f"call ptr @array(ptr %record, ptr %object, i32 {READABLE})")
    code.line(f"ret ptr {found}")
    code.label("no")
    code.line("ret ptr null")
    return code.text()


def _given(at: Layout) -> str:
    """Whether the arrays of `out=` can be written by a program; enters their addresses."""
    code = Code("internal i1 @given(ptr %plan, ptr %api, ptr %out, ptr %addresses)")
    single = code.value("alloca ptr")
    code.store("ptr %out", single)
    inputs, captured = code.word("%plan", INPUTS), code.word("%plan", CAPTURED)
    outputs = code.word("%plan", OUTPUTS)
    known = code.value(f"add i64 {inputs}, {captured}")
    addresses = code.place("ptr", "%addresses", known)
    tables = [code.word("%plan", word, "ptr") for word in (INPUT_TABLE, CAPTURED_TABLE)]
    results = code.word("%plan", OUTPUT_TABLE, "ptr")
    many = code.value(f"and i64 {code.word('%plan', FLAGS)}, {RETURN_TUPLE}")
    before = code.block
    code.need(code.value(f"icmp ne i64 {many}, 0"), "check")
    several, kind = code.block, code.load("ptr", "%out", at.type)
    wanted = code.word("%api", API_NAMES.index("PyTuple_Type"), "ptr")
    code.compare("eq", "ptr", kind, wanted, "no")
    code.compare("eq", "i64", code.load("i64", "%out", at.size), outputs, "no")
    several, items = code.block, code.at("%out", at.tuple_items)
    code.jump("check")
    code.label("check")
    objects = code.value(f"phi ptr [{single}, %{before}], [{items}, %{several}]")
    with code.loop(outputs) as k:
        record = code.place(RECORD, results, k)
        object_ = code.element("ptr", objects, k)
        data = code.value(f"call ptr @array(ptr {record}, ptr {object_}, i32 {WRITEABLE})")
        code.compare("ne", "ptr", data, "null", "no")
        size = code.word(record, BYTES)
        for table, count, first in (
            (tables[0], inputs, "%addresses"),
            (tables[1], captured, code.place("ptr", "%addresses", inputs)),
            (results, k, addresses),
        ):
            others = f"ptr {table}, i64 {count}, ptr {first}"
            shared = code.value(f"call i1 @overlap(ptr {data}, i64 {size}, {others})")
            code.need(code.value(f"xor i1 {shared}, true"), "no")
        code.store(f"ptr {data}", code.place("ptr", addresses, k))
    code.line("ret i1 true")
    code.label("no")
    code.line("ret i1 false")
    return code.text()


def _overlap() -> str:
    """Whether memory to be written shares bytes with one of several arrays."""
    code = Code(
        "internal i1 @overlap(ptr %data, i64 %bytes, ptr %records, i64 %count, ptr %addresses)"
    )
    end = code.place("i8", "%data", "%bytes")
    with code.loop("%count") as k:
        record = code.place(RECORD, "%records", k)
        other = code.element("ptr", "%addresses", k)
        last = code.place("i8", other, code.word(record, BYTES))
        left = code.value(f"icmp ult ptr {other}, {end}")
        right = code.value(f"icmp ult ptr %data, {last}")
        both = code.value(f"and i1 {left}, {right}")
        code.need(code.value(f"xor i1 {both}, true"), "yes")
    code.line("ret i1 false")
    code.label("yes")
    code.line("ret i1 true")
    return code.text()


def _make(at: Layout) -> str:
    """A new object for a result, whose numbers' address is entered; null when memory is out."""
    code = Code("internal ptr @make(ptr %record, ptr %api, ptr %address)")
    array = code.value(f"icmp eq i64 {code.word('%record', KIND)}, {ARRAY}")
    code.line(f"br i1 {array}, label %array, label %number")
    code.label("number")
    make, kind = code.word("%record", MAKE, "ptr"), code.word("%record", MADE, "ptr")
    made = code.value(f"call ptr {make}(ptr {kind}, i64 0)")
    code.compare("ne", "ptr", made, "null", "none")
    code.store(f"ptr {code.place('i8', made, code.word('%record', OFFSET))}", "%address")
    code.line(f"ret ptr {made}")
    code.label("array")
    descr = code.word("%record", DESCR, "ptr")
    _api(code, "%api", "Py_IncRef", "void", f"ptr {descr}")  # a new array takes one over
    kind = code.word("%record", TYPE, "ptr")
    ndim = code.value(f"trunc i64 {code.word('%record', NDIM)} to i32")
    shape = code.word("%record", SHAPE, "ptr")
    inside = (
        f"ptr {kind}, ptr {descr}, i32 {ndim}, ptr {shape}, ptr null, ptr null, i32 0, ptr null"
    )
    made = _api(code, "%api", "PyArray_NewFromDescr", "ptr", inside)
    code.compare("ne", "ptr", made, "null", "none")
    code.store(f"ptr {code.load('ptr', made, at.array_data)}", "%address")
    code.line(f"ret ptr {made}")
    code.label("none")
    code.line("ret ptr null")
    return code.text()


def _release() -> str:
    """Let go of results that nobody will get."""
    code = Code("internal void @release(ptr %api, ptr %made, i64 %count)")
    with code.loop("%count") as k:
        _api(code, "%api", "Py_DecRef", "void", f"ptr {code.element('ptr', '%made', k)}")
    code.line("ret void")
    return code.text()


def _take() -> str:
    """Scratch memory, aligned to 64 bytes; where its block begins and its size lie before it."""
    code = Code("internal ptr @take(ptr %api, i64 %bytes)")
    spare = code.at("%api", 8 * API_NAMES.index("spare"))
    kept = code.value(f"atomicrmw xchg ptr {spare}, ptr null acq_rel")
    code.compare("ne", "ptr", kept, "null", "fresh")
    code.compare("uge", "i64", code.load("i64", kept, -8), "%bytes", "small")
    code.line(f"ret ptr {kept}")
    code.label("small")
    _api(code, "%api", "PyMem_RawFree", "void", f"ptr {code.load('ptr', kept, -16)}")
    code.jump("fresh")
    code.label("fresh")
    whole = code.value("add i64 %bytes, 128")
    block = _api(code, "%api", "PyMem_RawMalloc", "ptr", f"i64 {whole}")
    code.compare("ne", "ptr", block, "null", "none")
    number = code.value(f"ptrtoint ptr {block} to i64")
    aligned = code.value(f"and i64 {code.value(f'add i64 {number}, 79')}, -64")
    start = code.value(f"inttoptr i64 {aligned} to ptr")
    code.store(f"ptr {block}", start, -16)
    code.store("i64 %bytes", start, -8)
    code.line(f"ret ptr {start}")
    code.label("none")
    code.line("ret ptr null")
    return code.text()


def _give() -> str:
    """Keep a block of scratch memory for the next call, in place of what was kept."""
    code = Code("internal void @give(ptr %api, ptr %block)")
    spare = code.at("%api", 8 * API_NAMES.index("spare"))
    before = code.block
    code.compare("ule", "i64", code.load("i64", "%block", -8), str(KEPT_BYTES), "free")
    kept = code.block
    other = code.value(f"atomicrmw xchg ptr {spare}, ptr %block acq_rel")
    code.jump("free")
    code.label("free")
    old = code.value(f"phi ptr [%block, %{before}], [{other}, %{kept}]")
    code.compare("ne", "ptr", old, "null", "done")
    _api(code, "%api", "PyMem_RawFree", "void", f"ptr {code.load('ptr', old, -16)}")
    code.jump("done")
    code.label("done")
    code.line("ret void")
    return code.text()


def _guard(at: Layout) -> str:
    """Whether every name and cell that the program was traced with still means the same object."""
    code = Code("internal i1 @guard(ptr %plan, ptr %api)")
    names, cells = code.word("%plan", NAME_TABLE, "ptr"), code.word("%plan", CELL_TABLE, "ptr")
    with code.loop(code.word("%plan", NAMES)) as k:
        row = code.place("[3 x i64]", names, k)
        scope, key = code.word(row, 0, "ptr"), code.word(row, 1, "ptr")
        found = _api(code, "%api", "PyDict_GetItemWithError", "ptr", f"ptr {scope}, ptr {key}")
        code.compare("eq", "ptr", found, code.word(row, 2, "ptr"), "no")
    with code.loop(code.word("%plan", CELLS)) as k:
        row = code.place("[2 x i64]", cells, k)
        found = code.load("ptr", code.word(row, 0, "ptr"), at.cell_content)
        code.compare("eq", "ptr", found, code.word(row, 1, "ptr"), "no")
    code.line("ret i1 true")
    code.label("no")
    _api(code, "%api", "PyErr_Clear", "void", "")
    code.line("ret i1 false")
    return code.text()


def _call(at: Layout) -> str:
    """What Python calls: check, collect, run, hand over."""
    code = Code("ptr @call(ptr %self, ptr %args, i64 %nargs, ptr %kwnames)")
    plan = code.load("ptr", code.load("ptr", "%self", at.tuple_items), at.array_data)
    api = code.word(plan, API, "ptr")
    inputs, captured = code.word(plan, INPUTS), code.word(plan, CAPTURED)
    outputs = code.word(plan, OUTPUTS)
    nargs = code.value(f"and i64 %nargs, {2**63 - 1}")
    code.compare("eq", "i64", nargs, inputs, "fallback")
    code.compare("eq", "i64", code.load("i64", code.word(plan, SWITCH, "ptr")), "0", "fallback")
    code.need(code.value(f"call i1 @guard(ptr {plan}, ptr {api})"), "fallback")

    known = code.value(f"add i64 {inputs}, {captured}")
    addresses = code.value(f"alloca ptr, i64 {code.value(f'add i64 {known}, {outputs}')}")
    slots = code.value(f"alloca i64, i64 {inputs}")
    made = code.value(f"alloca ptr, i64 {outputs}")
    results = code.place("ptr", addresses, known)
    table = code.word(plan, INPUT_TABLE, "ptr")
    with code.loop(inputs) as k:
        record, object_ = code.place(RECORD, table, k), code.element("ptr", "%args", k)
        slot = code.place("i64", slots, k)
        inside = f"ptr {record}, ptr {object_}, ptr {slot}, ptr {api}"
        found = code.value(f"call ptr @input({inside})")
        code.compare("ne", "ptr", found, "null", "fallback")
        code.store(f"ptr {found}", code.place("ptr", addresses, k))
    constants = code.place("ptr", addresses, inputs)
    table = code.word(plan, CAPTURED_TABLE, "ptr")
    with code.loop(captured) as k:
        address = code.word(code.place(RECORD, table, k), ADDRESS, "ptr")
        code.store(f"ptr {address}", code.place("ptr", constants, k))
    code.line(f"br i1 {code.value('icmp eq ptr %kwnames, null')}, label %make, label %keywords")

    code.label("keywords")
    code.compare("eq", "i64", code.load("i64", "%kwnames", at.size), "1", "fallback")
    keyword = code.load("ptr", "%kwnames", at.tuple_items)
    code.compare("eq", "ptr", keyword, code.word(api, API_NAMES.index("out"), "ptr"), "fallback")
    out = code.element("ptr", "%args", nargs)
    fits = code.value(f"call i1 @given(ptr {plan}, ptr {api}, ptr {out}, ptr {addresses})")
    code.need(fits, "fallback")
    given = code.block
    code.jump("ready")

    code.label("make")
    table = code.word(plan, OUTPUT_TABLE, "ptr")
    with code.loop(outputs) as k:
        record, place = code.place(RECORD, table, k), code.place("ptr", results, k)
        result = code.value(f"call ptr @make(ptr {record}, ptr {api}, ptr {place})")
        code.compare("ne", "ptr", result, "null", "short")
        code.store(f"ptr {result}", code.place("ptr", made, k))
    created = code.block
    code.jump("ready")
    code.label("short")
    code.line(f"call void @release(ptr {api}, ptr {made}, i64 {k})")
    code.line("ret ptr null")

    code.label("ready")
    returned = code.value(f"phi ptr [{out}, %{given}], [null, %{created}]")
    owned = code.value(f"phi i64 [0, %{given}], [{outputs}, %{created}]")
    state = code.value(f"call i32 @execute(ptr {plan}, ptr {api}, ptr {addresses})")
    code.compare("eq", "i32", state, "0", "failed")
    code.compare("eq", "ptr", returned, "null", "written")
    many = code.value(f"and i64 {code.word(plan, FLAGS)}, {RETURN_TUPLE}")
    code.compare("ne", "i64", many, "0", "single")
    whole = _api(code, api, "PyTuple_New", "ptr", f"i64 {outputs}")
    code.compare("ne", "ptr", whole, "null", "lost")
    items = code.at(whole, at.tuple_items)
    with code.loop(outputs) as k:
        code.store(f"ptr {code.element('ptr', made, k)}", code.place("ptr", items, k))
    code.line(f"ret ptr {whole}")
    code.label("single")
    code.line(f"ret ptr {code.load('ptr', made)}")
    code.label("written")
    _api(code, api, "Py_IncRef", "void", f"ptr {returned}")
    code.line(f"ret ptr {returned}")
    code.label("lost")
    code.line(f"call void @release(ptr {api}, ptr {made}, i64 {owned})")
    code.line("ret ptr null")

    code.label("fallback")
    target = code.word(plan, FALLBACK, "ptr")
    inside = f"ptr {target}, ptr %args, i64 {nargs}, ptr %kwnames"
    code.line(f"ret ptr {_api(code, api, 'PyObject_Vectorcall', 'ptr', inside)}")

    code.label("failed")
    code.line(f"call void @release(ptr {api}, ptr {made}, i64 {owned})")
    code.compare("ne", "i32", state, str(NO_MEMORY), "none")
    inside = f"ptr {plan}, ptr {api}, i32 {state}, ptr %args, i64 {nargs}, ptr %kwnames"
    code.line(f"ret ptr {code.value(f'call ptr @report({inside})')}")
    code.label("none")
    _api(code, api, "PyErr_NoMemory", "ptr", "")
    code.line("ret ptr null")
    return code.text()


def _report(at: Layout) -> str:
    """Call FAILED with what a program returned, before the arguments it was called with."""
    code = Code(
        "internal ptr @report(ptr %plan, ptr %api, i32 %state, ptr %args, i64 %nargs, ptr %kwnames)"
    )
    start = code.block
    code.compare("ne", "ptr", "%kwnames", "null", "count")
    named, keywords = code.block, code.load("i64", "%kwnames", at.size)
    code.jump("count")
    code.label("count")
    extra = code.value(f"phi i64 [0, %{start}], [{keywords}, %{named}]")
    count = code.value(f"add i64 %nargs, {extra}")
    args = code.value(f"alloca ptr, i64 {code.value(f'add i64 {count}, 1')}")
    state = code.value("sext i32 %state to i64")
    number = _api(code, "%api", "PyLong_FromLongLong", "ptr", f"i64 {state}")
    code.compare("ne", "ptr", number, "null", "none")
    code.store(f"ptr {number}", args)
    rest = code.at(args, 8)
    with code.loop(count) as k:
        code.store(f"ptr {code.element('ptr', '%args', k)}", code.place("ptr", rest, k))
    positional = code.value("add i64 %nargs, 1")
    target = code.word("%plan", FAILED, "ptr")
    inside = f"ptr {target}, ptr {args}, i64 {positional}, ptr %kwnames"
    result = _api(code, "%api", "PyObject_Vectorcall", "ptr", inside)
    _api(code, "%api", "Py_DecRef", "void", f"ptr {number}")
    code.line(f"ret ptr {result}")
    code.label("none")
    code.line("ret ptr null")
    return code.text()


def _execute() -> str:
    """Run the program on its arguments, with a context and scratch memory of this call's own."""
    code = Code("internal i32 @execute(ptr %plan, ptr %api, ptr %addresses)")
    slots = code.word("%plan", CONTEXT)
    table = code.word("%plan", CONTEXT_TABLE, "ptr")
    context = code.value(f"alloca ptr, i64 {slots}")
    with code.loop(slots) as k:
        code.store(f"ptr {code.element('ptr', table, k)}", code.place("ptr", context, k))
    size = code.word("%plan", SCRATCH)
    small = code.value(f"icmp ule i64 {size}, {STACK_BYTES}")
    inside = code.value(f"select i1 {small}, i64 {size}, i64 0")
    stack = code.value(f"alloca i8, i64 {inside}, align 64")
    before = code.block
    code.need(code.value(f"xor i1 {small}, true"), "go")
    block = code.value(f"call ptr @take(ptr %api, i64 {size})")
    code.compare("ne", "ptr", block, "null", "none")
    taken = code.block
    code.jump("go")
    code.label("go")
    scratch = code.value(f"phi ptr [{stack}, %{before}], [{block}, %{taken}]")
    kept = code.value(f"phi ptr [null, %{before}], [{block}, %{taken}]")
    code.store(f"ptr {scratch}", context)
    run = code.word("%plan", RUN, "ptr")
    long = code.value(f"and i64 {code.word('%plan', FLAGS)}, {RELEASE_GIL}")
    code.compare("ne", "i64", long, "0", "short")
    thread = _api(code, "%api", "PyEval_SaveThread", "ptr", "")
    slow = code.value(f"call i32 {run}(ptr %addresses, ptr {context})")
    _api(code, "%api", "PyEval_RestoreThread", "void", f"ptr {thread}")
    released = code.block
    code.jump("done")
    code.label("short")
    fast = code.value(f"call i32 {run}(ptr %addresses, ptr {context})")
    code.jump("done")
    code.label("done")
    state = code.value(f"phi i32 [{slow}, %{released}], [{fast}, %short]")
    code.compare("ne", "ptr", kept, "null", "end")
    code.line(f"call void @give(ptr %api, ptr {kept})")
    code.jump("end")
    code.label("end")
    code.line(f"ret i32 {state}")
    code.label("none")
    code.line(f"ret i32 {NO_MEMORY}")
    return code.text()
