"""The worked cases of the lectures as source: the text gives their numbers, and LaTeX sets it."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import numpy as np
import pytest
from gallery.listing import CASES

import chainrule as cr
from chainrule.base.trees import flatten

LARGE = ("alexnet", "turing")
SMALL = [case for case in CASES if not any(word in case.name for word in LARGE)]


def numbers(args: tuple[Any, ...]) -> tuple[int, ...]:
    """The arguments that can be differentiated."""
    return tuple(
        k for k, arg in enumerate(args) if np.asarray(flatten(arg)[0][0]).dtype.kind == "f"
    )


@pytest.mark.parametrize("case", SMALL, ids=[case.name for case in SMALL])
def test_the_text_gives_the_numbers_of_the_lecture(case):
    args = case.arguments()
    gradient = cr.grad(case.function, argnums=numbers(args))
    for f in (case.function, gradient):
        text = cr.source(f, *args)
        namespace: dict[str, Any] = {}
        exec(str(text), namespace)
        found = namespace[text.name](*args, **text.arrays)
        for mine, wanted in zip(flatten(found)[0], flatten(f(*args))[0], strict=True):
            np.testing.assert_allclose(mine, wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no pdflatex here")
def test_latex_sets_them_all(tmp_path):
    parts = []
    for case in CASES:
        args = case.arguments()
        parts.append(cr.source(case.function, *args, language="latex"))
        if case in SMALL:
            gradient = cr.grad(case.function, argnums=numbers(args))
            parts.append(cr.source(gradient, *args, language="latex"))
    body = "\n".join(f"\\[\n{part}\n\\]\n\\clearpage" for part in parts)
    page = (
        "\\documentclass{article}\\usepackage[paperwidth=40cm,paperheight=40cm,margin=1cm]{geometry}"
        f"\\usepackage{{amsmath,amssymb}}\\begin{{document}}\n{body}\n\\end{{document}}\n"
    )
    (tmp_path / "cases.tex").write_text(page, encoding="ascii")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "cases.tex"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
    assert f"({len(parts)} pages" in done.stdout
