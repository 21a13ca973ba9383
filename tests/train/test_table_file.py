"""Tables as they occur: separators, decimals, encodings, gaps, dates; and what is wrong."""

from __future__ import annotations

import datetime
import gzip

import numpy as np
import pytest

import chainrule as cr
from chainrule.train import table_file
from chainrule.train.table_split import split_table

arrow = pytest.importorskip("pyarrow")


@pytest.fixture
def table(tmp_path):
    """Writes a file, and reads it."""

    def written(content, name="rows.csv", **options):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return cr.train.read_table(path, **options)

    return written


def listed(columns):
    return {name: values.tolist() for name, values in columns.items()}


@pytest.mark.parametrize(
    ("text", "found", "notes"),
    [
        ("a,b\n1,x\n2.5,y\n", {"a": [1, 2.5], "b": ["x", "y"]}, []),
        ("\ufeffa,b\r\n1,x\r\n\r\n2,y\r\n", {"a": [1, 2], "b": ["x", "y"]}, []),
        ("a\tb\n1\tx,y\n", {"a": [1], "b": ["x,y"]}, []),
        ("a|b\n1|2\n", {"a": [1], "b": [2]}, ["read with bars between columns"]),
        (
            "größe;art\n1,5;x\n-2;y\n",
            {"größe": [1.5, -2], "art": ["x", "y"]},
            ["read with semicolons between columns, decimal commas"],
        ),
        ("a;b\n1.5;x\n2,5;y\n", {"a": ["1.5", "2,5"], "b": ["x", "y"]}, None),
        (
            'a,b\n1,"he said ""no"",\nand left"\n',
            {"a": [1], "b": ['he said "no",\nand left']},
            [],
        ),
        (",a\n0,5\n1,6\n", {"a": [5, 6]}, ["left out, without a name: column 1"]),
        ("a,b,\n5,1,\n", {"a": [5], "b": [1]}, ["left out, without a name: column 3"]),
        ("a, b\n1, x\n?, ?\n", {"a": [1, np.nan], "b": ["x", "(missing)"]}, []),
        ("a,b\nTrue,yes\nFalse,no\n", {"a": ["True", "False"], "b": ["yes", "no"]}, []),
        ("a,b\n,NA\n1e3,NaN\n", {"a": [np.nan, 1000], "b": [np.nan, np.nan]}, []),
    ],
)
def test_text_as_people_write_it(table, text, found, notes):
    columns = table(text)
    np.testing.assert_equal(listed(columns), found)
    assert notes is None or columns.notes == notes


def test_encodings(table):
    text = "a;b\n1;Müller\n"
    assert table(text.encode("utf-16"))["b"].tolist() == ["Müller"]
    assert table(text.encode("cp1252"), encoding="cp1252")["b"].tolist() == ["Müller"]
    with pytest.raises(cr.ArgumentError) as caught:
        table(text.encode("latin-1"))
    for said in ("isn't written in UTF-8", "line:  2", "M\\xfcller", "--encoding cp1252"):
        assert said in str(caught.value).replace("utf-8", "UTF-8")
    with pytest.raises(cr.ArgumentError, match="no such encoding"):
        table(text, encoding="latin-0")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["isn't a table"]),
        (b"a,b\n", ["no rows"]),
        (b"a,a\n1,2\n", ["all different", "twice:  a"]),
        (b"a,b\n1,2\n1,2,3\n", ["line:   3", "Expected 2 columns, got 3"]),
        (b"1.5,x\n2.5,y\n", ["looks like a row"]),
        (b"PK\x03\x04" + bytes(99), ["workbook", "save the sheet as CSV"]),
        (bytes(range(256)), ["zero bytes"]),
        (b"PAR1" + bytes(99), ["isn't a table"]),
    ],
)
def test_what_is_no_table_is_said(table, content, words):
    with pytest.raises(cr.ArgumentError) as caught:
        table(content)
    for word in words:
        assert word in str(caught.value)


def test_packed(table):
    text = gzip.compress("größe;art\n1,5;x\n".encode())
    assert listed(table(text, "rows.csv.gz")) == {"größe": [1.5], "art": ["x"]}


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(cr.StorageError, match="is a folder"):
        cr.train.read_table(tmp_path)


def test_whole_numbers_keep_all_digits(table):
    columns = table("id,code\n1234567,9007199254740993\n1234568,1\n")
    encoder = cr.train.Encoder.fitted(columns, "id", "classify")
    assert encoder.classes == ["1234567", "1234568"]
    with pytest.raises(cr.ArgumentError, match="nearly every row has a class of its own"):
        cr.train.Encoder.fitted(
            {"x": np.arange(50.0), "name": np.array([f"n{i}" for i in range(50)], object)}, "name"
        )


def test_categories_are_read_as_they_were_written(table):
    trained = table("code,x,y\n007,1,a\n7,2,b\nA1,3,a\n7,3,a\n")
    encoder = cr.train.Encoder.fitted(trained, "y")
    later = table("code,x\n007,1\n7,2\n", texts=encoder.texts)
    assert encoder.inputs(later)[:, 1:].tolist() == [[1, 0, 0], [0, 1, 0]]


