"""The way from Python's call into machine code, as LLVM text: one function for all programs.

`@call` is what CPython calls (METH_FASTCALL | METH_KEYWORDS). What it has to do for one program
stands in a plan, a table of 64-bit words that `run/entry.py` fills in; so this text depends on the
interpreter only and is compiled once. A call that isn't exactly as planned goes to a fallback in
Python, which decides what it means.
"""

from __future__ import annotations

from chainrule.emit.code import Code
from chainrule.emit.passing import passing_text
from chainrule.emit.plan import (
    ADDRESS,
    API,
    CAPTURED,
    CAPTURED_TABLE,
    CONTEXT,
    CONTEXT_TABLE,
    FAILED,
    FALLBACK,
    FLAGS,
    INPUT_TABLE,
    INPUTS,
    NEST,
    NEST_TABLE,
    NO_MEMORY,
    OUTPUT_TABLE,
    OUTPUTS,
    RECORD,
    RELEASE_GIL,
    RETURN_TUPLE,
    RUN,
    SCRATCH,
    STACK_BYTES,
    SWITCH,
    Layout,
    api,
    api_object,
)
from chainrule.emit.scratch import scratch_text


def entry_text(at: Layout) -> str:
    """The module that defines `@call` and `@vector` for an interpreter that lays out objects so."""
    parts = (passing_text(at), scratch_text(), _python(), _execute(), _report(at))
    return "\n\n".join((*parts, _nested(at), _call(at), _vector(at)))


def detour_text(at: Layout) -> str:
    """The module that defines `@detour`, which leaves a call to what is written in Python."""
    return "\n\n".join((_python(), _detour(at)))


def _detour(at: Layout) -> str:
    """The same as `@vector` before anything is planned: the fallback does it all."""
    code = Code("ptr @detour(ptr %self, ptr %args, i64 %nargs, ptr %kwnames)")
    target = code.load("ptr", "%self", at.target)
    code.compare("ne", "ptr", target, "null", "none")
    plan = code.load("ptr", code.load("ptr", target, at.tuple_items), at.array_data)
    table = code.word(plan, API, "ptr")
    api(code, table, "Py_IncRef", "void", f"ptr {target}")
    nargs = code.value(f"and i64 %nargs, {2**63 - 1}")
    fallback = code.word(plan, FALLBACK, "ptr")
    inside = f"ptr {table}, ptr {fallback}, ptr %args, i64 {nargs}, ptr %kwnames"
    result = code.value(f"call ptr @python({inside})")
    api(code, table, "Py_DecRef", "void", f"ptr {target}")
    code.line(f"ret ptr {result}")
    code.label("none")
    code.line("ret ptr null")
    return code.text()


def _vector(at: Layout) -> str:
    """What Python calls when the object is one of ours (PEP 590), whose target may change."""
    code = Code("ptr @vector(ptr %self, ptr %args, i64 %nargs, ptr %kwnames)")
    target = code.load("ptr", "%self", at.target)
    code.compare("ne", "ptr", target, "null", "none")
    plan = code.load("ptr", code.load("ptr", target, at.tuple_items), at.array_data)
    table = code.word(plan, API, "ptr")
    # Another thread may aim the object elsewhere meanwhile.
    api(code, table, "Py_IncRef", "void", f"ptr {target}")
    inside = f"ptr {target}, ptr %args, i64 %nargs, ptr %kwnames"
    result = code.value(f"call ptr @call({inside})")
    api(code, table, "Py_DecRef", "void", f"ptr {target}")
    code.line(f"ret ptr {result}")
    code.label("none")
    code.line("ret ptr null")
    return code.text()


