"""Settings belong to a thread, and end with their block."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.settings import OPEN, Settings, current, thread_count


def test_a_block_sets_and_ends():
    before = current()
    with cr.settings(engine="numpy", check_nan=True, threads=3):
        assert current() == Settings("numpy", True, 3)
        assert thread_count() == 3
    assert current() == before


def test_what_is_not_given_stays():
    with cr.settings(engine="numpy"), cr.settings(threads=2):
        assert current() == Settings("numpy", False, 2)
        with cr.settings(engine="llvm", check_nan=True):
            assert current() == Settings("llvm", True, 2)
        assert current() == Settings("numpy", False, 2)


def test_an_exception_ends_a_block():
    before = current()
    with pytest.raises(KeyError), cr.settings(threads=1):
        raise KeyError
    assert current() == before
    assert OPEN[0] == 0


def test_open_blocks_are_counted():
    assert OPEN[0] == 0
    with cr.settings():
        assert OPEN[0] == 1
        with cr.settings(threads=1):
            assert OPEN[0] == 2
    assert OPEN[0] == 0


def test_other_threads_have_their_own():
    seen = []
    with cr.settings(threads=1, engine="numpy"):
        thread = threading.Thread(target=lambda: seen.append(current()))
        thread.start()
        thread.join()
        assert current().engine == "numpy"
    assert seen[0].engine == "llvm"
    assert seen[0].threads != 1 or "CHAINRULE_THREADS" in os.environ


def test_one_object_may_be_used_again_and_inside_itself():
    block = cr.settings(threads=2)
    for _ in range(2):
        with block, block:
            assert current().threads == 2
    assert OPEN[0] == 0


def test_a_decorator():
    @cr.settings(threads=2)
    def count(depth):
        return count(depth - 1) if depth else thread_count()

    assert count(3) == 2
    assert OPEN[0] == 0


def test_numpy_numbers_are_numbers():
    with cr.settings(threads=np.int64(2), check_nan=np.True_):
        assert type(current().threads) is int
        assert current().check_nan is True


@pytest.mark.parametrize("threads", [0, -1, 257, 2.0, "2", True, [1]])
def test_threads_that_make_no_sense(threads):
    with pytest.raises(cr.ArgumentError, match="integer from 1 to 256") as caught:
        cr.settings(threads=threads)
    assert caught.value.facts == {"threads": repr(threads)}
    assert caught.value.fix


@pytest.mark.parametrize("engine", ["cuda", "", "LLVM", 1])
def test_an_engine_that_isnt_one(engine):
    with pytest.raises(cr.ArgumentError, match="no such engine") as caught:
        cr.settings(engine=engine)
    assert caught.value.facts == {"engine": repr(engine)}
    assert '"numpy"' in caught.value.fix


def test_check_nan_is_a_truth_value():
    with pytest.raises(cr.ArgumentError, match="True or False"):
        cr.settings(check_nan=1)


def read(expression: str, **environment: str) -> str:
    """What a fresh process says."""
    program = f"""
import chainrule as cr
from chainrule.base.settings import current, thread_count
try:
    print({expression})
except cr.ArgumentError as error:
    print(error.problem, error.facts)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.stdout.strip()


def test_the_environment():
    out = read("current()", CHAINRULE_ENGINE="numpy", CHAINRULE_THREADS="3")
    assert out == ("Settings(engine='numpy', check_nan=False, threads=3, flush_denormals=None)")
    assert read("current()", CHAINRULE_ENGINE="", CHAINRULE_THREADS="") == str(Settings())


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CHAINRULE_THREADS", "many", "number of threads"),
        ("CHAINRULE_THREADS", "0", "number of threads"),
        ("CHAINRULE_ENGINE", "gpu", "no such engine"),
    ],
)
def test_an_environment_that_makes_no_sense(name, value, said):
    out = read("current()", **{name: value})
    assert said in out
    assert f"{name}" in out
    assert repr(value) in out


def test_processors_that_may_be_used():
    assert 1 <= int(read("thread_count()", CHAINRULE_THREADS="")) <= (os.cpu_count() or 1)
