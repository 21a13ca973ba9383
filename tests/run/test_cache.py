"""Machine code on disk: found again, never trusted blindly, never in the way."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from chainrule.run import cache
from chainrule.run.cache import cache_folder, machine_code, sweep
from chainrule.run.engine import link

pytest.importorskip("llvmlite")

TEXT = "define i64 @same(i64 %x) {\n  ret i64 %x\n}"
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX permissions")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A cache folder that isn't there yet, and a process that knows nothing of it."""
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "code"))
    cache._usable.cache_clear()
    cache._warn.cache_clear()
    yield tmp_path / "code"
    cache._usable.cache_clear()
    cache._warn.cache_clear()


@pytest.fixture
def compiled(monkeypatch):
    """The texts that were compiled, rather than found."""
    texts = []
    honest = cache.compile_text

    def compile_text(text, quick=False):
        texts.append(text)
        return honest(text, quick)

    monkeypatch.setattr(cache, "compile_text", compile_text)
    return texts


def entries(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.code"))


def test_the_second_time_it_is_found(folder, compiled):
    first = machine_code(TEXT)
    assert machine_code(TEXT) == first
    assert compiled == [TEXT]
    assert link(first, ("same",)).address("same")
    assert [path.name for path in folder.iterdir()] == [entries(folder)[0].name]


def test_another_text_is_another_entry(folder, compiled):
    machine_code(TEXT)
    machine_code(TEXT.replace("same", "other"))
    machine_code(TEXT, quick=True)
    assert len(entries(folder)) == len(compiled) == 3


def test_another_processor_is_another_entry(folder, compiled, monkeypatch):
    machine_code(TEXT)
    monkeypatch.setattr(cache, "identity", lambda: "recipe 1, another processor")
    machine_code(TEXT)
    assert len(entries(folder)) == len(compiled) == 2


@pytest.mark.parametrize("where", [0, 20, 60, -1])
def test_a_damaged_entry_is_replaced(folder, compiled, where):
    code = machine_code(TEXT)
    (path,) = entries(folder)
    content = bytearray(path.read_bytes())
    content[where] ^= 1
    path.write_bytes(content)
    assert machine_code(TEXT) == code
    assert len(compiled) == 2
    assert machine_code(TEXT) == code
    assert len(compiled) == 2


@pytest.mark.parametrize("size", [0, 5, 40, 48, 200])
def test_a_cut_entry_is_replaced(folder, compiled, size):
    code = machine_code(TEXT)
    (path,) = entries(folder)
    path.write_bytes(path.read_bytes()[:size])
    assert machine_code(TEXT) == machine_code(TEXT) == code
    assert len(compiled) == 2


@POSIX
def test_only_the_user_can_read_it(folder, compiled):
    machine_code(TEXT)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(entries(folder)[0].stat().st_mode) == 0o600


@POSIX
def test_an_entry_that_others_can_write_is_not_used(folder, compiled):
    machine_code(TEXT)
    entries(folder)[0].chmod(0o666)
    machine_code(TEXT)
    assert len(compiled) == 2
    assert stat.S_IMODE(entries(folder)[0].stat().st_mode) == 0o600


@POSIX
def test_an_entry_that_is_a_link_is_not_followed(folder, compiled, tmp_path):
    machine_code(TEXT)
    (path,) = entries(folder)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    machine_code(TEXT)
    assert len(compiled) == 2
    assert not path.is_symlink()


@POSIX
def test_an_entry_of_somebody_else_is_not_used(folder, compiled, monkeypatch):
    machine_code(TEXT)
    monkeypatch.setattr(os, "getuid", lambda: os.geteuid() + 1)
    machine_code(TEXT)
    assert len(compiled) == 2


@POSIX
def test_a_folder_that_others_can_write_is_not_used(folder, compiled):
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.warns(RuntimeWarning, match="can be written by other users"):
        machine_code(TEXT)
    machine_code(TEXT)
    assert len(compiled) == 2
    assert not entries(folder)


def test_a_folder_that_cant_be_made_warns_once(folder, compiled):
    folder.write_text("a file is in the way")
    with pytest.warns(RuntimeWarning, match="CHAINRULE_CACHE") as caught:
        machine_code(TEXT)
    assert len(caught) == 1
    machine_code(TEXT)
    assert len(compiled) == 2


def test_a_folder_that_fills_up_warns_once(folder, compiled, monkeypatch):
    machine_code(TEXT)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.os, "replace", full)
    with pytest.warns(RuntimeWarning, match="No space left on device"):
        machine_code(TEXT.replace("same", "other"))
    machine_code(TEXT.replace("same", "third"))
    assert len(list(folder.iterdir())) == 1  # nothing half-written stays


