"""Trees taken apart by a structure seen before are taken apart as they would be anew."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, defaultdict, deque
from typing import Any, NamedTuple

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.trees import flatten
from chainrule.run.template import Habit, template_of


class Pair(NamedTuple):
    a: Any
    b: Any


class Couple(NamedTuple):
    a: Any
    b: Any


@dataclasses.dataclass
class Record:
    a: Any


@dataclasses.dataclass
class Sized:
    a: Any
    b: Any = 2.0

    def __len__(self) -> int:
        return 7


TREES = [
    {"a": 1.0, "b": 2.0},
    {"b": 2.0, "a": 1.0},
    {"a": 1.0},
    {"a": 1.0, "c": 2.0},
    {"a": {}, "b": 2.0},
    {},
    OrderedDict(a=1.0, b=2.0),
    defaultdict(list, a=1.0, b=2.0),
    deque([1.0, 2.0]),
    (1.0, 2.0),
    [1.0, 2.0],
    [1.0],
    (),
    [],
    (1.0, None),
    (None, 1.0),
    Pair(1.0, 2.0),
    Pair(1.0, (2.0, {"x": 3.0})),
    Pair([1.0], (2.0, {"x": 3.0})),
    Couple(1.0, 2.0),
    {1: 1.0, 2: [2.0, (3.0,)]},
    {(1, 2): 1.0, (0, 5): 2.0},
    Record(1.0),
    Record((1.0, 2.0)),
    Sized(1.0),
    Sized(1.0, Record(3.0)),
]


@pytest.mark.parametrize("first", range(len(TREES)))
def test_what_fits_is_what_flattening_gives(first):
    _, structure = flatten(TREES[first])
    template = template_of(structure)
    if template is None:
        known = (OrderedDict, defaultdict, deque)
        assert isinstance(TREES[first], known)
        return
    for tree in TREES:
        leaves, its_own = flatten(tree)
        found = template.leaves(tree)
        if its_own == structure:
            assert found == leaves
        else:
            # Where a leaf is a tree of its own, the caller sees that it's none.
            assert found is None or not all(type(leaf) is float for leaf in found)


def test_the_last_structures_are_remembered():
    habit = Habit()
    for k in range(1, 7):
        habit.note(flatten((1.0,) * k)[1])
    known = [k for k in range(1, 7) if habit.leaves((2.0,) * k) is not None]
    assert known == [3, 4, 5, 6]


def test_other_containers_are_traced_anew(capsys):
    @cr.jit
    def double(tree):
        print(type(tree).__name__)
        return {name: value * 2 for name, value in tree.items()} if len(tree) else tree

    x = np.ones(3)
    for _ in range(3):
        for tree in ({"a": x}, OrderedDict(a=x), {"a": x, "b": x}):
            found = double(tree)
            assert sorted(found) == sorted(tree)
    assert capsys.readouterr().out.split() == ["dict", "OrderedDict", "dict"]


def test_what_stands_in_a_leafs_place_is_looked_at():
    total = cr.jit(lambda tree: tree["a"] + 1)
    for _ in range(3):
        assert total({"a": 1}) == 2
        np.testing.assert_array_equal(total({"a": np.ones(2)}), [2, 2])
        np.testing.assert_array_equal(total({"a": np.ones((4, 2))[::2]}), np.full((2, 2), 2))
        with pytest.raises((cr.ChainruleError, TypeError)):
            total({"a": [np.ones(2)]})
        with pytest.raises((cr.ChainruleError, TypeError)):
            total({"a": None})
    assert cr.grad(lambda x: total({"a": x}))(2.0) == 1.0


def carried(state, rate):
    return Pair({k: v * rate for k, v in state.a.items()}, [v + rate for v in state.b])


def fresh_state():
    return Pair({"w": np.ones((3, 2)), "b": np.ones(2)}, [np.ones(4), np.ones(())])


def test_trees_of_results_are_written_where_they_are_wanted():
    step = cr.jit(carried)
    for rate in (2.0, 3.0, 4.0, 5.0):
        out = fresh_state()
        kept = [*out.a.values(), *out.b]
        assert step(fresh_state(), rate, out=out) is out
        assert all(a is b for a, b in zip(kept, [*out.a.values(), *out.b], strict=True))
        expected = step(fresh_state(), rate)
        for found, wanted in zip(flatten(out)[0], flatten(expected)[0], strict=True):
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("engine", ["llvm", "numpy"])
@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda out: out.a.update(w=np.ones((2, 3))), cr.ShapeError, "leaf 1"),
        (lambda out: out.a.update(w=np.ones((3, 2), np.float32)), cr.DtypeError, "leaf 1"),
        (lambda out: out.a.update(b=[1.0, 2.0]), cr.ArgumentError, "tree of the result"),
        (lambda out: out.a.update(b=2.0), cr.ArgumentError, "takes arrays"),
        (lambda out: out.a.update(c=np.ones(2)), cr.ArgumentError, "tree of the result"),
        (lambda out: out.a["w"].setflags(write=False), cr.ArgumentError, "read-only"),
        (lambda out: out.a.update(b=out.b[0][:2]), cr.ArgumentError, "share memory"),
    ],
)
def test_what_results_cant_be_written_into_is_refused(engine, change, error, said):
    step = cr.jit(carried)
    with cr.settings(engine=engine):
        for _ in range(3):
            out = fresh_state()
            change(out)
            before = [np.copy(leaf) for leaf in flatten(out)[0]]
            with pytest.raises(error, match=said):
                step(fresh_state(), 2.0, out=out)
            for found, wanted in zip(flatten(out)[0], before, strict=True):
                np.testing.assert_array_equal(found, wanted)
            step(fresh_state(), 2.0, out=fresh_state())


def test_results_over_arguments_are_written_last():
    swap = cr.jit(lambda pair: Pair(pair.b * 2.0, pair.a * 2.0))
    for _ in range(4):
        both = Pair(np.arange(3.0), np.arange(3.0, 6.0))
        assert swap(both, out=both) is both
        np.testing.assert_array_equal(both.a, [6, 8, 10])
        np.testing.assert_array_equal(both.b, [0, 2, 4])
