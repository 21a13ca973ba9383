"""What outside review found: everyday code whose result or message was wrong."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

import chainrule as cr

W = np.array([0.5, -1.2, 2.0, 0.3])
M = np.array([[0.3, 1.2, -0.4], [0.8, -0.5, 1.1], [1.5, 0.2, 0.9], [-0.7, 0.6, 0.1]])
LABELS = np.array([0, 2, 1, 2])
MASKED = np.ma.array(np.ones(4), mask=[0, 1, 0, 0])


def filled_masked_array(x):
    held = np.ma.zeros(4)
    held[:] = x
    return held.sum()


def written_masked_list(x):
    held = np.ma.array([0.0, 0.0, 0.0, 0.0], mask=[0, 1, 0, 0])
    held[:] = x
    return held.sum()


def masked_view_of_zeros(x):
    held = np.zeros(4).view(np.ma.MaskedArray)
    held[:] = x
    return held.sum()


REFUSED = {
    "a masked array times a traced one": lambda x: (MASKED * x).sum(),
    "a traced array times a masked one": lambda x: (x * MASKED).sum(),
    "choosing by a masked array": lambda x: np.where(MASKED, x, 0).sum(),
    "masking a traced array": lambda x: np.ma.masked_array(x, mask=[0, 1, 0, 0]).sum(),
    "np.ma.mean": lambda x: np.ma.mean(x),
    "writing into a masked array": filled_masked_array,
    "writing into a masked list": written_masked_list,
    "writing into a masked view": masked_view_of_zeros,
    "np.matrix times a traced array": lambda x: (np.eye(4).view(np.matrix) * x).sum(),
    "a traced array times np.matrix": lambda x: (x * np.eye(4).view(np.matrix)).sum(),
    "text added": lambda x: x + "a",
    "added to text": lambda x: "a" + x,
    "None added": lambda x: x + None,
    "a dictionary added": lambda x: x + {"a": 1},
    "None in a list": lambda x: np.array([x[0], None]).sum(),
    "text in a list": lambda x: np.array([x[0], "a"]).sum(),
    "an object array with None": lambda x: (np.array([1, 2, 3, None], dtype=object) * x).sum(),
    "text as axis": lambda x: x.sum(axis="rows"),
    "a float as axis": lambda x: x.mean(axis=0.0),
    "an axis named twice": lambda x: np.sum(np.outer(x, x), axis=(0, 0)),
    "the truth of an array": lambda x: x.sum() if x else 0.0,
    "the length of a number": lambda x: len(x[0]) * x.sum(),
    "iterating over a number": lambda x: sum(x[0]),
    "a traced float as a size": lambda x: np.zeros(x[0]).sum() + x[0],
    "rows of different lengths": lambda x: np.array([x, x[:2]]).sum(),
    "a text index": lambda x: x["a"],
    "reshaping to another size": lambda x: x.reshape(3, 2).sum(),
    "unequal parts joined": lambda x: np.concatenate([x, np.ones((2, 2))]).sum(),
    "einsum with a letter too many": lambda x: np.einsum("ij->", x),
    "np.vectorize": lambda x: np.vectorize(lambda v: v**2)(x).sum(),
    "windows longer than the array": lambda x: windows(x, 9).sum(),
    "np.cov of three axes": lambda x: np.cov(x.reshape(1, 2, 2))[0],
    "a weight too few": lambda x: np.bincount(LABELS, x[:2]).sum(),
    "text returned": lambda x: "a",
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_users_line_and_a_remedy(name):
    with pytest.raises(cr.ChainruleError) as caught:
        cr.grad(REFUSED[name])(W)
    assert caught.value.fix
    assert "test_review.py" in str(caught.value.where)


def test_a_matrix_is_not_differentiated():
    with pytest.raises(cr.DtypeError, match="matrix"):
        cr.grad(lambda m: (m * m).sum())(np.eye(2).view(np.matrix))


def test_the_fix_names_the_library_that_wanted_plain_values():
    stats = pytest.importorskip("scipy.stats")
    with pytest.raises(cr.TraceError) as caught:
        cr.grad(lambda x: stats.norm.cdf(x).sum())(W)
    assert "scipy.stats" in caught.value.fix


def test_comparing_with_none_is_still_an_answer():
    assert cr.grad(lambda x: x if x is not None and x != None else 0.0)(3.0) == 1.0  # noqa: E711


def test_an_object_array_of_numbers_counts_as_numbers():
    found = cr.grad(lambda x: (np.array([1, 2.5, 3, 4], dtype=object) * x).sum())(W)
    assert np.array_equal(found, [1, 2.5, 3, 4])


def test_a_single_number_still_refuses_length_with_a_type_error():
    def f(x):
        try:
            return sum(v for v in x)
        except TypeError:
            return x**2

    assert cr.grad(f)(3.0) == 6.0


def windows(x, shape, axis=None):
    return np.lib.stride_tricks.sliding_window_view(x, shape, axis)


EVERYDAY = {
    "cov": (lambda a: np.cov(a), M),
    "cov by columns, biased": (lambda a: np.cov(a, rowvar=False, bias=True), M),
    "cov of two": (lambda a: np.cov(a, a**2), W),
    "cov of a list": (lambda a: np.cov([a, np.sin(a)]), W),
    "cov of one": (lambda a: np.cov(a), W),
    "cov weighted": (
        lambda a: np.cov(a, fweights=np.array([1, 2, 1]), aweights=np.array([1.0, 0.5, 2.0])),
        M,
    ),
    "corrcoef": (lambda a: np.corrcoef(a), M),
    "bincount": (lambda a: np.bincount(LABELS, weights=a, minlength=5), W),
    "rows": (lambda a: np.apply_along_axis(lambda r: r**2 / np.sum(r**2), 1, a), M),
    "columns to matrices": (lambda a: np.apply_along_axis(lambda r: np.outer(r, r), 0, a), M),
    "rows with arguments": (
        lambda a: np.apply_along_axis(lambda r, k, m=1: r.sum() * k * m, -1, a, 2.0, m=3),
        M,
    ),
    "windows": (lambda a: windows(a, (2, 2)), M),
    "windows along one axis": (lambda a: windows(a, 3, 0), M),
    "windows along one axis twice": (lambda a: windows(a, (2, 2), (0, 0)), M),
    "polyval": (lambda a: np.polyval(a, np.array([0.5, 2.0])), W),
    "polyval of a list": (lambda a: np.polyval([a[0], 2.0, a[1]], a), W),
    "polyder": (lambda a: np.polyder(a, 2), W),
    "polymul": (lambda a: np.polymul(a, [1.0, 2.0]), W),
    "polyadd": (lambda a: np.polyadd(a, [1.0, 2.0]), W),
    "polysub": (lambda a: np.polysub([1.0, 2.0], a), W),
    "polyfit": (lambda a: np.polyfit(np.arange(4.0), a, 2), W),
    "logaddexp.reduce": (lambda a: np.logaddexp.reduce(a, axis=1), M),
    "ndenumerate": (lambda a: sum(v**2 * (i + 2 * j) for (i, j), v in np.ndenumerate(a)), M),
    "hypot of many": (lambda a: math.hypot(*a), W),
}


@pytest.mark.parametrize("name", EVERYDAY)
def test_everyday_numpy(name):
    f, x = EVERYDAY[name]
    value, _ = cr.jvp(f, (x,), (np.ones_like(x),))
    plain = f(x)
    assert np.shape(value) == np.shape(plain)
    assert np.result_type(value) == np.result_type(plain)
    assert np.allclose(value, plain, rtol=1e-12)
    cr.check_grads(f, (x,), order=2)
    stack = np.stack([x, x + 0.1])
    both = cr.vmap(f)(stack)
    assert np.allclose(both, np.stack([f(stack[0]), f(stack[1])]), rtol=1e-12)


def test_scipys_functions_are_named_without_their_files():
    special = pytest.importorskip("scipy.special")
    assert special is sys.modules["scipy.special"]
    with pytest.raises(cr.UnsupportedError) as caught:
        cr.grad(lambda x: np.poly(x)[0])(W)
    assert "._" not in caught.value.fix


# ---- all orders of the modes ---------------------------------------------------------------------

MODES = {"forward": cr.jacfwd, "reverse": cr.jacrev}
POINT = np.array([0.7, -1.3, 2.1])
MATRIX = np.array([[2.0, 0.3, 0.1], [0.2, 1.5, 0.4], [0.5, 0.1, 3.0]])
SECOND = {
    "imaginary part": (lambda x: np.sum(np.imag(x * (1 + 2j)) ** 3), POINT),
    "imaginary part of a spectrum": (lambda x: np.sum(np.imag(np.fft.rfft(x)) ** 3), POINT),
    "real from a spectrum": (lambda x: np.sum(np.fft.irfft(x + 1j * x**2, n=4) ** 3), POINT),
    "a chosen imaginary part": (lambda x: np.imag(np.exp(1j * x**2)[1:]).sum() ** 2, POINT),
    "angle": (lambda x: np.angle(x[0] + 1j * x[1]) * np.angle(np.exp(1j * x))[2], POINT),
    "complex product": (lambda x: np.imag((np.outer(x, x) * (1 + 1j)) @ (x * 1j))[1] ** 2, POINT),
    "solve": (lambda a: np.sum(np.linalg.solve(a, a[0]) ** 2), MATRIX),
    "solve for many": (lambda a: np.sum(np.linalg.solve(a, a.T @ a) ** 3), MATRIX),
    "cholesky": (lambda a: np.sum(np.linalg.cholesky(a @ a.T) ** 3), MATRIX),
}


@pytest.mark.parametrize("name", SECOND)
def test_second_derivatives_by_every_order_of_modes(name):
    """Patterns of what a tangent reaches, made of real numbers, lost every imaginary part."""
    f, x = SECOND[name]
    gradient = cr.grad(f)
    ahead, behind = np.empty((x.size, *x.shape)), np.empty((x.size, *x.shape))
    for k in range(x.size):
        step = np.zeros(x.size)
        step[k] = 1e-5
        ahead[k] = gradient(x + step.reshape(x.shape))
        behind[k] = gradient(x - step.reshape(x.shape))
    expected = np.moveaxis((ahead - behind) / 2e-5, 0, -1).reshape(x.shape * 2)
    for outer in MODES.values():
        for inner in MODES.values():
            assert np.allclose(outer(inner(f))(x), expected, rtol=1e-5, atol=1e-5)


def test_third_derivatives_by_every_order_of_modes():
    f, x = SECOND["real from a spectrum"]
    expected = cr.jacfwd(cr.jacfwd(cr.jacfwd(f)))(x)
    for a in MODES.values():
        for b in MODES.values():
            for c in MODES.values():
                assert np.allclose(a(b(c(f)))(x), expected, atol=1e-9)


def test_a_rule_within_a_checkpoint_under_vmap():
    """The body of the checkpoint is traced without values; that alone isn't a linear map."""

    @cr.custom_jvp
    def f(x):
        return np.tanh(x) * x

    @f.defjvp
    def _(primals, tangents):
        (x,), (t,) = primals, tangents
        return f(x), (np.tanh(x) + x / np.cosh(x) ** 2) * t

    slope = cr.checkpoint(lambda x: np.sum(cr.jvp(f, (x,), (x**2,))[1]))
    plain = cr.checkpoint(lambda x: np.sum((np.tanh(x) + x / np.cosh(x) ** 2) * x**2))
    stack = np.stack([POINT, POINT + 0.1])
    assert np.allclose(cr.vmap(slope)(stack), cr.vmap(plain)(stack))
    assert np.allclose(cr.vmap(cr.grad(slope))(stack), cr.vmap(cr.grad(plain))(stack))


