"""Random numbers: NumPy's own bits, on both engines, batched, in loops, by threads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule import random
from chainrule.base.distributions import address
from chainrule.base.trees import flatten
from chainrule.ops import draw_loops

SEEDS = st.one_of(st.integers(0, 100), st.integers(0, 2**128 - 1))
SHAPES = st.lists(st.integers(0, 7), max_size=3).map(tuple)
FLOATS = st.sampled_from([np.float64, np.float32])
ENGINES = ("llvm", "numpy")


def numpys(seed):
    return np.random.Generator(np.random.Philox(key=seed))


def equal(found, wanted):
    wanted = np.asarray(wanted)
    assert np.shape(found) == wanted.shape
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted)


def both(draw, seed):
    """The numbers drawn at once, and by compiled code that is given the key."""
    now = draw(seed)
    key = random.key(seed)
    equal(draw(key), now)
    for engine in ENGINES:
        with cr.settings(engine=engine):
            equal(cr.jit(draw)(key), now)
    return now


def test_the_public_names():
    assert cr.random is random
    assert "random" in dir(cr)
    for name in random.__all__:
        summary = getattr(random, name).__doc__.splitlines()[0]
        assert summary.endswith(".")
        assert len(summary) <= 80


# ---- bit for bit ---------------------------------------------------------------------------------

few = settings(max_examples=10)


@few
@given(SEEDS, SHAPES)
def test_bits(seed, shape):
    equal(both(lambda k: random.bits(k, shape), seed), numpys(seed).integers(0, 2**64, shape, "u8"))
    words = both(lambda k: random.bits(k, shape, np.uint32), seed)
    equal(words, numpys(seed).integers(0, 2**32, shape, "u4"))


@few
@given(SEEDS, SHAPES, FLOATS)
def test_uniform(seed, shape, dtype):
    found = both(lambda k: random.uniform(k, shape, dtype=dtype), seed)
    equal(found, numpys(seed).random(shape, dtype))


@few
@given(SEEDS, SHAPES, st.floats(-3, 3), st.floats(0, 3))
def test_uniform_between(seed, shape, low, width):
    found = both(lambda k: random.uniform(k, shape, low, low + width), seed)
    equal(found, numpys(seed).uniform(low, low + width, shape))


@few
@given(SEEDS, SHAPES, FLOATS)
def test_normal(seed, shape, dtype):
    found = both(lambda k: random.normal(k, shape, dtype=dtype), seed)
    equal(found, numpys(seed).standard_normal(shape, dtype))


@few
@given(SEEDS, SHAPES, st.floats(-3, 3), st.floats(0, 3))
def test_normal_elsewhere(seed, shape, loc, scale):
    found = both(lambda k: random.normal(k, shape, loc, scale), seed)
    equal(found, numpys(seed).normal(loc, scale, shape))


@few
@given(SEEDS, SHAPES, FLOATS)
def test_exponential(seed, shape, dtype):
    found = both(lambda k: random.exponential(k, shape, dtype=dtype), seed)
    equal(found, numpys(seed).standard_exponential(shape, dtype))


@few
@given(SEEDS, SHAPES, FLOATS)
def test_truncated_normal(seed, shape, dtype):
    found = both(lambda k: random.truncated_normal(k, shape, dtype=dtype), seed)
    stream = numpys(seed).standard_normal(2 * found.size + 60, dtype)
    equal(found, stream[np.abs(stream) <= 2][: found.size].reshape(shape))


@few
@given(SEEDS, SHAPES)
def test_gumbel(seed, shape):
    found = random.gumbel(seed, shape, 1.0, 2.0)
    np.testing.assert_allclose(found, numpys(seed).gumbel(1.0, 2.0, shape), rtol=1e-13, atol=1e-13)
    compiled = cr.jit(lambda k: random.gumbel(k, shape, 1.0, 2.0))(random.key(seed))
    np.testing.assert_allclose(compiled, found, rtol=1e-13, atol=1e-13)


@few
@given(SEEDS, st.floats(0, 1), SHAPES, FLOATS)
def test_bernoulli(seed, p, shape, dtype):
    found = both(lambda k: random.bernoulli(k, p, shape, dtype), seed)
    equal(found, numpys(seed).random(shape, dtype) < p)


@few
@given(SEEDS, st.integers(-5, 5), st.integers(1, 2**40), SHAPES)
def test_integers(seed, low, count, shape):
    found = both(lambda k: random.integers(k, low, low + count, shape), seed)
    equal(found, numpys(seed).integers(low, low + count, shape))


@pytest.mark.parametrize("dtype", ["u1", "i2", "u4", "i4", "u8"])
def test_integers_of_other_types(dtype):
    found = both(lambda k: random.integers(k, 100, shape=33, dtype=dtype), 4)
    equal(found, numpys(4).integers(100, size=33, dtype=dtype))


@few
@given(SEEDS, st.integers(0, 50))
def test_permutation(seed, n):
    equal(both(lambda k: random.permutation(k, n), seed), numpys(seed).permutation(n))
    rows = np.arange(2.0 * n).reshape(n, 2)
    equal(both(lambda k: random.permutation(k, rows), seed), numpys(seed).permutation(rows))
    columns = both(lambda k: random.permutation(k, rows.T, axis=1), seed)
    equal(columns, numpys(seed).permutation(rows.T, axis=1))


@few
@given(SEEDS, st.integers(1, 50), SHAPES)
def test_choice(seed, n, shape):
    equal(both(lambda k: random.choice(k, n, shape), seed), numpys(seed).choice(n, shape))
    rows = np.arange(3.0 * n).reshape(3, n)
    found = both(lambda k: random.choice(k, rows, shape, axis=1), seed)
    equal(found, numpys(seed).choice(rows, shape, axis=1))
    p = np.arange(1.0, n + 1) / np.sum(np.arange(1.0, n + 1))
    equal(both(lambda k: random.choice(k, n, shape, p=p), seed), numpys(seed).choice(n, shape, p=p))
    if np.prod(shape, dtype=int) <= n:
        found = both(lambda k: random.choice(k, n, shape, replace=False), seed)
        equal(found, numpys(seed).choice(n, shape, replace=False))


# ---- keys ----------------------------------------------------------------------------------------


@few
@given(SEEDS, st.integers(0, 9), st.integers(0, 2**64 - 1))
def test_keys_from_keys(seed, n, data):
    equal(random.key(seed), np.random.Philox(key=seed).state["state"]["key"])
    words = np.random.Philox(key=seed, counter=2**192).random_raw(2 * n)
    equal(both(lambda k: random.split(k, n), seed), words.reshape(n, 2))
    folded = np.random.Philox(key=seed, counter=data + 2**193).random_raw(2)
    equal(both(lambda k: random.fold_in(k, data), seed), folded)
    for engine in ENGINES:
        with cr.settings(engine=engine):
            equal(cr.jit(random.fold_in)(random.key(seed), np.uint64(data)), folded)


@pytest.mark.parametrize("engine", ENGINES)
def test_seeds_as_arguments(engine):
    with cr.settings(engine=engine):
        compiled = cr.jit(lambda seed: (random.key(seed), random.uniform(seed, 3)))
        for seed in (0, 7, 2**62, np.int64(9), np.uint64(2**64 - 1), np.array(3), random.key(5)):
            plain = seed if np.ndim(seed) else int(seed)
            key, numbers = compiled(seed)
            equal(key, random.key(plain))
            equal(numbers, random.uniform(plain, 3))


def test_streams_do_not_meet():
    """Neither keys of one another, nor what is drawn and what is split off."""
    seen = np.concatenate(
        [
            random.bits(3, 8),
            random.split(3, 4).ravel(),
            *[random.fold_in(3, step) for step in range(4)],
            *[random.bits(key, 8) for key in random.split(3, 4)],
        ]
    )
    assert len(np.unique(seen)) == len(seen)


def test_moments():
    """Of a kind each, far within what chance allows, for these seeds."""
    n = 100_000
    for x, mean, deviation in [
        (random.uniform(1, n, dtype=np.float32), 0.5, 12**-0.5),
        (random.normal(2, n), 0.0, 1.0),
        (random.truncated_normal(3, n, 1.0, 2.0), 1.0, 2 * 0.87962566103423978),
        (random.exponential(4, n, 3.0), 3.0, 3.0),
        (random.gumbel(5, n, dtype=np.float32), 0.5772156649, np.pi / 6**0.5),
        (random.bernoulli(6, 0.2, n), 0.2, 0.4),
        (random.categorical(7, np.log([0.5, 0.5]), shape=n), 0.5, 0.5),
    ]:
        assert abs(x.mean() - mean) < 4 * deviation / n**0.5
        assert abs(x.std() - deviation) < 0.01 * deviation


def test_the_smallest_uniform_number_has_a_gumbel_number():
    """Of float32's uniform numbers one in 2**24 is 0, whose logarithm is infinite."""
    seed, n = 368, 20000
    u = random.uniform(seed, n, dtype=np.float32)
    assert u.min() == 0
    assert np.isfinite(random.gumbel(seed, n, dtype=np.float32)).all()


