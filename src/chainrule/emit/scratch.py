"""Scratch memory of a call, as LLVM text: one block is kept for whoever comes next."""

from __future__ import annotations

from chainrule.emit.code import Code
from chainrule.emit.plan import (
    API_NAMES,
    KEPT_BYTES,
    api,
)


def scratch_text() -> str:
    """`@take` and `@give`: a block of memory and its way back."""
    return f"{_take()}\n\n{_give()}"


def _take() -> str:
    """Scratch memory, aligned to 64 bytes; where its block begins and its size lie before it."""
    code = Code("internal ptr @take(ptr %api, i64 %bytes)")
    spare = code.at("%api", 8 * API_NAMES.index("spare"))
    kept = code.value(f"atomicrmw xchg ptr {spare}, ptr null acq_rel")
    code.compare("ne", "ptr", kept, "null", "fresh")
    code.compare("uge", "i64", code.load("i64", kept, -8), "%bytes", "small")
    code.line(f"ret ptr {kept}")
    code.label("small")
    api(code, "%api", "PyMem_RawFree", "void", f"ptr {code.load('ptr', kept, -16)}")
    code.jump("fresh")
    code.label("fresh")
    whole = code.value("add i64 %bytes, 128")
    block = api(code, "%api", "PyMem_RawMalloc", "ptr", f"i64 {whole}")
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
    api(code, "%api", "PyMem_RawFree", "void", f"ptr {code.load('ptr', old, -16)}")
    code.jump("done")
    code.label("done")
    code.line("ret void")
    return code.text()
