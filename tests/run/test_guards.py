"""What a compiled function reads besides its arguments: it never runs stale."""

import enum
import functools
import sys
import types

import numpy as np
import pytest

import chainrule as cr

X = np.array([0.5, -1.5, 2.0])


@pytest.fixture(params=["numpy", "llvm"], autouse=True)
def engine(request):
    """Both engines; the second as it is without any settings, when calls go straight to it."""
    if request.param == "llvm":
        yield
        return
    with cr.settings(engine="numpy"):
        yield


def follows(f, *changes, x=X, traces=None):
    """The compiled function gives what the function gives, after each change and again after."""
    compiled = cr.jit(f)
    np.testing.assert_array_equal(compiled(x), f(x))
    for change in changes:
        change()
        np.testing.assert_array_equal(compiled(x), f(x))
        np.testing.assert_array_equal(compiled(x), f(x))
    if traces is not None:
        assert sum(map(len, compiled._cache.variants.values())) == traces
    return compiled


# ---- globals -------------------------------------------------------------------------------------

RATE = 1.0
TABLE = {"rate": 1.0, "inner": {"deep": [1.0, 2.0]}}
ITEMS = [1.0, 2.0]
CHOICES = {"a"}
WEIGHTS = np.array([1.0, 2.0, 3.0])


def set_global(name, value):
    globals()[name] = value


def test_a_rebound_global():
    follows(lambda x: x * RATE, lambda: set_global("RATE", 5.0), lambda: set_global("RATE", 1.0))


def test_a_global_of_another_type():
    x = X.astype(np.float32)
    follows(
        lambda x: x * RATE,
        lambda: set_global("RATE", 1),
        lambda: set_global("RATE", np.float64(1.0)),
        lambda: set_global("RATE", 1.0),
        x=x,
    )
    compiled = cr.jit(lambda x: x * RATE)
    for value in (1.0, np.float64(1.0), 1):
        set_global("RATE", value)
        assert compiled(x).dtype == (x * value).dtype
    set_global("RATE", 1.0)


def test_an_equal_value_needs_no_new_trace():
    compiled = follows(lambda x: x * RATE, lambda: set_global("RATE", float("1.0" + "0")), traces=1)
    assert compiled(X) is not None


def test_values_that_come_and_go_are_traced_once_each():
    changes = [functools.partial(set_global, "RATE", v) for v in (2.0, 1.0, 2.0, 1.0)]
    follows(lambda x: x * RATE, *changes, traces=2)


def test_items_of_dictionaries_and_lists():
    def restore():
        TABLE["inner"]["deep"][1] = 2.0

    follows(
        lambda x: x * TABLE["rate"] + TABLE["inner"]["deep"][1],
        lambda: TABLE.__setitem__("rate", 7.0),
        lambda: TABLE["inner"]["deep"].__setitem__(1, 9.0),
        lambda: TABLE["inner"].__setitem__("deep", [0.0, 3.0]),
        lambda: TABLE["inner"].__setitem__("deep", [1.0, 2.0]),
        restore,
    )
    TABLE["rate"] = 1.0


def test_lists_that_grow_or_shrink():
    follows(
        lambda x: x * sum(ITEMS) + len(ITEMS),
        lambda: ITEMS.append(4.0),
        lambda: ITEMS.pop(0),
        lambda: ITEMS.clear(),
        lambda: ITEMS.extend([1.0, 2.0]),
    )


def test_sets():
    follows(
        lambda x: x * (2.0 if "b" in CHOICES else 1.0),
        lambda: CHOICES.add("b"),
        lambda: CHOICES.discard("b"),
    )


def helper(x):
    return x * RATE


def outer_helper(x):
    return helper(x) + 1.0


def test_the_globals_of_functions_it_calls():
    follows(
        lambda x: outer_helper(x), lambda: set_global("RATE", 3.0), lambda: set_global("RATE", 1.0)
    )


