"""LLVM text to machine code, and back out of memory."""

from __future__ import annotations

import ctypes
import gc
import sys
import threading

import numpy as np
import pytest

import chainrule as cr
from chainrule.run import engine

pytest.importorskip("llvmlite")

TWICE = "define i64 @twice(i64 %x) {\n  %y = mul i64 %x, 2\n  ret i64 %y\n}"


def function(machine, name):
    found = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(machine.address(name))
    found.machine = machine  # else it's gone before the call
    return found


@pytest.mark.parametrize("quick", [False, True])
def test_text_runs(quick):
    machine = engine.load(TWICE, ("twice",), quick)
    assert function(machine, "twice")(21) == 42


def test_names_that_were_not_asked_for_are_found_too():
    machine = engine.load(TWICE + "\ndefine i64 @same(i64 %x) {\n  ret i64 %x\n}", ("twice",))
    assert function(machine, "same")(7) == 7
    assert machine.address("same") == machine.address("same")


def test_one_name_means_something_else_in_each_machine():
    plus = [
        engine.load(TWICE.replace("mul i64 %x, 2", f"add i64 %x, {k}"), ("twice",)) for k in (1, 2)
    ]
    assert [function(machine, "twice")(10) for machine in plus] == [11, 12]


def test_code_goes_out_and_comes_in_again():
    code = engine.compile_text(TWICE)
    machine = engine.link(code, ("twice",))
    assert machine.code == code
    assert function(machine, "twice")(4) == 8


def test_the_c_library_is_within_reach():
    text = """
    declare i64 @labs(i64)
    define i64 @away(i64 %x) {
      %y = call i64 @labs(i64 %x)
      ret i64 %y
    }"""
    assert function(engine.load(text, ("away",)), "away")(-3) == 3


def test_wide_vectors_are_kept_whole():
    if "+avx512f" not in engine.host()[1].split(","):
        pytest.skip("this processor has no vectors of 512 bits")
    text = """
    define void @add(ptr %a) {
      %x = load <8 x double>, ptr %a, align 8
      %y = fadd <8 x double> %x, %x
      store <8 x double> %y, ptr %a, align 8
      ret void
    }"""
    code = engine.compile_text(text)
    # EVEX prefix, vector length 512: third payload byte's bits 5 and 6 are 10.
    assert any(
        code[k] == 0x62 and code[k + 3] & 0x60 == 0x40 and code[k + 4] == 0x58
        for k in range(len(code) - 4)
    )


def test_memory_need_not_be_aligned():
    text = """
    define i64 @last(i64 %at) {
      %a = inttoptr i64 %at to ptr
      %x = load <8 x i64>, ptr %a, align 8
      %y = extractelement <8 x i64> %x, i64 7
      ret i64 %y
    }"""
    memory = np.arange(9, dtype=np.int64)
    address = function(engine.load(text, ("last",)), "last")
    assert [address(memory.ctypes.data + 8 * k) for k in (0, 1)] == [7, 8]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("define i32 @run( {", "expected type"),
        ("define i32 @run() {\n  %x = add i32 %q, 1\n  ret i32 %x\n}", "undefined value '%q'"),
        ("define i32 @run() {\n  ret i64 0\n}", "doesn't match"),
        ("define i32 @walk() {\n  ret i32 0\n}", "Symbols not found"),
        (
            "declare i32 @nobody.has.this()\ndefine i32 @run() {\n"
            "  %x = call i32 @nobody.has.this()\n  ret i32 %x\n}",
            "Failed to materialize",
        ),
    ],
)
def test_what_llvm_refuses_is_a_fault_of_ours(text, said, capfd):
    with pytest.raises(cr.InternalError) as caught:
        engine.load(text)
    assert said in str(caught.value)
    assert capfd.readouterr() == ("", "")  # LLVM itself stays quiet


def test_the_message_shows_the_line():
    with pytest.raises(cr.InternalError) as caught:
        engine.load("define i32 @run() {\n  ; before\n  %x = add i32 %q, 1\n  ret i32 %x\n}")
    assert "3:   %x = add i32 %q, 1" in caught.value.facts["text"]
    assert 'cr.settings(engine="numpy")' in caught.value.fix


def test_an_unknown_name():
    with pytest.raises(cr.InternalError, match="has no 'half'"):
        engine.load(TWICE, ("twice",)).address("half")


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux' account of memory")
def test_500_compilations_leave_little_behind(toys):
    def compile_one(k):
        text = TWICE.replace("2", str(k + 2))
        assert function(engine.load(text, ("twice",)), "twice")(3) == 3 * (k + 2)

    for k in range(100):
        compile_one(k)
    gc.collect()
    before = toys.resident()
    for k in range(500):
        compile_one(k)
    gc.collect()
    assert toys.resident() - before < 6 * 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux' account of memory")
def test_machines_give_their_memory_back(toys):
    code = engine.compile_text(TWICE)
    before = 0
    for k in range(3000):
        engine.link(code, ("twice",))
        if k == 1000:
            before = toys.resident()
    assert toys.resident() - before < 2 * 2**20


def test_a_machine_lives_as_long_as_somebody_has_it():
    machines = [engine.load(TWICE.replace("2", str(k)), ("twice",)) for k in range(150)]
    kept = machines[3::50]
    del machines
    gc.collect()
    assert [function(machine, "twice")(1) for machine in kept] == [3, 53, 103]


def test_machines_in_a_cycle_are_collected():
    machine = engine.load(TWICE, ("twice",))
    machine.itself = machine
    del machine
    gc.collect()


def test_several_threads_compile_at_once():
    results = {}

    def work(n):
        results[n] = [
            function(engine.load(TWICE.replace("2", str(n * 10 + k)), ("twice",)), "twice")(1)
            for k in range(5)
        ]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {n: [n * 10 + k for k in range(5)] for n in range(4)}


def test_the_identity_names_what_code_depends_on():
    name, features = engine.host()
    assert all(part in engine.identity() for part in ("llvmlite", "LLVM", name, features))
    assert engine.available()
