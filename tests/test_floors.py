"""The layout of the package: imports only go down, files stay small, names say something."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
PACKAGE = "chainrule"

# From the ground up. Folders on one line share a floor and may not import each other.
FLOORS = (
    ("base",),
    ("ir",),
    ("tracing",),
    ("ops",),
    ("transform",),
    ("optimise",),
    ("loops",),
    ("emit",),
    ("run",),
    ("nn", "optim"),
    ("train",),
    ("models",),
    ("show",),
    ("cli",),
)
FLOOR_OF = {folder: level for level, folders in enumerate(FLOORS) for folder in folders}
ROOF = len(FLOORS)
ROOF_MODULES = {PACKAGE, *(f"{PACKAGE}.{name}" for name in ("__main__", "random", "testing"))}

# A heavy optional library is imported by one part of the package only.
KEPT_APART = {
    "sympy": "transform/symbolic",
    "llvmlite": "run/engine",
    "pygraphviz": "show/layout",
    "resvg_py": "show/png",
}

LONGEST_FILE = 450
VAGUE_NAMES = {"util", "utils", "helper", "helpers", "common", "misc"}


@dataclass(frozen=True)
class Module:
    name: str
    path: Path
    tree: ast.Module

    @property
    def package(self) -> str:
        is_package = self.path.name == "__init__.py"
        return self.name if is_package else self.name.rpartition(".")[0]

    @property
    def folder(self) -> str:
        """The folder that decides the floor; empty for the modules on the roof."""
        parts = self.name.split(".")
        return "" if self.name in ROOF_MODULES else parts[1]


@dataclass(frozen=True)
class Import:
    """One imported module, with the names taken from it and the place."""

    module: str
    names: tuple[str, ...]
    line: int
    function: str | None


def read_modules(source: Path) -> dict[str, Module]:
    modules = {}
    for path in sorted((source / PACKAGE).rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        modules[name] = Module(name, path, tree)
    return modules


def imports_of(module: Module) -> Iterator[Import]:
    """All imports of a module, those in functions and under TYPE_CHECKING included."""

    def walk(node: ast.AST, function: str | None) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(alias.name, (), child.lineno, function)
            elif isinstance(child, ast.ImportFrom):
                names = tuple(alias.name for alias in child.names)
                yield Import(absolute(module, child), names, child.lineno, function)
            elif isinstance(child, ast.Call) and (target := imported_by_call(module, child)):
                yield Import(target, (), child.lineno, function)
            inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))
            yield from walk(child, child.name if inside else function)

    return walk(module.tree, None)


def absolute(module: Module, statement: ast.ImportFrom) -> str:
    if not statement.level:
        return statement.module or ""
    parts = module.package.split(".")
    base = parts[: len(parts) - statement.level + 1]
    return ".".join([*base, statement.module] if statement.module else base)


def imported_by_call(module: Module, call: ast.Call) -> str | None:
    """The module that `import_module("…")` or `__import__("…")` names, if it is written out."""
    function = call.func
    called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if called not in ("import_module", "__import__") or not call.args:
        return None
    argument = call.args[0]
    if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
        return None
    name = argument.value
    return module.package + "." + name.lstrip(".") if name.startswith(".") else name


def loaded_modules(found: Import, modules: dict[str, Module]) -> set[str]:
    """The modules of the package that an import reads from.

    `from chainrule.ir import program` reads the module `chainrule.ir.program`;
    `from chainrule.ir import Program` reads `chainrule.ir` itself. Packages that Python loads on
    the way to a submodule don't count.
    """
    if found.module.split(".")[0] != PACKAGE:
        return set()
    inner = {f"{found.module}.{name}" for name in found.names}
    known = {name for name in inner if name in modules}
    return known if known == inner and known else known | {found.module}


def place(module: Module, line: int, source: Path) -> str:
    return f"{module.path.relative_to(source).as_posix()}:{line}"


def floor_faults(source: Path) -> list[str]:
    """Folders without a floor, and imports that go up or sideways."""
    modules = read_modules(source)
    faults = []
    for module in modules.values():
        if module.folder and module.folder not in FLOOR_OF:
            faults.append(f"{place(module, 1, source)}: '{module.folder}' has no floor")
            continue
        for found in imports_of(module):
            for target in sorted(loaded_modules(found, modules)):
                if fault := direction_fault(module, target, modules):
                    faults.append(f"{place(module, found.line, source)}: {fault}")
    return faults


def direction_fault(module: Module, target: str, modules: dict[str, Module]) -> str | None:
    if target not in modules:
        return f"imports {target}, which does not exist"
    here, there = module.folder, modules[target].folder
    if here == there or (there and there not in FLOOR_OF):
        return None
    level, target_level = FLOOR_OF.get(here, ROOF), FLOOR_OF.get(there, ROOF)
    if target_level < level:
        return None
    way = "on the same floor" if target_level == level else "upstairs"
    return f"{here} (floor {level}) imports {target}, {way} (floor {target_level})"


def cycle(source: Path) -> list[str]:
    """One cycle in the graph of imports, or nothing."""
    modules = read_modules(source)
    graph = {
        module.name: {
            target
            for found in imports_of(module)
            for target in loaded_modules(found, modules) - {module.name}
            if not (module.name == PACKAGE and found.function)
        }
        for module in modules.values()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def hidden_imports(source: Path) -> list[str]:
    """Imports of the package's own modules inside functions.

    The one exception is `__getattr__` of the package itself, which loads public names on first use.
    """
    return [
        f"{place(module, found.line, source)}: {found.module} is imported in {found.function}()"
        for module in read_modules(source).values()
        for found in imports_of(module)
        if found.function and found.module.split(".")[0] == PACKAGE
        if (module.name, found.function) != (PACKAGE, "__getattr__")
    ]


def strays(source: Path, library: str, home: str) -> list[str]:
    """Imports of a library anywhere but in the files whose path begins with `home`."""
    return [
        f"{place(module, found.line, source)}: imports {library}"
        for module in read_modules(source).values()
        if not module.path.relative_to(source / PACKAGE).as_posix().startswith(home)
        for found in imports_of(module)
        if found.module.split(".")[0] == library
    ]


def long_files(source: Path) -> list[str]:
    counts = {
        path: len(path.read_text(encoding="utf-8").splitlines())
        for path in sorted((source / PACKAGE).rglob("*.py"))
    }
    return [
        f"{path.relative_to(source).as_posix()}: {count} lines"
        for path, count in counts.items()
        if count > LONGEST_FILE
    ]


def vague_names(source: Path) -> list[str]:
    paths = sorted((source / PACKAGE).rglob("*"))
    return [
        path.relative_to(source).as_posix()
        for path in paths
        if is_vague(path.stem) and (path.is_dir() or path.suffix == ".py")
    ]


def is_vague(stem: str) -> bool:
    name = stem.strip("_").lower()
    return name in VAGUE_NAMES or name.rpartition("_")[2] in VAGUE_NAMES


def report(faults: list[str]) -> str:
    return "\n".join(["", *faults])


# --- the package -------------------------------------------------------------------------------


def test_imports_only_go_down():
    faults = floor_faults(SOURCE)
    assert not faults, report(faults)


def test_no_import_cycle():
    path = cycle(SOURCE)
    assert not path, " <- ".join(path)


def test_no_import_of_the_package_inside_functions():
    faults = hidden_imports(SOURCE)
    assert not faults, report(faults)


@pytest.mark.parametrize(("library", "home"), KEPT_APART.items())
def test_a_heavy_library_has_one_home(library, home):
    faults = strays(SOURCE, library, home)
    assert not faults, report([*faults, f"only {home}* may import {library}"])


def test_no_long_file():
    faults = long_files(SOURCE)
    assert not faults, report([*faults, f"a file holds at most {LONGEST_FILE} lines; split it"])


def test_no_vague_name():
    faults = vague_names(SOURCE)
    assert not faults, report([*faults, "name a file after the one thing it is about"])


# --- the checks themselves ---------------------------------------------------------------------


@pytest.fixture
def package(tmp_path):
    """A function that writes a small package from the texts of its modules."""

    def write(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / PACKAGE / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        (tmp_path / PACKAGE / "__init__.py").touch()
        return tmp_path

    return write


@pytest.mark.parametrize(
    "statement",
    [
        "import chainrule.ops.reduce",
        "from chainrule.ops import reduce",
        "from chainrule.ops.reduce import total",
        "from ..ops import reduce",
        "from importlib import import_module\nimport_module('chainrule.ops.reduce')",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import chainrule.ops.reduce",
    ],
)
def test_an_import_upstairs_is_found(package, statement):
    source = package({"ir/program": statement, "ops/reduce": ""})
    (fault,) = floor_faults(source)
    assert "ir (floor 1) imports chainrule.ops.reduce, upstairs (floor 3)" in fault
    assert fault.startswith("chainrule/ir/program.py:")


def test_an_import_downstairs_is_fine(package):
    source = package(
        {"ops/reduce": "from chainrule.ir import program\nimport numpy", "ir/program": ""}
    )
    assert floor_faults(source) == []


def test_neighbours_on_a_floor_do_not_import_each_other(package):
    source = package({"nn/layer": "import chainrule.optim.adam", "optim/adam": ""})
    (fault,) = floor_faults(source)
    assert "on the same floor" in fault


def test_no_floor_imports_from_the_roof(package):
    source = package({"cli/main": "from chainrule import grad", "testing": "import chainrule"})
    (fault,) = floor_faults(source)
    assert "cli (floor 13) imports chainrule, upstairs (floor 14)" in fault


def test_a_folder_without_floor_is_found(package):
    assert "'attic' has no floor" in floor_faults(package({"attic/box": ""}))[0]


def test_a_cycle_within_a_folder_is_found(package):
    source = package({"ir/a": "from chainrule.ir import b", "ir/b": "from .a import x"})
    assert set(cycle(source)) == {"chainrule.ir.a", "chainrule.ir.b"}


def test_a_package_may_gather_its_own_modules(package):
    source = package(
        {
            "ir/__init__": "from chainrule.ir.a import A\nfrom chainrule.ir import b",
            "ir/a": "from chainrule.ir import b",
            "ir/b": "",
        }
    )
    assert cycle(source) == []


def test_an_import_in_a_function_is_found(package):
    hidden = "def f():\n    from chainrule.base import errors\n    import scipy"
    (fault,) = hidden_imports(package({"ops/reduce": hidden, "base/errors": ""}))
    assert fault == "chainrule/ops/reduce.py:2: chainrule.base is imported in f()"


def test_a_stray_library_is_found(package):
    source = package(
        {
            "ops/special": "def f():\n    import sympy.abc",
            "transform/symbolic_print": "import sympy",
        }
    )
    assert strays(source, "sympy", "transform/symbolic") == [
        "chainrule/ops/special.py:2: imports sympy"
    ]


def test_long_files_and_vague_names_are_found(package):
    source = package(
        {"base/array_utils": "\n" * 451, "ops/common": "", "ops/share_common_terms": ""}
    )
    assert long_files(source) == ["chainrule/base/array_utils.py: 451 lines"]
    assert vague_names(source) == ["chainrule/base/array_utils.py", "chainrule/ops/common.py"]