# ---- batched, in loops, by threads ---------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "draw",
    [
        lambda k: random.uniform(k, (2, 3), dtype=np.float32),
        lambda k: random.normal(k, 4),
        lambda k: random.bernoulli(k, np.array([0.1, 0.9]), 2),
        lambda k: random.permutation(k, 6),
        lambda k: random.split(k, 3),
        lambda k: random.fold_in(k, 2),
        lambda k: random.integers(k, 10, shape=5),
        lambda k: random.categorical(k, np.zeros(4)),
    ],
)
def test_many_keys_at_once(draw, engine):
    keys = random.split(1, 6)
    with cr.settings(engine=engine):
        equal(cr.vmap(draw)(keys), np.stack([draw(key) for key in keys]))
        equal(cr.jit(cr.vmap(draw))(keys), np.stack([draw(key) for key in keys]))
        nested = cr.jit(cr.vmap(cr.vmap(draw)))(keys.reshape(2, 3, 2))
        equal(nested, np.stack([draw(key) for key in keys]).reshape(2, 3, *np.shape(draw(keys[0]))))


def test_many_numbers_folded_in():
    steps = np.arange(4)
    found = cr.jit(cr.vmap(random.fold_in, in_axes=(None, 0)))(random.key(0), steps)
    equal(found, np.stack([random.fold_in(0, step) for step in steps]))
    keys = random.split(0, 4)
    rows = cr.vmap(random.fold_in)(keys, steps)
    equal(
        rows, np.stack([random.fold_in(key, step) for key, step in zip(keys, steps, strict=True)])
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_in_loops(engine):
    def walk(seed):
        def step(carry, number):
            key, place = carry
            key, own = random.split(key)
            place = place + random.normal(own, 2) * random.bernoulli(own, 0.5, 2)
            return (key, place), random.uniform(random.fold_in(own, number), 3, dtype=np.float32)

        return cr.scan(step, (random.key(seed), np.zeros(2)), np.arange(4))

    with cr.settings(engine=engine):
        (key, place), rows = cr.jit(walk)(5)
    own_key, own_place, own_rows = random.key(5), np.zeros(2), []
    for number in range(4):
        own_key, own = random.split(own_key)
        own_place = own_place + random.normal(own, 2) * random.bernoulli(own, 0.5, 2)
        own_rows.append(random.uniform(random.fold_in(own, number), 3, dtype=np.float32))
    equal(key, own_key)
    equal(rows, np.stack(own_rows))
    np.testing.assert_allclose(place, own_place, rtol=1e-15)


@pytest.mark.parametrize("draw", [random.bits, random.uniform, random.normal])
def test_the_same_for_any_number_of_threads(draw):
    shape = (3, 20_011)
    wanted = draw(9, shape)
    for threads in (1, 2, 4):
        with cr.settings(threads=threads):
            equal(cr.jit(lambda k: draw(k, shape))(random.key(9)), wanted)
            keys = random.split(9, 3)
            rows = cr.jit(cr.vmap(lambda k: draw(k, 20_011)))(keys)
            equal(rows, np.stack([draw(key, 20_011) for key in keys]))


def drawn_in_all_ways(k):
    mask = random.bernoulli(k, np.float32(0.5), (4, 5), np.float32)
    normal = random.normal(k, 5), random.truncated_normal(k, 5, dtype=np.float32)
    whole = random.integers(k, 5, shape=3), random.permutation(k, 7)
    return random.uniform(k, 3), random.split(k), mask, random.exponential(k, 2), normal, whole


CALLED_BACK = "call i32 %"  # an address that the context has


def test_what_is_drawn_has_native_code():
    key = random.key(0)
    text = cr.jit(drawn_in_all_ways).llvm(key)
    assert "@cr.random.words" in text
    if address("random_interval") is not None:
        assert CALLED_BACK not in text


def test_where_numpys_functions_are_not_to_be_found(monkeypatch):
    """As on Windows: NumPy itself is called back, and the numbers are the same."""
    key = random.key(1)
    wanted = flatten(cr.jit(drawn_in_all_ways)(key))[0]
    monkeypatch.setattr(draw_loops, "address", lambda name: None)
    monkeypatch.setenv("CHAINRULE_CACHE", "off")
    compiled = cr.jit(drawn_in_all_ways)
    for found, own in zip(flatten(compiled(key))[0], wanted, strict=True):
        equal(found, own)
    assert CALLED_BACK in compiled.llvm(key)


# ---- derivatives ---------------------------------------------------------------------------------


def test_derivatives_go_through_the_parameters():
    z, u = random.normal(0, 3), random.uniform(0, 3)
    e, t, g = random.exponential(0, 3), random.truncated_normal(0, 3), random.gumbel(0, 3)
    for draw, by_first, by_second in [
        (random.normal, np.ones(3), z),
        (random.truncated_normal, np.ones(3), t),
        (random.gumbel, np.ones(3), g),
        (random.uniform, 1 - u, u),
    ]:
        for derivative in (cr.jacfwd, cr.jacrev):
            jacobian = derivative(lambda a, b, d=draw: d(0, 3, a, b), argnums=(0, 1))
            first, second = jacobian(0.5, 2.0)
            np.testing.assert_allclose(first, by_first, rtol=1e-15)
            np.testing.assert_allclose(second, by_second, rtol=1e-15)
    slope = cr.jacobian(lambda s: random.exponential(0, 3, s))(2.0)
    np.testing.assert_allclose(slope, e, rtol=1e-15)


def test_the_derivative_of_dropout():
    x = np.linspace(1.0, 2.0, 6)

    def loss(x, key):
        return np.sum(np.where(random.bernoulli(key, 0.5, 6), x, 0) ** 2)

    kept = random.bernoulli(4, 0.5, 6)
    for gradient in (cr.grad(loss), cr.jit(cr.grad(loss))):
        np.testing.assert_array_equal(gradient(x, random.key(4)), np.where(kept, 2 * x, 0))


def test_derivatives_of_what_is_taken():
    x = np.arange(4.0)
    order = random.permutation(2, 4)
    jacobian = cr.jacobian(lambda x: random.permutation(2, x))(x)
    equal(jacobian, np.eye(4)[order])
    places = random.choice(2, 4, 3)
    equal(cr.jacobian(lambda x: random.choice(2, x, 3))(x), np.eye(4)[places])


# ---- categorical ---------------------------------------------------------------------------------


def test_categorical_shapes():
    logits = np.log(np.array([[0.1, 0.9, 1e-300], [1.0, 1e-300, 1e-300]]))
    assert random.categorical(0, logits).shape == (2,)
    assert random.categorical(0, logits, axis=0).shape == (3,)
    many = random.categorical(0, logits, shape=(50, 2))
    assert many.shape == (50, 2)
    assert many.dtype == np.int64
    assert set(many[:, 0]) == {0, 1}
    assert set(many[:, 1]) == {0}
    assert random.categorical(0, logits.astype(np.float32)).shape == (2,)
