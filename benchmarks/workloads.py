"""What is computed: plain NumPy, written once, for ours, for peers that speak NumPy, and for tests.

Each function takes the namespace it computes with last, so that `jax.numpy` can stand in for NumPy.
"""

from __future__ import annotations

import math

import numpy as np


def product_and_logarithm(x, z, np=np):
    """W1: two numbers in, one out."""
    return np.exp(x * z) + x * z / np.log(x) + np.sin(np.log(x)) / (x * z)


def rosenbrock(x, np=np):
    """W2: the chained Rosenbrock function."""
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def tanh_and_exponential(x, np=np):
    """W10, and the call with ten numbers."""
    return np.sum(np.tanh(x) * x + np.exp(-x))


def one_example(parameters, x, label, np=np):
    """W3: the loss of a network with one sigmoid layer, for one example."""
    inner, inner_bias, outer, outer_bias = parameters
    hidden = 1 / (1 + np.exp(-(x @ inner + inner_bias)))
    scores = hidden @ outer + outer_bias
    top = np.max(scores)
    return np.log(np.sum(np.exp(scores - top))) + top - scores[label]


def batch(parameters, x, labels, np=np):
    """W4: the mean loss of a network with relu layers, for a batch."""
    *inner, (last, last_bias) = parameters
    for weights, bias in inner:
        x = np.maximum(x @ weights + bias, 0)
    scores = x @ last + last_bias
    top = np.max(scores, axis=1, keepdims=True)
    losses = np.log(np.sum(np.exp(scores - top), axis=1)) + top[:, 0]
    return np.mean(losses - scores[np.arange(len(labels)), labels])


def tanh_of_product(weights, bias, x, np=np):
    """W7: its Jacobian in x."""
    return np.tanh(weights @ x + bias)


def logistic_loss(points, labels, weights, np=np):
    """W7: its Hessian in the weights."""
    scores = points @ weights
    return np.mean(np.logaddexp(0, scores) - labels * scores)


def unrolled(x, n, np=np):
    """W9: a Python loop that a trace writes out."""
    y = x[0]
    for i in range(n):
        y = np.sin(y) * x[i % 8] + y
    return y


def elementwise(a, b, c, np=np):
    """W11: as much mathematics as fits into the time that memory takes."""
    return a * b + np.sin(c) * np.exp(-a * a)


def mixture(alphas, means, scales, lower, points, np=np):
    """GMM: the log posterior of a mixture of Gaussians with a Wishart prior (γ = 1, m = 0).

    `lower` holds what lies below the diagonals of the inverse square roots, column by column.
    """
    (n, d), k = points.shape, len(alphas)
    sums = np.sum(scales, axis=1)
    diagonals = np.exp(scales)
    roots = triangles(lower, d, np) + diagonals[:, :, None] * np.eye(d)
    residuals = (points[None] - means[:, None]) @ np.swapaxes(roots, 1, 2)
    terms = alphas[:, None] + sums[:, None] - 0.5 * np.sum(residuals**2, axis=2)
    likelihood = np.sum(log_sum_exp(terms, np)) - n * log_sum_exp(alphas, np)
    wishart = 0.5 * (np.sum(diagonals**2) + np.sum(lower**2))
    return likelihood - wishart + mixture_constant(n, d, k)


def triangles(lower, d, np=np):
    """Strictly lower triangular matrices from their entries, column by column."""
    columns, rows = lower_entries(d)
    if np.__name__ == "numpy":
        matrices = np.zeros((len(lower), d, d))
        matrices[:, rows, columns] = lower
        return matrices
    return np.zeros((len(lower), d, d)).at[:, rows, columns].set(lower)


def lower_entries(d):
    """Columns and rows of what lies below a diagonal, column by column."""
    return np.nonzero(np.tri(d, k=-1).T)


def log_sum_exp(x, np=np):
    top = np.max(x, axis=0)
    return np.log(np.sum(np.exp(x - top), axis=0)) + top


def mixture_constant(n, d, k):
    freedom = d + 1
    gammas = sum(math.lgamma(0.5 * (freedom - j)) for j in range(d))
    multivariate = d * (d - 1) / 4 * math.log(math.pi) + gammas
    prior = k * (-freedom * d * 0.5 * math.log(2) - multivariate)
    return prior - n * d / 2 * math.log(2 * math.pi)


def sigmoid(x, np=np):
    return 1 / (1 + np.exp(-x))


def diagonal_lstm_step(weights, ends, state, x, target, np=np):
    """One step of all layers: the new state, and what it adds to the loss.

    Args:
        weights: [layers, 8, b]: of the forget, input, output and change gates, then their biases.
        ends: [3, b]: what multiplies the input, what multiplies and is added to the output.
        state: [layers, 2, b]: hidden and cell of each layer.
    """
    v, states = x * ends[0], []
    for layer in range(len(weights)):
        wf, wi, wo, wc, bf, bi, bo, bc = weights[layer]
        hidden, cell = state[layer]
        forget = sigmoid(v * wf + bf, np)
        enter = sigmoid(hidden * wi + bi, np)
        leave = sigmoid(v * wo + bo, np)
        change = np.tanh(hidden * wc + bc)
        cell = cell * forget + enter * change
        v = leave * np.tanh(cell)
        states.append(np.stack([v, cell]))
    y = v * ends[1] + ends[2]
    return np.stack(states), np.sum(target * (y - np.log(2 + np.sum(np.exp(y)))))


def diagonal_lstm(weights, ends, state, sequence, scan, np=np):
    """LSTM-diagonal: the loss of predicting a sequence [c, b]; `scan` is ours or JAX's."""

    def step(state, pair):
        return diagonal_lstm_step(weights, ends, state, *pair, np=np)

    _, parts = scan(step, state, (sequence[:-1], sequence[1:]))
    return -np.sum(parts) / parts.size / sequence.shape[1]
