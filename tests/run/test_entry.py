"""From a Python call into machine code: what goes in, what comes out, and what goes elsewhere."""

from __future__ import annotations

import ctypes
import dataclasses
import gc
import os
import subprocess
import sys
import textwrap
import threading
import weakref

import numpy as np
import pytest

import chainrule as cr
from chainrule.emit.plan import NO_MEMORY
from chainrule.run import entry as native
from chainrule.run import layout
from chainrule.run.call import ABSENT, Input, Output
from chainrule.run.entry import entry
from chainrule.run.portable import portable_entry

pytest.importorskip("llvmlite")

F8 = np.dtype(np.float64)
I8 = np.dtype(np.int64)


def checked_entry(call):
    made = entry(call)
    assert type(made) is type(len), "the interpreter's layout should be known here"
    return made


@pytest.fixture(params=[checked_entry, portable_entry], ids=["native", "ctypes"])
def build(request):
    """Both ways to call; they must agree in everything."""
    return request.param


# --- numbers ------------------------------------------------------------------------------------


def test_floats_in_and_numpy_scalars_out(build, toys):
    out = build(toys.numbers())(2.0, 3.0)
    assert out == (5.0, -1.0, 6.0)
    assert [type(x) for x in out] == [np.float64] * 3


def test_python_floats_out(build, toys):
    out = build(toys.numbers(outputs=[Output(float, F8)] * 3))(2.0, 3.0)
    assert out == (5.0, -1.0, 6.0)
    assert [type(x) for x in out] == [float] * 3


def test_results_are_like_any_other(build, toys):
    total, _, product = build(toys.numbers())(2.0, 3.0)
    assert total + 1 == 6
    assert repr(product) == repr(np.float64(6.0))
    assert hash(total) == hash(5.0)
    assert np.sqrt(total * 5) == 5
    assert total.dtype == F8
    assert total.tobytes() == np.float64(5).tobytes()


def test_results_that_somebody_has_are_never_changed(build, toys):
    call = build(toys.numbers(outputs=[Output(float, F8)] * 3))
    kept = [call(float(k), 1.0) for k in range(10)]
    assert kept == [(k + 1, k - 1, k) for k in range(10)]
    parts = [call(float(k), 1.0)[2] for k in range(10)]
    assert parts == list(range(10))
    seen = {call(float(k), 1.0) for k in range(5)} | {call(3.0, 1.0)}
    assert len(seen) == 5
    total = call(1.0, 1.0)[0]
    for k in range(10):
        total, _, _ = call(total, 1.0)
        assert total == 3 + k


def test_nested_results_that_somebody_has_in_part(build, toys):
    nested = build(dataclasses.replace(toys.numbers(), nest=(-1, -1, -1, 2, 2)))
    kept = []
    for k in range(6):
        value, inner = nested(float(k), 2.0)
        kept.append((inner if k % 2 else inner[0], value))
    for k, (part, value) in enumerate(kept):
        assert value == k + 2
        assert part == ((k - 2, 2 * k) if k % 2 else k - 2)


def test_one_number_by_itself(build, toys):
    text = toys.constant("double", "0x4008000000000000")
    call = build(toys.one(text, [], Output(float, F8)))
    kept = [call() for _ in range(5)]
    assert kept == [3.0] * 5
    assert len(set(map(id, kept))) == 5
    before = sys.getrefcount(kept[0])
    for _ in range(100):
        call()
    after = sys.getrefcount(kept[0])
    assert after == before


@pytest.mark.parametrize("name", "float64 float32 int64 int8 uint16 complex64 complex128".split())
def test_numpy_scalars_go_through(build, toys, name):
    kind = getattr(np, name)
    dtype = np.dtype(kind)
    bits = 8 * dtype.itemsize
    copy = f"""
    define i32 @run(ptr %arguments, ptr %context) {{
      %a = load ptr, ptr %arguments
      %p = getelementptr ptr, ptr %arguments, i64 1
      %o = load ptr, ptr %p
      %x = load i{bits}, ptr %a, align 1
      store i{bits} %x, ptr %o, align 1
      ret i32 0
    }}"""
    call = build(toys.one(copy, [Input(kind, dtype)], Output(kind, dtype)))
    out = call(kind(7))
    assert type(out) is kind
    assert out == 7
    assert call(7.5)[0] == "fallback"


