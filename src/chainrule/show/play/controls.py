"""All that can be set on the page, checked when it comes in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from chainrule.base.errors import ArgumentError
from chainrule.show.play.data import FEATURES, HALF, KINDS, dataset

ACTIVATIONS = ("tanh", "relu", "sigmoid", "leaky_relu", "elu", "softplus", "linear")
OPTIMIZERS = ("adam", "sgd", "momentum", "rmsprop")
INITIALIZERS = (
    "glorot_uniform",
    "he_normal",
    "lecun_normal",
    "small_normal",
    "large_normal",
)
MOST_LAYERS = 6
MOST_UNITS = 32
_SKETCHED = 90  # points on the button of a set

# What a change of a control does. One of the first group makes a new network; one of the second
# makes a network of another kind with the same weights; the others only change how it goes on.
STRUCTURE = frozenset({"data", "features", "hidden", "initializer", "seed"})
MAKE = frozenset({"activation", "l1", "l2", "dropout", "optimizer"})
ROWS = frozenset({"noise"})
VIEW = frozenset({"axes"})


# How a person calls what isn't called as it's written.
_WORDS = {"l1": "L1 penalty", "l2": "L2 penalty", "optimizer": "optimiser", "batch_size": "batch"}


def in_words(name: str) -> str:
    """A control as the page calls it."""
    return _WORDS.get(name, name.replace("_", " "))


class Source(NamedTuple):
    """The user's own table. Fields: its path, target column and task; all columns of numbers."""

    path: str
    target: str
    task: str
    columns: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of the file."""
        return Path(self.path).name


@dataclass(frozen=True)
class Controls:
    """How the network is made and trained, and at which pace.

    Fields: data, "table" for the user's own; noise, moves the points, as a part of the half
    width; features, the inputs computed of the coordinates; hidden, the units of each hidden layer;
    batch_size, 0 for all rows; axes, the two columns that span the picture of a table, or None for
    the principal directions; speed, epochs per second, 0 for as many as possible.
    """

    data: str = "circle"
    noise: float = 0.03
    features: tuple[str, ...] = ("x", "y")
    hidden: tuple[int, ...] = (6, 4)
    activation: str = "tanh"
    initializer: str = "glorot_uniform"
    optimizer: str = "adam"
    learning_rate: float = 0.01
    l1: float = 0.0
    l2: float = 0.0
    dropout: float = 0.0
    batch_size: int = 10
    seed: int = 0
    axes: tuple[str, str] | None = None
    speed: int = 15

    def data_dict(self) -> dict[str, Any]:
        """All of it as plain data."""
        return asdict(self)

    def differences(self, other: Controls) -> set[str]:
        """The names of the controls that stand otherwise there."""
        mine, theirs = asdict(self), asdict(other)
        return {name for name in mine if mine[name] != theirs[name]}


def changed(controls: Controls, given: Any, source: Source | None) -> Controls:
    """The controls with some of them set anew.

    Args:
        controls: how they stand.
        given: name → value, as they came from the page.
        source: the user's table, if there is one.

    Raises:
        ArgumentError: no such control, or a value that it can't take.
    """
    if not isinstance(given, Mapping):
        raise ArgumentError("a change is a set of controls with their values")
    checks = _checks(source)
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name not in checks:
            raise ArgumentError(
                "there is no such control", {"asked": str(name)[:40], "known": ", ".join(checks)}
            )
        found[name] = checks[name](name, value)
    return replace(controls, **found)


def offered(source: Source | None) -> dict[str, Any]:
    """What the page is to offer: the same bounds and names that `changed` holds values against."""
    data: list[dict[str, Any]] = [
        {"name": name, "title": kind.title, "points": _sketch(name)} for name, kind in KINDS.items()
    ]
    if source is not None:
        data.insert(0, {"name": "table", "title": source.name, "points": []})
    return {
        "data": data,
        "features": FEATURES,
        "activation": ACTIVATIONS,
        "optimizer": OPTIMIZERS,
        "initializer": INITIALIZERS,
        "columns": [] if source is None else source.columns,
        "layers": MOST_LAYERS,
        "units": MOST_UNITS,
    }


def _sketch(name: str) -> list[list[float]]:
    """Some points of a set, from -1 to 1, with their labels."""
    points, labels = dataset(name)
    some = zip(points[:_SKETCHED].tolist(), labels[:_SKETCHED].ravel().tolist(), strict=True)
    return [[round(x / HALF, 2), round(y / HALF, 2), round(label, 2)] for (x, y), label in some]


Check = Callable[[str, Any], Any]


def _checks(source: Source | None) -> dict[str, Check]:
    sets = (*KINDS, "table") if source is not None else tuple(KINDS)
    columns = () if source is None else source.columns
    return {
        "data": _one_of(sets),
        "noise": _number(0.0, 0.5),
        "features": _features,
        "hidden": _hidden,
        "activation": _one_of(ACTIVATIONS),
        "initializer": _one_of(INITIALIZERS),
        "optimizer": _one_of(OPTIMIZERS),
        "learning_rate": _number(1e-6, 100.0),
        "l1": _number(0.0, 10.0),
        "l2": _number(0.0, 10.0),
        "dropout": _number(0.0, 0.9),
        "batch_size": _whole(0, 100_000),
        "seed": _whole(0, 2**31 - 1),
        "axes": lambda name, value: _axes(name, value, columns),
        "speed": _whole(0, 100_000),
    }


def _refused(name: str, value: Any, wanted: str) -> ArgumentError:
    return ArgumentError(
        f"{in_words(name)} can't be set to that",
        {"given": repr(value)[:60]},
        f"it is {wanted}",
    )


def _number(low: float, high: float) -> Check:
    def check(name: str, value: Any) -> float:
        fine = isinstance(value, (int, float)) and not isinstance(value, bool)
        # NaN fails both comparisons.
        if not fine or not low <= value <= high:
            raise _refused(name, value, f"a number from {low:g} to {high:g}")
        return float(value)

    return check


def _whole(low: int, high: int) -> Check:
    def check(name: str, value: Any) -> int:
        fine = isinstance(value, int) and not isinstance(value, bool)
        if not fine or not low <= value <= high:
            raise _refused(name, value, f"a whole number from {low} to {high}")
        return int(value)

    return check


def _one_of(names: Sequence[str]) -> Check:
    def check(name: str, value: Any) -> str:
        if not isinstance(value, str) or value not in names:
            raise _refused(name, value, f"one of {', '.join(names)}")
        return value

    return check


def _hidden(name: str, value: Any) -> tuple[int, ...]:
    if not isinstance(value, (list, tuple)) or len(value) > MOST_LAYERS:
        raise _refused(name, value, f"a list with the units of up to {MOST_LAYERS} layers")
    units = _whole(1, MOST_UNITS)
    return tuple(units("units of a layer", count) for count in value)


def _features(name: str, value: Any) -> tuple[str, ...]:
    listed = isinstance(value, (list, tuple)) and all(isinstance(one, str) for one in value)
    if not listed or not value or not set(value) <= set(FEATURES):
        raise _refused(name, value, f"a list of at least one of {', '.join(FEATURES)}")
    return tuple(one for one in FEATURES if one in value)


def _axes(name: str, value: Any, columns: Sequence[str]) -> tuple[str, str] | None:
    if value is None:
        return None
    fine = isinstance(value, (list, tuple)) and len(value) == 2
    if not fine or value[0] == value[1] or not all(one in columns for one in value):
        raise _refused(name, value, "null, or two different columns of numbers of the table")
    return (value[0], value[1])
