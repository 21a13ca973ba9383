"""`chainrule play`: it serves until Ctrl-C, and bad input is one message."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from chainrule.cli.main import main

SOURCE = Path(__file__).parents[2] / "src"
RUN = (
    # A shell's background jobs ignore Ctrl-C; this one is to hear it.
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from chainrule.cli.main import main; sys.exit(main(sys.argv[1:]))"
)


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C can't be sent to a process alone here")
def test_it_serves_until_ctrl_c_and_prints_the_address_where_there_is_no_browser(tmp_path):
    environment = {**os.environ, "PATH": str(tmp_path), "PYTHONPATH": str(SOURCE)}
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        environment.pop(name, None)
    with subprocess.Popen(
        [sys.executable, "-u", "-c", RUN, "play", "--port", "0"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        lines = [process.stdout.readline() for _ in range(3)]
        url = re.fullmatch(r"playground at (http://127\.0\.0\.1:\d+/\S+/)\n", lines[0]).group(1)
        assert lines[1:] == [
            "no browser could be opened: open this address in one yourself\n",
            "Ctrl-C ends it\n",
        ]
        with urllib.request.urlopen(url, timeout=60) as page:
            assert b"chainrule playground" in page.read()
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(60) == 0
    assert rest == "\nplayground closed\n"


def test_a_port_in_use_is_one_message(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        assert main(["play", "--no-open", "--port", str(number)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"ArgumentError: port {number} can't be had\n  reason: ")
    assert error.endswith("fix:    --port with another number, or none for a free one\n")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "StorageError: there is no file"),
        (b"", "ArgumentError: rows.csv isn't a table that can be read"),
        (
            b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
            "ArgumentError: rows.csv isn't a table that can be read",
        ),
        (b"a,b\n1,2\n1\n", "ArgumentError: rows.csv isn't a table that can be read"),
        (b"a,b\n", "ArgumentError: the file has no rows"),
        (b"a,b\n1,2\n", "ArgumentError: "),
        (b"a,b\n" + b"1,x\n" * 40, "ArgumentError: the target has a single value"),
    ],
)
def test_a_file_that_is_no_table_is_one_message(content, said, tmp_path, capsys):
    path = tmp_path / "rows.csv"
    if content is not None:
        path.write_bytes(content)
    assert main(["play", str(path), "--no-open", "--port", "0"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(said)
    assert "Traceback" not in error


def test_an_unknown_target_is_named(tmp_path, capsys):
    path = tmp_path / "rows.csv"
    path.write_text("size,kind\n1,a\n2,b\n")
    assert main(["play", str(path), "--target", "knid", "--no-open"]) == 2
    assert "did you mean 'kind'?" in capsys.readouterr().err