def test_integers_in_and_out(build, toys):
    call = build(toys.one(toys.SCRATCH, [Input(int, I8)], Output(int, I8), scratch=80))
    out = call(10)
    assert type(out) is int
    assert out == 45
    assert call(True)[0] == call(10.0)[0] == call(2**63)[0] == call(-(2**63) - 1)[0] == "fallback"
    assert call(np.int64(10))[0] == "fallback"


def test_complex_numbers(build, toys):
    c16 = np.dtype(complex)
    copy = """
    define i32 @run(ptr %arguments, ptr %context) {
      %a = load ptr, ptr %arguments
      %p = getelementptr ptr, ptr %arguments, i64 1
      %o = load ptr, ptr %p
      %x = load i128, ptr %a, align 1
      store i128 %x, ptr %o, align 1
      ret i32 0
    }"""
    call = build(toys.one(copy, [Input(complex, c16)], Output(np.complex128, c16)))
    out = call(1 + 2j)
    assert type(out) is np.complex128
    assert out == 1 + 2j


@pytest.mark.parametrize("value", [0, 1])
def test_truth_values_are_numpys_own_two(build, toys, value):
    text = toys.constant("i8", str(value))
    out = build(toys.one(text, [], Output(np.bool_, np.dtype(bool))))()
    assert out is (np.True_ if value else np.False_)


def test_a_zero_dimensional_array(build, toys):
    out = build(toys.doubling(()))(np.array(4.0))
    assert type(out) is np.ndarray
    assert out.shape == ()
    assert out == 8


# --- arrays -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(10,), (2, 3), (2, 1, 4), (0,), (3, 0)])
def test_an_array_in_and_out(build, toys, shape):
    x = np.arange(np.prod(shape), dtype=float).reshape(shape)
    out = build(toys.doubling(shape))(x)
    np.testing.assert_array_equal(out, 2 * x)
    assert out.shape == shape
    assert out.flags.owndata
    assert out.flags.writeable
    assert out.dtype is F8
    assert out.base is None


def test_read_only_arrays_are_read(build, toys):
    x = np.ones(4)
    x.flags.writeable = False
    np.testing.assert_array_equal(build(toys.doubling((4,)))(x), np.full(4, 2.0))


def test_empty_arrays_of_another_shape(build, toys):
    assert build(toys.doubling((0, 2)))(np.zeros((2, 0)))[0] == "fallback"


def misaligned():
    memory = np.zeros(88, np.uint8)
    return memory[1:81].view(np.float64)


class Own(np.ndarray):
    """Somebody's own array."""


OTHERS = {
    "every second": np.ones(20)[::2],
    "backwards": np.ones(10)[::-1],
    "misaligned": misaligned(),
    "big-endian": np.ones(10, ">f8"),
    "float32": np.ones(10, np.float32),
    "integers": np.ones(10, np.int64),
    "longer": np.ones(11),
    "a row": np.ones((1, 10)),
    "a subclass": np.ones(10).view(Own),
    "masked": np.ma.ones(10),
    "a list": [1.0] * 10,
    "a float": 1.0,
    "a NumPy float": np.float64(1.0),
    "None": None,
}


@pytest.mark.parametrize("name", OTHERS)
def test_anything_else_goes_to_the_fallback(build, toys, name):
    given = OTHERS[name]
    where, args, keywords = build(toys.doubling((10,)))(given)
    assert where == "fallback"
    assert len(args) == 1
    assert args[0] is given
    assert keywords == {}


def test_column_order(build, toys):
    x = np.asfortranarray(np.ones((3, 4)))
    assert build(toys.doubling((3, 4)))(x)[0] == "fallback"
    assert build(toys.doubling((3, 4)))(x.T)[0] == "fallback"