def test_a_function_that_is_replaced():
    before = helper
    follows(lambda x: helper(x), lambda: set_global("helper", lambda x: x * 100))
    set_global("helper", before)


def test_functions_within_functions():
    def f(x):
        def inner(y):
            return sum(y * RATE for _ in range(2))

        return (lambda z: inner(z) + RATE)(x)

    follows(f, lambda: set_global("RATE", 3.0), lambda: set_global("RATE", 1.0))


def test_a_module_of_the_users():
    module = types.ModuleType("my_settings")
    module.__file__ = __file__
    module.rate = 2.0
    module.unread = 1.0
    sys.modules["my_settings"] = module
    try:

        def imported(x):
            import my_settings

            return x * my_settings.rate

        follows(lambda x: x * module.rate, lambda: setattr(module, "rate", 5.0))
        follows(imported, lambda: setattr(module, "rate", 2.0))
        follows(imported, lambda: setattr(module, "unread", 2.0), traces=1)
    finally:
        del sys.modules["my_settings"]


# ---- closures ------------------------------------------------------------------------------------


def test_a_rebound_variable_of_a_closure():
    rate = 1.0

    def rebind(value):
        nonlocal rate
        rate = value

    follows(lambda x: x * rate, lambda: rebind(4.0), lambda: rebind(1.0), traces=2)


def test_a_wrapped_function():
    rate = 1.0

    def rebind(value):
        nonlocal rate
        rate = value

    def loss(x):
        return np.sum(x**2) * rate

    @functools.wraps(loss)
    def logged(x):
        return loss(x)

    follows(cr.grad(loss), lambda: rebind(4.0))
    follows(logged, lambda: rebind(5.0))
    follows(cr.jit(loss), lambda: rebind(6.0))
    follows(functools.partial(loss), lambda: rebind(7.0))
    follows(cr.checkpoint(loss), lambda: rebind(8.0))
    follows(cr.vmap(lambda x: loss(x[None])), lambda: rebind(9.0))


def test_a_rule_of_the_users():
    rate = 1.0

    def rebind(value):
        nonlocal rate
        rate = value

    @cr.custom_jvp
    def f(x):
        return x * 2

    f.defjvp(lambda primals, tangents: (f(*primals), tangents[0] * rate))
    follows(cr.grad(lambda x: np.sum(f(x))), lambda: rebind(4.0))


def test_defaults():
    def f(x, rate=1.0, *, shift=0.0):
        return x * rate + shift

    def set_default():
        f.__defaults__ = (5.0,)

    follows(f, set_default, lambda: f.__kwdefaults__.__setitem__("shift", 2.0))


def test_code_that_is_replaced():
    def f(x):
        return x * 2

    def g(x):
        return x * 3

    follows(f, lambda: setattr(f, "__code__", g.__code__))


# ---- objects -------------------------------------------------------------------------------------


class Layer:
    shift = 0.0
    counter = 0

    def __init__(self, rate):
        self.rate = rate
        self.history = []
        self.table = {"k": 1.0}

    @property
    def doubled(self):
        return self.rate * 2

    def __call__(self, x):
        return self.scaled(x) * self.table["k"]

    def scaled(self, x):
        return x * self.doubled + self.shift


class Slotted:
    __slots__ = ("rate",)

    def __init__(self, rate):
        self.rate = rate


class Mode(enum.Enum):
    FAST = 1
    SLOW = 2


def test_attributes_of_objects():
    layer = Layer(1.0)
    follows(
        lambda x: layer(x),
        lambda: setattr(layer, "rate", 3.0),
        lambda: layer.table.__setitem__("k", 4.0),
        lambda: setattr(layer, "shift", 2.0),
        lambda: setattr(Layer, "doubled", property(lambda self: self.rate * 5)),
    )


def test_attributes_that_are_not_read_do_not_matter():
    layer = Layer(1.0)
    follows(lambda x: layer(x), lambda: layer.history.append(1), traces=1)
    follows(lambda x: layer(x), lambda: setattr(layer, "other", 1), traces=1)
    follows(lambda x: layer(x), lambda: setattr(Layer, "counter", 5), traces=1)


