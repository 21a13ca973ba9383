"""Plots: their numbers are right, and each draws in both themes."""

from __future__ import annotations

import importlib
import io
import sys

import numpy as np
import pytest
from matplotlib.image import imread

import chainrule as cr
from chainrule.show.plot.cost import multiplications
from chainrule.show.plot.plot import Plot

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 2)).astype(np.float32)
RING = ((X**2).sum(axis=1) > 1.2).astype(int)


def drawn(plot: Plot) -> Plot:
    """Drawn in both themes, on paper that is light or dark."""
    for theme, ground in (("light", 1.0), ("dark", 21 / 255)):
        picture = imread(io.BytesIO(plot.themed(theme)._repr_png_()))
        assert picture.shape[0] > 200
        assert picture[2, 2, 0] == pytest.approx(ground, abs=0.01)
        assert np.ptp(picture[..., :3]) > 0.5
    return plot


def network(activation: str = "tanh", depth: int = 3) -> cr.nn.Sequential:
    hidden = [cr.nn.Dense(6, activation=activation) for _ in range(depth)]
    model = cr.nn.Sequential([*hidden, cr.nn.Dense(1, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    model.build((2,), seed=0)
    return model


# ---- curves and histories ------------------------------------------------------------------------


def test_curves_hold_their_numbers():
    x = np.linspace(0.1, 2.0, 8)
    plot = drawn(cr.show.curves(x, {"one": x, "two": x**2}, points={"data": (x, -x)}, log="x"))
    np.testing.assert_array_equal(plot.data["two"], x**2)
    np.testing.assert_array_equal(plot.data["data"][1], -x)
    labels = [text.get_text() for text in plot.axes[0].get_legend().get_texts()]
    assert labels == ["data", "one", "two"]
    assert plot.axes[0].get_xscale() == "log"
    with pytest.raises(cr.ShapeError, match="another length"):
        cr.show.curves(x, {"short": x[1:]})


def test_what_is_not_finite_is_marked():
    y = np.array([1.0, np.nan, 2.0, np.inf, -np.inf])
    plot = drawn(cr.show.curves(np.arange(5), {"y": y}))
    words = {text.get_text() for text in plot.axes[0].texts}
    assert words == {"NaN", "∞", "−∞"}
    np.testing.assert_array_equal(plot.data["y"], y)


def test_what_a_line_cannot_show_is_marked():
    def words(plot):
        return {text.get_text() for text in drawn(plot).axes[0].texts}

    x = np.arange(40.0)
    lonely = np.where(x % 2 == 0, x, np.nan)  # no two neighbours to draw a line between
    plot = drawn(cr.show.curves(x, {"y": lonely}))
    dots = [line for line in plot.axes[0].get_lines() if line.get_marker() == "."]
    np.testing.assert_array_equal(dots[0].get_ydata(), lonely[::2])
    assert words(cr.show.curves(x, {"y": x - 3}, log="y")) == {"≤ 0"}
    assert words(cr.show.curves([], {"y": []})) == {"no data"}
    assert words(cr.show.curves([1.0], {"y": [np.nan]})) == {"NaN"}


def test_learning_curves(tmp_path):
    model = network()
    history = model.fit(X, RING[:, None], epochs=3, validation_split=0.2, verbose=0, seed=0)
    plot = drawn(history.plot(file=tmp_path / "curves.svg"))
    assert plot.data["epoch"] == [0, 1, 2]
    assert plot.data["val_loss"] == history.history["val_loss"]
    line = plot.axes[0].get_lines()[0]
    np.testing.assert_array_equal(line.get_ydata(), history.history["loss"])
    text = (tmp_path / "curves.svg").read_text()
    assert "validation" in text
    assert cr.show.learning_curves(history, "loss").data.keys() == {"epoch", "loss", "val_loss"}
    with pytest.raises(cr.ArgumentError, match="no such curve"):
        history.plot("accuracy")
    with pytest.raises(cr.ArgumentError, match="no curves yet"):
        cr.show.learning_curves(cr.train.History())


# ---- decisions -----------------------------------------------------------------------------------


def test_decision_boundary_of_a_model():
    model = network()
    plot = drawn(cr.show.decision_boundary(model, X, RING, points=40))
    grid = np.stack(np.meshgrid(plot.data["x1"], plot.data["x2"]), axis=-1).reshape(-1, 2)
    score = model.predict(grid.astype(np.float32)).reshape(40, 40)
    np.testing.assert_array_equal(plot.data["score"], score)
    np.testing.assert_array_equal(plot.data["decision"], score > 0.5)
    assert plot.data["x1"][0] < X[:, 0].min() < X[:, 0].max() < plot.data["x1"][-1]


def test_four_classes_and_labels_as_they_come():
    quadrants = 2 * (X[:, 0] > 0) + (X[:, 1] > 0)
    corners = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])
    plot = drawn(cr.show.decision_boundary(lambda p: p @ corners.T, X, quadrants, points=30))
    assert set(np.unique(plot.data["decision"])) == {0, 1, 2, 3}
    hot = cr.show.decision_boundary(lambda p: p @ corners.T, X, np.eye(4)[quadrants], points=30)
    np.testing.assert_array_equal(hot.data["classes"], quadrants)
    signs = cr.show.decision_boundary(lambda p: p[:, 0], X, np.where(X[:, 0] > 0, 1, -1), points=9)
    np.testing.assert_array_equal(signs.data["classes"], X[:, 0] > 0)
    np.testing.assert_array_equal(signs.data["decision"][0], signs.data["x1"] > 0)


def test_no_decision_where_the_score_is_not_finite():
    with np.errstate(invalid="ignore"):
        plot = drawn(cr.show.decision_boundary(lambda p: np.log(p[:, 0]), X, RING, points=20))
    assert (plot.data["decision"][:, plot.data["x1"] < 0] == -1).all()
    assert "not finite" in [t.get_text() for t in plot.axes[0].get_legend().get_texts()]


def test_decision_boundary_refuses():
    with pytest.raises(cr.ShapeError, match="must be pairs"):
        cr.show.decision_boundary(lambda p: p[:, 0], np.ones((3, 3)), [0, 1, 0])
    with pytest.raises(cr.ShapeError, match="so many classes"):
        cr.show.decision_boundary(lambda p: p[:, 0], X, RING[1:])
    for labels in (["a", "b", "a"], [0.5, 1.0, 0.0], [np.nan, 0, 1]):
        with pytest.raises(cr.ArgumentError, match="classes are whole numbers"):
            cr.show.decision_boundary(lambda p: p[:, 0], X[:3], labels)
    with pytest.raises(cr.ArgumentError, match="no point has finite coordinates"):
        cr.show.decision_boundary(lambda p: p[:, 0], np.full((2, 2), np.nan), [0, 1])
    with pytest.raises(cr.ShapeError, match="one row of scores"):
        cr.show.decision_boundary(lambda p: 1.0, X, RING)


# ---- inside a network ----------------------------------------------------------------------------


def test_activations_are_those_of_the_layers():
    model = network()
    plot = drawn(cr.show.activation_histograms(model, X))
    assert list(plot.data) == ["dense", "dense_1", "dense_2", "dense_3"]
    first = model.layers[0]
    wanted = np.tanh(X @ first.kernel + first.bias)
    np.testing.assert_allclose(plot.data["dense"], wanted, rtol=1e-6)
    np.testing.assert_allclose(plot.data["dense_3"], model.predict(X), rtol=1e-6)
    assert [axes.get_title(loc="left") for axes in plot.axes] == list(plot.data)


def test_gradients_are_those_of_the_loss_by_the_outputs():
    model = network()
    y = RING[:, None].astype(np.float32)
    plot = drawn(cr.show.gradient_histograms(model, X, y))
    loss = cr.nn.get("loss", "binary_crossentropy")
    last = plot.data["dense_3"]
    np.testing.assert_allclose(last, cr.grad(lambda p: loss(y, p))(model.predict(X)), rtol=1e-5)
    # One more step back: through the last layer, by hand.
    p, kernel = model.predict(X), model.layers[3].kernel
    np.testing.assert_allclose(plot.data["dense_2"], (last * p * (1 - p)) @ kernel.T, rtol=1e-4)


def test_gradients_vanish_in_deep_sigmoid_networks():
    sizes = {}
    for activation in ("sigmoid", "relu"):
        model = network(activation, depth=8)
        data = cr.show.gradient_histograms(model, X, RING[:, None]).data
        first, last = (np.sqrt(np.mean(data[name] ** 2)) for name in ("dense", "dense_7"))
        sizes[activation] = first / last
    assert sizes["sigmoid"] < 1e-3 * sizes["relu"]


def test_dead_and_exploded_units_are_told():
    model = network("relu", depth=1)
    model.layers[0].set_weights([np.zeros((2, 6), np.float32), np.full(6, -1.0, np.float32)])
    plot = drawn(cr.show.gradient_histograms(model, X, RING[:, None]))
    model.layers[0].set_weights([np.full((2, 6), np.inf, np.float32), np.zeros(6, np.float32)])
    with np.errstate(invalid="ignore"):
        plot = drawn(cr.show.activation_histograms(model, X))
    assert "not finite" in plot.axes[0].texts[0].get_text()


def test_networks_that_are_not_ready():
    with pytest.raises(cr.ArgumentError, match="no weights yet"):
        cr.show.activation_histograms(cr.nn.Sequential([cr.nn.Dense(2)]), X)
    bare = cr.nn.Sequential([cr.nn.Dense(1)])
    bare.build((2,))
    with pytest.raises(cr.ArgumentError, match="no loss"):
        cr.show.gradient_histograms(bare, X, RING)
    plot = cr.show.gradient_histograms(bare, X, RING[:, None], loss="mse")
    assert plot.data["dense"].shape == (60, 1)


class Twice(cr.nn.Model):
    """The same layer called twice, within a class of the user's."""

    def __init__(self):
        super().__init__()
        self.same = cr.nn.Dense(2, activation="tanh")
        self.last = cr.nn.Dense(1)

    def call(self, x):
        return self.last(self.same(self.same(x)) + x)


def test_gradients_of_a_class_and_of_a_layer_that_is_called_twice():
    model = Twice()
    model.compile("sgd", "mse")
    model.build((2,), seed=0)
    y = RING[:, None].astype(np.float32)
    data = drawn(cr.show.gradient_histograms(model, X, y)).data
    assert list(data) == ["same", "same (call 2)", "last"]
    assert list(cr.show.activation_histograms(model, X).data) == list(data)
    W, b, last = model.same.kernel, model.same.bias, model.last.kernel
    h = np.tanh(X @ W + b)
    k = np.tanh(h @ W + b)
    g = 2 * (model.predict(X) - y) / len(X)
    np.testing.assert_allclose(data["last"], g, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(data["same (call 2)"], g @ last.T, rtol=1e-4, atol=1e-7)
    wanted = (g @ last.T) * (1 - k * k) @ W.T
    np.testing.assert_allclose(data["same"], wanted, rtol=1e-4, atol=1e-7)


def test_gradients_of_a_graph_with_two_inputs_and_two_outputs():
    a, b = cr.nn.Input((2,), name="a"), cr.nn.Input((2,), name="b")
    shared = cr.nn.Concatenate()([cr.nn.Dense(3, activation="relu")(a), b])
    outputs = [cr.nn.Dense(1, name="size")(shared), cr.nn.Dense(2, name="kind")(shared)]
    model = cr.nn.Model([a, b], outputs)
    from_logits = cr.nn.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", ["mse", from_logits], loss_weights=[2.0, 0.5])
    model.build([(2,), (2,)], seed=0)
    y = [X[:, :1], RING]
    data = drawn(cr.show.gradient_histograms(model, [X, X + 1], y)).data
    size, kind = model.predict([X, X + 1])
    np.testing.assert_allclose(data["size"], 4 * (size - y[0]) / len(X), rtol=1e-4, atol=1e-7)
    slope = cr.grad(lambda p: 0.5 * from_logits(RING, p))(kind)
    np.testing.assert_allclose(data["kind"], slope, rtol=1e-4, atol=1e-7)
    assert {"dense", "concatenate"} <= data.keys()
    named = cr.show.gradient_histograms(
        model, [X, X + 1], y, loss=lambda y, p: np.sum(p[0] ** 2)
    ).data
    np.testing.assert_allclose(named["size"], 2 * size, rtol=1e-5)
    assert not named["kind"].any()


def test_what_is_masked_out_has_no_gradient_and_steps_of_a_loop_are_no_outputs():
    words = np.array([[1, 2, 0, 0], [3, 1, 2, 0]])
    model = cr.nn.Sequential(
        [
            cr.nn.Embedding(5, 3, mask_zero=True),
            cr.nn.LSTM(4, return_sequences=True),
            cr.nn.Dense(1),
        ]
    )
    model.compile("sgd", "mse")
    model.build((4,), seed=0)
    data = cr.show.gradient_histograms(model, words, np.ones((2, 4, 1), np.float32)).data
    assert list(data) == ["embedding", "lstm", "dense"]
    np.testing.assert_array_equal(data["dense"][..., 0] != 0, words != 0)
    np.testing.assert_array_equal(data["embedding"].any(axis=2), words != 0)


# ---- methods of differentiation ------------------------------------------------------------------


def test_the_error_falls_and_rises_with_the_step():
    plot = drawn(cr.show.step_size_error(lambda x: np.sin(x) * np.exp(x), 1.0))
    step = plot.data["step"]
    for method, power in (("forward", 1 / 2), ("central", 1 / 3)):
        error = plot.data[method]
        best = step[np.argmin(error)]
        assert 1e-2 < best / np.finfo(float).eps ** power < 1e2
        assert error[0] > 100 * error.min() < error[-1]
    one = cr.finite_difference(lambda x: np.sin(x) * np.exp(x), method="central", step=step[30])(
        1.0
    )
    exact = cr.grad(lambda x: np.sin(x) * np.exp(x))(1.0)
    assert plot.data["central"][30] == abs(one - exact)
    with pytest.raises(cr.ArgumentError, match="unknown method"):
        cr.show.step_size_error(np.sin, 1.0, methods=("sideways",))


def test_an_infinite_slope_has_no_step_that_would_do():
    with np.errstate(all="ignore"), pytest.raises(cr.DomainError, match="isn't finite here"):
        cr.show.step_size_error(np.sqrt, 0.0)


def test_multiplications_are_counted():
    A, x = np.ones((3, 4)), np.ones(4)
    assert multiplications(lambda x: A @ x, x) == 12
    assert multiplications(lambda x: np.sin(x) * x + x / 2, x) == 8
    assert multiplications(lambda x: cr.fori_loop(0, 5, lambda i, y: y * x, x), x) == 20
    assert multiplications(lambda x: np.einsum("ij,j->i", A, x), x) == 12


def test_forward_pays_for_inputs_and_reverse_for_outputs():
    plot = drawn(cr.show.mode_cost([(32, 1), (8, 8), (1, 32)]))
    forward, reverse = plot.data["forward"], plot.data["reverse"]
    assert reverse[0] < forward[0]
    assert forward[2] < reverse[2]
    assert plot.data["shapes"] == [(32, 1), (8, 8), (1, 32)]
    with pytest.raises(cr.ArgumentError, match="no shapes"):
        cr.show.mode_cost([])


def test_the_swell_of_the_logistic_map():
    def logistic(x, n):
        for _ in range(n - 1):
            x = 4 * x * (1 - x)
        return x

    plot = drawn(cr.show.expression_swell(logistic, [1, 2, 4, 6, 8]))
    written, automatic = plot.data["written out"], plot.data["automatic"]
    formula = cr.symbolic(lambda x: logistic(x, 4), 0.3)
    assert written[2] == formula.count_ops(0, shared=False)
    assert written[-1] > 2**7
    growth = np.diff(automatic[1:])
    assert growth[0] == growth[1] == growth[2]


# ---- without matplotlib, and in general ----------------------------------------------------------


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(cr.ArgumentError, match="not installed") as caught:
        cr.show.curves([1.0], {"y": [1.0]})
    assert 'pip install "chainrule[plot]"' in str(caught.value)


def test_themes():
    with pytest.raises(cr.ArgumentError, match="no such theme"):
        cr.show.curves([1.0], {"y": [1.0]}, theme="sepia")
    assert cr.show.curves([1.0], {"y": [1.0]}, theme="dark").theme == "dark"


def test_pictures_are_the_same_each_time(tmp_path):
    for name in ("a.svg", "b.svg"):
        cr.show.curves([1.0, 2.0], {"y": [1.0, 2.0]}).save(tmp_path / name)
    one, other = ((tmp_path / name).read_text() for name in ("a.svg", "b.svg"))
    assert one.partition("<defs>")[2] == other.partition("<defs>")[2]


def test_settings_of_the_user_are_left_alone():
    matplotlib = importlib.import_module("matplotlib")
    before = dict(matplotlib.rcParams)
    cr.show.curves([1.0, 2.0], {"y": [1.0, 2.0]}, theme="dark").figure
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("name", sorted(cr.show.__all__))
def test_public_names_explain_themselves(name):
    summary = getattr(cr.show, name).__doc__.splitlines()[0]
    assert summary.endswith(".")
    assert len(summary) <= 80
