"""The command as a user meets it: output, exit codes, interruptions."""

from __future__ import annotations

import os
import subprocess
import sys
import webbrowser
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.cli import demo, digits, info, main

SOURCE = str(Path(__file__).parents[2] / "src")
RUN = "import sys; from chainrule.cli.main import main; sys.exit(main())"


def chainrule(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", RUN, *arguments],
        env=os.environ | {"PYTHONPATH": SOURCE, "PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        **options,
    )


def test_diff_prints_value_formulas_and_table(capsys):
    assert main.main(["diff", "exp(x*z) + x*z/log(x)", "--at", "x=2,z=3"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(
        "f(x, z) = exp(x*z) + x*z/log(x)\nat x = 2, z = 3\n\nf     = 412.084963738069\n"
    )
    for part in ("df/dz = x*exp(x*z) + x/log(x) = 809.742977067248", "reverse mode", "symbolic"):
        assert part in out
    assert "disagrees" not in out


def test_diff_takes_a_leading_minus_and_several_points(capsys):
    assert main.main(["diff", "-x**2*y", "--at", "x=3", "--at", "y=pi/pi"]) == 0
    assert "f     = -9\n" in capsys.readouterr().out


def test_diff_with_many_names(capsys):
    text = "a*b*c*d*g"
    assert main.main(["diff", text, "--at", "a=1,b=2,c=3,d=4,g=5"]) == 0
    out = capsys.readouterr().out
    for line in ("df/da = b*c*d*g = 120", "df/dg = a*b*c*d = 24"):
        assert line in out


def test_diff_at_a_kink_says_so(capsys):
    assert main.main(["diff", "abs(x)", "--at", "x=0"]) == 0
    out = capsys.readouterr().out
    assert "= 0\n" in out
    assert "kink of absolute: the slopes are −1 and 1; the derivative taken is 0\n" in out
    assert main.main(["diff", "sqrt(x)", "--at", "x=0"]) == 0
    assert "infinite of sqrt: the square root is vertical at 0" in capsys.readouterr().out


def test_diff_without_a_formula(capsys):
    assert main.main(["diff", "x % 3", "--at", "x=2"]) == 0
    assert "\nsymbolic: remainder has no formula in SymPy\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["diff"],
        ["diff", "x", "--to", "1"],
        ["demo", "--epochs", "0"],
        ["demo", "--seed", "x"],
    ],
)
def test_usage_errors(arguments, capsys):
    assert main.main(arguments) == 2
    assert capsys.readouterr().err.startswith("Usage: chainrule")


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["diff", "--help"], ["demo", "--help"], ["info", "--help"], ["--version"]],
)
def test_help(arguments, capsys):
    assert main.main(arguments) == 0
    assert "chainrule" in capsys.readouterr().out


def test_info(capsys):
    assert main.main(["info"]) == 0
    out = capsys.readouterr().out
    for label in ("chainrule", "Python", "numpy", "engine", "processor", "cores", "threads"):
        assert label in out
    assert np.__version__ in out


def test_info_names_what_an_extra_lacks(monkeypatch):
    wanted = ['pytest>=8; extra == "test"', 'no-such-thing>=1; extra == "docs"', "numpy>=2"]
    monkeypatch.setattr(info.metadata, "requires", lambda name: wanted)
    assert dict(info.extras()) == {"test": "installed", "docs": "missing: no-such-thing"}


