"""LLVM text to machine code in memory: the one module that imports llvmlite, and that late."""

from __future__ import annotations

import functools
import os
import platform
import re
import sys
import threading
import weakref
from collections.abc import Iterable, Mapping
from typing import Any

from chainrule.base.errors import InternalError

# Every call of LLVM is made under this lock, which no fork can find held by another thread.
_LOCK = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release
    )

# A library leaves about 9 kB behind in its session when it is unloaded; a session dies with the
# last library in it. Making one takes 1 ms, adding to one 0.25 ms.
_LIBRARIES_PER_SESSION = 64

# Counted up with every change of how this module compiles; part of a cache's keys.
_RECIPE = 3


@functools.cache
def _llvm() -> Any:
    """llvmlite's binding, ready to compile for this machine."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


@functools.cache
def available() -> bool:
    """Whether programs can be compiled here: is llvmlite installed, and new enough."""
    try:
        llvm = _llvm()
    except (ImportError, OSError):
        return False
    return hasattr(llvm, "create_lljit_compiler") and llvm.llvm_version_info[0] >= 20


@functools.cache
def host() -> tuple[str, str]:
    """The processor code is made for: its name and its features, as LLVM writes them."""
    llvm = _llvm()
    features = llvm.get_host_cpu_features().flatten()
    if platform.machine().lower() in ("x86_64", "amd64"):
        # Else LLVM halves 512-bit vectors on most processors that have them.
        features += ",-prefer-256-bit"
    return llvm.get_host_cpu_name(), features


@functools.cache
def identity() -> str:
    """Everything besides its text that decides what a program's machine code is."""
    llvm = _llvm()
    import llvmlite

    version = ".".join(map(str, llvm.llvm_version_info))
    name, features = host()
    made_by = f"recipe {_RECIPE}, llvmlite {llvmlite.__version__}, LLVM {version}"
    return f"{made_by}, {_triple()}, {name}, {features}"


def _triple() -> str:
    triple = _llvm().get_process_triple()
    return f"{triple}-elf" if sys.platform == "win32" else triple


def _target_machine(effort: int = 3) -> Any:
    """A target machine of its own for whoever asks: LLVM's engines don't share them."""
    name, features = host()
    target = _llvm().Target.from_triple(_llvm().get_process_triple())
    # Small and position-independent: no absolute address of 8 bytes for every constant.
    return target.create_target_machine(
        cpu=name, features=features, opt=effort, reloc="pic", codemodel="small", jit=True
    )


@functools.cache
def _compiler(effort: int = 3) -> Any:
    return _target_machine(effort)


def compile_text(text: str, quick: bool = False) -> bytes:
    """Machine code of LLVM text, as an object file.

    Args:
        text: a module; its vectors are written out, as LLVM's own vectorisers are off.
        quick: takes a third of the time, for code that itself takes none.
    """
    llvm = _llvm()
    # A context of its own, because LLVM keeps the types and constants of one for ever.
    with _LOCK, llvm.create_context() as context:
        try:
            module = llvm.parse_assembly(text, context=context)
            with module:
                module.triple = _triple()
                module.verify()
                if quick:
                    return _compiler(0).emit_object(module)
                _optimise(module)
                return _compiler().emit_object(module)
        except RuntimeError as error:
            raise _refused(str(error), text) from error


def _optimise(module: Any) -> None:
    """Inline, merge and tidy up: two thirds of the time of LLVM's O1, and 5 kB left behind, not 50.

    llvmlite doesn't free what its pass managers hold.
    """
    llvm = _llvm()
    with llvm.create_pipeline_tuning_options(1) as options:
        options.loop_vectorization = False
        options.slp_vectorization = False
        options.loop_unrolling = False
        options.loop_interleaving = False
        with (
            llvm.create_pass_builder(_compiler(), options) as builder,
            llvm.create_new_module_pass_manager() as passes,
        ):
            passes.add_always_inliner_pass()
            passes.add_sroa_pass()
            passes.add_instruction_combine_pass()
            passes.add_simplify_cfg_pass()
            # No global value numbering: the only one that llvmlite offers here, "NewGVN", takes
            # different values for equal (LLVM 22); equal nodes are printed once anyway.
            passes.add_dead_code_elimination_pass()
            passes.run(module, builder)


