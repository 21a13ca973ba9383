"""`chainrule info`: what is installed here, and on what machine."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from importlib import metadata

import click

LIBRARIES = ("numpy", "scipy", "sympy", "optree", "llvmlite")
EXTRAS = ("demo", "bench", "test", "docs", "dev")


def info_text() -> str:
    """A report to read, and to paste into an issue."""
    rows = [
        ("chainrule", version("chainrule") or "runs from its source folder, not installed"),
        ("Python", f"{platform.python_version()} ({platform.python_implementation()})"),
        *((name, version(name) or "not installed") for name in LIBRARIES),
        ("engine", "numpy"),
        ("system", f"{platform.system()} {platform.machine()}"),
        ("processor", processor()),
        ("cores", f"{cores()} available of {os.cpu_count()}"),
        ("threads", threads()),
        *((f"extra {name}", state) for name, state in extras()),
    ]
    width = max(len(label) for label, _ in rows) + 2
    return "\n".join(f"{label:<{width}}{text}" for label, text in rows)


def version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def processor() -> str:
    """The processor's model name, as the system knows it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux; Python knows less, but something
    return platform.processor() or platform.machine() or "unknown"


def cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads() -> str:
    """Who limits the threads of NumPy's matrix library, if anybody does."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    limits = [f"{name}={os.environ[name]}" for name in names if os.environ.get(name)]
    return ", ".join(limits) or "not limited (OMP_NUM_THREADS is not set)"


def extras() -> Iterator[tuple[str, str]]:
    """Per extra of the package, what of it is missing."""
    try:
        requirements = metadata.requires("chainrule") or []
    except metadata.PackageNotFoundError:
        requirements = []
    for extra in EXTRAS:
        wanted = [
            match.group()
            for text in requirements
            if re.search(rf"extra\s*==\s*['\"]{extra}['\"]", text)
            if (match := re.match(r"[A-Za-z0-9._-]+", text)) and match.group() != "chainrule"
        ]
        if wanted:
            missing = [name for name in wanted if version(name) is None]
            yield extra, f"missing: {', '.join(missing)}" if missing else "installed"


@click.command()
def info() -> None:
    """Show versions, engine, processor and extras."""
    click.echo(info_text())