def test_an_interruption_is_not_a_traceback(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(info, "info_text", interrupted)
    assert main.main(["info"]) == 130
    assert capsys.readouterr().err == "\nstopped\n"


def test_a_fault_of_ours_says_so(monkeypatch, capsys):
    def broken():
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(info, "info_text", broken)
    assert main.main(["info"]) == 1
    assert capsys.readouterr().err == (
        "InternalError: the command failed, and should not have\n"
        "  error: ZeroDivisionError: division by zero\n"
        "  fix:   please report it; CHAINRULE_DEBUG=1 chainrule … shows where it happened\n"
    )
    monkeypatch.setenv("CHAINRULE_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main.main(["info"])


def test_in_a_process_of_its_own():
    done = chainrule("diff", "x*y", "--at", "x=2,y=3")
    assert done.returncode == 0
    assert done.stderr == ""
    done = chainrule("diff", "x.__class__", "--at", "x=2")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="pipes end otherwise there")
def test_a_reader_that_leaves():
    with subprocess.Popen(
        [sys.executable, "-c", RUN, "diff", "--help"],
        env=os.environ | {"PYTHONPATH": SOURCE},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1


# --- the demo ----------------------------------------------------------------------------------


def test_the_code_that_the_demo_shows_is_the_code_that_runs():
    text = demo.source_of(digits.loss, digits.train)
    assert "grad(loss)(network, images[i], digits[i])" in text
    assert digits.grad is cr.grad


def test_the_demo_compares_and_learns(capsys, monkeypatch):
    monkeypatch.setattr(demo, "HIDDEN", 12)
    assert main.main(["demo", "--epochs", "1", "--seed", "3"]) == 0
    out = capsys.readouterr().out
    for part in ("manual", "reverse mode", "1438 images", "epoch  1 of 1", "Try next"):
        assert part in out
    first = [line for line in out.splitlines() if line.startswith("epoch")]
    assert main.main(["demo", "--epochs", "1", "--seed", "3"]) == 0
    again = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert first[0].split(",")[0] == again[0].split(",")[0]


def test_the_network_reaches_93_percent():
    images = demo.load_images(seed=0)
    # The demo itself takes ten epochs.
    assert demo.train(images, epochs=4, seed=0) >= 0.93


# ---- graph ---------------------------------------------------------------------------------------


def test_graph_saves_a_page_and_says_value_and_gradient(capsys, tmp_path):
    pytest.importorskip("pygraphviz")
    path = tmp_path / "f.html"
    assert main.main(["graph", "x*z + sin(x)", "--at", "x=2,z=3", "-o", str(path)]) == 0
    out = capsys.readouterr().out
    assert out == (
        "f(x, z) = x*z + sin(x)\n\n"
        "f     = 6.90929742682568\n"
        "df/dx = 2.58385316345286\n"
        "df/dz = 2\n\n"
        f"saved {path}\n"
    )
    assert path.read_text("utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize("suffix", ["svg", "png", "dot", "tex"])
def test_graph_saves_pictures(tmp_path, suffix):
    pytest.importorskip("pygraphviz")
    path = tmp_path / f"f.{suffix}"
    assert main.main(["graph", "1/(1 + exp(-x))", "--at", "x=1", "--output", str(path)]) == 0
    assert path.stat().st_size > 100


def test_graph_opens_the_file(monkeypatch, tmp_path):
    pytest.importorskip("pygraphviz")
    opened = []

    class Browser:
        def open(self, address, new):
            opened.append(address)
            return True

    monkeypatch.setattr("webbrowser.get", Browser)
    path = tmp_path / "f.html"
    assert main.main(["graph", "x**2", "--at", "x=1", "-o", str(path), "--open"]) == 0
    assert opened == [path.as_uri()]


def test_graph_without_a_browser_names_the_file(monkeypatch, tmp_path, capsys):
    pytest.importorskip("pygraphviz")

    def none():
        raise webbrowser.Error("could not locate runnable browser")

    monkeypatch.setattr("webbrowser.get", none)
    path = tmp_path / "f.html"
    assert main.main(["graph", "x**2", "--at", "x=1", "-o", str(path), "--open"]) == 0
    assert capsys.readouterr().err == (
        f"no browser was found here; open this file in one: {path}\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["2 + 2"], "there is nothing to draw"),
        (["x", "--at", "x=1", "-o", "f.jpg"], "a graph can't be saved as '.jpg'"),
        (["log(x)", "--at", "x=-1"], "log(x) is not a real number"),
        (["x", "--at", "x=1", "-o", "/nowhere/f.svg"], "f.svg couldn't be written"),
    ],
)
def test_graph_with_a_mistake_ends_in_one_message(capsys, arguments, message):
    pytest.importorskip("pygraphviz")
    assert main.main(["graph", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_the_package_itself_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "chainrule", "diff", "x +"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith("ExpressionError: ")
