"""The pool of threads: every chunk is done once, whoever calls, however many threads there are."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.run import engine
from chainrule.run.threads import Pool, pool

pytest.importorskip("llvmlite")

LINUX = pytest.mark.skipif(sys.platform == "win32", reason="threads need POSIX")


def expected(work, chunks, times):
    """What CHUNKS computes, in Python."""
    out = []
    for k in range(1, chunks + 1):
        value = k
        for _ in range(work * times):
            value = (value * 6364136223846793005 + 1442695040888963407) % 2**64
        out.append(value - 2**64 if value >= 2**63 else value)
    return np.array(out)


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize(("work", "chunks", "times"), [(1, 1, 1), (10, 2, 3), (50, 100, 2)])
def test_every_chunk_is_done_once(toys, threads, work, chunks, times):
    out = toys.jobs(pool(threads).address, work, chunks, times)
    np.testing.assert_array_equal(out, expected(work, chunks, times))


@pytest.mark.parametrize("threads", [2, 4])
def test_many_short_jobs(toys, threads):
    alone = toys.jobs(pool(1).address, 3, 7, 20_000)
    np.testing.assert_array_equal(toys.jobs(pool(threads).address, 3, 7, 20_000), alone)


def test_more_chunks_than_are_shared_out(toys):
    alone = toys.jobs(pool(1).address, 1, 70_000, 1)
    np.testing.assert_array_equal(toys.jobs(pool(2).address, 1, 70_000, 1), alone)


def test_no_chunks_at_all():
    text = """
    define void @chunk(ptr %data, i64 %k) {
      store volatile i64 1, ptr null
      ret void
    }
    define void @none(ptr %parallel) {
      call void %parallel(ptr @chunk, ptr null, i64 0)
      ret void
    }"""
    machine = engine.load(text, ("none",))
    none = ctypes_function(machine.address("none"))
    none(pool(1).address)
    none(pool(2).address)


def ctypes_function(address):
    import ctypes

    return ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)


@LINUX
def test_workers_come_with_the_first_work(toys):
    own = Pool(3)
    assert own.workers() == 0
    toys.jobs(own.address, 10, 1, 5)  # a single chunk is done by the caller
    assert own.workers() == 0
    toys.jobs(own.address, 10, 6, 5)
    assert own.workers() == 2
    own.stop()
    np.testing.assert_array_equal(toys.jobs(own.address, 5, 6, 2), expected(5, 6, 2))


def test_one_thread_has_no_workers(toys):
    own = Pool(1)
    toys.jobs(own.address, 10, 6, 5)
    assert own.workers() == 0
    own.stop()


def test_several_python_threads_call_at_once(toys):
    want = expected(20, 9, 300)
    results = []

    def work():
        results.append(toys.jobs(pool(3).address, 20, 9, 300))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 6
    for out in results:
        np.testing.assert_array_equal(out, want)


def test_a_chunk_may_hand_out_work_itself():
    text = """
    define void @inner(ptr %data, i64 %k) {
      %old = atomicrmw add ptr %data, i64 1 seq_cst
      ret void
    }
    define void @outer(ptr %pair, i64 %k) {
      %p = getelementptr ptr, ptr %pair, i64 1
      %parallel = load ptr, ptr %pair
      %data = load ptr, ptr %p
      call void %parallel(ptr @inner, ptr %data, i64 10)
      ret void
    }
    define void @go(ptr %pair) {
      %parallel = load ptr, ptr %pair
      call void %parallel(ptr @outer, ptr %pair, i64 20)
      ret void
    }"""
    machine = engine.load(text, ("go",))
    total = np.zeros(1, np.int64)
    pair = np.array([pool(3).address, total.ctypes.data], np.int64)
    ctypes_function(machine.address("go"))(pair.ctypes.data)
    assert total[0] == 200


def test_the_pool_of_the_settings():
    with cr.settings(threads=2):
        assert pool().threads == 2
        assert pool() is pool(2)
    with cr.settings(threads=3):
        assert pool() is pool(3)


def run(program: str, **environment: str) -> str:
    """Run a program in a process of its own; what it printed."""
    toys = Path(__file__).with_name("toys.py")
    head = f"""
        import importlib.util, os, sys
        spec = importlib.util.spec_from_file_location("toys", {str(toys)!r})
        toys = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(toys)
    """
    text = textwrap.dedent(head) + textwrap.dedent(program)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", text],
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stderr == ""
    return done.stdout.strip()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_of_fork_has_workers_of_its_own():
    out = run(
        """
        from chainrule.run.threads import pool
        before = toys.jobs(pool(3).address, 20, 9, 50)
        for _ in range(5):
            child = os.fork()
            if child == 0:
                same = (toys.jobs(pool(3).address, 20, 9, 50) == before).all()
                os._exit(0 if same and pool(3).workers() == 2 else 1)
            assert os.waitpid(child, 0)[1] == 0
        assert (toys.jobs(pool(3).address, 20, 9, 50) == before).all()
        print("fine")
        """
    )
    assert out == "fine"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork_while_another_thread_has_the_pool():
    out = run(
        """
        import threading
        from chainrule.run.threads import pool
        want = toys.jobs(pool(3).address, 20, 9, 50)
        go_on = True
        def busy():
            while go_on:
                toys.jobs(pool(3).address, 2000, 9, 20)
        thread = threading.Thread(target=busy)
        thread.start()
        for _ in range(10):
            child = os.fork()
            if child == 0:
                os._exit(0 if (toys.jobs(pool(3).address, 20, 9, 50) == want).all() else 1)
            assert os.waitpid(child, 0)[1] == 0
        go_on = False
        thread.join()
        print("fine")
        """
    )
    assert out == "fine"


def test_a_process_ends_with_its_pool_asleep_or_awake():
    program = """
        import time
        from chainrule.run.threads import pool
        toys.jobs(pool(4).address, 20, 9, 50)
        time.sleep({})
        print("fine")
        """
    assert run(program.format(0)) == run(program.format(0.2)) == "fine"


def test_a_process_ends_while_a_daemon_thread_works():
    out = run(
        """
        import threading, time
        from chainrule.run.threads import pool
        work = lambda: toys.jobs(pool(4).address, 100_000, 64, 10_000)
        threading.Thread(target=work, daemon=True).start()
        time.sleep(0.1)
        print("fine")
        """
    )
    assert out == "fine"


@LINUX
def test_signals_are_left_to_python():
    out = run(
        """
        import signal, time
        from chainrule.run.threads import pool
        toys.jobs(pool(4).address, 20, 9, 50)
        seen = []
        signal.signal(signal.SIGUSR1, lambda *_: seen.append(1))
        for k in range(20):
            os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(0.01)
        print(len(seen) > 0)
        """
    )
    assert out == "True"


def test_the_number_of_threads_from_the_environment():
    program = "from chainrule.run.threads import pool\nprint(pool().threads)"
    assert run(program, CHAINRULE_THREADS="5") == "5"
