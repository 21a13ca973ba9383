"""The classic sets of points in the plane, drawn by a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from chainrule.base.errors import ArgumentError

HALF = 3.0  # points lie between -HALF and HALF, up to noise
POINTS = 300

# A maker takes a generator and a number of points; it gives points, and labels before any noise.
Maker = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]


class Kind(NamedTuple):
    """One set: what it is called, how many classes it has (0: a number to predict), its maker."""

    title: str
    classes: int
    make: Maker


def _turned(radius: np.ndarray, angle: np.ndarray) -> np.ndarray:
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _circle(chance: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    label = np.arange(count) % 2
    # Evenly over the areas of a disc and of a ring around it.
    low, high = np.where(label, 1.8, 0.0), np.where(label, 2.8, 1.3)
    radius = np.sqrt(chance.uniform(low**2, high**2))
    return _turned(radius, chance.uniform(0, 2 * np.pi, count)), label


def _xor(chance: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    points = chance.uniform(0.2, 2.8, (count, 2)) * chance.choice([-1, 1], (count, 2))
    return points, (points[:, 0] * points[:, 1] < 0).astype(int)


def _gaussians(chance: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    label = np.arange(count) % 2
    centre = np.where(label, 1.2, -1.2)[:, None]
    return centre + 0.6 * chance.standard_normal((count, 2)), label


def _moons(chance: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    label = np.arange(count) % 2
    angle = chance.uniform(0, np.pi, count)
    shift = np.array([0.9, 0.4])
    upper = _turned(np.full(count, 1.8), angle) - shift
    lower = _turned(np.full(count, 1.8), -angle) + shift
    points = np.where(label[:, None], lower, upper)
    return points + 0.12 * chance.standard_normal((count, 2)), label


def _arms(arms: int, turns: float) -> Maker:
    def make(chance: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        label = np.arange(count) % arms
        way = np.sqrt(chance.uniform(0.01, 1.0, count))
        angle = 2 * np.pi * (turns * way + label / arms)
        return _turned(2.8 * way, angle), label

    return make


def _four(chance: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    label = np.arange(count) % 4
    centre = _turned(np.full(count, 1.8), np.pi / 4 + label * np.pi / 2)
    return centre + 0.5 * chance.standard_normal((count, 2)), label


def _plane(chance: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    points = chance.uniform(-2.8, 2.8, (count, 2))
    return points, (points[:, 0] + points[:, 1]) / 5.6


def _hills(chance: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    points = chance.uniform(-2.8, 2.8, (count, 2))
    centres = [(1.5, 1.5, 1), (-1.5, 1.5, -1), (1.5, -1.5, -1), (-1.5, -1.5, 1), (0, 0, 1)]
    heights = [s * np.exp(-((points - (a, b)) ** 2).sum(axis=1) / 0.9) for a, b, s in centres]
    return points, np.clip(np.sum(heights, axis=0), -1, 1)


KINDS = {
    "circle": Kind("Circle", 2, _circle),
    "xor": Kind("Exclusive or", 2, _xor),
    "gaussians": Kind("Two clouds", 2, _gaussians),
    "moons": Kind("Moons", 2, _moons),
    "spiral": Kind("Spiral", 2, _arms(2, 1.25)),
    "four": Kind("Four clouds", 4, _four),
    "galaxy": Kind("Four arms", 4, _arms(4, 0.75)),
    "plane": Kind("Plane (a number)", 0, _plane),
    "hills": Kind("Hills (a number)", 0, _hills),
}


def dataset(name: str, noise: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points of the plane with labels.

    Args:
        name: "circle", "xor", "gaussians", "moons", "spiral", "four", "galaxy", "plane", "hills".
        noise: how far points are moved at random, as a part of the half width of the plane; the
            same points of the same seed stay recognisable at any noise.
        seed: decides the points.

    Returns:
        Points, float32 of shape (300, 2), and labels: classes, integers of shape (300,), or numbers
        between -1 and 1, float32 of shape (300, 1).

    Raises:
        ArgumentError: no set of this name.

    Example:
        >>> points, labels = dataset("spiral", noise=0.05, seed=0)
        >>> points.shape, sorted(set(labels.tolist()))
        ((300, 2), [0, 1])
    """
    if name not in KINDS:
        raise ArgumentError(
            "there is no such set of points", {"asked": name, "known": ", ".join(KINDS)}
        )
    places, moves = (
        np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, part])))
        for part in (0, 1)
    )
    points, labels = KINDS[name].make(places, POINTS)
    points = (points + noise * HALF * moves.standard_normal(points.shape)).astype(np.float32)
    if KINDS[name].classes:
        return points, labels.astype(np.int64)
    return points, labels.astype(np.float32)[:, None]


# What may be fed to the network instead of, or besides, the coordinates. The three squares are the
# basis functions that make a circle linearly separable.
_FEATURES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "x": lambda x, y: x,
    "y": lambda x, y: y,
    "x²": lambda x, y: x * x,
    "y²": lambda x, y: y * y,
    "√2·xy": lambda x, y: np.sqrt(np.float32(2)) * x * y,
    "sin x": lambda x, y: np.sin(x),
    "sin y": lambda x, y: np.sin(y),
}
FEATURES = tuple(_FEATURES)


def features(points: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """The inputs of a network: functions of the coordinates, one column per name.

    Args:
        points: of shape (n, 2).
        names: out of "x", "y", "x²", "y²", "√2·xy", "sin x", "sin y".

    Returns:
        An array of shape (n, number of names), of the dtype of the points.

    Raises:
        ArgumentError: no feature of a name.

    Example:
        >>> features(np.array([[1.0, 2.0]], np.float32), ["x", "y²"])
        array([[1., 4.]], dtype=float32)
    """
    strange = [name for name in names if name not in _FEATURES]
    if strange or not names:
        raise ArgumentError(
            "there is no such feature" if strange else "a network needs an input",
            {"asked": strange[0] if strange else "none", "known": ", ".join(FEATURES)},
        )
    x, y = points[:, 0], points[:, 1]
    return np.stack([_FEATURES[name](x, y) for name in names], axis=1)
