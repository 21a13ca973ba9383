"""Arguments and results of a call, one by one, as LLVM text: checked, found, made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from chainrule.emit.code import Code
from chainrule.emit.plan import (
    ARRAY,
    BYTES,
    CAPTURED,
    CAPTURED_TABLE,
    CELL_TABLE,
    CELLS,
    DESCR,
    FLAGS,
    INPUT_TABLE,
    INPUTS,
    INTEGER,
    KIND,
    MADE,
    MAKE,
    NAME_TABLE,
    NAMES,
    NDIM,
    NEST,
    NUMBER,
    OFFSET,
    OUTPUT_TABLE,
    OUTPUTS,
    READABLE,
    RECORD,
    RETURN_TUPLE,
    REUSE,
    SHAPE,
    SPARE_OBJECTS,
    SPARE_TABLE,
    SPARES,
    TRUTH,
    TYPE,
    VERSION_TABLE,
    VERSIONS,
    WRITEABLE,
    Layout,
    api,
    api_object,
)


def passing_text(at: Layout) -> str:
    """Functions that check arguments, and make or check what results are written into."""
    parts = [_array(at), _input(at), _given(at), _overlap(), _make(at), _reused(at), _result(at)]
    parts += [_late(), _release(), _unused(), _spare()]
    return "\n\n".join([*parts, _guard(at)])


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
    code = Code("internal ptr @input(ptr %record, ptr %object, ptr %slot, ptr %api)", inline=True)
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
    code.compare("eq", "ptr", kind, api_object(code, "%api", "PyLong_Type"), "no")
    whole = api(code, "%api", "PyLong_AsLongLongAndOverflow", "i64", f"ptr %object, ptr {overflow}")
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
    code.compare("eq", "i64", code.word("%plan", NEST), "0", "no")
    many = code.value(f"and i64 {code.word('%plan', FLAGS)}, {RETURN_TUPLE}")
    before = code.block
    code.need(code.value(f"icmp ne i64 {many}, 0"), "check")
    several, kind = code.block, code.load("ptr", "%out", at.type)
    wanted = api_object(code, "%api", "PyTuple_Type")
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
    """Make a result's object and enter where its numbers go; false when there is no memory.

    Python's ints and truth values are made when their value is known; until then they're null.
    """
    inside = "ptr %record, ptr %api, ptr %address, ptr %object, ptr %slot"
    code = Code(f"internal i1 @make({inside})", inline=True)
    code.line(f"switch i64 {code.word('%record', KIND)}, label %later [i64 {NUMBER}, label %number")
    code.line(f"  i64 {ARRAY}, label %array]")
    code.label("number")
    make, kind = code.word("%record", MAKE, "ptr"), code.word("%record", MADE, "ptr")
    made = code.value(f"call ptr {make}(ptr {kind}, i64 0)")
    code.compare("ne", "ptr", made, "null", "none")
    code.store(f"ptr {made}", "%object")
    code.store(f"ptr {code.place('i8', made, code.word('%record', OFFSET))}", "%address")
    code.line("ret i1 true")
    code.label("array")
    descr = code.word("%record", DESCR, "ptr")
    api(code, "%api", "Py_IncRef", "void", f"ptr {descr}")  # a new array takes one over
    kind = code.word("%record", TYPE, "ptr")
    ndim = code.value(f"trunc i64 {code.word('%record', NDIM)} to i32")
    shape = code.word("%record", SHAPE, "ptr")
    inside = (
        f"ptr {kind}, ptr {descr}, i32 {ndim}, ptr {shape}, ptr null, ptr null, i32 0, ptr null"
    )
    made = api(code, "%api", "PyArray_NewFromDescr", "ptr", inside)
    code.compare("ne", "ptr", made, "null", "none")
    code.store(f"ptr {made}", "%object")
    code.store(f"ptr {code.load('ptr', made, at.array_data)}", "%address")
    code.line("ret i1 true")
    code.label("later")
    code.store("ptr null", "%object")
    code.store("ptr %slot", "%address")
    code.line("ret i1 true")
    code.label("none")
    code.line("ret i1 false")
    return code.text()


def _reused(at: Layout) -> str:
    """Whether an argument's array may be written: it's writeable, and shares memory with nothing.

    Arguments are counted from 1.
    """
    code = Code("internal i1 @reused(ptr %plan, ptr %args, ptr %addresses, i64 %number)")
    before = code.value("sub i64 %number, 1")
    object_ = code.element("ptr", "%args", before)
    flags = code.value(f"and i32 {code.load('i32', object_, at.array_flags)}, {WRITEABLE}")
    code.compare("eq", "i32", flags, str(WRITEABLE), "no")
    inputs, captured = code.word("%plan", INPUTS), code.word("%plan", CAPTURED)
    table = code.word("%plan", INPUT_TABLE, "ptr")
    data = code.element("ptr", "%addresses", before)
    size = code.word(code.place(RECORD, table, before), BYTES)
    rest = code.value(f"sub i64 {inputs}, %number")
    later, behind = code.place(RECORD, table, "%number"), code.place("ptr", "%addresses", "%number")
    others = code.word("%plan", CAPTURED_TABLE, "ptr")
    for records, count, first in (
        (table, before, "%addresses"),
        (later, rest, behind),
        (others, captured, code.place("ptr", "%addresses", inputs)),
    ):
        inside = f"ptr {data}, i64 {size}, ptr {records}, i64 {count}, ptr {first}"
        code.need(code.value(f"xor i1 {code.value(f'call i1 @overlap({inside})')}, true"), "no")
    code.line("ret i1 true")
    code.label("no")
    code.line("ret i1 false")
    return code.text()


def _result(at: Layout) -> str:
    """A result's object: an argument that was given up for it, where that's possible, or new."""
    code = Code(
        "internal i1 @result(ptr %plan, ptr %api, ptr %args, ptr %addresses, ptr %record, "
        "ptr %address, ptr %object, ptr %slot)",
        inline=True,
    )
    number = code.word("%record", REUSE)
    code.compare("ne", "i64", number, "0", "new")
    inside = f"ptr %plan, ptr %args, ptr %addresses, i64 {number}"
    code.need(code.value(f"call i1 @reused({inside})"), "new")
    before = code.value(f"sub i64 {number}, 1")
    given = code.element("ptr", "%args", before)
    api(code, "%api", "Py_IncRef", "void", f"ptr {given}")
    code.store(f"ptr {given}", "%object")
    code.store(f"ptr {code.element('ptr', '%addresses', before)}", "%address")
    code.line("ret i1 true")
    code.label("new")
    inside = "ptr %record, ptr %api, ptr %address, ptr %object, ptr %slot"
    code.line(f"ret i1 {code.value(f'call i1 @make({inside})')}")
    return code.text()


def _late() -> str:
    """Make the ints and truth values; false when there is no memory."""
    code = Code("internal i1 @late(ptr %plan, ptr %api, ptr %made, ptr %slots)", inline=True)
    records = code.word("%plan", OUTPUT_TABLE, "ptr")
    with code.loop(code.word("%plan", OUTPUTS)) as k:
        place, slot = code.place("ptr", "%made", k), code.place("i64", "%slots", k)
        ready, truth, whole, next_ = map(code.name, ("ready", "truth", "whole", "next"))
        kind = code.word(code.place(RECORD, records, k), KIND)
        code.line(f"switch i64 {kind}, label %{ready} [i64 {INTEGER}, label %{whole}")
        code.line(f"  i64 {TRUTH}, label %{truth}]")
        code.label(truth)
        yes = code.value(f"icmp ne i8 {code.load('i8', slot)}, 0")
        choice = [api_object(code, "%api", name) for name in ("True", "False")]
        value = code.value(f"select i1 {yes}, ptr {choice[0]}, ptr {choice[1]}")
        api(code, "%api", "Py_IncRef", "void", f"ptr {value}")
        code.store(f"ptr {value}", place)
        code.jump(next_)
        code.label(whole)
        number = code.load("i64", slot)
        value = api(code, "%api", "PyLong_FromLongLong", "ptr", f"i64 {number}")
        code.store(f"ptr {value}", place)
        code.compare("ne", "ptr", value, "null", "none")
        code.jump(next_)
        code.label(ready)
        code.jump(next_)
        code.label(next_)
    code.line("ret i1 true")
    code.label("none")
    code.line("ret i1 false")
    return code.text()


def _release() -> str:
    """Let go of results that nobody will get."""
    code = Code("internal void @release(ptr %api, ptr %made, i64 %count)")
    with code.loop("%count") as k:
        api(code, "%api", "Py_DecRef", "void", f"ptr {code.element('ptr', '%made', k)}")
    code.line("ret void")
    return code.text()


def _unused() -> str:
    """Whether only the plan has objects, or objects that are in others of these."""
    code = Code("internal i1 @unused(ptr %objects, i64 %count)", inline=True)
    with code.loop("%count") as k:
        object_ = code.element("ptr", "%objects", k)
        code.compare("eq", "i64", code.load("i64", object_), "1", "no")
    code.line("ret i1 true")
    code.label("no")
    code.line("ret i1 false")
    return code.text()


def _spare() -> str:
    """A result that was returned before and that nobody has any more, taken for us; or null.

    Enters where its numbers go. Python's own `zip` uses its tuples again in the same way.
    """
    code = Code("internal ptr @spare(ptr %plan, ptr %api, ptr %results)", inline=True)
    table, count = code.word("%plan", SPARE_TABLE, "ptr"), code.word("%plan", SPARE_OBJECTS)
    outputs = code.word("%plan", OUTPUTS)
    width = code.value(f"add i64 {count}, {outputs}")
    with code.loop(code.word("%plan", SPARES)) as k:
        row = code.place("ptr", table, code.value(f"mul i64 {k}, {width}"))
        free = code.value(f"call i1 @unused(ptr {row}, i64 {count})")
        code.need(code.value(f"xor i1 {free}, true"), "found")
    code.line("ret ptr null")
    code.label("found")
    numbers = code.place("ptr", row, count)
    with code.loop(outputs) as k:
        code.store(f"ptr {code.element('ptr', numbers, k)}", code.place("ptr", "%results", k))
    whole = code.load("ptr", row)
    api(code, "%api", "Py_IncRef", "void", f"ptr {whole}")
    code.line(f"ret ptr {whole}")
    return code.text()


def _guard(at: Layout) -> str:
    """Whether every name and cell that the program was traced with still means the same object."""
    code = Code("internal i1 @guard(ptr %plan, ptr %api)", inline=True)
    if at.dict_version:
        _unchanged(code, at)
    names = code.word("%plan", NAME_TABLE, "ptr")
    with code.loop(code.word("%plan", NAMES)) as k:
        row = code.place("[3 x i64]", names, k)
        scope, key = code.word(row, 0, "ptr"), code.word(row, 1, "ptr")
        found = api(code, "%api", "PyDict_GetItemWithError", "ptr", f"ptr {scope}, ptr {key}")
        code.compare("eq", "ptr", found, code.word(row, 2, "ptr"), "no")
    if at.dict_version:
        with _versions(code, at) as (row, version):
            code.store(f"i64 {version}", row, 8)
    code.jump("found")
    code.label("found")
    cells = code.word("%plan", CELL_TABLE, "ptr")
    with code.loop(code.word("%plan", CELLS)) as k:
        row = code.place("[2 x i64]", cells, k)
        found = code.load("ptr", code.word(row, 0, "ptr"), at.cell_content)
        code.compare("eq", "ptr", found, code.word(row, 1, "ptr"), "no")
    code.line("ret i1 true")
    code.label("no")
    api(code, "%api", "PyErr_Clear", "void", "")
    code.line("ret i1 false")
    return code.text()


def _unchanged(code: Code, at: Layout) -> None:
    """Nothing need be looked up in dicts that haven't changed since the last time."""
    with _versions(code, at) as (row, version):
        code.compare("eq", "i64", version, code.word(row, 1), "look")
    code.jump("found")
    code.label("look")


@contextmanager
def _versions(code: Code, at: Layout) -> Iterator[tuple[str, str]]:
    """What follows for each dict that names are looked up in: its row, and its version."""
    rows = code.word("%plan", VERSION_TABLE, "ptr")
    with code.loop(code.word("%plan", VERSIONS)) as k:
        row = code.place("[2 x i64]", rows, k)
        yield row, code.load("i64", code.word(row, 0, "ptr"), at.dict_version)
