"""Tables as numbers: what is learned of the training part, and files larger than memory."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr


def columns(rows=40):
    rng = np.random.default_rng(0)
    size = rng.normal(10, 3, rows)
    size[3] = np.nan
    colour = np.array(["red", "blue", "(missing)", "blue"] * (rows // 4), object)
    kind = np.where(size > 10, "large", "small").astype(object)
    return {"size": size, "colour": colour, "kind": kind}


def test_numbers_are_standardised_and_categories_spread_out():
    given = columns()
    encoder = cr.train.Encoder.fitted(given, "kind")
    x = encoder.inputs(given)
    assert x.shape == (40, 4)
    known = x[np.isfinite(given["size"]), 0]
    assert known.mean() == pytest.approx(0, abs=1e-6)
    assert known.std() == pytest.approx(1, abs=1e-6)
    assert x[3, 0] == 0  # a missing number counts as the mean
    assert encoder.categories == {"colour": ["(missing)", "blue", "red"]}
    assert x[:2, 1:].tolist() == [[0, 0, 1], [0, 1, 0]]
    assert encoder.classes == ["large", "small"]
    assert list(encoder.answers(np.array([[0.1, 0.9], [3.0, 1.0]]))) == ["small", "large"]


def test_an_unknown_category_is_none_and_what_never_varies_is_left_out():
    given = {
        "a": np.full(10, 0.1),
        "b": np.array(["x"] * 10, object),
        "c": np.array(["p", "q"] * 5, object),
        "d": np.full(10, np.nan),
        "t": np.arange(10) / 3,
    }
    encoder = cr.train.Encoder.fitted(given, "t")
    assert encoder.notes == ["left out, the same in every row: a, b, d"]
    assert encoder.inputs({"c": np.array(["new", "q"], object)}).tolist() == [[0, 0], [0, 1]]
    del given["c"]
    with pytest.raises(cr.ArgumentError, match="no column is left to learn from"):
        cr.train.Encoder.fitted(given, "t")


def test_an_encoder_is_plain_data():
    encoder = cr.train.Encoder.fitted(columns(), "kind")
    again = cr.train.Encoder.from_config(encoder.config())
    assert np.array_equal(again.inputs(columns()), encoder.inputs(columns()))
    with pytest.raises(cr.ModelFileError):
        cr.train.Encoder.from_config({"numbers": 3})


def write(path, rows, form):
    arrow = pytest.importorskip("pyarrow")
    rng = np.random.default_rng(1)
    x = rng.normal(size=(rows, 2))
    table = arrow.table(
        {"a": x[:, 0], "b": x[:, 1], "word": ["p" if v > 0 else "q" for v in x[:, 1]],
         "t": x[:, 0] + 2 * x[:, 1]}
    )  # fmt: skip
    if form == "csv":
        import pyarrow.csv

        pyarrow.csv.write_csv(table, path)
    else:
        import pyarrow.parquet

        pyarrow.parquet.write_table(table, path)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_file_is_trained_on_in_batches(tmp_path, form):
    path = tmp_path / f"rows.{form}"
    write(path, 105, form)
    batches = cr.train.TableBatches(path, "t", batch_size=16, chunk=30)
    pieces = list(batches)
    assert [len(y) for _, y in pieces] == [16] * 6 + [9]
    whole = cr.train.read_table(path)
    np.testing.assert_array_equal(
        np.concatenate([x for x, _ in pieces]), batches.encoder.inputs(whole)
    )
    model = cr.nn.Sequential([cr.nn.Dense(1)])
    model.compile(cr.optim.SGD(0.1), "mse")
    history = model.fit(batches, epochs=8, verbose=0).history["loss"]
    assert history[-1] < history[0] / 10


def test_parts_of_a_split_are_apart_and_whole():
    x, y = np.arange(60).reshape(30, 2), np.arange(30) % 3
    parts = cr.train.split(x, y, validation=0.2, test=0.3, stratify=y, seed=4)
    rows = [part[0][:, 0] // 2 for part in parts]
    assert sorted(np.concatenate(rows).tolist()) == list(range(30))
    assert [np.bincount(part[1]).tolist() for part in parts] == [[5] * 3, [2] * 3, [3] * 3]
    again = cr.train.split(x, y, validation=0.2, test=0.3, stratify=y, seed=4)
    assert np.array_equal(parts.test[0], again.test[0])
    for fractions, word in (((0.5, 0.5), "leave rows"), ((0.01, 0.2), "empty")):
        with pytest.raises(cr.ArgumentError, match=word):
            cr.train.split(x, validation=fractions[0], test=fractions[1])
    with pytest.raises(cr.ShapeError, match="different numbers"):
        cr.train.split(x, y[:5])
