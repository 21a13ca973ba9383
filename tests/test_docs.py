"""Every code block of the documentation runs, and prints what the page says it prints.

- A ```python block runs; the blocks of one page share their names, in order.
- A ```text block right after a ```python block is what that block prints. If the block raises, the
  text ends with the error, as `NameOfError: message`.
- In a ```console block, each `$ chainrule …` line runs; the lines below it are its output.
  Other commands are there for the reader and don't run.
- In an expected text, `...` stands for any text within a line; alone on a line, for any lines.
- Under a line `<!-- measured -->`, a block shows one machine's times, memory and rounding errors.
  Another's may differ; its words, its layout and six digits of its other numbers may not. (A word
  after the language would say it too, but Python-Markdown doesn't take such a fence for one.)
"""

from __future__ import annotations

import contextlib
import difflib
import io
import linecache
import os
import re
import shlex
import subprocess
import sys
import traceback
import types
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted({*ROOT.glob("README.md"), *(ROOT / "docs").rglob("*.md")})

FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,}|~{3,})\s*(?P<language>[\w+-]*)[^`]*$")
MEASURED = "<!-- measured -->"
NUMBER = re.compile(
    r"(?<![\w.])(?P<number>[-+]?\d+(?:\.\d*)?(?:e[-+]\d+)?)(?: ?(?P<unit>[nµm]?s|[kMG]?B)\b)?"
)
# Languages that look as if they ran, but would not.
UNCHECKED = {"py", "python3", "pycon", "ipython", "bash", "sh", "shell", "shell-session"}
PLAIN_TERMINAL = {"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb", "PYTHONUTF8": "1"}
RUN_COMMAND = (
    "import sys; sys.argv[0] = 'chainrule'; from chainrule.cli.main import main; sys.exit(main())"
)


class PageError(Exception):
    """A page doesn't do what it says; the text names file and line."""


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    line: int  # of its first line of text, from 1
    measured: bool = False


# --- reading pages -----------------------------------------------------------------------------


def blocks_of(page: str) -> Iterator[Block]:
    """The fenced blocks of a Markdown page."""
    opening, start, body, marked = None, 0, [], False
    for number, line in enumerate(page.splitlines(), start=1):
        if opening is None:
            if opening := FENCE.match(line):
                start, body = number + 1, []
            elif marked:
                raise PageError(f"line {number - 1}: {MEASURED} stands on the line above a block")
            else:
                marked = line.strip() == MEASURED
        elif is_closing(line, opening["ticks"]):
            yield Block(opening["language"], "\n".join(body), start, marked)
            opening, marked = None, False
        else:
            indent = min(len(opening["indent"]), len(line) - len(line.lstrip(" ")))
            body.append(line[indent:])
    if opening is not None:
        raise PageError(f"line {start - 1}: this code block is never closed")


def is_closing(line: str, ticks: str) -> bool:
    bare = line.strip()
    return len(bare) >= len(ticks) and not bare.strip(ticks[0])


@dataclass(frozen=True)
class Command:
    text: str
    expected: str
    line: int
    measured: bool = False


def commands_of(block: Block) -> Iterator[Command]:
    """The `$ …` lines of a console block, each with the output below it."""
    lines = block.text.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    for start, end in pairwise([*starts, len(lines)]):
        first = start + 1
        command = lines[start][2:]
        while command.endswith("\\") and first < end:
            command = command[:-1] + lines[first]
            first += 1
        expected = "\n".join(lines[first:end])
        yield Command(command.strip(), expected, block.line + start, block.measured)


# --- comparing output --------------------------------------------------------------------------


def tidy(text: str) -> list[str]:
    """The lines of a text, without white space at their ends and empty lines around."""
    lines = [line.rstrip() for line in text.splitlines()]
    while lines and not lines[0]:
        lines.pop(0)
    while lines and not lines[-1]:
        lines.pop()
    return lines


def matches(expected: str, printed: str) -> bool:
    parts = []
    for line in tidy(expected):
        if line.strip() == "...":
            parts.append(r"(?:[^\n]*\n)*?")
        else:
            parts.append(r"[^\n]*?".join(map(re.escape, line.split("..."))) + r"\n")
    text = "".join(f"{line}\n" for line in tidy(printed))
    return re.fullmatch("".join(parts), text) is not None


def steady(text: str) -> str:
    """A text without what differs between machines: times, sizes, rounding, widths of columns."""
    text = re.sub("─+", "─", re.sub(r"(?<=\S) +", " ", text))
    return NUMBER.sub(steady_number, text)


def steady_number(match: re.Match[str]) -> str:
    number, unit = match["number"], match["unit"]
    if unit:
        return "<memory>" if unit.endswith("B") else "<time>"
    if number == "0" or "e-" in number:
        return "<0 or tiny>"
    return f"{float(number):.6g}" if "." in number and "e" not in number else number


def difference(expected: str, printed: str, measured: bool) -> str:
    """What the page says against what was printed, or "" where they agree."""
    if measured:
        expected, printed = steady(expected), steady(printed)
    if matches(expected, printed):
        return ""
    lines = difflib.unified_diff(
        tidy(expected), tidy(printed), "the page says", "it printed", lineterm=""
    )
    return "\n".join(lines)


# --- running -----------------------------------------------------------------------------------


def run_page(name: str, page: str) -> None:
    """Run the blocks of a page in the current folder; raise PageError where one fails."""
    try:
        blocks = list(blocks_of(page))
    except PageError as error:
        raise PageError(f"{name}, {error}") from None
    # Errors and tracebacks quote the page by file and line.
    lines = page.splitlines(keepends=True)
    linecache.cache[name] = (len(page), None, lines, name)
    module = types.ModuleType("page")
    sys.modules["page"] = module
    try:
        for block, following in zip_longest(blocks, blocks[1:]):
            where = f"{name}, line {block.line}"
            if block.language in UNCHECKED:
                raise PageError(
                    f"{where}: a `{block.language}` block isn't checked; "
                    "use ```python, or ```console with `$ ` before each command"
                )
            if block.language == "python":
                run_python(where, name, block, following, vars(module))
            elif block.language == "console":
                run_console(name, block)
    finally:
        del sys.modules["page"]
        del linecache.cache[name]


def run_python(
    where: str, name: str, block: Block, following: Block | None, namespace: dict
) -> None:
    output = following if following and following.language == "text" else None
    try:
        code = compile("\n" * (block.line - 1) + block.text, name, "exec", dont_inherit=True)
    except SyntaxError as error:
        raise PageError(f"{name}, line {error.lineno}: {error.msg}") from None
    printed, failure = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        try:
            exec(code, namespace)
        except Exception as error:
            failure = error
            print(f"{type(error).__name__}: {error}")
    if output is None:
        if failure is not None:
            raise PageError(f"{where}: the block raises\n{trace(failure)}")
    elif text := difference(output.text, printed.getvalue(), output.measured):
        if failure is not None:
            text += f"\n{trace(failure)}"
        raise PageError(f"{where}: the block doesn't print lines {span(output)}\n{text}")


def span(block: Block) -> str:
    return f"{block.line}-{block.line + block.text.count(chr(10))}"


def trace(error: BaseException) -> str:
    """The traceback without our own frame."""
    inside = error.__traceback__.tb_next if error.__traceback__ else None
    return "".join(traceback.format_exception(type(error), error, inside))


def run_console(name: str, block: Block) -> None:
    for command in commands_of(block):
        words = shlex.split(command.text, comments=True)
        if words[:1] != ["chainrule"]:
            continue
        done = subprocess.run(
            [sys.executable, "-c", RUN_COMMAND, *words[1:]],
            env=os.environ | PLAIN_TERMINAL,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=300,
        )
        where = f"{name}, line {command.line}: `{command.text}`"
        # 2 is the exit code of a clear refusal, which a page may show.
        if done.returncode not in ((0, 2) if command.expected.strip() else (0,)):
            raise PageError(f"{where} ends with exit code {done.returncode}\n{done.stdout}")
        if command.expected.strip():
            text = difference(command.expected, done.stdout, command.measured)
            if text:
                raise PageError(f"{where} prints something else\n{text}")


@pytest.fixture
def plain_terminal(monkeypatch, tmp_path):
    """An empty folder to work in, and a terminal of 80 columns without colours."""
    monkeypatch.chdir(tmp_path)
    for name, value in PLAIN_TERMINAL.items():
        monkeypatch.setenv(name, value)


# --- the documentation -------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
@pytest.mark.usefixtures("plain_terminal")
def test_page(path):
    try:
        run_page(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
    except PageError as error:
        pytest.fail(str(error), pytrace=False)


def test_the_index_names_every_page():
    docs = ROOT / "docs"
    links = re.findall(r"\]\(([^)#\s]+\.md)(?:#[^)]*)?\)", (docs / "index.md").read_text("utf-8"))
    pages = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")} - {"index.md"}
    missing = sorted(pages - set(links))
    assert not missing, f"docs/index.md has no link to {', '.join(missing)}"


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_of_the_front_pages(name):
    links = re.findall(r"\]\((?!\w+:|#)([^)#\s]+)[^)]*\)", (ROOT / name).read_text("utf-8"))
    missing = [link for link in links if not (ROOT / link).exists()]
    assert not missing, f"{name} links to {', '.join(missing)}, which does not exist"


# --- the checks themselves ---------------------------------------------------------------------


def page(*lines: str) -> str:
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("a\nb", "a  \nb\n\n", True),
        ("a", "b", False),
        ("a", "a\nb", False),
        ("took ... s", "took 0.31 s", True),
        ("took ... s", "took 0.31 ms", False),
        ("took ... s", "took\n1 s", False),
        ("a\n...\nd", "a\nb\nc\nd", True),
        ("a\n...\nd", "a\nd", True),
        ("a\n...", "a\nb\nc", True),
        ("a\n...\nd", "a\nb\nd\ne", False),
        ("  ...\nend", "x\ny\nend", True),
        ("f(x) = x**2 + [1]", "f(x) = x**2 + [1]", True),
        ("", "", True),
        ("", "a", False),
    ],
)
def test_matches(expected, printed, same):
    assert matches(expected, printed) is same


TABLE = page(
    "method    dy/dx    error     time  memory  calls",
    "───────  ──────  ───────  ───────  ──────  ─────",
    "central  -208.381213  4.2e-07  78.5 µs  5.2 kB  4",
    "reverse  -208.381215  0  1.2 ms  584 B  0",
)


@pytest.mark.parametrize(
    ("says", "printed", "same"),
    [
        ("  78.5 µs", " 1e+03 µs", True),
        ("1.2 ms", "31 s", True),
        ("5.2 kB", "12 MB", True),
        ("4.2e-07", "0", True),
        ("  0  1.2", "  1.1e-16  1.2", True),
        ("────  ", "──  ", True),
        ("-208.381213", "-208.381224", True),
        # A wrong digit or sign, other words, a large error, another count, a lost column:
        ("-208.381215", "-208.391215", False),
        ("-208.381215", "-208.382215", False),
        ("-208.381215", "208.381215", False),
        ("central", "forward", False),
        ("4.2e-07", "4.2e+00", False),
        ("kB  4", "kB  2", False),
        ("584 B", "584 µs", False),
        ("584 B", "584", False),
        ("  584 B", "", False),
        ("reverse", "  reverse", False),
    ],
)
def test_measured_figures_may_differ(says, printed, same):
    assert says in TABLE
    text = TABLE.replace(says, printed)
    assert (not difference(TABLE, text, measured=True)) is same
    assert difference(TABLE, text, measured=False)


def test_a_measured_block():
    code = ("```python", "print('took 3.14 ms for 2 sums')", "```", "")
    run_page("page.md", page(*code, MEASURED, "```text", "took 20 µs for 2 sums", "```"))
    with pytest.raises(PageError, match=r"(?s)lines 7-7.*\n-took <time> for 3 sums\n"):
        run_page("page.md", page(*code, MEASURED, "```text", "took 20 µs for 3 sums", "```"))
    with pytest.raises(PageError, match="lines 6-6"):
        run_page("page.md", page(*code, "```text", "took 20 µs for 2 sums", "```"))
    with pytest.raises(PageError, match=r"page\.md, line 5: .* stands on the line above a block"):
        run_page("page.md", page(*code, MEASURED, "", "```text", "took 20 µs for 2 sums", "```"))


def test_blocks_and_their_lines():
    text = page(
        "# T", "```python", "x = 1", "```", "", "- item", "  ~~~text", "  a", "   b", "  ~~~"
    )
    assert list(blocks_of(text)) == [Block("python", "x = 1", 3), Block("text", "a\n b", 8)]


def test_blocks_of_a_page_share_names():
    text = page("```python", "x = 1", "```", "prose", "```python", "print(x + 1)", "```", "gives")
    run_page("page.md", text + page("", "```text", "2", "```"))


def test_wrong_output_names_file_and_line():
    text = page("", "```python", "print(1)", "```", "```text", "2", "```")
    with pytest.raises(PageError, match=r"(?s)^page\.md, line 3: .* lines 6-6.*\n-2\n\+1$"):
        run_page("page.md", text)


def test_an_unexpected_error_shows_the_line_of_the_page():
    text = page("prose", "```python", "x = 1", "x / 0", "```")
    with pytest.raises(PageError, match=r'(?s)page\.md, line 3: .*File "page\.md", line 4.*x / 0'):
        run_page("page.md", text)


def test_a_page_may_show_an_error():
    text = page(
        "```python", "print(1)", "int('x')", "```", "```text", "1", "ValueError: ...", "```"
    )
    run_page("page.md", text)


def test_a_syntax_error_names_its_line():
    with pytest.raises(PageError, match=r"^page\.md, line 3: "):
        run_page("page.md", page("```python", "x = 1", "x = = 2", "```"))


def test_a_block_is_closed_and_checked():
    with pytest.raises(PageError, match=r"page\.md, line 1: .*never closed"):
        run_page("page.md", "```python\nx = 1")
    with pytest.raises(PageError, match="`bash` block isn't checked"):
        run_page("page.md", "```bash\nls\n```")


def test_commands_of_a_console_block():
    lines = ("$ ./run demo", "$ chainrule diff \\", '  "x*y" --at x=2', "a", "", "b", "$ cd x")
    commands = list(commands_of(Block("console", "\n".join(lines), 10)))
    assert [command.line for command in commands] == [10, 11, 16]
    assert shlex.split(commands[1].text) == ["chainrule", "diff", "x*y", "--at", "x=2"]
    assert commands[1].expected == "a\n\nb"


def test_a_command_runs(monkeypatch):
    told = "import sys; print('ran', *sys.argv[1:]); sys.exit(2 * (sys.argv[1] == 'no'))"
    monkeypatch.setitem(globals(), "RUN_COMMAND", told)
    run_page("page.md", page("```console", "$ chainrule a 'b c'", "ran a ...", "```"))
    run_page("page.md", page("```console", "$ chainrule no", "ran no", "```"))
    run_page("page.md", page(MEASURED, "```console", "$ chainrule 2.5 ms", "ran 31 µs", "```"))
    with pytest.raises(PageError, match=r"page\.md, line 2: `chainrule a` prints something else"):
        run_page("page.md", page("```console", "$ chainrule a", "ran b", "```"))
    with pytest.raises(PageError, match="ends with exit code 2"):
        run_page("page.md", page("```console", "$ chainrule no", "```"))
