"""Newton's method with exact derivatives, and the derivative of its answer."""

import numpy as np

import chainrule as cr


def newton(f, guess, tolerance=1e-12):
    """A zero of a system of equations."""
    for _ in range(50):
        step = np.linalg.solve(cr.jacobian(f)(guess), f(guess))
        guess = guess - step
        if np.max(np.abs(step)) < tolerance:
            break
    return guess


def crossing(radius):
    """Where a circle meets the parabola y = x²; a root of two equations."""

    def equations(p):
        return np.array([p[0] ** 2 + p[1] ** 2 - radius**2, p[1] - p[0] ** 2])

    return newton(equations, np.array([1.0, 1.0]))


def main():
    point = crossing(2.0)
    print("the circle of radius 2 and y = x² meet at", np.round(point, 6))
    # The whole iteration is differentiated: loop, `if`, linear solves, inner Jacobians.
    slope = cr.jacobian(crossing)(2.0)
    print("as the radius grows, the point moves by  ", np.round(slope, 6))
    y = point[1]
    exact = np.array([2 / (2 * y + 1) / point[0], 4 / (2 * y + 1)])
    print("by the implicit function theorem          ", np.round(exact, 6))
    assert np.allclose(slope, exact)


if __name__ == "__main__":
    main()
