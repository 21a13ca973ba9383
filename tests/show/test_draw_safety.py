"""Hostile names stay text in every format."""

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.show.dot import quoted
from chainrule.show.svg import escaped
from chainrule.show.tikz import tex

HOSTILE = [
    "<script>alert(1)</script>",
    '"><svg onload=alert(1)>',
    "a' onclick='alert(1)",
    "]]>",
    "<!-- -->",
    "&amp;&lt;",
    "line\nbreak",
    "right\u202eleft\u2066",
    "nul\x00l\x1b[31m",
    "sep\u2028\u2029",
    r"\input{/etc/passwd}",
    r"\write18{rm} $x^2_3$ %~#&{}",
    'n0"];evil[label="',
    "ends\\",
    "漢字 🎉",
]
SVG = "{http://www.w3.org/2000/svg}"


def graph_named(name):
    return cr.graph(lambda x: x * 2.0 + 1.0, 3.0, names=[name])


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("notation", ["operations", "variables"])
def test_an_svg_holds_the_name_and_nothing_of_it_works(name, notation):
    text = graph_named(name).svg(notation=notation)
    root = ET.fromstring(text)
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags <= {"svg", "title", "desc", "style", "rect", "g", "path", "polygon", "text",
                    "tspan"}  # fmt: skip
    attributes = {key for element in root.iter() for key in element.attrib}
    assert not any(key.startswith("on") or key.endswith("href") for key in attributes)
    named = [g for g in root.iter(f"{SVG}g") if g.get("data-kind") == "input"]
    expected = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f]", "\ufffd", name)
    assert named[0].get("data-name") == expected
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u2028\u2029]", text)


@given(st.text())
def test_any_text_survives_in_xml(text):
    kept = ET.fromstring(f'<a b="{escaped(text)}"/>').get("b")
    assert kept == re.sub(
        "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", "\ufffd", text
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_dot_strings_end_where_they_should(name, tmp_path):
    pygraphviz = pytest.importorskip("pygraphviz")
    graph_named(name).save(tmp_path / "g.dot")
    read = pygraphviz.AGraph(string=(tmp_path / "g.dot").read_text(encoding="utf-8"))
    assert sorted(read.nodes()) == ["n0", "n2", "n4"]
    assert len(read.edges()) == 2


@given(st.text())
def test_a_dot_string_has_no_end_within(text):
    inner = quoted(text)[1:-1]
    assert not re.search(r'(?<!\\)(\\\\)*"', inner)
    assert not re.search(r"(?<!\\)(\\\\)*\\$", inner)


@pytest.mark.parametrize("name", HOSTILE)
def test_tex_has_no_command_of_the_name(name, tmp_path):
    graph_named(name).save(tmp_path / "g.tex")
    text = (tmp_path / "g.tex").read_text(encoding="utf-8")
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("%"))
    assert not re.search(r"\\(input|write|def|catcode)\b", code)
    assert balanced(code)
    comments = [line for line in text.splitlines() if line.lstrip().startswith("%")]
    assert all(line.isascii() and line.isprintable() for line in comments)


@given(st.text(max_size=30))
def test_tex_text_is_balanced_and_harmless(text):
    found = tex(text)
    assert balanced(found)
    assert not re.search(r"(?<!\\)[%#&_^~]", re.sub(r"\$[^$]*\$", "", found))


def balanced(text):
    depth = 0
    for brace in re.findall(r"(?<!\\)(?:\\\\)*([{}])", text):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0
