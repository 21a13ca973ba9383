"""Values from the page are checked before they reach anything."""

import math

import pytest

from chainrule import ArgumentError
from chainrule.show.play.controls import Controls, Source, changed, offered

SOURCE = Source("rows.csv", "y", "auto", ("a", "b", "c"))


def test_a_change_sets_what_it_names_and_nothing_else():
    before = Controls()
    after = changed(before, {"hidden": [3, 2, 1], "learning_rate": 1, "data": "moons"}, None)
    assert after.hidden == (3, 2, 1)
    assert after.learning_rate == 1.0
    assert after.differences(before) == {"hidden", "learning_rate", "data"}
    assert changed(before, {}, None) == before


def test_features_keep_their_order():
    assert changed(Controls(), {"features": ["y²", "x"]}, None).features == ("x", "y²")


def test_axes_are_two_columns_of_the_table():
    assert changed(Controls(), {"axes": ["c", "a"]}, SOURCE).axes == ("c", "a")
    assert changed(Controls(), {"axes": None}, SOURCE).axes is None


@pytest.mark.parametrize(
    "given",
    [
        {"learning_rate": math.nan},
        {"learning_rate": math.inf},
        {"learning_rate": 0},
        {"learning_rate": 10**4000},
        {"seed": 10**4000},
        {"learning_rate": "0.1"},
        {"learning_rate": True},
        {"learning_rate": None},
        {"l1": -1},
        {"l2": 11},
        {"dropout": 1.0},
        {"noise": 0.6},
        {"batch_size": 2.5},
        {"batch_size": -1},
        {"seed": 2**31},
        {"seed": False},
        {"speed": -1},
        {"hidden": [0]},
        {"hidden": [33]},
        {"hidden": [1] * 7},
        {"hidden": "44"},
        {"hidden": [[4]]},
        {"hidden": None},
        {"features": []},
        {"features": ["z"]},
        {"features": "x"},
        {"features": [["x"]]},
        {"activation": "swoosh"},
        {"activation": ["tanh"]},
        {"optimizer": ""},
        {"initializer": 3},
        {"data": "table"},
        {"axes": ["a", "b"]},
        {"rate": 1},
        {"__class__": 1},
        [],
        None,
        "data",
        7,
    ],
)
def test_what_a_control_cannot_take_is_refused(given):
    with pytest.raises(ArgumentError):
        changed(Controls(), given, None)


@pytest.mark.parametrize("axes", [["a"], ["a", "a"], ["a", "y"], "ab", [1, 2], [["a"], ["b"]]])
def test_axes_that_the_table_lacks_are_refused(axes):
    with pytest.raises(ArgumentError):
        changed(Controls(), {"axes": axes}, SOURCE)


def test_a_refusal_says_what_would_do():
    with pytest.raises(ArgumentError) as caught:
        changed(Controls(), {"dropout": 2}, None)
    caught.value.where = None
    assert str(caught.value) == (
        "dropout can't be set to that\n  given: 2\n  fix:   it is a number from 0 to 0.9"
    )


def test_all_that_is_offered_can_be_chosen():
    told = offered(SOURCE)
    for name in ("activation", "optimizer", "initializer"):
        for value in told[name]:
            changed(Controls(), {name: value}, SOURCE)
    for one in told["data"]:
        changed(Controls(), {"data": one["name"]}, SOURCE)
    changed(Controls(), {"features": list(told["features"])}, SOURCE)
    changed(Controls(), {"hidden": [told["units"]] * told["layers"]}, SOURCE)
