"""Arguments and results: trees, positions, keywords, auxiliary values, dtypes, memory layouts."""

import dataclasses
from typing import NamedTuple

import numpy as np
import pytest

import chainrule as cr
from chainrule.tracing.stage import run

V = np.array([0.3, 0.7, 1.1])


@dataclasses.dataclass
class Layer:
    weight: np.ndarray
    bias: float
    rest: object = None


@dataclasses.dataclass(frozen=True)
class Checked:
    size: float

    def __post_init__(self):
        if not isinstance(self.size, float):
            raise TypeError("size must be a float")


class Point(NamedTuple):
    x: float
    y: float


# ---- trees ---------------------------------------------------------------------------------------


def test_gradient_has_the_tree_of_its_argument():
    p = {"list": [V, (2.0, V)], "none": None, "point": Point(1.0, 2.0)}

    def f(p):
        return (
            np.sum(p["list"][0] * p["list"][1][1]) * p["list"][1][0] + p["point"].x * p["point"].y
        )

    found = cr.grad(f)(p)
    np.testing.assert_allclose(found["list"][0], 2 * V)
    np.testing.assert_allclose(found["list"][1][0], V @ V)
    np.testing.assert_allclose(found["list"][1][1], 2 * V)
    assert found["none"] is None
    assert found["point"] == Point(2.0, 1.0)
    assert isinstance(found["point"], Point)


def test_dataclasses():
    found = cr.grad(lambda layer: np.sum(layer.weight) * layer.bias)(Layer(V, 2.0))
    assert isinstance(found, Layer)
    np.testing.assert_allclose(found.weight, np.full(3, 2.0))
    np.testing.assert_allclose(found.bias, np.sum(V))
    assert found.rest is None
    # Neither __init__ nor __post_init__ sees what is traced.
    assert cr.grad(lambda c: c.size**2)(Checked(3.0)).size == 6.0


def test_trees_in_forward_mode_and_back():
    p, t = {"a": V, "b": 2.0}, {"a": np.ones(3), "b": 0.5}
    out, tangent = cr.jvp(lambda p: [p["a"] * p["b"], {"s": np.sum(p["a"])}], (p,), (t,))
    np.testing.assert_allclose(out[0], 2 * V)
    np.testing.assert_allclose(tangent[0], 2 + 0.5 * V)
    assert tangent[1]["s"] == 3.0
    out, pull = cr.vjp(lambda p: [p["a"] * p["b"], {"s": np.sum(p["a"])}], p)
    (back,) = pull([np.ones(3), {"s": 10.0}])
    np.testing.assert_allclose(back["a"], np.full(3, 12.0))
    np.testing.assert_allclose(back["b"], np.sum(V))
    _, push = cr.linearize(lambda p: [p["a"] * p["b"], {"s": np.sum(p["a"])}], p)
    np.testing.assert_allclose(push(t)[0], 2 + 0.5 * V)


def test_vmap_on_trees():
    batch = {"a": np.outer(V, V), "b": V}
    found = cr.vmap(lambda p: (np.sum(p["a"]) * p["b"], p["a"]))(batch)
    np.testing.assert_allclose(found[0], np.outer(V, V).sum(axis=1) * V)
    np.testing.assert_allclose(found[1], batch["a"])
    found = cr.vmap(lambda p, s: p["a"] * s, in_axes=({"a": 1, "b": None}, None), out_axes=1)(
        {"a": np.ones((2, 3)), "b": 1.0}, 2.0
    )
    assert found.shape == (2, 3)


# ---- which arguments, and what else is returned --------------------------------------------------


@pytest.mark.parametrize("argnums", [1, -2, (1,), (2, 0), (-1, 0), [0, 1, 2]])
def test_argnums(argnums):
    f = lambda x, y, z: x * y**2 * z**3
    exact = (4 * 27.0, 2 * 2 * 27.0, 3 * 4 * 9.0)
    found = cr.grad(f, argnums)(1.0, 2.0, 3.0)
    if isinstance(argnums, int):
        assert found == exact[argnums]
    else:
        assert found == tuple(exact[n] for n in argnums)


def test_keywords_pass_through():
    f = lambda x, *, scale, flag: np.sum(x) * scale if flag else 0.0
    np.testing.assert_allclose(cr.grad(f)(V, scale=2.0, flag=True), np.full(3, 2.0))
    np.testing.assert_allclose(cr.grad(f)(V, scale=2.0, flag=False), np.zeros(3))


