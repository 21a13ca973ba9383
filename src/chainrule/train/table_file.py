"""Tables read from files: CSV as people have it, and Parquet, as named columns of NumPy arrays."""

from __future__ import annotations

import codecs
import csv
import importlib
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chainrule.base.errors import ArgumentError, ChainruleError, StorageError

MISSING = "(missing)"  # how a text that isn't there is written

_SEPARATORS = ",;\t|"
_LOOKED_AT = 1 << 18  # bytes at the beginning of a file that say how it is written
_BLOCK = 1 << 24  # bytes of a text file that are read at a time, the first of which decide on types
_LOOKED_AT_LINES = 200
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*")
_DECIMAL_POINT = re.compile(r"\s*[+-]?\d+\.\d+\s*")
_FRACTION = re.compile(rf"{_DECIMAL_COMMA.pattern}|{_DECIMAL_POINT.pattern}")
_UNNAMED = re.compile(r"|__index_level_\d+__")  # pandas numbers its rows under such names


class Table(dict[str, np.ndarray]):
    """Columns by name: float64 (missing values NaN), datetime64 (NaT), or texts ("(missing)").

    Attributes:
        notes: what a user should know of how the file was read, a line each.
    """

    def __init__(self, columns: Any = (), notes: Collection[str] = ()) -> None:
        super().__init__(columns)
        self.notes = list(notes)


def read_table(
    path: str | os.PathLike[str], *, texts: Collection[str] = (), encoding: str | None = None
) -> Table:
    """The columns of a CSV file with a header, or of a Parquet file.

    Args:
        path: a Parquet file, or a text file with a header line and commas, semicolons, tabs or bars
            between the columns; also packed (.csv.gz).
        texts: columns to read as texts, whatever they look like: "007" then isn't 7.
        encoding: of a text file; UTF-8 if not given, or UTF-16 where the file says so.

    Returns:
        A `Table`: name → float64 (missing values NaN), datetime64 (NaT), or texts (missing ones
        "(missing)"). Columns without a name, which number the rows, are left out.

    Raises:
        StorageError: there is no such file, or it can't be read.
        ArgumentError: it isn't a table; pyarrow is not installed.
    """
    place = _file(path)
    arrow = _pyarrow()
    notes: list[str] = []
    with _Told(place, arrow, encoding):
        if _is_parquet(place):
            whole = _module("parquet").ParquetFile(place).read()
        else:
            form = _form(arrow, place, encoding)
            notes = form.notes()
            whole = _all_lines(arrow, place, form, dict.fromkeys(texts, arrow.string()))
        if not whole.num_rows:
            raise ArgumentError("the file has no rows", {"file": str(path)})
        return _table(arrow, whole, texts, notes)


def table_chunks(
    path: str | os.PathLike[str],
    rows: int = 65_536,
    *,
    texts: Collection[str] = (),
    encoding: str | None = None,
) -> Iterator[Table]:
    """The same columns, some thousands of rows at a time: for files larger than memory.

    Whether a column of a text file holds numbers, dates or texts is decided by its first 16 MB.

    Args:
        path, texts, encoding: as for `read_table`.
        rows: how many at a time.

    Raises:
        As `read_table`; also ArgumentError for a column whose kind changes later in the file.
    """
    place = _file(path)
    arrow = _pyarrow()
    with _Told(place, arrow, encoding) as told:
        if _is_parquet(place):
            for batch in _module("parquet").ParquetFile(place).iter_batches(batch_size=rows):
                yield _table(arrow, batch, texts, [])
            return
        form = _form(arrow, place, encoding)
        types = dict.fromkeys(texts, arrow.string())
        opened = _module("csv").open_csv
        with opened(place, **_options(arrow, form, types, threads=False)) as reader:
            told.names = reader.schema.names
            types = {field.name: _lasting(arrow, field.type) for field in reader.schema}
        with opened(place, **_options(arrow, form, types, threads=False)) as reader:
            for batch in reader:
                for start in range(0, batch.num_rows, rows):
                    yield _table(arrow, batch.slice(start, rows), texts, form.notes())


def _lasting(arrow: Any, kind: Any) -> Any:
    """A type for all of a column that begins like this: after 1 and 2 there may come 2.5."""
    if _is_bytes(arrow, kind):
        raise UnicodeDecodeError("utf-8", b"", 0, 0, "what isn't UTF-8 is read as bytes")
    if arrow.types.is_integer(kind):
        return arrow.float64()
    return arrow.string() if arrow.types.is_null(kind) else kind


# --- how a file is written -------------------------------------------------------------------


class _Form(NamedTuple):
    """How the lines of a text file are written."""

    separator: str
    decimal: str
    encoding: str

    def notes(self) -> list[str]:
        """What of this a user should know."""
        named = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
        said = [f"{named[self.separator]} between columns"] * (self.separator not in ",\t")
        said += ["decimal commas"] * (self.decimal == ",")
        said += [self.encoding] * (self.encoding != "utf8")
        return [f"read with {', '.join(said)}"] if said else []


