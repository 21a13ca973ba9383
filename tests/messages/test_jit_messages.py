"""What cr.jit says of what it can't compile, word for word, with the user's line."""

from __future__ import annotations

import inspect
import random
import warnings

import numpy as np
import pytest

import chainrule as cr

V = np.array([1.0, -2.0, 3.0])
GENERATOR = np.random.default_rng(0)
SINGULAR = np.zeros((2, 2))
KNOWN = "needs the value, but cr.jit traces a function for shapes and dtypes only"
CHOOSE = "choose with np.where(condition, a, b) or cr.cond(condition, f, g);"


def branch(x):
    return x if x[0] > 0 else -x


def loop(n):
    return [0.0 for _ in range(n)]


def size(n):
    return np.zeros(n)


def window(x, n):
    return x[:n]


def folded(x, n):
    return np.reshape(x, (n, -1))


def number(x):
    return float(x[0])


def masked(x):
    return x[x > 0]


def distinct(x):
    return np.unique(x)


def positions(x):
    return np.nonzero(x)


def where_alone(x):
    return np.where(x > 0)


def noise(x):
    return x + np.random.normal(size=3)  # noqa: NPY002 - what is refused


def fresh_generator(x):
    return x + np.random.default_rng().normal(size=3)


def seeded_generator(x):
    return x + np.random.default_rng(0).normal(size=3)


def older_generator(x):
    return x + np.random.RandomState(0).normal(size=3)


def poisson_noise(x):
    return x + np.random.poisson(size=3)  # noqa: NPY002 - what is refused


def kept_generator(x):
    return x + GENERATOR.normal(size=3)


def python_noise(x):
    return x + random.random()


def solved(a):
    return np.linalg.solve(a, np.ones(2))


def rooted(a):
    return np.linalg.cholesky(a)


def picked(x, i):
    return x[i]


OR_PASS = "\n         or pass the numbers as an argument"
NORMAL = "use cr.random.normal(seed, shape, loc, scale), whose numbers follow from a seed;"
UNIFORM = "use cr.random.uniform(seed, shape), whose numbers follow from a seed;"
DRAW = "draw them with cr.random, whose numbers follow from a seed: cr.random.normal(seed, shape);"
KEY = "make a key with cr.random.key(seed) and draw with cr.random.normal(key, shape);"
STATIC = "make n part of the function: cr.jit(f, static_argnums=...);"
COUNT = """np.take(a, i, axis=0) reads a plain array there; x[i + np.arange(n)] is a window;
            cr.fori_loop(0, n, body, init) counts"""
KEEP = "keep every entry, and choose with np.where(condition, x, 0)"

