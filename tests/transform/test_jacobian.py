"""Jacobians, Hessians and their products: trees, layouts, modes, blocks, complex numbers."""

import dataclasses
from typing import NamedTuple

import numpy as np
import pytest

import chainrule as cr
from chainrule.transform import jacobian as module

BOTH = pytest.mark.parametrize("jacobian", [cr.jacfwd, cr.jacrev])
MODES = ["auto", "forward", "reverse", "finite", "symbolic"]


# ---- the nine cells of matrix calculus -----------------------------------------------------------

SHAPES = {"scalar": (), "vector": (3,), "matrix": (2, 4)}
RESULTS = {"scalar": (), "vector": (5,), "matrix": (6, 2)}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("by", SHAPES)
@pytest.mark.parametrize("of", RESULTS)
def test_every_cell_in_both_layouts(of, by, mode):
    in_shape, out_shape = SHAPES[by], RESULTS[of]
    weights = np.random.default_rng(3).normal(size=out_shape + in_shape)
    axes = tuple(range(len(out_shape), len(out_shape) + len(in_shape)))
    x = np.linspace(0.1, 0.9, int(np.prod(in_shape))).reshape(in_shape)[()]

    def f(x):
        return np.sum(weights * x * x, axis=axes) if axes else weights * x * x

    numerator = cr.jacobian(f, mode=mode)(x)
    denominator = cr.jacobian(f, mode=mode, layout="denominator")(x)
    expected = 2 * weights * x
    assert np.shape(numerator) == out_shape + in_shape
    assert np.shape(denominator) == in_shape + out_shape
    np.testing.assert_allclose(numerator, expected, rtol=1e-6, atol=1e-9)
    order = (*axes, *range(len(out_shape)))
    np.testing.assert_allclose(denominator, np.transpose(expected, order), rtol=1e-6, atol=1e-9)


def test_vector_by_scalar_is_one_row_of_numbers_in_both_layouts():
    for layout in ("numerator", "denominator"):
        found = cr.jacobian(lambda t: np.array([t, t * t, t**3]), layout=layout)(2.0)
        np.testing.assert_allclose(found, [1.0, 4.0, 12.0])


# ---- trees ---------------------------------------------------------------------------------------


@dataclasses.dataclass
class Line:
    slope: np.ndarray
    offset: float


class Pair(NamedTuple):
    left: np.ndarray
    right: float


@BOTH
def test_result_is_the_output_tree_of_input_trees(jacobian):
    x = {"w": np.array([1.0, 2.0]), "b": 3.0}

    def f(p):
        return {"y": p["w"] * p["b"], "z": (np.sum(p["w"]), p["b"] ** 2)}

    found = jacobian(f)(x)
    np.testing.assert_array_equal(found["y"]["w"], np.diag([3.0, 3.0]))
    np.testing.assert_array_equal(found["y"]["b"], [1.0, 2.0])
    np.testing.assert_array_equal(found["z"][0]["w"], [1.0, 1.0])
    assert found["z"][0]["b"] == 0.0
    np.testing.assert_array_equal(found["z"][1]["w"], [0.0, 0.0])
    assert found["z"][1]["b"] == 6.0


@BOTH
def test_dataclasses_and_named_tuples(jacobian):
    found = jacobian(lambda line: Pair(line.slope * line.offset, line.offset))(
        Line(np.array([1.0, 2.0]), 3.0)
    )
    assert isinstance(found, Pair)
    assert isinstance(found.left, Line)
    np.testing.assert_array_equal(found.left.slope, np.diag([3.0, 3.0]))
    np.testing.assert_array_equal(found.left.offset, [1.0, 2.0])
    np.testing.assert_array_equal(found.right.slope, [0.0, 0.0])
    assert found.right.offset == 1.0


@pytest.mark.parametrize("mode", MODES)
def test_several_arguments(mode):
    x, y = np.array([1.0, 2.0]), 3.0
    found = cr.jacobian(lambda x, y, n: (x * y, n * np.sum(x)), argnums=(1, 0), mode=mode)(x, y, 2)
    by_y, by_x = found[0]
    np.testing.assert_allclose(by_y, x, rtol=1e-8)
    np.testing.assert_allclose(by_x, np.diag([3.0, 3.0]), rtol=1e-8)
    np.testing.assert_allclose(found[1][0], 0.0)
    np.testing.assert_allclose(found[1][1], [2.0, 2.0], rtol=1e-8)


@BOTH
def test_keyword_arguments_and_negative_argnums(jacobian):
    f = lambda x, y, *, scale: scale * x * y
    found = jacobian(f, argnums=-1)(np.array([1.0, 2.0]), 3.0, scale=10.0)
    np.testing.assert_array_equal(found, [10.0, 20.0])


def test_hessian_of_a_tree():
    def f(p):
        return np.sum(p["a"] ** 2) * p["b"]

    found = cr.hessian(f)({"a": np.array([1.0, 2.0]), "b": 3.0})
    np.testing.assert_allclose(found["a"]["a"], 6 * np.eye(2))
    np.testing.assert_allclose(found["a"]["b"], [2.0, 4.0])
    np.testing.assert_allclose(found["b"]["a"], [2.0, 4.0])
    assert found["b"]["b"] == 0.0