def _call(at: Layout) -> str:
    """What Python calls: check, collect, run, hand over."""
    code = Code("ptr @call(ptr %self, ptr %args, i64 %nargs, ptr %kwnames)")
    plan = code.load("ptr", code.load("ptr", "%self", at.tuple_items), at.array_data)
    table = code.word(plan, API, "ptr")
    inputs, captured = code.word(plan, INPUTS), code.word(plan, CAPTURED)
    outputs = code.word(plan, OUTPUTS)
    nargs = code.value(f"and i64 %nargs, {2**63 - 1}")
    code.compare("eq", "i64", nargs, inputs, "fallback")
    code.compare("eq", "i64", code.load("i64", code.word(plan, SWITCH, "ptr")), "0", "fallback")
    code.need(code.value(f"call i1 @guard(ptr {plan}, ptr {table})"), "fallback")

    known = code.value(f"add i64 {inputs}, {captured}")
    addresses = code.value(f"alloca ptr, i64 {code.value(f'add i64 {known}, {outputs}')}")
    slots = code.value(f"alloca i64, i64 {inputs}")
    made = code.value(f"alloca ptr, i64 {outputs}")
    spaces = code.value(f"alloca i64, i64 {outputs}")
    results = code.place("ptr", addresses, known)
    records = code.word(plan, INPUT_TABLE, "ptr")
    with code.loop(inputs) as k:
        record, object_ = code.place(RECORD, records, k), code.element("ptr", "%args", k)
        slot = code.place("i64", slots, k)
        inside = f"ptr {record}, ptr {object_}, ptr {slot}, ptr {table}"
        found = code.value(f"call ptr @input({inside})")
        code.compare("ne", "ptr", found, "null", "fallback")
        code.store(f"ptr {found}", code.place("ptr", addresses, k))
    constants = code.place("ptr", addresses, inputs)
    records = code.word(plan, CAPTURED_TABLE, "ptr")
    with code.loop(captured) as k:
        address = code.word(code.place(RECORD, records, k), ADDRESS, "ptr")
        code.store(f"ptr {address}", code.place("ptr", constants, k))
    code.line(f"br i1 {code.value('icmp eq ptr %kwnames, null')}, label %make, label %keywords")

    code.label("keywords")
    code.compare("eq", "i64", code.load("i64", "%kwnames", at.size), "1", "fallback")
    keyword = code.load("ptr", "%kwnames", at.tuple_items)
    code.compare("eq", "ptr", keyword, api_object(code, table, "out"), "fallback")
    out = code.element("ptr", "%args", nargs)
    fits = code.value(f"call i1 @given(ptr {plan}, ptr {table}, ptr {out}, ptr {addresses})")
    code.need(fits, "fallback")
    given = code.block
    code.jump("ready")

    code.label("make")
    spare = code.value(f"call ptr @spare(ptr {plan}, ptr {table}, ptr {results})")
    code.compare("ne", "ptr", spare, "null", "new")
    code.store(f"ptr {spare}", made)
    unmade = code.block
    code.jump("ready")
    code.label("new")
    records = code.word(plan, OUTPUT_TABLE, "ptr")
    with code.loop(outputs) as k:
        record, place = code.place(RECORD, records, k), code.place("ptr", results, k)
        object_, slot = code.place("ptr", made, k), code.place("i64", spaces, k)
        inside = f"ptr {plan}, ptr {table}, ptr %args, ptr {addresses}, ptr {record}, "
        inside += f"ptr {place}, ptr {object_}, ptr {slot}"
        code.need(code.value(f"call i1 @result({inside})"), "short")
    created = code.block
    code.jump("ready")
    code.label("short")
    code.line(f"call void @release(ptr {table}, ptr {made}, i64 {k})")
    code.line("ret ptr null")

    code.label("ready")
    returned = code.value(f"phi ptr [{out}, %{given}], [{spare}, %{unmade}], [null, %{created}]")
    owned = code.value(f"phi i64 [0, %{given}], [1, %{unmade}], [{outputs}, %{created}]")
    state = code.value(f"call i32 @execute(ptr {plan}, ptr {table}, ptr {addresses})")
    code.compare("eq", "i32", state, "0", "failed")
    code.compare("eq", "ptr", returned, "null", "written")
    late = code.value(f"call i1 @late(ptr {plan}, ptr {table}, ptr {made}, ptr {spaces})")
    code.need(late, "lost")
    code.compare("ne", "i64", code.word(plan, NEST), "0", "flat")
    code.line(f"ret ptr {code.value(f'call ptr @nested(ptr {plan}, ptr {table}, ptr {made})')}")
    code.label("flat")
    many = code.value(f"and i64 {code.word(plan, FLAGS)}, {RETURN_TUPLE}")
    code.compare("ne", "i64", many, "0", "single")
    whole = api(code, table, "PyTuple_New", "ptr", f"i64 {outputs}")
    code.compare("ne", "ptr", whole, "null", "lost")
    items = code.at(whole, at.tuple_items)
    with code.loop(outputs) as k:
        code.store(f"ptr {code.element('ptr', made, k)}", code.place("ptr", items, k))
    code.line(f"ret ptr {whole}")
    code.label("single")
    code.line(f"ret ptr {code.load('ptr', made)}")
    code.label("written")
    code.compare("eq", "i64", owned, "0", "taken")
    api(code, table, "Py_IncRef", "void", f"ptr {returned}")
    code.jump("taken")
    code.label("taken")
    code.line(f"ret ptr {returned}")
    code.label("lost")
    code.line(f"call void @release(ptr {table}, ptr {made}, i64 {owned})")
    code.line("ret ptr null")

    code.label("fallback")
    target = code.word(plan, FALLBACK, "ptr")
    inside = f"ptr {table}, ptr {target}, ptr %args, i64 {nargs}, ptr %kwnames"
    code.line(f"ret ptr {code.value(f'call ptr @python({inside})')}")

    code.label("failed")
    code.line(f"call void @release(ptr {table}, ptr {made}, i64 {owned})")
    inside = f"ptr {plan}, ptr {table}, i32 {state}, ptr %args, i64 {nargs}, ptr %kwnames"
    code.line(f"ret ptr {code.value(f'call ptr @report({inside})')}")
    return code.text()