def test_dates_are_days(table):
    text = "day,y\n2020-01-01,1.5\n2020-01-03,2.5\n,3.5\n"
    columns = table(text)
    encoder = cr.train.Encoder.fitted(columns, "y")
    assert encoder.dates == ["day"]
    assert encoder.numbers["day"] == (18263.0, 1.0)
    again = cr.train.Encoder.from_config(encoder.config())
    assert again.inputs(columns)[:, 0].tolist() == [-1, 1, 0]
    assert again.inputs(table("day\n2020-01-02T12:00:00Z\n"))[:, 0].tolist() == [0.5]
    with pytest.raises(cr.ArgumentError) as caught:
        again.inputs(table("day\n2020-01-01\n1 May\n"))
    assert "held dates while training" in str(caught.value)
    assert "'1 May'" in str(caught.value)
    with pytest.raises(cr.ArgumentError, match="held dates while training"):
        again.inputs(table("day\n18263\n"))
    assert again.inputs(table("day,x\n,1\n"))[:, 0].tolist() == [0]


def test_parquet_of_every_kind(tmp_path):
    import pyarrow.parquet

    words = ["a", "b", None]
    given = arrow.table(
        {
            "small": arrow.array([1.5, None, 2.5]).cast(arrow.float32()),
            "yes": [True, False, None],
            "word": arrow.array(words).dictionary_encode(),
            "when": [datetime.datetime(2020, 1, 1, 12), None, datetime.datetime(2020, 1, 2)],
            "time": [datetime.time(6), datetime.time(12), None],
            "span": [datetime.timedelta(hours=2), None, datetime.timedelta(0)],
            "list": [[1.0], [2.0], None],
            "bytes": [b"x", b"\xff", None],
            "none": arrow.nulls(3),
            "__index_level_0__": [0, 1, 2],
        }
    )
    pyarrow.parquet.write_table(given, tmp_path / "rows.parquet")
    found = cr.train.read_table(tmp_path / "rows.parquet")
    assert found["small"].tolist()[::2] == [1.5, 2.5]
    assert found["yes"].tolist() == ["True", "False", "(missing)"]
    assert found["word"].tolist() == ["a", "b", "(missing)"]
    assert found["when"][0] == np.datetime64("2020-01-01T12")
    assert np.isnat(found["when"][1])
    assert found["time"].tolist()[:2] == [6, 12]
    assert found["span"].tolist()[::2] == [2, 0]
    assert np.isnan(found["none"]).all()
    assert found.notes == [
        "left out, without a name: column 10",
        "left out, lists or bytes in its cells: list, bytes",
    ]


def test_a_column_may_change_its_kind_far_down(tmp_path, monkeypatch):
    """Types seen at the beginning of a long file don't decide on the rest, or it is said."""
    monkeypatch.setattr(table_file, "_BLOCK", 1 << 10)
    path = tmp_path / "long.csv"
    rows = "".join(f"{i},,w\n" for i in range(2000))
    path.write_text(f"a,b,c\n{rows}2.5,late,w\n")
    assert cr.train.read_table(path)["a"][-1] == 2.5
    pieces = list(cr.train.table_chunks(path, 100))
    assert sum(len(piece["a"]) for piece in pieces) == 2001
    assert (pieces[-1]["a"][-1], pieces[-1]["b"][-1]) == (2.5, "late")
    with open(path, "a") as file:
        file.write("abc,late,w\n")
    assert cr.train.read_table(path)["a"][-1] == "abc"
    with pytest.raises(cr.ArgumentError) as caught:
        list(cr.train.table_chunks(path, 100))
    for word in ("line:   2003", "column: a", "invalid value 'abc'"):
        assert word in str(caught.value)


def test_rows_without_a_target_and_single_classes():
    kinds = np.array(["a", "b"] * 30 + ["(missing)"] * 4 + ["c", "d", "e"], object)
    columns = {"x": np.arange(len(kinds), dtype=float), "kind": kinds}
    for seed in range(8):
        parts, encoder = split_table(columns, "kind", seed=seed)
        assert encoder.classes == ["a", "b", "c", "d", "e"]
        assert sum(len(y) for _, y in parts) == 63
        assert encoder.notes == ["left out, 4 rows without a value in kind"]
    with pytest.raises(cr.ArgumentError, match="missing in every row"):
        split_table({"x": np.arange(9.0), "y": np.full(9, np.nan)}, "y")
    with pytest.raises(cr.ArgumentError, match="a single value, so there is nothing to predict"):
        split_table({"x": np.arange(9.0), "y": np.full(9, 0.1)}, "y", "regress")


def test_texts_that_are_nearly_numbers_are_named():
    texts = [str(i / 7) for i in range(99)] + ["unknown"]
    columns = {
        "a": np.array(texts, object),
        "b": np.array([f"name {i}" for i in range(100)], object),
        "c": np.arange(100.0),
        "y": np.arange(100) / 3,
    }
    encoder = cr.train.Encoder.fitted(columns, "y")
    assert encoder.notes == [
        "left out, texts with too many different values: a (numbers, but for 'unknown'),"
        " b ('name 0', …)"
    ]