def test_hessian_of_several_arguments():
    found = cr.hessian(lambda x, y: np.sum(x * y * y), argnums=(0, 1))(np.ones(2), np.full(2, 3.0))
    np.testing.assert_allclose(found[0][0], np.zeros((2, 2)))
    np.testing.assert_allclose(found[0][1], 6 * np.eye(2))
    np.testing.assert_allclose(found[1][0], 6 * np.eye(2))
    np.testing.assert_allclose(found[1][1], 2 * np.eye(2))


def test_hessian_of_a_vector_function():
    x = np.array([1.0, 2.0])
    found = cr.hessian(lambda x: np.array([x[0] ** 2 * x[1], np.sum(x)]))(x)
    np.testing.assert_allclose(found, [[[4.0, 2.0], [2.0, 0.0]], np.zeros((2, 2))])


def test_hvp():
    A = np.array([[2.0, 1.0], [1.0, 4.0]])
    x, v = np.array([1.0, -1.0]), np.array([0.5, 2.0])
    np.testing.assert_allclose(cr.hvp(lambda x: 0.5 * x @ A @ x, (x,), (v,)), A @ v)
    by_x, by_y = cr.hvp(lambda x, y: np.sum(x * x * y), (x, 2.0), (v, 1.0))
    np.testing.assert_allclose(by_x, 2 * 2.0 * v + 2 * x)
    np.testing.assert_allclose(by_y, 2 * np.sum(x * v))


# ---- size ----------------------------------------------------------------------------------------


@BOTH
def test_a_large_basis_goes_in_blocks(jacobian, monkeypatch):
    x = np.linspace(0.0, 1.0, 7)
    whole = jacobian(lambda x: np.sin(x) * np.sum(x))(x)
    sizes = []
    original = module.vmap

    def counting(f, *args, **kwargs):
        def run(seeds, patterns):
            sizes.append(len(patterns[0]))
            return original(f, *args, **kwargs)(seeds, patterns)

        return run

    monkeypatch.setattr(module, "_BLOCK_ENTRIES", 21)
    monkeypatch.setattr(module, "vmap", counting)
    np.testing.assert_array_equal(jacobian(lambda x: np.sin(x) * np.sum(x))(x), whole)
    assert sizes == [3, 3, 1]


@pytest.mark.parametrize(
    ("n", "m", "swept"), [(2, 5, "forward"), (5, 2, "reverse"), (3, 3, "forward")]
)
def test_auto_takes_the_shorter_side(n, m, swept, monkeypatch):
    W = np.ones((m, n))
    ran = []
    for name in ("forward", "reverse"):
        original = getattr(module._Tape, name)

        def spy(self, name=name, original=original):
            ran.append(name)
            return original(self)

        monkeypatch.setattr(module._Tape, name, spy)
    np.testing.assert_array_equal(cr.jacobian(lambda x: W @ x)(np.zeros(n)), W)
    assert ran == [swept]


@BOTH
def test_the_function_runs_once(jacobian):
    calls = []

    def f(x):
        calls.append(1)
        return x * x

    jacobian(f)(np.ones(4))
    assert len(calls) == 1


# ---- borders -------------------------------------------------------------------------------------


@BOTH
def test_constants_integers_and_nothing(jacobian):
    x = np.ones(2)
    np.testing.assert_array_equal(jacobian(lambda x: 3.0)(x), np.zeros(2))
    np.testing.assert_array_equal(jacobian(lambda x: np.arange(3))(x), np.zeros((3, 2)))
    np.testing.assert_array_equal(jacobian(lambda x: np.argmax(x))(x), np.zeros(2))
    assert jacobian(lambda x: x * 2)(np.zeros(0)).shape == (0, 0)
    assert jacobian(lambda x: x[:0])(x).shape == (0, 2)
    assert jacobian(lambda x: (x, None))(x)[1] is None


@BOTH
def test_the_same_value_twice(jacobian):
    def f(x):
        y = np.sin(x)
        return y, y

    a, b = jacobian(f)(np.array([0.0, 1.0]))
    np.testing.assert_allclose(a, np.diag(np.cos([0.0, 1.0])))
    np.testing.assert_allclose(a, b)


@BOTH
def test_float32_stays(jacobian):
    found = jacobian(lambda x: 2.0 * x * x)(np.ones(2, np.float32))
    assert found.dtype == np.float32


@BOTH
def test_complex_functions_of_real_arguments(jacobian):
    x = np.array([1.0, 2.0])
    np.testing.assert_allclose(jacobian(lambda x: x * x * (1 + 2j))(x), np.diag(2 * x * (1 + 2j)))


@BOTH
def test_real_functions_of_complex_arguments_give_the_gradient(jacobian):
    z = np.array([1 + 2j, -3j])
    f = lambda z: np.real(z * np.conj(z))
    np.testing.assert_allclose(jacobian(f)(z), np.diag(2 * z))
    np.testing.assert_allclose(jacobian(f)(z)[0], cr.grad(lambda z: f(z)[0])(z))


@BOTH
def test_holomorphic_functions(jacobian):
    z = np.array([1 + 2j, -3j])
    np.testing.assert_allclose(jacobian(lambda z: z**3 * 1j)(z), np.diag(3j * z**2))
    with pytest.raises(cr.DomainError, match="isn't holomorphic here"):
        jacobian(np.conj)(z)
