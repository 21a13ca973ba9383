"""Initialisers: the same numbers from the same seed, the right spread, and clear refusals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.registry import deserialize, get, serialize
from chainrule.nn import constraints as C
from chainrule.nn import initializers as I
from chainrule.nn import regularizers as R

KINDS = """Zeros Ones Constant Identity RandomNormal RandomUniform TruncatedNormal VarianceScaling
    GlorotUniform GlorotNormal HeUniform HeNormal LecunUniform LecunNormal Orthogonal""".split()
RANDOM = [name for name in KINDS if name not in ("Zeros", "Ones", "Constant", "Identity")]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shape_and_type(name: str, dtype: str) -> None:
    made = getattr(I, name)()((3, 4), dtype, seed=0)
    assert type(made) is np.ndarray
    assert made.shape == (3, 4)
    assert made.dtype == dtype
    assert made.flags.c_contiguous
    assert made.flags.writeable


@pytest.mark.parametrize("name", RANDOM)
def test_seeds(name: str) -> None:
    kind = getattr(I, name)

    def draw(**given: Any) -> np.ndarray:
        own = {"seed": given.pop("own")} if "own" in given else {}
        return kind(**own)((4, 5), **given)

    np.testing.assert_array_equal(draw(seed=3), draw(seed=3))
    np.testing.assert_array_equal(draw(own=3), draw(own=3, seed=8))
    np.testing.assert_array_equal(draw(own=3), draw(seed=3))
    assert np.any(draw(seed=3) != draw(seed=4))
    assert np.any(draw() != draw())
    sequence = np.random.SeedSequence([1, 2])
    np.testing.assert_array_equal(draw(seed=sequence), draw(seed=np.random.SeedSequence([1, 2])))
    generator = np.random.Generator(np.random.Philox(3))
    np.testing.assert_array_equal(draw(seed=generator), draw(seed=3))
    assert np.any(draw(seed=generator) != draw(seed=3))


def test_numbers_never_change() -> None:
    """A seed of today gives these weights in ten years."""
    made = I.GlorotUniform(seed=1)((2, 2), "float64")
    raw = np.random.Generator(np.random.Philox(1)).random((2, 2))
    np.testing.assert_array_equal(made, math.sqrt(0.5) * math.sqrt(3) * (2 * raw - 1))


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("GlorotUniform", 2 / (200 + 400)),
        ("GlorotNormal", 2 / (200 + 400)),
        ("HeUniform", 2 / 200),
        ("HeNormal", 2 / 200),
        ("LecunUniform", 1 / 200),
        ("LecunNormal", 1 / 200),
    ],
)
def test_spread(name: str, variance: float) -> None:
    made = getattr(I, name)(seed=0)((200, 400), "float64")
    assert made.var() == pytest.approx(variance, rel=0.02)
    assert abs(made.mean()) < 4 * math.sqrt(variance / made.size)
    bound = math.sqrt(3) if name.endswith("Uniform") else 2 / 0.87962566103423978
    assert np.abs(made).max() <= bound * math.sqrt(variance)


def test_receptive_fields_count() -> None:
    kernel = I.HeNormal(seed=0)((3, 3, 64, 16), "float64")
    assert kernel.var() == pytest.approx(2 / (9 * 64), rel=0.05)
    heads = I.LecunNormal(seed=0, input_axes=[0], output_axes=[1, 2])((64, 8, 40), "float64")
    assert heads.var() == pytest.approx(1 / 64, rel=0.05)


def test_truncated_normal_stays_inside() -> None:
    made = I.TruncatedNormal(mean=1.0, stddev=2.0, seed=0)((100_000,), "float64")
    assert np.abs(made - 1).max() <= 4.0
    assert made.std() == pytest.approx(2 * 0.87962566103423978, rel=0.01)


@pytest.mark.parametrize("shape", [(6, 3), (3, 6), (4, 4), (2, 3, 3, 5)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    matrix = I.Orthogonal(gain=2.0, seed=0)(shape, "float64").reshape(-1, shape[-1])
    small = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    np.testing.assert_allclose(small @ small.T, 4 * np.eye(len(small)), atol=1e-13)


def test_constant_of_an_array() -> None:
    np.testing.assert_array_equal(I.Constant([1, 2])((3, 2)), [[1, 2]] * 3)
    with pytest.raises(cr.ShapeError, match="doesn't fit the weight"):
        I.Constant([1, 2, 3])((3, 2))


def test_refusals() -> None:
    for make in (
        lambda: I.VarianceScaling(scale=0.0),
        lambda: I.VarianceScaling(mode="fan"),
        lambda: I.VarianceScaling(distribution="cauchy"),
        lambda: I.RandomNormal(seed=0.5),
        lambda: R.L2(-1.0),
        lambda: R.L1(float("nan")),
        lambda: R.OrthogonalRegularizer(mode="both"),
    ):
        with pytest.raises(cr.ArgumentError):
            make()
    with pytest.raises(cr.ShapeError):
        I.Identity()((2, 2, 2))
    with pytest.raises(cr.ShapeError):
        I.Orthogonal()((3,))
    with pytest.raises(cr.ShapeError):
        R.OrthogonalRegularizer()(np.zeros(3))
    with pytest.raises(cr.ArgumentError, match="float32 or float64"):
        I.Zeros()((2,), "int32")


PARTS = [
    ("initializer", I.VarianceScaling(3.0, "fan_out", "uniform", 7, [0], [1])),
    *(("initializer", getattr(I, name)(seed=5)) for name in RANDOM),
    ("initializer", I.Constant([[1.0, 2.0]])),
    ("initializer", I.Identity(3.0)),
    ("initializer", I.Zeros()),
    ("regularizer", R.L1(0.2)),
    ("regularizer", R.L2(0.2)),
    ("regularizer", R.L1L2(0.1, 0.2)),
    ("regularizer", R.ElasticNet(0.1, 0.2)),
    ("regularizer", R.OrthogonalRegularizer(0.3, "columns")),
    ("constraint", C.MaxNorm(3, (0, 1))),
    ("constraint", C.NonNeg()),
    ("constraint", C.UnitNorm(1)),
    ("constraint", C.MinMaxNorm(0.1, 0.9, 0.5, 1)),
]


@pytest.mark.parametrize(("kind", "part"), PARTS, ids=lambda value: type(value).__name__)
def test_configs_come_back(kind: str, part: Any) -> None:
    again = deserialize(serialize(part), kind)
    assert type(again) is type(part)
    assert again.get_config() == part.get_config()


def test_names_of_keras() -> None:
    for name in "glorot_uniform he_normal lecun_uniform zeros ones orthogonal identity".split():
        assert get("initializer", name)((2, 2), seed=0).shape == (2, 2)
    assert type(get("regularizer", "l1_l2")) is R.L1L2
    assert type(get("regularizer", "l2")) is R.L2
    assert type(get("constraint", "max_norm")) is C.MaxNorm


def test_elastic_net_of_the_lectures() -> None:
    """λ Σ βW² + |W|; L2 has no ½."""
    w = np.array([[1.0, -2.0], [0.0, 3.0]])
    value, gradient = cr.value_and_grad(R.ElasticNet(0.1, 0.5))(w)
    assert value == pytest.approx(0.1 * (0.5 * 14 + 6))
    np.testing.assert_allclose(gradient, 0.1 * (w + np.sign(w)))
    np.testing.assert_allclose(cr.grad(R.L2(0.1))(w), 0.2 * w)


def test_penalties_and_constraints_compile() -> None:
    w = np.array([[3.0, 0.1], [4.0, 0.2]], np.float32)
    for kind, part in PARTS:
        if kind != "initializer":
            np.testing.assert_allclose(cr.jit(part)(w), part(w), rtol=1e-6)
            assert cr.jit(part)(w).dtype == np.float32