# ---- dtypes as NumPy has them --------------------------------------------------------------------

NARROW = {
    "dot with a number": lambda a: np.dot(2.0, a),
    "inner with a number": lambda a: np.inner(a, 2),
    "kron with a number": lambda a: np.kron(2.0, a),
    "vander": lambda a: np.vander(a),
    "polyval at a number": lambda a: np.polyval(a, 2.0),
    "quantile": lambda a: np.quantile(a, 0.3),
    "quantiles": lambda a: np.quantile(a, [0.3, 0.5]),
    "percentile": lambda a: np.percentile(a, 30),
    "percentiles": lambda a: np.percentile(a, [30, 50]),
    "gradient": lambda a: np.gradient(a),
    "gradient with spacing": lambda a: np.gradient(a, np.array([0.0, 1.0, 3.0])),
    "linspace from a number": lambda a: np.linspace(0, a[1], 4),
    "linspace to a number": lambda a: np.linspace(a[1], 2.5, 4),
    "geomspace": lambda a: np.geomspace(1.0, a[2], 4),
    "a number times it": lambda a: 2.0 * a,
}


@pytest.mark.parametrize("name", NARROW)
def test_float32_stays_or_widens_as_in_numpy(name):
    x = np.array([0.7, -1.3, 2.1], np.float32)
    value, tangent = cr.jvp(NARROW[name], (x,), (x,))
    plain = NARROW[name](x)
    assert value.dtype == tangent.dtype == plain.dtype
    assert np.allclose(value, plain, rtol=1e-6, atol=1e-6)