def _form(arrow: Any, place: Path, encoding: str | None) -> _Form:
    """How a text file is written, as its beginning shows."""
    with arrow.input_stream(str(place)) as stream:
        start = stream.read(_LOOKED_AT)
    if start[:4] == b"PK\x03\x04":
        raise ArgumentError(
            f"{place.name} is a workbook or another packed folder, not a table of text",
            fix="save the sheet as CSV (UTF-8) or Parquet",
        )
    if encoding is None and b"\0" in start and start[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        raise ArgumentError(
            f"{place.name} isn't a table that can be read",
            {"reason": "there are zero bytes in it, so it isn't text"},
            "save it as CSV (UTF-8) or Parquet",
        )
    if encoding is None:
        encoding = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    try:
        encoding = codecs.lookup(encoding).name
    except LookupError:
        raise ArgumentError(
            "no such encoding is known", {"encoding": repr(encoding)}, "utf-8, latin-1, cp1252, …"
        ) from None
    text = start.decode(encoding, errors="replace").removeprefix("\ufeff")
    lines = text.splitlines()[:_LOOKED_AT_LINES]
    separator = max(_SEPARATORS, key=lambda s: len(_cells(lines[:1], s)))
    if fraction := next(filter(_FRACTION.fullmatch, _cells(lines[:1], separator)), None):
        raise ArgumentError(
            f"the first line of {place.name} looks like a row, not like the names of the columns",
            {"name": repr(fraction)},
            "put a line with a name for each column before it",
        )
    cells = _cells(lines[1:], separator)
    commas = separator != "," and any(map(_DECIMAL_COMMA.fullmatch, cells))
    commas = commas and not any(map(_DECIMAL_POINT.fullmatch, cells))
    return _Form(separator, "," if commas else ".", "utf8" if encoding == "utf-8" else encoding)


def _cells(lines: Sequence[str], separator: str) -> list[str]:
    """The cells of some lines; none where they can't be told."""
    try:
        return [cell for row in csv.reader(lines, delimiter=separator) for cell in row]
    except csv.Error:  # a cell as long as a book, a zero byte
        return []


def _options(arrow: Any, form: _Form, types: Mapping[str, Any], *, threads: bool) -> dict[str, Any]:
    """What pyarrow is told of a text file."""
    module = _module("csv")
    missing = module.ConvertOptions().null_values
    return {
        "read_options": module.ReadOptions(
            block_size=_BLOCK, use_threads=threads, encoding=form.encoding
        ),
        "parse_options": module.ParseOptions(delimiter=form.separator, newlines_in_values=True),
        "convert_options": module.ConvertOptions(
            column_types=dict(types),
            null_values=[*missing, " ", "?", " ?", "<NA>", "NaT"],
            # "True" and "yes" are texts alike, so that a model answers as the table is written.
            true_values=[],
            false_values=[],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
            decimal_point=form.decimal,
        ),
    }


def _all_lines(arrow: Any, place: Path, form: _Form, types: Mapping[str, Any]) -> Any:
    """A text file as a whole, which decides on the type of every column."""
    read = _module("csv").read_csv
    try:
        whole = read(place, **_options(arrow, form, types, threads=True))
    except arrow.ArrowInvalid:  # a single thread knows the line
        whole = read(place, **_options(arrow, form, types, threads=False))
    if any(_is_bytes(arrow, field.type) for field in whole.schema):
        raise UnicodeDecodeError("utf-8", b"", 0, 0, "what isn't UTF-8 is read as bytes")
    return whole


# --- columns ---------------------------------------------------------------------------------


def _table(arrow: Any, batch: Any, texts: Collection[str], notes: Collection[str]) -> Table:
    names = [str(name).strip() for name in batch.schema.names]
    kept = [i for i, name in enumerate(names) if not _UNNAMED.fullmatch(name)]
    chosen = [names[i] for i in kept]
    twice = sorted({name for name in chosen if chosen.count(name) > 1})
    if twice or not kept:
        raise ArgumentError(
            "the columns of a table have names that are all different",
            {"header": ", ".join(names)[:200], "twice": ", ".join(twice)[:200]},
            "does the file begin with its header?",
        )
    found = Table(notes=notes)
    if len(kept) < len(names):
        places = ", ".join(str(i + 1) for i in range(len(names)) if i not in kept)
        found.notes.append(f"left out, without a name: column {places}")
    strange = []
    for i in kept:
        column = batch.column(i)
        if arrow.types.is_nested(column.type) or _is_bytes(arrow, column.type):
            strange.append(names[i])
        else:
            found[names[i]] = _column(arrow, column, names[i] in texts)
    if strange:
        found.notes.append(f"left out, lists or bytes in its cells: {', '.join(strange)}")
    return found


def _is_bytes(arrow: Any, kind: Any) -> bool:
    return any(
        test(kind)
        for test in (
            arrow.types.is_binary, arrow.types.is_large_binary, arrow.types.is_fixed_size_binary
        )
    )  # fmt: skip


def _column(arrow: Any, column: Any, as_text: bool) -> np.ndarray:
    """A column as float64, datetime64 or texts."""
    types, kind = arrow.types, column.type
    if types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if not as_text:
        if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
            numbers = column.cast(arrow.float64(), safe=False)
            return np.array(numbers.to_numpy(zero_copy_only=False), np.float64)
        if types.is_null(kind):
            return np.full(len(column), np.nan)
        if types.is_date(kind) or types.is_timestamp(kind):
            moments = column.cast(arrow.timestamp("us"), safe=False)
            return np.array(moments.to_numpy(zero_copy_only=False), "datetime64[us]")
        if types.is_time(kind) or types.is_duration(kind):  # in hours
            unit = arrow.time64("us") if types.is_time(kind) else arrow.duration("us")
            numbers = column.cast(unit, safe=False).cast(arrow.int64()).cast(arrow.float64())
            return np.array(numbers.to_numpy(zero_copy_only=False)) / 3.6e9
    if types.is_boolean(kind):
        words = np.array(["False", "True", MISSING], object)
        codes = column.cast(arrow.int8()).fill_null(2)
        return words[codes.to_numpy(zero_copy_only=False)]
    # Each different text is made once, however many rows have it.
    coded = column.cast(arrow.string()).dictionary_encode()
    if hasattr(coded, "combine_chunks"):
        coded = coded.combine_chunks()
    found = (word.strip() for word in coded.dictionary.to_pylist())
    words = np.array([*(MISSING if word in ("", "?") else word for word in found), MISSING], object)
    return words[coded.indices.fill_null(len(words) - 1).to_numpy(zero_copy_only=False)]


# --- what can be wrong with a file -----------------------------------------------------------


def _file(path: str | os.PathLike[str]) -> Path:
    place = Path(path)
    if not place.is_file():
        raise StorageError(
            f"{str(place)!r} is a folder" if place.is_dir() else f"there is no file {str(place)!r}",
            fix="check the path",
        )
    return place


def _is_parquet(place: Path) -> bool:
    with open(place, "rb") as file:
        return file.read(4) == b"PAR1" or place.suffix == ".parquet"


def _pyarrow() -> Any:
    try:
        return importlib.import_module("pyarrow")
    except ImportError:
        raise ArgumentError(
            "reading tables needs pyarrow, which is not installed",
            fix='pip install "chainrule[data]"',
        ) from None


def _module(name: str) -> Any:
    return importlib.import_module(f"pyarrow.{name}")


class _Told:
    """What the reader says, in the words of who has the file."""

    def __init__(self, place: Path, arrow: Any, encoding: str | None) -> None:
        self.place, self.arrow, self.encoding = place, arrow, encoding or "utf-8"
        self.names: Sequence[str] = ()  # of the columns, once they are known

    def __enter__(self) -> _Told:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        name = self.place.name
        if isinstance(error, UnicodeError):
            raise ArgumentError(
                f"{name} isn't written in {self.encoding}",
                _strange_bytes(self.arrow, self.place, self.encoding),
                'name its encoding, such as encoding="cp1252" or "latin-1" (on the command line'
                " --encoding cp1252)",
            ) from error
        if isinstance(error, (self.arrow.ArrowInvalid, self.arrow.ArrowNotImplementedError)):
            raise ArgumentError(
                f"{name} isn't a table that can be read",
                self._facts(str(error).split("\n")[0]),
                "a CSV file has a header line and the same number of fields in every line; a"
                " column holds one kind of values",
            ) from error
        if isinstance(error, OSError) and not isinstance(error, ChainruleError):
            raise StorageError(f"{name} can't be read", {"reason": str(error)}) from error

    def _facts(self, text: str) -> dict[str, Any]:
        facts = {}
        text = text.removeprefix("CSV parse error: ")
        if line := re.search(r"Row #(\d+): ", text):
            facts["line"] = line[1]
            text = text.replace(line[0], "")
        if (column := re.match(r"In CSV column #(\d+): (CSV )?", text)) and self.names:
            facts["column"] = self.names[int(column[1])]
            text = text.removeprefix(column[0])
        return {**facts, "reason": _printable(text[:200])}


def _strange_bytes(arrow: Any, place: Path, encoding: str) -> dict[str, Any]:
    """The first line that can't be read, and its number."""
    with arrow.input_stream(str(place)) as stream:
        for number, line in enumerate(stream.read().split(b"\n"), 1):
            try:
                line.decode(encoding)
            except UnicodeError:
                begin = line[:60].decode("ascii", errors="backslashreplace")
                return {"line": number, "text": _printable(begin)}
    return {}


def _printable(text: str) -> str:
    """A text that may quote a file's own bytes, as a terminal can bear it."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
