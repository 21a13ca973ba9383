"""The logistic function and its relatives."""

from __future__ import annotations

from chainrule.loops.mathematics.arithmetic import two_sum
from chainrule.loops.mathematics.exponential import exp, exp_of_parts
from chainrule.loops.mathematics.logarithm import log1p_of_share
from chainrule.loops.scalar import Node, fma, is_nan, maximum, minimum, select


def expit(x: Node) -> Node:
    """1/(1 + exp(-x))."""
    w = exp(-abs(x))
    part = w / (1 + w)
    # w/(1 + w) = w - w·part, and 1/(1 + w) = 1 - part.
    base = select(x < 0, w, 1.0)
    return fma(-base, part, base)


def softplus(x: Node) -> Node:
    """log(1 + exp(x))."""
    return select(x > 0, x, 0.0) + log1p_of_share(exp(-abs(x)))


def log_expit(x: Node) -> Node:
    """log(1/(1 + exp(-x)))."""
    return -softplus(-x)


def logaddexp(x: Node, y: Node) -> Node:
    """log(exp(x) + exp(y))."""
    larger, smaller = maximum(x, y), minimum(x, y)
    difference, lost = two_sum(smaller, -larger)
    # Infinities have no difference, unless they are equal.
    same = x.eq(y)
    w = exp_of_parts(select(same, 0.0, difference), select(same, 0.0, lost))
    total = larger + log1p_of_share(w)
    return select(is_nan(x) | is_nan(y), x + y, total)
