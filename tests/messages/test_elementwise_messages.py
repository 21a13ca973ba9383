"""What elementwise operations say about operands they can't work with, word for word."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

import chainrule as cr

X = np.array([1.0, 2.0])

CASES = {
    "shapes": (
        lambda x: x + np.ones(3),
        cr.ShapeError,
        """shapes that don't broadcast together
  operand 0: f64[2]
  operand 1: f64[3]
  where:     {place}
  fix:       make them equal, or 1, from the last axis backwards""",
    ),
    "shapes of a choice": (
        lambda x: np.where(x > 0, x, np.ones(3)),
        cr.ShapeError,
        """shapes that don't broadcast together
  operand 0: bool[2]
  operand 1: f64[2]
  operand 2: f64[3]
  where:     {place}
  fix:       make them equal, or 1, from the last axis backwards""",
    ),
    "bits of a float": (
        lambda x: x & 1,
        cr.DtypeError,
        """bitwise_and: no such operation for these dtypes
  operand 0: f64[2]
  operand 1: i64
  where:     {place}
  fix:       convert with x.astype(float), or x.astype(int), which has no derivative""",
    ),
    "text": (
        lambda x: np.maximum(x, "a"),
        cr.TraceError,
        """'a' is not an array or a number
  where: {place}
  fix:   traced values work with numbers and arrays of numbers; keep the rest apart""",
    ),
    "where=": (
        lambda x: np.exp(x, where=[True, False]),
        cr.UnsupportedError,
        """np.exp: the argument where= can't be traced
  given: where=[True, False]
  where: {place}
  fix:   use np.where(condition, result, other)""",
    ),
    "a huge power": (
        lambda x: x ** (10**400),
        cr.ArgumentError,
        """power: the exponent is too large for a floating-point number
  exponent: an integer of 1329 bits
  where:    {place}
  fix:      write it as a float, such as 1e300; or take the logarithm: n * np.log(x)""",
    ),
    "select": (
        lambda x: np.select([x > 0], [x, x]),
        cr.ShapeError,
        """select: one choice per condition
  conditions: 1
  choices:    2
  where:      {place}
  fix:        give both lists the same length; what is left over belongs in default=""",
    ),
    "piecewise": (
        lambda x: np.piecewise(x, [x > 0], []),
        cr.ShapeError,
        """piecewise: one function per condition, and one more for all the rest
  conditions: 1
  functions:  0
  where:      {place}
  fix:        give a function for every condition, and at most one more""",
    ),
    "clip": (
        lambda x: np.clip(x, 0, None, min=0),
        cr.ArgumentError,
        """clip: give a_min or min, not both
  where: {place}
  fix:   leave one of the two out""",
    ),
    "a traced order": (
        lambda x: scipy.special.jv(x[0], 1.0) * x,
        cr.UnsupportedError,
        """jv: only a whole order ≥ 0 that isn't traced can be differentiated
  order: 1.0
  where: {place}
  fix:   give a plain integer, such as 0 or 1; other orders work on plain numbers only""",
    ),
    "not there yet": (
        lambda x: np.frexp(x)[0],
        cr.UnsupportedError,
        """np.frexp can't be traced yet
  where: {place}
  fix:   the nearest supported name is np.exp; or compute it on plain arrays outside the traced function""",  # noqa: E501
    ),
}


@pytest.mark.parametrize(("f", "kind", "text"), CASES.values(), ids=CASES)
def test_message(f, kind, text):
    with pytest.raises(kind) as caught:
        cr.grad(lambda x: np.sum(f(x)))(X)
    place = f"test_elementwise_messages.py:{f.__code__.co_firstlineno} in <lambda>"
    assert str(caught.value) == text.format(place=place)
    assert type(caught.value) is kind


def test_negative_power_of_an_integer():
    with pytest.raises(cr.DtypeError) as caught:
        cr.vmap(lambda n: n**-1)(np.array([1, 2]))
    message = str(caught.value)
    assert message.startswith("power: an integer can't be raised to a negative integer power\n")
    assert message.endswith("make the base a float: x.astype(float)")