def _nested(at: Layout) -> str:
    """Results put together as tuples of tuples; null, and nothing left, where memory ran out."""
    code = Code("internal ptr @nested(ptr %plan, ptr %api, ptr %made)", inline=True)
    rows, table = code.word("%plan", NEST), code.word("%plan", NEST_TABLE, "ptr")
    stack = code.value(f"alloca ptr, i64 {rows}")
    height, taken = code.value("alloca i64"), code.value("alloca i64")
    code.store("i64 0", height)
    code.store("i64 0", taken)
    with code.loop(rows) as k:
        count = code.element("i64", table, k)
        top, next_ = code.load("i64", height), code.load("i64", taken)
        code.compare("slt", "i64", count, "0", "tuple")
        code.store(f"ptr {code.element('ptr', '%made', next_)}", code.place("ptr", stack, top))
        code.store(f"i64 {code.value(f'add i64 {next_}, 1')}", taken)
        code.store(f"i64 {code.value(f'add i64 {top}, 1')}", height)
        code.jump("on")
        code.label("tuple")
        whole = api(code, "%api", "PyTuple_New", "ptr", f"i64 {count}")
        code.compare("ne", "ptr", whole, "null", "lost")
        first = code.value(f"sub i64 {top}, {count}")
        items, parts = code.at(whole, at.tuple_items), code.place("ptr", stack, first)
        with code.loop(count) as j:
            code.store(f"ptr {code.element('ptr', parts, j)}", code.place("ptr", items, j))
        code.store(f"ptr {whole}", parts)
        code.store(f"i64 {code.value(f'add i64 {first}, 1')}", height)
        code.jump("on")
        code.label("on")
    code.line(f"ret ptr {code.load('ptr', stack)}")
    code.label("lost")
    code.line(f"call void @release(ptr %api, ptr {stack}, i64 {top})")
    rest = code.value(f"sub i64 {code.word('%plan', OUTPUTS)}, {next_}")
    others = code.place("ptr", "%made", next_)
    code.line(f"call void @release(ptr %api, ptr {others}, i64 {rest})")
    code.line("ret ptr null")
    return code.text()


def _python() -> str:
    """Call something written in Python."""
    code = Code(
        "internal ptr @python(ptr %api, ptr %callable, ptr %args, i64 %nargs, ptr %kwnames)"
    )
    inside = "ptr %callable, ptr %args, i64 %nargs, ptr %kwnames"
    code.compare("ne", "ptr", api_object(code, "%api", "PyObject_Vectorcall"), "null", "older")
    code.line(f"ret ptr {api(code, '%api', 'PyObject_Vectorcall', 'ptr', inside)}")
    code.label("older")
    thread = api(code, "%api", "PyThreadState_Get", "ptr", "")
    result = api(code, "%api", "_PyObject_MakeTpCall", "ptr", f"ptr {thread}, {inside}")
    code.line(f"ret ptr {result}")
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
    number = api(code, "%api", "PyLong_FromLongLong", "ptr", f"i64 {state}")
    code.compare("ne", "ptr", number, "null", "none")
    code.store(f"ptr {number}", args)
    rest = code.at(args, 8)
    with code.loop(count) as k:
        code.store(f"ptr {code.element('ptr', '%args', k)}", code.place("ptr", rest, k))
    positional = code.value("add i64 %nargs, 1")
    target = code.word("%plan", FAILED, "ptr")
    inside = f"ptr %api, ptr {target}, ptr {args}, i64 {positional}, ptr %kwnames"
    result = code.value(f"call ptr @python({inside})")
    api(code, "%api", "Py_DecRef", "void", f"ptr {number}")
    code.line(f"ret ptr {result}")
    code.label("none")
    code.line("ret ptr null")
    return code.text()


def _execute() -> str:
    """Run the program on its arguments, with a context and scratch memory of this call's own."""
    code = Code("internal i32 @execute(ptr %plan, ptr %api, ptr %addresses)", inline=True)
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
    thread = api(code, "%api", "PyEval_SaveThread", "ptr", "")
    slow = code.value(f"call i32 {run}(ptr %addresses, ptr {context})")
    api(code, "%api", "PyEval_RestoreThread", "void", f"ptr {thread}")
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
