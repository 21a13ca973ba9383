"""A small network on handwritten digits, in plain NumPy and `grad`. The demo prints this text."""

from __future__ import annotations

import numpy as np

from chainrule.transform.gradient import grad


def loss(network, image, digit):
    W, b, V, c = network
    hidden = 1 / (1 + np.exp(-(W @ image + b)))
    scores = V @ hidden + c
    return np.log(np.sum(np.exp(scores))) - scores[digit]


def train(network, images, digits, order, rate=0.1):
    for i in order:
        slopes = grad(loss)(network, images[i], digits[i])
        network = [value - rate * slope for value, slope in zip(network, slopes, strict=True)]
        yield network


def classify(network, images):
    W, b, V, c = network
    hidden = 1 / (1 + np.exp(-(images @ W.T + b)))
    return np.argmax(hidden @ V.T + c, axis=1)