def test_auxiliary_results():
    def f(x):
        y = x * x
        return np.sum(y), {"y": y, "note": "as it is"}

    gradient, aux = cr.grad(f, has_aux=True)(V)
    np.testing.assert_allclose(gradient, 2 * V)
    np.testing.assert_allclose(aux["y"], V * V)
    assert type(aux["y"]) is np.ndarray
    assert aux["note"] == "as it is"
    (value, aux), gradient = cr.value_and_grad(f, has_aux=True)(V)
    np.testing.assert_allclose(value, V @ V)
    # An auxiliary value of an inner gradient keeps its own derivative.
    outer = cr.grad(lambda x: np.sum(cr.grad(f, has_aux=True)(x)[1]["y"]))
    np.testing.assert_allclose(outer(V), 2 * V)


def test_results_are_the_callers_own():
    x = V.copy()
    out, pull = cr.vjp(lambda x: x, x)
    out[0] = 100.0
    assert x[0] == V[0]
    (back,) = pull(x)
    back[0] = 100.0
    assert x[0] == V[0]
    gx, gy = cr.grad(lambda x, y: np.sum(x + y), argnums=(0, 1))(V, V)
    gx[0] = 100.0
    assert gy[0] == 1.0


def test_constant_results():
    np.testing.assert_array_equal(cr.grad(lambda x: 3.0)(V), np.zeros(3))
    assert cr.jvp(lambda x: (3.0, x), (V,), (V,))[1][0] == 0.0
    _, pull = cr.vjp(lambda x: {"c": 1.0, "n": 2, "x": x}, V)
    np.testing.assert_array_equal(pull({"c": 5.0, "n": 1, "x": V})[0], V)


# ---- dtypes --------------------------------------------------------------------------------------


def test_float32_stays_float32():
    x = np.array([1.0, 2.0], np.float32)
    seen = []

    def f(x):
        y = x * 2.0 + 1
        seen.append(y.dtype)
        return np.sum(np.sin(y) ** 2)

    assert cr.grad(f)(x).dtype == np.float32
    assert cr.value_and_grad(f)(x)[0].dtype == np.float32
    assert cr.jvp(f, (x,), (x,))[1].dtype == np.float32
    assert cr.hessian(f)(x).dtype == np.float32
    assert cr.vmap(lambda s: s * 2.0)(x).dtype == np.float32
    assert set(seen) == {np.dtype(np.float32)}
    assert cr.grad(lambda s: s * s)(np.float32(3.0)).dtype == np.float32


def test_a_python_float_is_weak():
    x = np.ones(3, np.float32)
    out = {}

    def f(s):
        out["y"] = (s * s * x).dtype
        return np.sum(s * s * x)

    value, gradient = cr.value_and_grad(f)(2.0)
    assert out["y"] == np.float32
    assert value.dtype == np.float32
    assert gradient == 12.0
    assert cr.jvp(f, (2.0,), (1.0,))[0].dtype == np.float32
    # The same for one that isn't differentiated, beside arrays from outside.
    assert (
        cr.value_and_grad(lambda x, s: np.sum(x * (s * np.ones(3, np.float32))))(x, 2.0)[0].dtype
        == np.float32
    )
    # A NumPy float64 is not weak.
    assert cr.value_and_grad(f)(np.float64(2.0))[0].dtype == np.float64


def test_mixed_precision():
    x32, x64 = np.ones(3, np.float32), np.ones(3)
    g32, g64 = cr.grad(lambda a, b: np.sum(a * b), argnums=(0, 1))(x32, x64)
    assert (g32.dtype, g64.dtype) == (np.float32, np.float64)
    assert cr.grad(lambda x: np.sum(x.astype(np.float32)))(x64).dtype == np.float64


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "g"])
def test_float_sizes(dtype):
    x = np.ones(3, dtype)
    assert cr.grad(lambda x: np.sum(x * x))(x).dtype == np.dtype(dtype)


def test_complex_gradient_is_the_steepest_ascent():
    z = np.array([1 + 2j, -0.5j])
    np.testing.assert_allclose(cr.grad(lambda z: np.sum(np.abs(z) ** 2))(z), 2 * z)
    np.testing.assert_allclose(cr.grad(lambda z: np.sum(np.real(z * z)))(z), 2 * np.conj(z))
    assert cr.grad(lambda x: np.real((1 + 2j) * x))(3.0) == 1.0


# ---- memory --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "prepare",
    [
        lambda x: x.astype(">f8"),
        np.asfortranarray,
        lambda x: np.repeat(x, 2, axis=0)[::2],
        lambda x: x[::-1][::-1],
        lambda x: x.T.copy().T,
    ],
)
def test_layouts(prepare):
    x = np.arange(12.0).reshape(3, 4)
    y = prepare(x)
    for transform in (cr.grad, cr.jacfwd, cr.jacrev):
        found = transform(lambda x: np.sum(x.reshape(4, 3)[1:] ** 2) + x.ravel()[5])(y)
        expected = transform(lambda x: np.sum(x.reshape(4, 3)[1:] ** 2) + x.ravel()[5])(x)
        np.testing.assert_array_equal(found, expected)
        assert found.dtype.isnative
    np.testing.assert_array_equal(cr.jvp(lambda x: x * 2, (y,), (y,))[1], 2 * x)
    np.testing.assert_array_equal(cr.vmap(np.sum)(y), x.sum(axis=1))


