"""From the lecture on backpropagation: gates."""

from __future__ import annotations

from math import exp

import numpy as np
from scipy.special import expit

import chainrule as cr
from gallery.case import Case


def f(x, y, z):
    q = x + y
    f = q * z
    return f


def neuron(w0, x0, w1, x1, w2):
    f = 1 / (1 + np.exp(-(w0 * x0 + w1 * x1 + w2)))
    return f


def neuron_of_one_gate(w0, x0, w1, x1, w2):
    f = expit(w0 * x0 + w1 * x1 + w2)
    return f


SIGMA1 = 1 / (1 + exp(-1))
SLOPE1 = SIGMA1 * (1 - SIGMA1)
NEURON = (2.0, -1.0, -3.0, -2.0, -3.0)
NEURON_GRADIENT = tuple(SLOPE1 * factor for factor in (-1.0, 2.0, -2.0, -3.0, 1.0))


def squared_norm(W, x):
    q = W @ x
    f = np.sum(q**2)
    return f


def patterns(x, y, z, w):
    a = x * y
    b = np.maximum(z, w)
    f = 2 * (a + b)
    return f


def branches(x):
    a = 2 * x
    b = 3 * x
    f = a + b
    return f


class MultiplyGate(cr.Gate):
    def forward(self, x, y):
        self.x, self.y = x, y
        return x * y

    def backward(self, dz):
        return [self.y * dz, self.x * dz]


multiply = MultiplyGate()


def with_a_gate(x, y, z):
    q = x + y
    f = multiply(q, z)
    return f


CASES = [
    Case(
        "B-a",
        "A sum and a product",
        f,
        (-2.0, 5.0, -4.0),
        "The sum hands its gradient −4 on to both *x* and *y*; the product swaps its inputs.",
        -12.0,
        (-4.0, -4.0, 3.0),
        {"q": -4.0},
    ),
    Case(
        "B-b",
        "A neuron, gate by gate",
        neuron,
        NEURON,
        "Each gate knows its own derivative only, and yet 1.00 at the end becomes −0.20 at *w₀*.",
        SIGMA1,
        NEURON_GRADIENT,
    ),
    Case(
        "B-b, one gate",
        "The same neuron with a sigmoid gate",
        neuron_of_one_gate,
        NEURON,
        "Four gates in one, σ′ = σ(1 − σ) = 0.73 · 0.27: the same gradients in one step.",
        SIGMA1,
        NEURON_GRADIENT,
    ),
    Case(
        "B-c",
        "Vectors",
        squared_norm,
        (np.array([[0.1, 0.5], [-0.3, 0.8]]), np.array([0.2, 0.4])),
        "Every gradient has the shape of its variable: ∇q = 2q, ∇W = 2q xᵀ, ∇x = 2Wᵀq.",
        0.116,
        (np.array([[0.088, 0.176], [0.104, 0.208]]), np.array([-0.112, 0.636])),
        {"q": np.array([0.44, 0.52])},
    ),
    Case(
        "B-d",
        "What gates do with a gradient",
        patterns,
        (3.0, -4.0, 2.0, -1.0),
        "The sum distributes 2 to both, the maximum routes it to the larger input alone, and the "
        "product switches: *x* gets 2 · *y*.",
        -20.0,
        (-8.0, 6.0, 2.0, 0.0),
        {"a": 2.0, "b": 2.0},
    ),
    Case(
        "B-d, branches",
        "Gradients add at branches",
        branches,
        (1.0,),
        "*x* goes two ways; 2 comes back on one, 3 on the other, and 5 is its gradient.",
        5.0,
        (5.0,),
        {"a": 1.0, "b": 1.0},
    ),
    Case(
        "C2",
        "A gate of your own",
        with_a_gate,
        (-2.0, 5.0, -4.0),
        "`MultiplyGate` is a class of the user's, with `forward` and `backward`; the numbers are "
        "those of B-a.",
        -12.0,
        (-4.0, -4.0, 3.0),
        {"q": -4.0},
    ),
]
