"""Optimisers by name, and as data."""

import json

import numpy as np
import pytest

import chainrule as cr
from chainrule import optim

NAMES = "GradientDescent SGD Adadelta Adagrad RMSprop Adam AdamW Adamax Nadam LBFGS".split()


@pytest.mark.parametrize("name", NAMES)
def test_each_has_its_names(name):
    kind = getattr(optim, name)
    made = optim.get(name)
    assert type(made) is kind
    assert type(optim.get(made.name)) is kind
    assert type(optim.get(kind)) is kind
    assert optim.get(made) is made


@pytest.mark.parametrize("name", NAMES)
def test_each_comes_back_from_json(name):
    made = getattr(optim, name)(0.25, name="mine")
    data = json.loads(json.dumps(optim.serialize(made)))
    again = optim.deserialize(data)
    assert type(again) is type(made)
    assert again.get_config() == made.get_config()
    assert again.learning_rate == 0.25
    assert again.name == "mine"


def test_all_options_come_back():
    options = {
        "learning_rate": 0.1,
        "weight_decay": 0.2,
        "clipnorm": 0.3,
        "use_ema": True,
        "ema_momentum": 0.4,
        "ema_overwrite_frequency": 5,
        "gradient_accumulation_steps": 6,
        "exclude_from_weight_decay": ["bias"],
        "momentum": 0.7,
        "nesterov": True,
    }
    config = optim.deserialize(optim.serialize(optim.SGD(**options))).get_config()
    assert {name: config[name] for name in options} == options


def test_a_function_that_is_entered_as_a_schedule_comes_back():
    @optim.register("schedule")
    def halves(step):
        return 0.5 ** (step + 1.0)

    again = optim.deserialize(optim.serialize(optim.SGD(halves)))
    assert again.learning_rate is halves


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("SGD", "learning_rate momentum nesterov"),
        ("Adagrad", "learning_rate initial_accumulator_value epsilon"),
        ("Adadelta", "learning_rate rho epsilon"),
        ("RMSprop", "learning_rate rho momentum epsilon centered"),
        ("Adam", "learning_rate beta_1 beta_2 epsilon amsgrad"),
        ("AdamW", "learning_rate weight_decay beta_1 beta_2 epsilon amsgrad"),
        ("Adamax", "learning_rate beta_1 beta_2 epsilon"),
        ("Nadam", "learning_rate beta_1 beta_2 epsilon"),
    ],
)
def test_arguments_by_position_are_in_the_order_of_keras(name, first):
    names = first.split()
    values = [0.5 + n / 100 for n in range(len(names))]
    made = getattr(optim, name)(*values)
    assert [getattr(made, name) for name in names] == values


def test_the_rate_is_a_plain_number_so_that_it_changes_no_dtype():
    assert type(optim.SGD(np.float64(0.1)).learning_rate) is float
    assert type(optim.SGD(1).learning_rate) is float


def test_the_package_reads_it_when_it_is_first_used():
    assert cr.optim is optim
    assert "Adam" in dir(optim)
    with pytest.raises(AttributeError, match="no attribute 'Adem'"):
        optim.Adem
