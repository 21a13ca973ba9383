"""What loops and choices say about bodies they can't work with, word for word."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr

V = np.array([0.0, 1.0, 2.0])
SINGLE = np.float32(1.0)
LOST = []


def under_vmap(f, g):
    return cr.vmap(lambda x: cr.cond(x > 0, f, g))(V)


CASES = {
    # ---- the condition ----
    "several conditions": (
        lambda: cr.cond(V > 0, lambda: 1.0, lambda: 2.0),
        cr.ShapeError,
        """cond: the condition must be a single truth value
  given: bool[3]
  where: HERE
  fix:   reduce it with np.any(p) or np.all(p); np.where(p, a, b) chooses entry by entry""",
    ),
    "a loop's condition with several entries": (
        lambda: cr.while_loop(lambda c: c < 3, lambda c: c + 1, V),
        cr.ShapeError,
        """while_loop: what cond returns must be a single truth value
  given: bool[3]
  where: HERE
  fix:   reduce it with np.any(p) or np.all(p); np.where(p, a, b) chooses entry by entry""",
    ),
    "Python's if in a body": (
        lambda: cr.scan(lambda c, x: (c if x > 0 else -c, x), 1.0, V),
        cr.TraceError,
        """bool() needs the value, but here only shapes and dtypes are known
  value: Traced<bool>
  where: HERE
  fix:   choose with np.where(condition, a, b) or cr.cond(condition, f, g);
         repeat with cr.while_loop""",
    ),
    "float() in a body": (
        lambda: cr.fori_loop(0, 3, lambda i, c: float(c), 1.0),
        cr.TraceError,
        """float() needs the value, but here only shapes and dtypes are known
  value: Traced<f64>
  where: HERE
  fix:   choose with np.where(condition, a, b) or cr.cond(condition, f, g);
         repeat with cr.while_loop""",
    ),
    "a range in a body": (
        lambda: cr.fori_loop(0, 3, lambda i, c: sum(range(i)) + c, 1.0),
        cr.TraceError,
        """an index needs the value, but here only shapes and dtypes are known
  value: Traced<i64>
  where: HERE
  fix:   np.take(a, i, axis=0) reads a plain array there; x[i + np.arange(n)] is a window;
         cr.fori_loop(0, n, body, init) counts""",
    ),
    "a plain array at a traced place": (
        lambda: cr.fori_loop(0, 3, lambda i, c: c + V[i], 0.0),
        cr.TraceError,
        """a plain array needs the value, but here only shapes and dtypes are known
  value: Traced<i64>
  where: HERE
  fix:   np.take(a, i, axis=0) reads a plain array there; x[i + np.arange(n)] is a window;
         cr.fori_loop(0, n, body, init) counts""",
    ),
    # ---- two functions ----
    "branches of two shapes": (
        lambda: under_vmap(lambda: V, lambda: 1.0),
        cr.ShapeError,
        """cond: the two functions return different shapes
  first:  f64[3]
  second: f64
  where:  test_control_messages.py:16 in <lambda>
  fix:    return the same shape from both: np.broadcast_to(x, shape), np.reshape""",
    ),
    "branches of two trees": (
        lambda: under_vmap(lambda: (1.0, 2.0), lambda: 1.0),
        cr.ShapeError,
        """cond: the two functions return different trees
  first:  (*, *)
  second: *
  where:  test_control_messages.py:16 in <lambda>
  fix:    return the same tree from both""",
    ),
    "branches of two dtypes": (
        lambda: under_vmap(lambda: {"a": SINGLE}, lambda: {"a": V[0]}),
        cr.DtypeError,
        """cond: the two functions return different dtypes
  first['a']:  f32
  second['a']: f64
  where:       test_control_messages.py:16 in <lambda>
  fix:         convert one of them: x.astype(dtype)""",
    ),
    "a branch that isn't a function": (
        lambda: cr.cond(True, 1.0, 2.0),
        cr.ArgumentError,
        """cond: both branches must be functions
  given: float 1.0
  where: HERE
  fix:   write cr.cond(p, lambda: a, lambda: b); between values np.where(p, a, b) chooses""",
    ),
    # ---- the carry ----
    "a carry of another tree": (
        lambda: cr.scan(lambda c, x: ({"a": c}, x), 1.0, V),
        cr.ShapeError,
        """scan: the body returns a carry of another tree than it gets
  gets:    *
  returns: {'a': *}
  where:   HERE
  fix:     return the carry put together as init is""",
    ),
    "a carry of another shape": (
        lambda: cr.while_loop(lambda c: c["a"] < 9, lambda c: {"a": c["a"] * V}, {"a": 1.0}),
        cr.ShapeError,
        """while_loop: the body returns a carry of another shape than it gets
  gets['a']:    f64
  returns['a']: f64[3]
  where:        HERE
  fix:          let init have the shape (3,), or the body keep the shape ()""",
    ),
    "a carry of another dtype": (
        lambda: cr.fori_loop(0, 3, lambda i, c: c * np.float64(2.0), SINGLE),
        cr.DtypeError,
        """fori_loop: the body returns a carry of another dtype than it gets
  gets:    f32
  returns: f64
  where:   HERE
  fix:     let init have dtype float64, or convert: x.astype(float32)""",
    ),
    "no pair": (
        lambda: cr.scan(lambda c, x: c, 1.0, V),
        cr.ArgumentError,
        """scan: the body must return (carry, y)
  returned: one array
  where:    HERE
  fix:      return the carry and what to stack; y may be None: return carry, None""",
    ),
    "a y that isn't a number": (
        lambda: cr.scan(lambda c, x: (c, "done"), 1.0, V),
        cr.TraceError,
        """'done' is not an array or a number
  where: HERE
  fix:   traced values work with numbers and arrays of numbers; keep the rest apart""",
    ),
    # ---- the rows ----
    "rows of different lengths": (
        lambda: cr.scan(lambda c, x: (c, x), 1.0, {"a": V, "b": V[:2]}),
        cr.ShapeError,
        """scan: xs of different lengths
  xs['a']: 3 rows
  xs['b']: 2 rows
  where:   HERE
  fix:     every array in xs needs the same first axis""",
    ),
    "a length that isn't theirs": (
        lambda: cr.scan(lambda c, x: (c, x), 1.0, V, length=4),
        cr.ShapeError,
        """scan: length is not that of xs
  length: 4
  xs:     3 rows
  where:  HERE
  fix:    leave length out; it follows from xs""",
    ),
    "a negative length": (
        lambda: cr.scan(lambda c, x: (c, x), 1.0, None, length=-1),
        cr.ArgumentError,
        """scan: length must not be negative
  length: -1
  where:  HERE
  fix:    give the number of steps, 0 or more""",
    ),
    "a length that isn't whole": (
        lambda: cr.scan(lambda c, x: (c, x), 1.0, None, length=2.5),
        cr.ArgumentError,
        """scan: length must be an integer
  given: 2.5
  where: HERE
  fix:   convert it: int(n)""",
    ),
    "no length at all": (
        lambda: cr.scan(lambda c, x: (c, x), 1.0),
        cr.ArgumentError,
        """scan: without xs the number of steps must be given
  where: HERE
  fix:   pass length=n""",
    ),
    "a number for rows": (
        lambda: cr.scan(lambda c, x: (c, x), 1.0, 2.0),
        cr.ShapeError,
        """scan: xs has no axis to loop over
  xs:    f64
  where: HERE
  fix:   of a list make an array: np.array(xs); what every step shares, close over""",
    ),
    "a bound that isn't whole": (
        lambda: cr.fori_loop(0, 2.5, lambda i, c: c, 1.0),
        cr.ArgumentError,
        """fori_loop: hi must be an integer
  hi:    f64
  where: HERE
  fix:   convert it: int(n)""",
    ),
    # ---- while it runs ----
    "a place outside the array": (
        lambda: cr.scan(lambda c, k: (c, c[k]), V, np.array([1, 7])),
        cr.OutOfBoundsError,
        """indexing: index 7 is out of bounds for axis 0 with size 3
  array: f64[3]
  where: HERE
  fix:   use an index inside the array""",
    ),
    "a singular matrix": (
        lambda: cr.fori_loop(0, 2, lambda i, c: np.linalg.solve(0 * c, c), np.eye(2)),
        cr.LinearAlgebraError,
        """solve: the matrix is singular
  matrix: f64[2, 2]
  where:  HERE
  fix:    use np.linalg.lstsq, or np.linalg.pinv(a) @ b""",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_word_for_word(name):
    case, kind, expected = CASES[name]
    with pytest.raises(kind) as caught:
        case()
    assert type(caught.value) is kind
    code = case.__code__
    place = f"test_control_messages.py:{code.co_firstlineno} in <lambda>"
    assert str(caught.value) == expected.replace("HERE", place)


def test_the_same_under_a_derivative():
    def f(x):
        return cr.scan(lambda c, k: (c, c[k]), x, np.array([1, 7]))[1].sum()

    with pytest.raises(cr.OutOfBoundsError, match="index 7 is out of bounds"):
        cr.grad(f)(V)


def keeper(c, x):
    LOST.append(c * x)
    return c, x


def test_a_value_that_leaves_the_body_by_a_side_door():
    cr.scan(keeper, 1.0, V)
    with pytest.raises(cr.TraceError) as caught:
        LOST[0] + 1.0
    first, *_, last = str(caught.value).splitlines()
    assert first == "scan: a value computed inside was used outside"
    assert last.startswith("  fix:   return it, as part of the carry or beside it;")


def test_a_write_to_an_array_outside():
    def f(x):
        def body(c, k):
            x[0] = c
            return c, None

        return cr.scan(body, 1.0, None, length=2)[0] + x.sum()

    with pytest.raises(cr.TraceError, match="a value computed inside was used outside"):
        cr.grad(f)(V)
