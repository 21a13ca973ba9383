"""Differentiating a loop: the logistic map, and how its formula swells."""

import numpy as np

import chainrule as cr


def logistic_map(x, n):
    """lₙ of the map lₙ₊₁ = 4lₙ(1 − lₙ), starting from l₁ = x."""
    for _ in range(n - 1):
        x = 4 * x * (1 - x)
    return x


def main():
    print(" n   value       automatic    exact        operations: shared, written out")
    x = 0.3
    for n in (2, 4, 6, 8):
        value, slope = cr.value_and_grad(logistic_map)(x, n)
        # lₙ = sin²(2ⁿ⁻¹ θ) with x = sin²θ.
        k, angle = 2 ** (n - 1), np.arcsin(np.sqrt(x))
        exact = k * np.sin(2 * k * angle) / np.sin(2 * angle)
        formula = cr.symbolic(lambda x, n=n: logistic_map(x, n), x)
        shared, written_out = formula.count_ops(0), formula.count_ops(0, shared=False)
        print(f"{n:2}  {value:9.6f}  {slope:11.6f}  {exact:11.6f}  {shared:6}  {written_out:8}")
        assert np.isclose(slope, exact)


if __name__ == "__main__":
    main()