# ---- points where nothing can be said ------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize(
    "method",
    [cr.compare, lambda f, x: cr.check_grads(f, (x,)), lambda f, x: cr.finite_difference(f)(x)],
    ids=["compare", "check_grads", "finite_difference"],
)
def test_arguments_must_be_finite(method, bad):
    with pytest.raises(cr.DomainError, match="the arguments must be finite") as caught:
        method(lambda x: np.sum(x**2), np.array([1.0, bad]))
    assert caught.value.fix == "choose a point with finite entries"


def test_comparing_outside_the_domain():
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(cr.DomainError, match="has no value at this point"),
    ):
        cr.compare(np.log, -1.0)


@pytest.mark.parametrize("argument", ["a", {1}, np.array(["a"])])
def test_tracing_what_is_no_number(argument):
    with pytest.raises(cr.DtypeError, match="isn't a number") as caught:
        cr.trace(lambda x: x, argument)
    assert caught.value.fix


WITH_REMEDY = {
    "argnums by name": lambda: cr.grad(np.sum, argnums="x")(W),
    "argnums twice": lambda: cr.grad(np.dot, argnums=(0, 0))(W, W),
    "in_axes too many": lambda: cr.vmap(np.sin, in_axes=(0, 0))(W),
    "batches of two lengths": lambda: cr.vmap(np.add)(W, W[:2]),
    "an axis that the result lacks": lambda: cr.vmap(np.sin, out_axes=2)(W),
    "a cotangent of another tree": lambda: cr.vjp(np.sin, W)[1]((W, W)),
    "a step of zero": lambda: cr.finite_difference(np.sin, step=0.0),
    "an unknown mode": lambda: cr.check_grads(np.sin, (W,), modes=("sideways",)),
    "an order of zero": lambda: cr.check_grads(np.sin, (W,), order=0),
    "a mask too short": lambda: cr.grad(lambda x: x[np.array([True, False])].sum())(W),
    "too many indices": lambda: cr.vmap(lambda x: x[0, 1])(W),
    "a shape it can't broadcast to": lambda: cr.grad(lambda x: np.broadcast_to(x, (3, 5))[0, 0])(W),
}


@pytest.mark.parametrize("name", WITH_REMEDY)
def test_an_error_says_what_to_do(name):
    with pytest.raises(cr.ChainruleError) as caught:
        WITH_REMEDY[name]()
    assert caught.value.fix
    assert "test_review.py" in str(caught.value.where)
