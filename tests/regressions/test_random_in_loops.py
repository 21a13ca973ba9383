"""Numbers drawn in the body of a loop would be the same at every turn, compiled or not."""

import functools
import random

import numpy as np
import pytest

import chainrule as cr

X = np.arange(4.0)


def scanned(x):
    def body(c, k):
        return c + k * np.random.rand(), None  # noqa: NPY002 - what is refused

    return cr.scan(body, 0.0, x)[0]


def counted(x):
    return cr.fori_loop(0, 3, lambda i, c: c + random.random(), np.sum(x))


def repeated(x):
    def body(c):
        return c + np.random.default_rng().normal() ** 2

    return cr.while_loop(lambda c: c < 3, body, np.sum(x) * 0)


LOOPS = {"scan": scanned, "fori_loop": counted, "while_loop": repeated}
CALLS = {
    "plainly": lambda f: f(X),
    "in a gradient": lambda f: cr.grad(f)(X),
    "in a batch": lambda f: cr.vmap(f)(np.stack([X, X])),
    "compiled": lambda f: cr.jit(f)(X),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("loop", LOOPS)
def test_drawing_in_a_loop_is_refused(loop, call):
    with pytest.raises(cr.TraceError) as caught:
        CALLS[call](LOOPS[loop])
    said = str(caught.value)
    assert f"inside cr.{loop} would give the same numbers at every turn" in said
    assert "test_random_in_loops.py:" in said
    assert "cr.random." in said
    assert "before the loop" in said
    assert 0 <= random.random() < 1  # and goes on afterwards


def test_word_for_word():
    with pytest.raises(cr.TraceError) as caught:
        scanned(X)
    assert str(caught.value) == (
        "np.random.rand inside cr.scan would give the same numbers at every turn\n"
        "  where: test_random_in_loops.py:16 in body\n"
        "  fix:   use cr.random.uniform(seed, shape), whose numbers follow from a seed;\n"
        "         or draw them all before the loop, and read some of them at every turn"
    )


def test_a_generator_made_from_a_seed_is_the_same_at_every_turn():
    def body(c, k):
        return c + k * np.random.default_rng(3).normal(), None

    total = np.sum(X) * np.random.default_rng(3).normal()
    assert cr.scan(body, 0.0, X)[0] == pytest.approx(total)
    with pytest.raises(cr.TraceError, match="at every turn"):
        cr.jit(lambda x: cr.scan(body, 0.0, x)[0])(X)


def test_what_is_called_once_may_draw():
    cond = lambda x: cr.cond(x[0] < 9, lambda: np.random.rand(), lambda: 2.0)  # noqa: NPY002
    assert 0 <= cond(X) < 1
    checkpointed = cr.checkpoint(lambda x: x * np.random.rand())(X)  # noqa: NPY002
    assert checkpointed.shape == X.shape
    drawn = np.random.default_rng(0).normal(size=4)
    assert cr.scan(lambda c, r: (c + r, None), 0.0, drawn)[0] == pytest.approx(drawn.sum())


class Noise:
    def __init__(self):
        self.rng = np.random.default_rng(1)

    def __call__(self, c, k):
        return c + k * self.rng.normal(), None


RNG = np.random.default_rng(2)
OLD = np.random.RandomState(3)
OWN = random.Random(4)


def named(generator):
    return lambda c, k: (c + k * generator.normal(), None)


DRAWING = {
    "a cell": (named(RNG), "Generator"),
    "a global": (lambda c, k: (c + k * RNG.uniform(), None), "Generator"),
    "a default": (lambda c, k, r=RNG: (c + k * r.uniform(), None), "Generator"),
    "an attribute": (Noise(), "Generator"),
    "NumPy's older kind": (named(OLD), "RandomState"),
    "Python's": (lambda c, k: (c + k * OWN.random(), None), "Random"),
    "a function inside": (
        lambda c, k: ((lambda: c + k * RNG.normal())(), None),
        "Generator",
    ),
    "a partial": (functools.partial(lambda r, c, k: (c + k * r.normal(), None), RNG), "Generator"),
}


@pytest.mark.parametrize("call", ["plainly", "in a gradient"])
@pytest.mark.parametrize("place", DRAWING)
def test_drawing_from_a_generator_from_outside_is_refused(place, call):
    body, kind = DRAWING[place]
    with pytest.raises(cr.TraceError) as caught:
        CALLS[call](lambda x: cr.scan(body, 0.0, x)[0])
    said = str(caught.value)
    assert f"a {kind} of random numbers inside cr.scan would give the same numbers" in said
    assert "cr.random." in said
    assert "test_random_in_loops.py:" in said


def test_generators_that_a_body_knows_but_does_not_draw_from():
    drawn = RNG.normal(size=4)
    total = cr.scan(lambda c, k: (c + k * drawn[0] + 0 * len(str(RNG)), None), 0.0, X)[0]
    assert total == pytest.approx(X.sum() * drawn[0])