def test_attributes_of_classes():
    follows(lambda x: x + Layer.shift, lambda: setattr(Layer, "shift", 8.0))
    follows(lambda x: Layer(2.0).scaled(x), lambda: setattr(Layer, "shift", 0.0))


def test_attributes_read_by_any_name():
    layer = Layer(1.0)
    follows(lambda x: x * getattr(layer, "ra" + "te"), lambda: setattr(layer, "rate", 3.0))
    follows(lambda x: x * sum(v for v in vars(layer).values() if isinstance(v, float)),
            lambda: setattr(layer, "rate", 4.0))  # fmt: skip


def test_slots():
    box = Slotted(1.0)
    follows(lambda x: x * box.rate, lambda: setattr(box, "rate", 3.0))


def test_lists_of_objects():
    layers = [Layer(1.0), Layer(2.0)]

    def f(x):
        for layer in layers:
            x = layer(x)
        return x

    follows(f, lambda: setattr(layers[1], "rate", 3.0), lambda: layers.append(Layer(5.0)))


def test_members_of_an_enumeration():
    mode = Mode.FAST

    def rebind():
        nonlocal mode
        mode = Mode.SLOW

    follows(lambda x: x * (2 if mode is Mode.FAST else 3), rebind)


def test_bound_methods():
    layer = Layer(1.0)
    follows(layer.scaled, lambda: setattr(layer, "rate", 3.0))


def test_objects_among_the_arguments():
    layer = Layer(1.0)
    compiled = cr.jit(lambda x, layer: x * layer.rate)
    for rate in (1.0, 2.0, 1.0):
        layer.rate = rate
        np.testing.assert_array_equal(compiled(X, layer), X * rate)
    np.testing.assert_array_equal(compiled(X, Layer(7.0)), X * 7.0)
    static = cr.jit(lambda x, layer: x * layer.rate, static_argnums=1)
    for rate in (1.0, 2.0, 1.0):
        layer.rate = rate
        np.testing.assert_array_equal(static(X, layer), X * rate)


# ---- arrays --------------------------------------------------------------------------------------


def test_a_captured_array_is_read_at_every_call():
    def write():
        WEIGHTS[1] = 7.0

    def rebind():
        set_global("WEIGHTS", np.array([4.0, 5.0, 6.0]))

    follows(lambda x: x * WEIGHTS, write, rebind, write, traces=1)


def test_a_captured_array_of_another_type():
    follows(
        lambda x: x * WEIGHTS,
        lambda: set_global("WEIGHTS", np.float32([4.0, 5.0, 6.0])),
        lambda: set_global("WEIGHTS", np.ones((2, 3))),
        lambda: set_global("WEIGHTS", np.ones((2, 3), order="F")),
        lambda: set_global("WEIGHTS", np.ones((2, 6))[:, ::2]),
        lambda: set_global("WEIGHTS", 2.0),
        lambda: set_global("WEIGHTS", np.array([1.0, 2.0, 3.0])),
    )


@pytest.mark.filterwarnings("ignore:Setting the shape")
def test_a_captured_array_that_is_resized():
    w = np.array([1.0, 2.0, 3.0])

    def resize():
        w.shape = (3, 1)

    follows(lambda x: x * w, resize)


def test_large_arrays_in_closures_and_derivatives():
    data, target = np.arange(60.0).reshape(20, 3), np.ones(20)
    loss = lambda w: np.mean((data @ w - target) ** 2)
    batched = lambda w: np.mean((cr.vmap(lambda row: row @ w)(data) - target) ** 2)
    for f in (loss, batched):
        compiled, plain = cr.jit(cr.grad(f)), cr.grad(f)
        for change in (lambda: None, lambda: data.__setitem__(0, 5.0)):
            change()
            np.testing.assert_allclose(compiled(X), plain(X), rtol=1e-12)
        assert len(next(iter(compiled._cache.variants.values()))) == 1


