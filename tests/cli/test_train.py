"""`chainrule train` and `chainrule predict` on files as people have them."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from chainrule.cli import main

pytest.importorskip("pyarrow")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(name, header, rows):
    with open(name, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def flowers(rows=120):
    """Two kinds of flowers told apart by a number and a colour; some cells are empty."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(rows):
        kind = rng.choice(["aster", "rose"])
        length = rng.normal(3 if kind == "rose" else 5, 0.5)
        colour = rng.choice(["red", "pink"] if kind == "rose" else ["white", "pink"])
        cells = [f"{length:.2f}", colour, f"flower {len(found)}"]
        hole = rng.integers(0, 20)
        if hole < 2:
            cells[hole] = ""
        found.append([*cells, kind])
    return found


HEADER = ["length", "colour", "label", "kind"]


def run(*arguments, capsys, code=0):
    assert main.main([str(a) for a in arguments]) == code
    out = capsys.readouterr()
    return out.out if code == 0 else out.err


def test_a_table_with_a_header_just_works(capsys, tmp_path):
    write("flowers.csv", HEADER, flowers())
    out = run("train", "flowers.csv", "--epochs", 40, "--batch-size", 8, capsys=capsys)
    assert "1 number and 1 category (4 values) → 5 inputs" in out
    assert "left out, texts with too many different values: label" in out
    assert "target kind: 2 classes (aster, rose)" in out
    assert "rows   84 to train on, 18 to choose by, 18 to judge by" in out
    accuracy = float(out.split("accuracy ")[-1].split("%")[0])
    assert accuracy >= 90
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "flowers.csv", "model.png", "model.safetensors"
    ]  # fmt: skip
    write("new.csv", HEADER[:3], [["3.0", "red", "x"], ["5.1", "violet", "y"], ["", "", "z"]])
    lines = run("predict", "model.safetensors", "new.csv", capsys=capsys).splitlines()
    assert lines[0] == "kind,probability"
    assert [line.split(",")[0] for line in lines[1:3]] == ["rose", "aster"]
    assert len(lines) == 4
    run("predict", "model.safetensors", "new.csv", "-o", "answers.csv", capsys=capsys)
    with open("answers.csv", encoding="utf-8") as file:
        assert file.read().splitlines() == lines


def test_the_same_seed_gives_the_same_model(capsys, tmp_path):
    write("flowers.csv", HEADER, flowers())
    files = []
    for name in ("a", "b"):
        output = f"{name}.safetensors"
        run("train", "flowers.csv", "--epochs", 3, "-o", output, "--quiet", capsys=capsys)
        files.append((tmp_path / output).read_bytes())
    assert files[0] == files[1]


def test_a_number_is_predicted_in_its_own_units(capsys):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(150, 2))
    y = 1000 + 50 * x[:, 0] - 20 * x[:, 1]
    write("line.csv", ["a", "b", "price"], np.column_stack([x, y]).tolist())
    out = run("train", "line.csv", "--hidden", "0", "--learning-rate", 0.05, capsys=capsys)
    assert "target price: a number, mean " in out
    assert float(out.split("typical error ")[1].split()[0]) < 5
    write("new.csv", ["b", "a"], [[0, 0], [1, 2]])
    lines = run("predict", "model.safetensors", "new.csv", capsys=capsys).splitlines()
    assert lines[0] == "price"
    np.testing.assert_allclose([float(v) for v in lines[1:]], [1000, 1080], rtol=0.01)


def test_nothing_is_learned_of_rows_that_are_held_out(capsys):
    from chainrule.train.container import read_container

    rows = [[float(i), i % 2] for i in range(40)]
    write("even.csv", ["x", "odd"], rows)
    run("train", "even.csv", "--quiet", "--epochs", 1, capsys=capsys)
    meaning, _ = read_container("model.safetensors", "model")
    mean, _ = meaning["table"]["numbers"]["x"]
    assert mean != pytest.approx(19.5)  # the mean of all rows, those held out included


