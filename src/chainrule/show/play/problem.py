"""What the network is to learn, and the plane on which one watches it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.show.play.controls import Controls, Source
from chainrule.show.play.data import HALF, KINDS, dataset, features
from chainrule.show.play.table import VALIDATION, TableRows, table_rows
from chainrule.train.partition import split
from chainrule.train.table import Encoder


@dataclass(frozen=True)
class Plane:
    """A plane through the space of inputs, with coordinates.

    Fields: axes, their names; low and high, the corners of the picture, in coordinates; shown, the
    numbers to write at the ends of the two axes.
    """

    axes: tuple[str, str]
    low: tuple[float, float]
    high: tuple[float, float]
    shown: tuple[tuple[float, float], tuple[float, float]]

    def inputs_at(self, points: np.ndarray) -> np.ndarray:
        """The inputs at points of the plane, float32."""
        raise NotImplementedError(f"{type(self).__name__} has to define inputs_at(points)")

    def grid(self, size: int) -> np.ndarray:
        """The inputs at size × size points, line by line from the top left."""
        (left, bottom), (right, top) = self.low, self.high
        across, down = np.linspace(left, right, size), np.linspace(top, bottom, size)
        points = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)
        return self.inputs_at(points)


@dataclass(frozen=True)
class FeaturePlane(Plane):
    """The plane itself, of whose coordinates the inputs are computed. Field: names, of these."""

    names: tuple[str, ...]

    def inputs_at(self, points: np.ndarray) -> np.ndarray:
        return features(points.astype(np.float32), self.names)


@dataclass(frozen=True)
class LinearPlane(Plane):
    """A plane within a space of inputs. Fields: a point of it, and the two ways along the axes."""

    origin: np.ndarray
    basis: np.ndarray

    def inputs_at(self, points: np.ndarray) -> np.ndarray:
        return (self.origin + points @ self.basis).astype(np.float32)

    def places_of(self, inputs: np.ndarray) -> np.ndarray:
        """The coordinates of the points of the plane that are nearest to these inputs."""
        return coordinates(inputs, self.origin, self.basis)


def coordinates(inputs: np.ndarray, origin: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Where inputs lie, as seen along the shortest way to a plane."""
    places: np.ndarray = (inputs - origin) @ np.linalg.pinv(basis)
    return places


@dataclass(frozen=True)
class Problem:
    """Rows to train on and rows to judge by, with all that a picture of them needs.

    Fields: title; inputs, their names; classes, their names, or None for a number to predict;
    span, the numbers that the two strongest colours stand for; train and validation, pairs
    (inputs, labels); places, the coordinates of both in the plane; notes, what the owner of a
    table should know; encoder, of a table.
    """

    title: str
    inputs: tuple[str, ...]
    classes: tuple[str, ...] | None
    span: float
    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    plane: Plane
    places: tuple[np.ndarray, np.ndarray]
    notes: tuple[str, ...] = ()
    encoder: Encoder | None = None

    @property
    def outputs(self) -> int:
        """How many outputs the network has."""
        return 1 if self.classes is None else len(self.classes)


def problem_for(controls: Controls, source: Source | None) -> Problem:
    """The problem that the controls choose.

    Raises:
        ChainruleError: a table that can't be read or learned from.
    """
    if controls.data == "table" and source is not None:
        rows = table_rows(source.path, source.target, source.task, controls.seed)
        return _of_table(rows, source, controls.axes)
    kind = KINDS[controls.data]
    points, labels = dataset(controls.data, controls.noise, controls.seed)
    (near, y), (far, y_far), _ = split(
        points, labels, validation=VALIDATION, test=0.0, seed=controls.seed
    )
    corner = (-1.1 * HALF, 1.1 * HALF)
    plane = FeaturePlane(
        ("x", "y"),
        (corner[0], corner[0]),
        (corner[1], corner[1]),
        (corner, corner),
        controls.features,
    )
    return Problem(
        kind.title,
        controls.features,
        tuple("ABCD"[: kind.classes]) if kind.classes else None,
        1.0,
        (features(near, controls.features), y),
        (features(far, controls.features), y_far),
        plane,
        (near, far),
    )


def _of_table(rows: TableRows, source: Source, axes: tuple[str, str] | None) -> Problem:
    encoder = rows.encoder
    categories = [
        f"{name} = {kind}" for name, kinds in encoder.categories.items() for kind in kinds
    ]
    plane = table_plane(rows.train[0], encoder, axes)
    return Problem(
        source.name,
        (*encoder.numbers, *categories),
        None if encoder.classes is None else tuple(encoder.classes),
        1.0 if encoder.classes is not None else 2.0,
        rows.train,
        rows.validation,
        plane,
        (plane.places_of(rows.train[0]), plane.places_of(rows.validation[0])),
        (*rows.notes, *_of_plane(rows.train[0].shape[1])),
        encoder,
    )


def _of_plane(inputs: int) -> tuple[str, ...]:
    """What one should know of a picture that can't show all inputs."""
    if inputs <= 2:
        return ()
    return (
        f"the picture is one plane through {inputs} inputs: a row stands at the nearest point of "
        "it, where the network may decide otherwise than for the row itself",
    )


def table_plane(x: np.ndarray, encoder: Encoder, axes: Sequence[str] | None) -> LinearPlane:
    """The plane through the mean of the rows: along two columns, or where they spread most.

    Args:
        x: the rows that are trained on, standardised.
        encoder: says which column is which.
        axes: the names of two columns of numbers; None for the two principal directions, or for
            the columns themselves where there are just two.
    """
    names = list(encoder.numbers)
    if axes is None and x.shape[1] == 2 and len(names) == 2:
        axes = (names[0], names[1])
    origin = x.mean(axis=0, dtype=np.float64)
    if axes is not None:
        basis = np.zeros((2, x.shape[1]))
        origin = origin.copy()
        for row, name in enumerate(axes):
            basis[row, names.index(name)] = 1.0
            origin[names.index(name)] = 0.0
    else:
        basis = _principal(x - origin)
    places = coordinates(x, origin, basis)
    low, high = places.min(axis=0), places.max(axis=0)
    margin = 0.06 * (high - low) + 0.1
    low, high = low - margin, high + margin
    ends: list[Any] = [(float(a), float(b)) for a, b in zip(low, high, strict=True)]
    if axes is None:
        labels = ("principal direction 1", "principal direction 2")
        shown = ends
    else:
        labels = (axes[0], axes[1])
        scales = [encoder.numbers[name] for name in axes]
        shown = [
            (mean + spread * a, mean + spread * b)
            for (mean, spread), (a, b) in zip(scales, ends, strict=True)
        ]
    return LinearPlane(
        labels,
        (ends[0][0], ends[1][0]),
        (ends[0][1], ends[1][1]),
        (shown[0], shown[1]),
        origin,
        basis,
    )


def _principal(centred: np.ndarray) -> np.ndarray:
    """Two directions of length 1 along which the rows spread most; each points upwards."""
    _, vectors = np.linalg.eigh(centred.T.astype(np.float64) @ centred)
    found = np.zeros((2, centred.shape[1]))
    for row in range(min(2, centred.shape[1])):
        vector = vectors[:, -1 - row]
        found[row] = vector * np.sign(vector[np.argmax(np.abs(vector))])
    return found