CASES = {
    "if": (branch, (V,), cr.TraceError, f"""bool() {KNOWN}
  value: Traced<bool>
  where: HERE
  fix:   {CHOOSE}
         repeat with cr.while_loop"""),
    "a number of rounds": (loop, (3,), cr.TraceError, f"""an index {KNOWN}
  argument: n
  value:    Traced<i64>
  where:    HERE
  fix:      {STATIC}
            {COUNT}"""),
    "a size": (size, (3,), cr.TraceError, f"""an index {KNOWN}
  argument: n
  value:    Traced<i64>
  where:    HERE
  fix:      {STATIC}
            {COUNT}"""),
    "a window": (window, (V, 2), cr.TraceError, f"""an index {KNOWN}
  argument: n
  value:    Traced<i64>
  where:    HERE
  fix:      {STATIC}
            {COUNT}"""),
    "a shape": (folded, (V, 3), cr.TraceError, f"""an index {KNOWN}
  argument: n
  value:    Traced<i64>
  where:    HERE
  fix:      {STATIC}
            {COUNT}"""),
    "float": (number, (V,), cr.TraceError, f"""float() {KNOWN}
  value: Traced<f64>
  where: HERE
  fix:   leave it as it is: NumPy's functions, math's and x.item() keep it traced"""),
    "a mask": (masked, (V,), cr.TraceError, """\
indexing with a mask gives a shape that depends on values not known here
  where: HERE
  fix:   choose with np.where(mask, x, 0)"""),
    "unique": (distinct, (V,), cr.UnsupportedError, f"""np.unique can't be traced yet
  where: HERE
  fix:   its shape depends on values: {KEEP}"""),
    "nonzero": (positions, (V,), cr.TraceError, f"""np.nonzero() {KNOWN}
  value: Traced<f64[3]>
  where: HERE
  fix:   its shape would depend on values: {KEEP}"""),
    "where with one argument": (where_alone, (V,), cr.TraceError, f"""np.nonzero() {KNOWN}
  value: Traced<bool[3]>
  where: HERE
  fix:   its shape would depend on values: {KEEP}"""),
    "np.random": (noise, (V,), cr.TraceError, f"""\
np.random.normal inside a function compiled by cr.jit would give the same numbers at every call
  where: HERE
  fix:   {NORMAL}{OR_PASS}"""),
    "a generator without a seed": (fresh_generator, (V,), cr.TraceError, f"""\
np.random.default_rng inside a function compiled by cr.jit would give the same numbers at every call
  where: HERE
  fix:   {KEY}{OR_PASS}"""),
    "a generator with a seed": (seeded_generator, (V,), cr.TraceError, f"""\
np.random.default_rng inside a function compiled by cr.jit would give the same numbers at every call
  where: HERE
  fix:   {KEY}{OR_PASS}"""),
    "a generator by its class": (older_generator, (V,), cr.TraceError, f"""\
np.random.RandomState inside a function compiled by cr.jit would give the same numbers at every call
  where: HERE
  fix:   {KEY}{OR_PASS}"""),
    "what cr.random doesn't have": (poisson_noise, (V,), cr.TraceError, f"""\
np.random.poisson inside a function compiled by cr.jit would give the same numbers at every call
  where: HERE
  fix:   {DRAW}{OR_PASS}"""),
    "random": (python_noise, (V,), cr.TraceError, f"""\
random.random inside a function compiled by cr.jit would give the same numbers at every call
  where: HERE
  fix:   {UNIFORM}{OR_PASS}"""),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_cannot_be_compiled(name):
    f, args, kind, text = CASES[name]
    line = inspect.getsourcelines(f)[1] + 1
    with pytest.raises(kind) as caught:
        cr.jit(f)(*args)
    assert str(caught.value) == text.replace("HERE", f"{_file()}:{line} in {f.__name__}")


def _file():
    return __file__.rpartition("/")[2]


def test_a_generator_from_outside():
    with pytest.raises(cr.TraceError) as caught:
        cr.jit(kept_generator)(V)
    line = inspect.getsourcelines(kept_generator)[1]
    assert str(caught.value) == (
        "a random generator inside a function compiled by cr.jit would give the same numbers at "
        f"every call\n  where: {_file()}:{line} in kept_generator\n  fix:   {DRAW}{OR_PASS}"
    )


def test_drawing_works_again_afterwards():
    with pytest.raises(cr.TraceError):
        cr.jit(seeded_generator)(V)
    assert np.random.normal(size=3).shape == (3,)  # noqa: NPY002 - it works again
    assert isinstance(random.random(), float)
    assert isinstance(np.random.default_rng(0), np.random.Generator)


def test_generators_are_fine_where_nothing_is_compiled():
    """Functions traced with their values draw anew at every call, as they would by themselves."""
    wanted = np.sum(np.random.default_rng(0).normal(size=3))
    f = lambda x: x * np.sum(np.random.default_rng(0).normal(size=3))
    assert cr.grad(f)(1.0) == wanted
    # Compiled, the numbers come from outside; what a generator is can be asked for inside.
    noise = np.random.default_rng(0).normal(size=3)
    g = lambda x, r: x * np.sum(r) + isinstance(GENERATOR, np.random.Generator)
    assert cr.jit(g)(1.0, noise) == wanted + 1


@pytest.mark.parametrize("engine", ["numpy", "llvm"])
@pytest.mark.parametrize(
    ("f", "good", "bad"),
    [
        (solved, (np.eye(2),), (SINGULAR,)),
        (rooted, (np.eye(2),), (-np.eye(2),)),
        (picked, (V, np.array([1])), (V, np.array([5]))),
        (picked, (V, np.array([1])), (V, np.array([-4]))),
    ],
)
def test_bad_values_are_refused_as_without_compiling(engine, f, good, bad):
    """The same class and the same text, at the same line, though the code runs elsewhere."""
    with cr.settings(engine=engine):
        compiled = cr.jit(f)
        compiled(*good)
        with pytest.raises(cr.ChainruleError) as ours:
            compiled(*bad)
    with pytest.raises(cr.ChainruleError) as theirs:
        cr.trace(f, *bad)
    assert type(ours.value) is type(theirs.value)
    assert str(ours.value) == str(theirs.value)
    assert f" in {f.__name__}" in str(ours.value)


def divided(n, m):
    return n // m


def powered(n, m):
    return n**m


@pytest.mark.parametrize("engine", ["numpy", "llvm"])
def test_whole_numbers_divided_by_zero(engine):
    """Python's raise, and NumPy's warn, as without compiling."""
    line = inspect.getsourcelines(divided)[1] + 1
    with cr.settings(engine=engine):
        compiled = cr.jit(divided)
        assert compiled(7, 2) == 3
        with pytest.raises(ZeroDivisionError) as caught:
            compiled(7, 0)
        assert str(caught.value) == (
            f"""floor_divide: a whole number is divided by zero
  where: {_file()}:{line} in divided"""
        )
        with pytest.warns(RuntimeWarning, match="divide by zero encountered in floor_divide") as w:
            np.testing.assert_array_equal(compiled(np.array([7, 7]), np.array([0, 2])), [0, 3])
        assert (w[0].filename, w[0].lineno) == (__file__, line)
        with np.errstate(divide="ignore"):
            np.testing.assert_array_equal(compiled(np.array([7, 7]), np.array([0, 2])), [0, 3])


@pytest.mark.parametrize("engine", ["numpy", "llvm"])
def test_what_numpy_refuses_has_the_line(engine):
    line = inspect.getsourcelines(powered)[1] + 1
    with cr.settings(engine=engine), pytest.raises(ValueError) as caught:
        cr.jit(powered)(np.array([2, 3]), np.array([1, -1]))
    assert str(caught.value) == (
        f"""Integers to negative integer powers are not allowed.
  where: {_file()}:{line} in powered"""
    )


def test_printing_shows_the_type(capsys):
    def f(x):
        print(x, f"{x[0]:.3f}")
        return x * 2

    cr.jit(f)(V)
    assert capsys.readouterr().out == "Traced<f64[3]> Traced<f64>\n"


def test_a_value_that_was_kept():
    kept = []
    cr.jit(lambda x: kept.append(x * 2) or x)(V)
    with pytest.raises(cr.TraceError, match="kept beyond the function"):
        kept[0] + 1


# ---- NaN -----------------------------------------------------------------------------------------


def logs(x):
    return np.sum(np.log(x))


def roots(x):
    y = np.sqrt(x)
    return np.sum(y * 0.0)


def found(f, *args):
    with cr.settings(check_nan=True), pytest.raises(cr.DomainError) as caught:
        cr.jit(f)(*args)
    return str(caught.value)


def test_a_nan_on_the_way_forward():
    line = inspect.getsourcelines(logs)[1] + 1
    assert found(logs, V) == (
        f"""check_nan: a NaN appears here first
  operation:  log
  direction:  forward
  result:     f64[3], 1 of its entries NaN
  operand 0:  [ 1. -2. 3.]
  expression: np.log(x)
  where:      {_file()}:{line} in logs
  fix:        keep its operands where it is defined: np.where(x > 0, x, 1) before the operation, \
np.maximum(x, tiny)"""
    )


def test_a_nan_on_the_way_back():
    line = inspect.getsourcelines(roots)[1] + 1
    text = found(cr.grad(roots), np.zeros(2))
    assert text.startswith(
        "check_nan: a NaN appears here first, in the derivative of this line taken backwards"
    )
    assert "direction:  backward" in text
    assert f"where:      {_file()}:{line} in roots" in text
    assert "expression: np.sqrt(x)" in text


def test_a_nan_that_was_there_before():
    assert found(logs, np.array([1.0, np.nan])).startswith(
        """check_nan: the argument x holds NaN already
  value: f64[2], 1 of its entries NaN"""
    )


def test_no_nan_no_error():
    with cr.settings(check_nan=True):
        np.testing.assert_allclose(cr.jit(logs)(np.abs(V)), logs(np.abs(V)))
        np.testing.assert_allclose(cr.jit(cr.grad(logs))(V), 1 / V)


# ---- retracing -----------------------------------------------------------------------------------


def test_an_argument_that_keeps_changing_is_named_once():
    def total(x, scale):
        return np.sum(x) * scale

    f = cr.jit(total)
    with warnings.catch_warnings(record=True) as caught, cr.settings(engine="numpy"):
        warnings.simplefilter("always")
        for n in range(1, 20):
            f(np.ones(n), 2.0)
    (warning,) = caught
    assert str(warning.message) == (
        "jit: total has been compiled for 8 different types of x, the last ones f64[6], f64[7], "
        "f64[8]. Each new shape or dtype is compiled anew: pad arrays to a few shapes, or pass "
        "what isn't an array of numbers through static_argnums."
    )
    assert warning.filename == __file__


# ---- out= ----------------------------------------------------------------------------------------


def test_out_of_another_shape():
    with pytest.raises(cr.ShapeError) as caught:
        cr.jit(lambda x: x * 2)(V, out=np.empty(4))
    line = inspect.currentframe().f_lineno - 1
    assert str(caught.value) == (
        f"""jit: an array of out= has another shape than its result
  result: f64[3]
  out:    f64[4]
  where:  {_file()}:{line} in test_out_of_another_shape
  fix:    make it with np.empty((3,), 'float64')"""
    )
