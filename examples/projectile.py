"""Aim a projectile by differentiating through the simulation of its flight."""

import numpy as np

import chainrule as cr


def landing(angle, speed=30.0, drag=0.01, step=0.02):
    """How far a ball flies, with air drag: a fourth-order Runge–Kutta loop until it lands."""

    def motion(state):
        velocity = state[2:]
        pull = -drag * np.linalg.norm(velocity) * velocity
        return np.concatenate([velocity, pull + np.array([0.0, -9.81])])

    state = np.array([0.0, 0.0, speed * np.cos(angle), speed * np.sin(angle)])
    while True:
        k1 = motion(state)
        k2 = motion(state + step / 2 * k1)
        k3 = motion(state + step / 2 * k2)
        k4 = motion(state + step * k3)
        after = state + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        if after[1] < 0:
            part = state[1] / (state[1] - after[1])
            return state[0] + part * (after[0] - state[0])
        state = after


def main(target=40.0):
    angle = 0.3
    for _ in range(6):
        distance, slope = cr.value_and_grad(landing)(angle)
        print(f"angle {np.degrees(angle):8.4f}°  lands at {distance:9.5f} m")
        angle = angle - (distance - target) / slope
    assert abs(distance - target) < 1e-6


if __name__ == "__main__":
    main()