def test_arrays_and_digits(capsys):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 2, 2))
    np.savez("data.npz", x=x, y=x[:, 0, 0] > 0)
    out = run("train", "data.npz", "--epochs", 60, "--quiet", capsys=capsys)
    assert "target y: 2 classes (0, 1)" in out
    pytest.importorskip("sklearn")
    out = run("train", "digits", "--epochs", 5, "--batch-size", 1, "--hidden", "30", capsys=capsys)
    assert float(out.split("accuracy ")[-1].split("%")[0]) > 90


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "nothing.csv"], ["there is no file 'nothing.csv'"]),
        (["train", "flowers.csv", "--target", "kinds"], ["no column 'kinds'", "mean 'kind'"]),
        (["train", "flowers.csv", "--target", "colour", "--task", "regress"], ["number", "row"]),
        (["train", "flowers.csv", "--test", "0.9", "--validation", "0.2"], ["fractions"]),
        (["train", "flowers.csv", "--hidden", "a,b"], ["--hidden 64,32"]),
        (["train", "flowers.csv", "--optimizer", "adm"], ["did you mean 'adam'"]),
        (["train", "flowers.csv", "--activation", "rely"], ["did you mean 'relu'"]),
        (["train", "header.csv"], ["no rows"]),
        (["train", "ragged.csv"], ["ragged.csv isn't a table", "same number of fields"]),
        (["train", "twice.csv"], ["names that are all different"]),
        (["train", "single.csv"], ["a single value"]),
        (["train", "objects.npz"], ["objects.npz"]),
        (["train", "flowers.csv", "--learning-rate", "-1"], ["learning_rate is out of its range"]),
        (["train", "flowers.csv", "--without", "colur"], ["no column 'colur'", "mean 'colour'"]),
        (["train", "flowers.csv", "--encoding", "utf-9"], ["no such encoding"]),
        (["train", "flowers.csv", "-o", "nowhere/m.safetensors"], ["a folder that isn't there"]),
        (["train", "flowers.csv", "--plot", "curves.xyz"], ["curves.png"]),
        (["train", "flowers.csv", "-o", "model.png"], ["would be one file"]),
        (["train", "latin.csv"], ["isn't written in UTF-8", "line: 2", "--encoding cp1252"]),
        (["predict", "flowers.csv", "flowers.csv"], ["isn't a whole file"]),
        (["predict", "nothing.safetensors", "flowers.csv"], ["there is no file"]),
    ],
)
def test_mistakes_are_answered_in_a_few_lines(arguments, words, capsys):
    write("flowers.csv", HEADER, flowers(30))
    write("header.csv", HEADER, [])
    write("twice.csv", ["a", "a"], [[1, 2]] * 20)
    write("single.csv", ["a", "b"], [[i, "same"] for i in range(20)])
    write("ragged.csv", ["a", "b"], [[1, 2], [1, 2, 3], [4]])
    with open("latin.csv", "wb") as file:
        file.write("a,b\nMüller,1\n".encode("latin-1"))
    np.savez("objects.npz", x=np.array([{}, []], object), y=np.arange(2))
    error = run(*arguments, capsys=capsys, code=2)
    for word in words:
        assert word in error.replace("utf-8", "UTF-8").replace("line:  ", "line: "), error
    assert "Traceback" not in error


def test_a_table_as_other_programs_write_it(capsys):
    rng = np.random.default_rng(0)
    lines = ["Kunde;Größe;seit;Art;"]
    for i in range(200):
        size = rng.normal(10, 3)
        kind = "groß" if size > 10 else "klein" if i % 9 else ""
        lines.append(f"{i};{size:.2f};2020-01-{i % 28 + 1:02d};{kind};".replace(".", ","))
    with open("kunden.csv", "w", encoding="cp1252", newline="\r\n") as file:
        file.write("\n".join(lines))
    arguments = ["--encoding", "cp1252", "--without", "Kunde", "--target", "Art"]
    out = run("train", "kunden.csv", *arguments, "--epochs", 40, "--quiet", capsys=capsys)
    for line in (
        "data   kunden.csv: 1 number and 1 date → 2 inputs",
        "       read with semicolons between columns, decimal commas, cp1252",
        "       left out, without a name: column 5",
        "without a value in Art",
        "target Art: 2 classes (groß, klein)",
    ):
        assert line in out
    assert float(out.split("accuracy ")[-1].split("%")[0]) > 80
    run("predict", "model.safetensors", "kunden.csv", "--encoding", "cp1252", capsys=capsys)


def test_every_row_may_be_trained_on(capsys):
    write("flowers.csv", HEADER, flowers(60))
    none = ["--validation", 0, "--test", 0, "--epochs", 2, "--quiet"]
    out = run("train", "flowers.csv", *none, capsys=capsys)
    assert "rows   60 to train on, 0 to choose by, 0 to judge by" in out
    assert "no rows were kept to judge by" in out


def test_a_model_refuses_a_table_of_other_columns(capsys):
    write("flowers.csv", HEADER, flowers(60))
    run("train", "flowers.csv", "--epochs", 1, "--quiet", capsys=capsys)
    write("other.csv", ["lenght", "colour"], [[3, "red"]])
    error = run("predict", "model.safetensors", "other.csv", capsys=capsys, code=2)
    assert "no column 'length'" in error
    assert "did you mean 'lenght'?" in error
    write("text.csv", ["length", "colour"], [["3", "red"], ["long", "red"]])
    error = run("predict", "model.safetensors", "text.csv", capsys=capsys, code=2)
    assert "'length' held numbers while training" in error
