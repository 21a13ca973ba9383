"""Objects that are called like built-in functions, and can be aimed elsewhere."""

from __future__ import annotations

import functools
import gc
import threading
import weakref

import pytest

from chainrule.run import aim as aiming
from chainrule.run.aim import aim, aimed
from chainrule.run.entry import entry

pytest.importorskip("llvmlite")


class Kind:
    """A class with a method."""

    def __init__(self, word):
        self.word = word

    def say(self):
        return self.word


@pytest.fixture(params=["native", "ctypes"])
def kind(request, monkeypatch):
    if request.param == "ctypes":
        monkeypatch.setattr(aiming, "layout", lambda: None)
        monkeypatch.setattr(aiming, "_vector_class", lambda: None)
    return aimed(Kind)


def other(*args, **keywords):
    return "other", args, keywords


def test_an_object_calls_what_it_is_aimed_at(kind, toys):
    item = kind("word")
    aim(item, other)
    assert item(1, 2, x=3) == ("other", (1, 2), {"x": 3})
    assert item() == ("other", (), {})
    aim(item, entry(toys.numbers()))
    assert item(2.0, 3.0) == (5.0, -1.0, 6.0)
    assert item(1, y=2) == ("fallback", (1,), {"y": 2})
    aim(item, other)
    assert item(2.0, 3.0)[0] == "other"


def test_any_callable_will_do(kind):
    item = kind("word")
    for function, args, out in ((len, ("abc",), 3), ((1, 2, 1).count, (1,), 2), (max, (1, 2), 2)):
        aim(item, function)
        assert item(*args) == out


def test_it_is_what_it_was(kind):
    item = kind("word")
    aim(item, other)
    assert isinstance(item, Kind)
    assert type(item).__name__ == "Kind"
    assert item.say() == item.word == "word"
    functools.update_wrapper(item, other)
    assert item.__name__ == "other"
    item.attribute = 1
    assert callable(item)
    assert functools.partial(item, 1)(2) == ("other", (1, 2), {})
    assert list(map(item, [1])) == [("other", (1,), {})]


def test_not_aimed_yet(kind):
    with pytest.raises((TypeError, AttributeError)):
        kind("word")(1)


def test_objects_are_aimed_each_by_itself(kind, toys):
    first, second = kind("one"), kind("two")
    aim(first, entry(toys.numbers()))
    aim(second, other)
    assert first(2.0, 3.0) == (5.0, -1.0, 6.0)
    assert second(2.0, 3.0)[0] == "other"


def test_an_exception_passes(kind):
    def refuse():
        raise ValueError("no")

    item = kind("word")
    aim(item, refuse)
    with pytest.raises(ValueError, match="no"):
        item()


def test_the_target_may_change_while_it_runs(kind, toys):
    item = kind("word")

    def renew(*args):
        aim(item, other)
        gc.collect()
        return args

    aim(item, entry(toys.numbers(fallback=renew)))
    assert item(1, 2) == (1, 2)
    assert item(1, 2)[0] == "other"


def test_the_target_may_change_in_another_thread(kind, toys):
    item = kind("word")
    aim(item, other)
    stop = threading.Event()

    def change():
        while not stop.is_set():
            aim(item, entry(toys.numbers()))
            aim(item, other)

    thread = threading.Thread(target=change)
    thread.start()
    results = {item(2.0, 3.0)[0] for _ in range(20_000)}
    stop.set()
    thread.join()
    assert results <= {5.0, "other"}


def test_a_cycle_is_collected(kind):
    item = kind("word")
    aim(item, item.say)
    assert item() == "word"
    gone = weakref.ref(item)
    del item
    gc.collect()
    assert gone() is None