@pytest.mark.parametrize(
    ("args", "keywords"),
    [
        ((), {}),
        ((1.0,), {}),
        ((1.0, 2.0, 3.0), {}),
        ((1, 2.0), {}),
        ((np.float64(1.0), 2.0), {}),
        ((1.0,), {"y": 2.0}),
        ((1.0, 2.0), {"z": 3.0}),
        ((1.0, 2.0), {"out": None}),
        ((1.0, 2.0), {"out": (np.array(0.0),) * 3, "z": 1}),
    ],
)
def test_other_numbers_of_arguments_and_keywords(build, toys, args, keywords):
    assert build(toys.numbers())(*args, **keywords) == ("fallback", args, keywords)


def test_the_fallback_may_raise(build, toys):
    def refuse(*args):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        build(toys.numbers(fallback=refuse))(None, None)


def test_captured_arrays_are_arguments_too(build, toys):
    b = np.array([5.0])
    call = build(toys.numbers(inputs=[Input(float, F8)], captured=[b]))
    assert call(2.0) == (7.0, -3.0, 10.0)
    b[0] = 1.0
    assert call(2.0) == (3.0, 1.0, 2.0)


# --- out= ---------------------------------------------------------------------------------------


def test_out_is_written_and_returned(build, toys):
    x, out = np.arange(5.0), np.empty(5)
    assert build(toys.doubling((5,)))(x, out=out) is out
    np.testing.assert_array_equal(out, 2 * x)


def test_a_tuple_of_outs(build, toys):
    call = build(toys.numbers())
    out = tuple(np.empty(()) for _ in range(3))
    assert call(2.0, 3.0, out=out) is out
    assert [float(x) for x in out] == [5.0, -1.0, 6.0]


def test_outs_that_dont_fit(build, toys):
    call = build(toys.doubling((5,)))
    frozen = np.empty(5)
    frozen.flags.writeable = False
    for out in (np.empty(6), np.empty(5, np.float32), np.empty(10)[::2], frozen, (np.empty(5),)):
        where, _, keywords = call(np.ones(5), out=out)
        assert where == "fallback"
        assert keywords["out"] is out
    several = build(toys.numbers())
    good = [np.empty(()) for _ in range(3)]
    for out in (good, tuple(good[:2]), good[0], (*good[:2], good[0]), (*good[:2], 1.0)):
        assert several(2.0, 3.0, out=out)[0] == "fallback"


def test_outs_that_overlap_an_argument(build, toys):
    memory = np.arange(12.0)
    call = build(toys.doubling((5,)))
    for start in range(1, 5):
        assert call(memory[:5], out=memory[start : start + 5])[0] == "fallback"
    np.testing.assert_array_equal(memory, np.arange(12.0))
    out = memory[5:10]
    assert call(memory[:5], out=out) is out
    np.testing.assert_array_equal(memory, [0, 1, 2, 3, 4, 0, 2, 4, 6, 8, 10, 11])


def test_an_out_that_overlaps_a_captured_array(build, toys):
    b = np.array(5.0)
    call = build(toys.numbers(inputs=[Input(float, F8)], captured=[b]))
    assert call(2.0, out=(np.empty(()), np.empty(()), b))[0] == "fallback"


# --- what a program was traced with -------------------------------------------------------------


def test_guarded_names(build, toys):
    value, scope = object(), {}
    scope["name"] = value
    call = build(toys.numbers(names=[(scope, "name", value), (scope, "other", ABSENT)]))
    assert call(2.0, 3.0) == (5.0, -1.0, 6.0)
    scope["name"] = object()
    assert call(2.0, 3.0)[0] == "fallback"
    del scope["name"]
    assert call(2.0, 3.0)[0] == "fallback"
    scope["name"] = value
    assert call(2.0, 3.0) == (5.0, -1.0, 6.0)
    scope["other"] = None
    assert call(2.0, 3.0)[0] == "fallback"


