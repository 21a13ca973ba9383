"""Networks and their losses; the two large graphs of the lectures, folded."""

from __future__ import annotations

from math import exp, log

import numpy as np
from scipy.special import expit

import chainrule as cr
from gallery.case import Case


def cross_entropy(s):
    e = np.exp(s)
    p = e / np.sum(e)
    L = -np.log(p[0])
    return L


SCORES = [3.2, 5.1, -1.7]
TOTAL = sum(map(exp, SCORES))


def hinge(W, x):
    scores = W @ x
    margins = np.maximum(0, scores - scores[0] + 1)
    data_loss = np.sum(margins) - 1
    reg_loss = 0.5 * np.sum(W**2)
    loss = data_loss + reg_loss
    return loss


def four_sigmoids(x, b1, b2, b3, b4):
    h1 = expit(x + b1)
    h2 = expit(h1 + b2)
    h3 = expit(h2 + b3)
    h4 = expit(h3 + b4)
    return h4


def two_tasks(x, w, u, v, t1, t2):
    h = np.maximum(0, w * x)
    a = u * h
    b = v * h
    L1 = (a - t1) ** 2
    L2 = (b - t2) ** 2
    L = L1 + 0.5 * L2
    return L


alexnet = cr.models.alexnet()
machine = cr.models.neural_turing_machine(3, units=8, slots=6, width=4)


def alexnet_loss(parameters, x):
    s, _ = alexnet.apply({"parameters": parameters}, x)
    L = np.log(np.sum(np.exp(s))) - s[0, 7]
    return L


def copying_loss(parameters, x, y):
    s, _ = machine.apply({"parameters": parameters}, x)
    L = np.mean(np.log(1 + np.exp(s)) - y * s)
    return L


def one_image():
    parameters = alexnet.init(0, (224, 224, 3))["parameters"]
    return parameters, np.random.default_rng(0).standard_normal((1, 224, 224, 3), np.float32)


def one_row_to_copy():
    parameters = machine.init(0, (5, 4))["parameters"]
    x = np.zeros((1, 5, 4), np.float32)
    x[0, :2, :3] = [[1, 0, 1], [0, 1, 1]]
    x[0, 2, 3] = 1
    y = np.zeros((1, 5, 3), np.float32)
    y[0, 3:] = x[0, :2, :3]
    return parameters, x, y


CASES = [
    Case(
        "N2",
        "Softmax and cross-entropy",
        cross_entropy,
        (np.array(SCORES),),
        "However long the way back, the gradient at the scores is the probabilities, less 1 at "
        "the true class.",
        log(TOTAL) - 3.2,
        (np.array([exp(s) / TOTAL for s in SCORES]) - [1.0, 0.0, 0.0],),
    ),
    Case(
        "N10",
        "Vanishing gradients",
        four_sigmoids,
        (0.0, 0.0, -0.5, -0.5, -0.5),
        "A sigmoid lets at most a quarter of a gradient through: 1/4, 1/16, 1/64, 1/256.",
        0.5,
        (1 / 256, 1 / 256, 1 / 64, 1 / 16, 1 / 4),
        {"h1": 1 / 64, "h2": 1 / 16, "h3": 1 / 4},
        picture={"direction": "down"},
    ),
    Case(
        "N12",
        "Two tasks, one trunk",
        two_tasks,
        (1.0, 2.0, 1.0, -1.0, 1.0, 1.0),
        "The trunk *h* gets 2 from one head and 3 from the other; each head sees its own task "
        "alone.",
        5.5,
        (10.0, 5.0, 4.0, -6.0, -2.0, 3.0),
        {"h": 5.0, "a": 2.0, "b": -3.0},
        picture={"direction": "down"},
    ),
    Case(
        "N14",
        "A support vector machine in stages",
        hinge,
        (np.array([[1.0, 0.0], [0.0, 1.0], [-2.0, -1.0]]), np.array([1.0, 2.0])),
        "The third margin is negative, so nothing flows back through it; *W* also hears from the "
        "penalty.",
        5.5,
        (np.array([[0.0, -2.0], [1.0, 3.0], [-2.0, -1.0]]), np.array([-1.0, 1.0])),
        {"scores": np.array([-1.0, 1.0, 0.0]), "data_loss": 1.0, "reg_loss": 1.0},
    ),
    Case(
        "C8, AlexNet",
        "AlexNet, folded by layer",
        alexnet_loss,
        one_image,
        "60,965,224 weights in 15 boxes, one per layer, each of which opens in the page.",
        folded="auto",
    ),
    Case(
        "C8, Turing machine",
        "A neural Turing machine, folded by loop",
        copying_loss,
        one_row_to_copy,
        "The recurrence is one box: five turns of a step with controller, heads and memory.",
        folded="loop",
    ),
]