@pytest.mark.parametrize("value", ["", "off", "OFF", " "])
def test_turned_off(folder, compiled, monkeypatch, value):
    monkeypatch.setenv("CHAINRULE_CACHE", value)
    assert cache_folder() is None
    machine_code(TEXT)
    machine_code(TEXT)
    assert len(compiled) == 2
    assert not folder.exists()


def test_where_it_is(monkeypatch, tmp_path):
    monkeypatch.delenv("CHAINRULE_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert cache_folder() == tmp_path / ".cache" / "chainrule"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "chainrule"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache_folder() == tmp_path / "Library" / "Caches" / "chainrule"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert cache_folder() == tmp_path / "local" / "chainrule"


def test_a_home_that_nobody_knows(folder, compiled, monkeypatch):
    monkeypatch.setenv("CHAINRULE_CACHE", "~nobody-has-this-name/code")
    with pytest.warns(RuntimeWarning, match="isn't kept"):
        machine_code(TEXT)
    machine_code(TEXT)
    assert len(compiled) == 2


# --- its size -----------------------------------------------------------------------------------


def put(folder: Path, name: str, size: int, age: float) -> Path:
    path = folder / name
    path.write_bytes(bytes(size))
    then = time.time() - age
    os.utime(path, (then, then))
    return path


def test_what_was_used_longest_ago_goes(tmp_path):
    old = [put(tmp_path, f"{k}.code", 100, 100 - k) for k in range(10)]
    sweep(tmp_path, limit=500)
    assert entries(tmp_path) == old[6:]  # a tenth below the limit, so as not to come back at once
    sweep(tmp_path, limit=500)
    assert entries(tmp_path) == old[6:]


def test_reading_counts_as_use(folder, compiled):
    machine_code(TEXT)
    (path,) = entries(folder)
    os.utime(path, (0, 0))
    machine_code(TEXT)
    assert path.stat().st_mtime > time.time() - 3600


def test_unfinished_files_go_after_a_while(tmp_path):
    put(tmp_path, "dead.part", 10, 7200)
    alive = put(tmp_path, "alive.part", 10, 5)
    other = put(tmp_path, "somebody's.txt", 10_000, 7200)
    sweep(tmp_path, limit=100)
    assert sorted(tmp_path.iterdir()) == sorted([alive, other])


def test_writing_sweeps(folder, compiled, monkeypatch):
    monkeypatch.setattr(cache, "_SWEEP_EVERY", 1)
    monkeypatch.setattr(cache.sweep, "__defaults__", (1,))
    for name in ("one", "two", "three"):
        machine_code(TEXT.replace("same", name))
    assert not entries(folder)


# --- several processes --------------------------------------------------------------------------

WORK = """
import sys
from chainrule.run.cache import machine_code
from chainrule.run.engine import link
import ctypes
for k in range(12):
    code = machine_code(f"define i64 @same(i64 %x) {{\\n  %y = add i64 %x, {k}\\n  ret i64 %y\\n}}")
    machine = link(code, ("same",))
    assert ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(machine.address("same"))(1) == k + 1
"""


def test_several_processes_at_once(folder):
    command = [sys.executable, "-W", "error", "-c", WORK.replace("\\\\", "\\")]
    processes = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait(timeout=300) for process in processes] == [0] * 4
    assert len(entries(folder)) == 12
    assert len(list(folder.iterdir())) == 12


def test_the_next_process_need_not_compile(folder):
    machine_code(TEXT)
    program = f"""
from chainrule.run import cache
def compile_text(*_):
    raise AssertionError("compiled again")
cache.compile_text = compile_text
cache.machine_code({TEXT!r})
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)


def test_no_warning_in_the_ordinary_case(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        machine_code(TEXT)
