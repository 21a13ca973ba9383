"""What optimisers say about what they can't do, word for word."""

from dataclasses import dataclass

import numpy as np
import pytest

import chainrule as cr
from chainrule import optim


def said(kind, call):
    """The error's text, without the line of this file."""
    with pytest.raises(kind) as found:
        call()
    assert str(found.value.where).startswith("test_messages.py")
    lines = str(found.value).splitlines()
    return "\n".join(
        " ".join(line.split()) for line in lines if not line.strip().startswith("where")
    )


def updated(optimizer, gradients, parameters, state=None):
    start = optimizer.init(parameters) if state is None else state
    return lambda: optimizer.update(gradients, start, parameters)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: optim.SGD(-0.1),
            "learning_rate is out of its range\ngiven: -0.1\nfix: give a number that is at least 0",
        ),
        (
            lambda: optim.SGD(float("nan")),
            "learning_rate is out of its range\ngiven: nan\nfix: give a number that is at least 0",
        ),
        (
            lambda: optim.SGD("fast"),
            "learning_rate has to be a number\n"
            "given: str 'fast'\nfix: give a number that is at least 0",
        ),
        (
            lambda: optim.SGD(momentum=1.5),
            "momentum is out of its range\n"
            "given: 1.5\nfix: give a number that is at least 0 and at most 1",
        ),
        (
            lambda: optim.Adam(beta_1=1.0),
            "beta_1 is out of its range\n"
            "given: 1.0\nfix: give a number that is at least 0 and below 1",
        ),
        (
            lambda: optim.RMSprop(rho=-1),
            "rho is out of its range\n"
            "given: -1\nfix: give a number that is at least 0 and at most 1",
        ),
        (
            lambda: optim.Adam(weight_decay=-1),
            "weight_decay is out of its range\ngiven: -1\nfix: give a number that is at least 0",
        ),
        (
            lambda: optim.Adam(clipnorm=0),
            "clipnorm is out of its range\ngiven: 0\nfix: give a number that is above 0",
        ),
        (
            lambda: optim.Adam(clipnorm=1.0, clipvalue=0.5),
            "gradients can be clipped in one way only\n"
            "clipnorm: 1.0\nclipvalue: 0.5\nfix: choose one",
        ),
        (
            lambda: optim.Adam(gradient_accumulation_steps=1),
            "gradient_accumulation_steps has to be a whole number, 2 or more\ngiven: 1",
        ),
        (
            lambda: optim.LBFGS(clipnorm=1.0),
            "LBFGS can't be used with clipnorm\nclipnorm: 1.0\n"
            "fix: its steps follow from the function alone; add a penalty to the function",
        ),
        (
            lambda: optim.ExponentialDecay(0.1, 0, 0.5),
            "decay_steps is out of its range\ngiven: 0\nfix: give a number that is above 0",
        ),
        (
            lambda: optim.PiecewiseConstantDecay([1, 2], [0.1]),
            "PiecewiseConstantDecay needs one value more than boundaries\n"
            "boundaries: 2\nvalues: 1\n"
            "fix: give a rate for before the first boundary, and one for after each",
        ),
        (
            lambda: optim.PiecewiseConstantDecay([2, 1], [0.1, 0.2, 0.3]),
            "boundaries is out of its range\ngiven: 1\nfix: give a number that is above 2",
        ),
        (
            lambda: optim.CosineDecayRestarts(0.1, 10, t_mul=0.5),
            "t_mul is out of its range\ngiven: 0.5\nfix: give a number that is at least 1",
        ),
    ],
)
def test_arguments(make, message):
    assert said(cr.ArgumentError, make) == message


def test_integers_are_no_parameters():
    message = said(
        cr.DtypeError, lambda: optim.SGD().init({"a": 1.0, "dense/kernel": np.arange(3)})
    )
    assert message == (
        "only real floating-point numbers can be optimised\n"
        "parameter: dense/kernel\ndtype: int64\nfix: convert it: x.astype(float)"
    )


def test_complex_numbers_are_no_parameters():
    message = said(cr.DtypeError, lambda: optim.SGD().init([1.0, (2.0, 1j)]))
    assert message == (
        "only real floating-point numbers can be optimised\n"
        "parameter: [1][1]\ndtype: complex128\n"
        "fix: give its real and imaginary parts as two parameters"
    )


def test_a_missing_gradient():
    call = updated(optim.SGD(), {"a": 1.0, "d": 2.0}, {"a": 1.0, "dense/bias": 2.0})
    assert said(cr.ArgumentError, call) == (
        "gradients and parameters are trees of different structures\n"
        "without gradients: dense/bias\nwithout parameter: d\n"
        "fix: give the gradient of the same tree: cr.grad(f)(parameters)"
    )