def test_read_only_arguments():
    x = V.copy()
    x.flags.writeable = False
    np.testing.assert_allclose(cr.grad(lambda x: np.sum(x * x))(x), 2 * V)

    def writes(x):
        x[0] = x[1] * 5
        return np.sum(x)

    np.testing.assert_allclose(cr.grad(writes)(x), [0.0, 6.0, 1.0])
    assert x[0] == V[0]


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1,), (1, 1)])
def test_shapes_at_the_border(shape):
    array = np.full(shape, 2.0)
    for x in {(): [array, array[()], 2.0]}.get(shape, [array]):
        found = cr.grad(lambda x: np.sum(x**3))(x)
        assert np.shape(found) == shape
        np.testing.assert_array_equal(found, np.full(shape, 12.0))
        out, tangent = cr.jvp(lambda x: x * x, (x,), (x,))
        assert np.shape(out) == np.shape(tangent) == shape
        assert np.shape(cr.jacrev(lambda x: x * x)(x)) == shape * 2
        assert np.shape(cr.jacfwd(lambda x: x * x)(x)) == shape * 2


def test_an_empty_batch():
    assert cr.vmap(lambda x: x * 2)(np.zeros((0, 3))).shape == (0, 3)


def test_the_callers_array_may_change_afterwards():
    x, scale = V.copy(), np.ones(3)
    _, pull = cr.vjp(lambda x: x * x * scale, x)
    x[:] = 100.0
    scale[:] = 100.0
    np.testing.assert_allclose(pull(np.ones(3))[0], 2 * V)


def test_a_closure_array_changed_while_tracing():
    scale = np.zeros(2)

    def f(x):
        total = 0.0
        for k in (1.0, 2.0, 3.0):
            scale[:] = k
            total = total + np.sum(x * scale)
        return total

    np.testing.assert_allclose(cr.grad(f)(np.ones(2)), [6.0, 6.0])


# ---- results that were filled element by element ------------------------------------------------


def filled_buffer(x):
    out = np.zeros(3)
    for k in range(3):
        out[k] = x * k
    return out


def written_array(x):
    y = np.stack([x, x, x])
    for k in range(3):
        y[k] = x * k
    return y


def view_of_a_buffer(x):
    out = np.zeros((2, 3))
    for k in range(3):
        out[1, k] = x * k
    return out[1]


DERIVATIVES = {
    "jvp": lambda f: cr.jvp(f, (2.0,), (1.0,))[1],
    "vjp": lambda f: [cr.vjp(f, 2.0)[1](row)[0] for row in np.eye(3)],
    "linearize": lambda f: cr.linearize(f, 2.0)[1](1.0),
    "jacfwd": lambda f: cr.jacfwd(f)(2.0),
    "jacrev": lambda f: cr.jacrev(f)(2.0),
    "vmap of jacfwd": lambda f: cr.vmap(cr.jacfwd(f))(np.full(2, 2.0))[1],
    "jacfwd of vmap": lambda f: cr.jacfwd(lambda x: cr.vmap(f)(np.stack([x, x]))[1])(2.0),
    "jacrev of checkpoint": lambda f: cr.jacrev(cr.checkpoint(f))(2.0),
    "grad of a sum": lambda f: cr.vmap(lambda w: cr.grad(lambda x: np.sum(f(x) * w))(2.0))(
        np.eye(3)
    ),
    "auxiliary": lambda f: cr.jacfwd(
        lambda x: cr.grad(lambda y: (y * y, f(x)), has_aux=True)(x)[1]
    )(2.0),
    "program": lambda f: cr.jacfwd(lambda x: run(cr.trace(f, 2.0), x))(2.0),
}


@pytest.mark.parametrize("how", DERIVATIVES)
@pytest.mark.parametrize("f", [filled_buffer, written_array, view_of_a_buffer])
def test_results_filled_element_by_element(f, how):
    np.testing.assert_allclose(DERIVATIVES[how](f), [0.0, 1.0, 2.0])
    if how in ("jvp", "linearize", "jacfwd", "jacrev"):
        nested = DERIVATIVES[how](lambda x: {"a": (f(x), x)})
        np.testing.assert_allclose(nested["a"][0], [0.0, 1.0, 2.0])