def test_a_guarded_name_that_cant_be_looked_up(build, toys):
    class Odd(str):
        __slots__ = ()

        def __hash__(self):
            return hash("name")

        def __eq__(self, other):
            raise RuntimeError("compared")

    value = object()
    call = checked_entry(toys.numbers(names=[({Odd("name"): value}, "name", value)]))
    assert call(2.0, 3.0)[0] == "fallback"


def test_guarded_cells(build, toys):
    held = value = object()

    def set_held(new):
        nonlocal held
        held = new

    def empty():
        nonlocal held
        del held

    cell = (lambda: held).__closure__[0]
    call = build(toys.numbers(cells=[(cell, value)]))
    assert call(2.0, 3.0) == (5.0, -1.0, 6.0)
    set_held(object())
    assert call(2.0, 3.0)[0] == "fallback"
    empty()
    assert call(2.0, 3.0)[0] == "fallback"
    set_held(value)
    assert call(2.0, 3.0) == (5.0, -1.0, 6.0)


def test_settings_are_left_to_the_fallback(build, toys):
    call = build(toys.numbers())
    with cr.settings(check_nan=True):
        assert call(2.0, 3.0)[0] == "fallback"
    assert call(2.0, 3.0) == (5.0, -1.0, 6.0)


# --- running ------------------------------------------------------------------------------------


@pytest.mark.parametrize("given_out", [False, True])
def test_a_program_that_fails_says_with_what(build, toys, given_out):
    keywords = {"out": tuple(np.empty(()) for _ in range(3))} if given_out else {}
    where, state, args, given = build(toys.numbers())(99.0, 1.0, **keywords)
    assert (where, state, args) == ("failed", 7, (99.0, 1.0))
    assert given == keywords


@pytest.mark.parametrize("words", [1, 10, 2048, 2049, 100_000])
def test_scratch_memory(build, toys, words):
    scratch = 8 * words
    call = build(toys.one(toys.SCRATCH, [Input(int, I8)], Output(int, I8), scratch=scratch))
    assert [call(words) for _ in range(3)] == [sum(range(words))] * 3


def test_scratch_memory_grows_and_shrinks(build, toys):
    sizes = [3000, 50_000, 4000, 10, 200_000]
    calls = [
        build(toys.one(toys.SCRATCH, [Input(int, I8)], Output(int, I8), scratch=8 * n))
        for n in sizes
    ]
    for _ in range(20):
        assert [call(n) for call, n in zip(calls, sizes, strict=True)] == [
            n * (n - 1) // 2 for n in sizes
        ]


def test_no_memory(toys):
    call = checked_entry(toys.one(toys.SCRATCH, [Input(int, I8)], Output(int, I8), scratch=2**60))
    assert call(1) == ("failed", NO_MEMORY, (1,), {})


@pytest.mark.parametrize("release", [False, True])
def test_a_program_calls_back(build, toys, release):
    callback = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(lambda n: n + len(str(n)))
    address = ctypes.cast(callback, ctypes.c_void_p).value
    call = build(
        toys.one(toys.CALLS, [Input(int, I8)], Output(int, I8), context=[address], release=release)
    )
    assert call(100) == 103


def test_a_callback_may_call_the_same_function(build, toys):
    holder = []
    callback = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(
        lambda n: holder[0](n - 1) + n if n else 0
    )
    address = ctypes.cast(callback, ctypes.c_void_p).value
    given = {"context": [address], "scratch": 100_000}
    holder.append(build(toys.one(toys.CALLS, [Input(int, I8)], Output(int, I8), **given)))
    assert holder[0](20) == 210