def test_another_container():
    call = updated(optim.SGD(), (1.0, 2.0), [1.0, 2.0])
    assert said(cr.ArgumentError, call) == (
        "gradients and parameters are trees of different structures\n"
        "parameters: list\ngradients: tuple\n"
        "fix: give the gradient of the same tree: cr.grad(f)(parameters)"
    )


def test_another_shape():
    call = updated(optim.SGD(), {"a": 1.0, "b": np.ones(3)}, {"a": 1.0, "b": np.ones((2, 3))})
    assert said(cr.ShapeError, call) == (
        "gradients: the shape isn't that of its parameter\n"
        "parameter: b f64[2, 3]\ngradients: f64[3]"
    )


def test_another_shape_in_a_compiled_update():
    optimizer, w = optim.SGD(), {"b": np.ones((2, 3), np.float32)}
    step = cr.jit(lambda g: optimizer.update(g, optimizer.init(w), w))
    assert said(cr.ShapeError, lambda: step({"b": np.ones(3, np.float32)})) == (
        "gradients: the shape isn't that of its parameter\n"
        "parameter: b f32[2, 3]\ngradients: f32[3]"
    )


def test_the_state_of_another_optimiser():
    w = {"a": 1.0}
    call = updated(optim.Adam(), w, w, optim.SGD(momentum=0.9).init(w))
    assert said(cr.ArgumentError, call) == (
        "this isn't a state of Adam with these options\n"
        "wanted: momentum, step, velocity\ngiven: step, momentum\n"
        "fix: use the state that its own init or update gave"
    )


def test_the_state_of_other_parameters():
    w = {"a": 1.0}
    call = updated(optim.SGD(momentum=0.9), w, w, optim.SGD(momentum=0.9).init({"b": 1.0}))
    assert said(cr.ArgumentError, call) == (
        "state 'momentum' and parameters are trees of different structures\n"
        "without state 'momentum': a\nwithout parameter: b\n"
        "fix: use the state that init or update gave for these parameters"
    )


def test_a_state_of_lbfgs_for_other_parameters():
    w, optimizer = np.ones(3), optim.LBFGS()
    state = optimizer.init(np.ones(2))
    call = lambda: optimizer.update(w, state, w, objective=np.sum)
    assert said(cr.ArgumentError, call) == (
        "this isn't a state of LBFGS for these parameters and this history_size\n"
        "history: 10 steps of 3 numbers is wanted\n"
        "fix: use the state that its own init or update gave"
    )


def test_lbfgs_without_its_function():
    w, optimizer = np.ones(3), optim.LBFGS()
    assert said(cr.ArgumentError, lambda: optimizer.update(w, optimizer.init(w), w)) == (
        "LBFGS needs the function itself, not only its gradient\n"
        "fix: pass objective=f: update(gradients, state, parameters, objective=f)"
    )


def test_a_function_can_not_be_written_as_data():
    optimizer = optim.SGD(lambda step: 0.1)
    assert "can't be written as data" in said(cr.ArgumentError, lambda: optim.serialize(optimizer))
    optimizer = optim.SGD(exclude_from_weight_decay=lambda name: True)
    assert said(cr.ArgumentError, lambda: optim.serialize(optimizer)) == (
        "exclude_from_weight_decay is a function, which can't be written as data\n"
        'fix: give parts of the names instead: ("bias", "gamma")'
    )


def test_data_that_does_not_fit():
    data = {"kind": "optimizer", "class_name": "SGD", "config": {"momentun": 0.9}}
    assert "the config doesn't fit SGD" in said(cr.ArgumentError, lambda: optim.deserialize(data))


def test_minimize_asks_for_a_function_and_a_number():
    sgd = optim.SGD()
    assert "must be a function" in said(cr.ArgumentError, lambda: sgd.minimize(3.0, np.ones(2)))
    assert said(cr.ArgumentError, lambda: sgd.minimize(np.sum, np.ones(2), steps=-1)) == (
        "steps has to be a whole number, 0 or more\ngiven: -1"
    )
    assert "scalar" in said(cr.ShapeError, lambda: sgd.minimize(lambda x: x, np.ones(2)))


def test_a_subclass_without_a_rule_says_what_it_lacks():
    @dataclass(eq=False)
    class Unfinished(optim.Optimizer):
        pass

    with pytest.raises(NotImplementedError, match="Unfinished has to define rule"):
        updated(Unfinished(), 1.0, 2.0)()