def _refused(message: str, text: str) -> InternalError:
    """What LLVM said, with the lines it said it of."""
    facts = {"LLVM": message.strip()}
    found = re.search(r"<string>:(\d+):\d+", message)
    if found:
        lines = text.splitlines()
        number = int(found[1])
        around = range(max(number - 3, 1), min(number + 2, len(lines)) + 1)
        facts["text"] = "\n".join(f"{k}: {lines[k - 1]}" for k in around)
    return InternalError(
        "LLVM refused code that was made for it",
        facts,
        'this is a fault of chainrule; cr.settings(engine="numpy") works without compiling',
    )


class Machine:
    """Machine code in memory, for as long as this object lives.

    Attributes:
        code: the object file it was read from, for a cache.
    """

    def __init__(self, code: bytes, library: str, session: Any, tracker: Any) -> None:
        self.code = code
        self._library = library
        self._session = session
        self._addresses: dict[str, int] = {}
        # Held by the finaliser, so that a library always goes before its session.
        finaliser = weakref.finalize(self, _unload, tracker, session)
        finaliser.atexit = False

    def address(self, name: str) -> int:
        """Where a function or a variable that the text defined lies."""
        found = self._addresses.get(name)
        if found is None:
            with _LOCK:
                try:
                    tracker = self._session.lookup(self._library, name)
                except RuntimeError as error:
                    raise InternalError(
                        f"machine code has no {name!r}", {"LLVM": str(error).strip()}
                    ) from error
                weakref.finalize(self, _unload, tracker, self._session).atexit = False
            found = self._addresses[name] = tracker[name]
        return found


def _unload(tracker: Any, session: Any) -> None:
    with _LOCK:
        tracker.close()


class _Sessions:
    """Where libraries are linked; a new session every so often."""

    def __init__(self) -> None:
        self.session: Any = None
        self.count = 0

    def place(self) -> tuple[Any, str]:
        if self.session is None or self.count % _LIBRARIES_PER_SESSION == 0:
            # Its linker doesn't know Windows' format; the older one does.
            modern = sys.platform != "win32"
            self.session = _llvm().create_lljit_compiler(
                _target_machine(), use_jit_link=modern, suppress_errors=True
            )
        self.count += 1
        return self.session, f"library{self.count}"


_SESSIONS = _Sessions()


def link(
    code: bytes, names: Iterable[str] = ("run",), given: Mapping[str, int] | None = None
) -> Machine:
    """Put an object file from `compile_text` into memory, where it can run.

    Args:
        names: the functions to be found in it.
        given: name → address of what it calls.

    Raises:
        InternalError: it isn't an object file for this machine, or lacks one of the names.
    """
    llvm = _llvm()
    with _LOCK:
        session, library = _SESSIONS.place()
        builder = llvm.JITLibraryBuilder().add_object_img(code).add_current_process()
        for name, address in (given or {}).items():
            builder.import_symbol(name, address)
        exported = tuple(names)
        for name in exported:
            builder.export_symbol(name)
        try:
            tracker = builder.link(session, library)
        except RuntimeError as error:
            raise InternalError(
                "machine code can't be linked", {"LLVM": str(error).strip()}
            ) from error
        machine = Machine(code, library, session, tracker)
        machine._addresses.update((name, tracker[name]) for name in exported)
        return machine


def load(text: str, names: Iterable[str] = ("run",), quick: bool = False) -> Machine:
    """Compile LLVM text and put it into memory.

    Raises:
        InternalError: LLVM doesn't accept the text.
    """
    return link(compile_text(text, quick), tuple(names))