def test_release_lets_other_threads_run(build, toys):
    """The program waits for a byte that another Python thread writes."""
    ends = os.pipe()
    waits = """
    declare i64 @read(i32, ptr, i64)
    define i32 @run(ptr %arguments, ptr %context) {
      %a = load ptr, ptr %arguments
      %n = load i64, ptr %a
      %file = trunc i64 %n to i32
      %p = getelementptr ptr, ptr %arguments, i64 1
      %o = load ptr, ptr %p
      store i64 0, ptr %o
      %got = call i64 @read(i32 %file, ptr %o, i64 1)
      ret i32 0
    }"""
    call = build(toys.one(waits, [Input(int, I8)], Output(int, I8), release=True))
    thread = threading.Timer(0.01, os.write, (ends[1], b"*"))
    thread.start()
    assert call(ends[0]) == ord("*")
    thread.join()
    for end in ends:
        os.close(end)


def test_several_threads_call_at_once(build, toys):
    n = 5000
    call = build(
        toys.one(toys.SCRATCH, [Input(int, I8)], Output(int, I8), scratch=8 * n, release=True)
    )
    wrong = []

    def work():
        wrong.extend(k for k in range(n - 100, n) if call(k) != k * (k - 1) // 2)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# --- memory -------------------------------------------------------------------------------------


def test_10000_calls_leave_nothing_behind(build, toys):
    x = np.arange(1000.0)
    out = np.empty(1000)
    arrays, scalars = build(toys.doubling((1000,))), build(toys.numbers())
    outs = tuple(np.empty(()) for _ in range(3))

    def calls(times):
        for _ in range(times):
            arrays(x)
            arrays(x, out=out)
            arrays(None)
            scalars(2.0, 3.0)
            scalars(2.0, 3.0, out=outs)
            scalars(99.0, 3.0)
            scalars(2, 3.0)

    calls(1000)
    kept = (x, out, F8, outs, *outs, np.float64, np.ndarray, toys.fallback, toys.failed)
    before = [sys.getrefcount(item) for item in kept]
    blocks = sys.getallocatedblocks()
    calls(10_000)
    assert [sys.getrefcount(item) for item in kept] == before
    assert abs(sys.getallocatedblocks() - blocks) < 100


def test_an_entry_that_its_own_fallback_knows_is_collected(build, toys):
    class Owner:
        def fall_back(self, *args):
            return args

    owner = Owner()
    owner.entry = build(toys.numbers(fallback=owner.fall_back))
    assert owner.entry(1) == (1,)
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    assert gone() is None


def test_an_entry_keeps_what_it_needs(build, toys):
    call = build(toys.numbers(inputs=[Input(float, F8)], captured=[np.array([5.0])]))
    gc.collect()
    assert call(2.0) == (7.0, -3.0, 10.0)


# --- where the layout is not what it should be --------------------------------------------------


def test_the_layout_is_measured():
    at = layout.layout()
    assert at is not None
    assert not layout._holds(type(at)(**{**vars(at), "array_flags": at.array_flags + 8}))
    assert not layout._holds(type(at)(**{**vars(at), "array_descr": at.array_flags}))
    assert not layout._holds(type(at)(**{**vars(at), "cell_content": at.type}))


def test_an_unknown_layout_means_ctypes(toys, monkeypatch):
    monkeypatch.setattr(native, "layout", lambda: None)
    made = entry(toys.numbers())
    assert type(made) is not type(len)
    assert made(2.0, 3.0) == (5.0, -1.0, 6.0)


def test_chosen_by_the_environment():
    program = textwrap.dedent(
        """
        from chainrule.run.layout import layout
        assert layout() is None
        """
    )
    environment = {**os.environ, "CHAINRULE_CALL": "ctypes"}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=120)


def test_python_truth_values_go_by_ctypes(toys):
    text = """
    define i32 @run(ptr %arguments, ptr %context) {
      %a = load ptr, ptr %arguments
      %p = getelementptr ptr, ptr %arguments, i64 1
      %o = load ptr, ptr %p
      %x = load i8, ptr %a
      %y = xor i8 %x, 1
      store i8 %y, ptr %o
      ret i32 0
    }"""
    call = entry(toys.one(text, [Input(bool, np.dtype(bool))], Output(bool, np.dtype(bool))))
    assert call(True) is False
    assert call(False) is True
    assert call(1)[0] == "fallback"
