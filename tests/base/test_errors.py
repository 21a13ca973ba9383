"""Errors of this package travel between processes, as multiprocessing sends them."""

import copy
import pickle

import numpy as np
import pytest

import chainrule as cr
from chainrule.base import errors

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.ChainruleError)
]


def sent(error):
    return pickle.loads(pickle.dumps(error))  # noqa: S301 - our own


@pytest.mark.parametrize("send", [sent, copy.copy])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_says_the_same(kind, send):
    made = kind("what is wrong", {"given": 3}, "what to do")
    received = send(made)
    assert type(received) is kind
    assert str(received) == str(made)
    assert "test_errors.py:" in str(received)
    assert received.args == made.args


def test_one_that_was_raised():
    with pytest.raises(cr.ShapeError) as caught:
        cr.grad(lambda x: np.sum(np.reshape(x, (5, 5))))(np.ones(3))
    received = sent(caught.value)
    assert str(received) == str(caught.value)
    assert "test_errors.py:" in str(received)
