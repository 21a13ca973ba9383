"""A function that writes to its arguments never reaches the caller's arrays."""

import numpy as np
import pytest

import chainrule as cr


def writes(x, data):
    x[0] = 2 * x[0]
    data += 1
    return np.sum(x * x) + np.sum(data)


@pytest.mark.parametrize(
    "method",
    [
        lambda x, d: cr.finite_difference(writes)(x, d),
        lambda x, d: cr.symbolic(writes, x, d).function(0)(x, d),
        lambda x, d: cr.check_grads(writes, (x, d)),
        lambda x, d: cr.compare(writes, x, d, manual=lambda x, d: (writes(x, d), d)),
        lambda x, d: cr.differentiability(writes, x, d),
    ],
    ids=["finite_difference", "symbolic", "check_grads", "compare", "differentiability"],
)
def test_arguments_are_left_alone(method):
    x, data = np.array([1.0, 3.0]), np.array([1.0, 2.0])
    method(x, data)
    assert x.tolist() == [1, 3]
    assert data.tolist() == [1, 2]