def test_views_of_captured_arrays():
    w = np.arange(8.0)
    follows(lambda x: x * w[2:5] + w[:3].T, lambda: w.__setitem__(3, 50.0), traces=1)
    m = np.arange(9.0).reshape(3, 3)
    follows(lambda x: m.T @ x + m @ x, lambda: m.__setitem__((0, 1), 50.0), traces=1)


def test_numbers_taken_out_of_an_array_when_tracing():
    w = np.arange(1.0, 4.0)
    for f in (
        lambda x: x * w[1],
        lambda x: x * float(w[1]),
        lambda x: x * w.sum(),
        lambda x: x * (w * 2),
        lambda x: x * w + w[1],
        lambda x: x if w[1] > 10 else -x,
    ):
        w[:] = [1.0, 2.0, 3.0]
        follows(f, lambda: w.__setitem__(1, 50.0))


@pytest.mark.parametrize("shape", [(), (3,)])
def test_results_that_follow_from_outside_arrays_alone(shape):
    w = np.full(shape, 2.0)
    compiled = cr.jit(lambda x: (x * w, np.sum(w * 2), w * 3))
    for _ in range(4):
        product, total, triple = compiled(np.ones(3))
        assert (product[0], total) == (w.max(), np.sum(w * 2))
        np.testing.assert_array_equal(triple, w * 3)
        w[...] += 1


def test_arrays_in_containers():
    params = {"w": np.ones(3), "b": [np.zeros(3)]}

    def rebind():
        params["w"] = np.full(3, 4.0)

    follows(
        lambda x: x * params["w"] + params["b"][0],
        lambda: params["w"].__setitem__(0, 9.0),
        rebind,
        lambda: params["b"].__setitem__(0, np.ones(3)),
        traces=1,
    )


def test_two_names_for_one_array():
    a = np.ones(3)
    b = a

    def rebind():
        nonlocal b
        b = np.zeros(3)

    follows(lambda x: x * a + b, rebind)


# ---- what a function does itself -----------------------------------------------------------------


def test_side_effects_happen_when_tracing():
    calls = []

    def f(x):
        calls.append(1)
        return x * 2

    compiled = cr.jit(f)
    for _ in range(3):
        compiled(X)
    assert len(calls) == 1


def test_a_memo_is_filled_once():
    memo = {}

    def f(x):
        if "k" not in memo:
            memo["k"] = np.arange(3.0)
        return x * memo["k"]

    compiled = cr.jit(f)
    np.testing.assert_array_equal(compiled(X), f(X))
    memo["k"] = np.ones(3)
    np.testing.assert_array_equal(compiled(X), X)


def test_a_function_that_writes_into_a_captured_array_is_refused():
    s = np.zeros(3)

    def f(x):
        total = 0.0
        for k in range(3):
            s[:] = k
            total = total + np.sum(x * s)
        return total

    with pytest.raises(cr.TraceError, match="writes into an array from outside"):
        cr.jit(f)(X)


def test_an_array_that_was_made_inside_may_be_written():
    def f(x):
        s = np.zeros(3)
        total = 0.0
        for k in range(3):
            s[:] = k
            total = total + np.sum(x * s)
        return total

    follows(f)


def test_recursion():
    def f(x, n=3):
        return x if n == 0 else f(x, n - 1) * RATE + x

    follows(f, lambda: set_global("RATE", 3.0), lambda: set_global("RATE", 1.0))


@pytest.mark.parametrize("size", [1, 2, 5, 1000, 100_000])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i2", "?"])
def test_arrays_whose_numbers_are_compared(size, dtype):
    """A change of any one number is seen, wherever it is."""
    w = np.ones(size, dtype)
    compiled = cr.jit(lambda x: x * w.sum())
    for place in (0, size // 2, size - 1):
        assert compiled(2.0) == compiled(2.0) == 2.0 * w.sum()
        w[place] = 0
        assert compiled(2.0) == compiled(2.0) == 2.0 * w.sum()
