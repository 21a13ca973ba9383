"""The base of the optimisers: one update of a tree of parameters, as a pure function.

A rule says what becomes of one array. All around it is the same for every optimiser and stands
here: the learning rate, clipping, weight decay, averaging and accumulated gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any, ClassVar

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.registry import base_of, get, serialize, snake_case
from chainrule.base.trees import unflatten
from chainrule.optim.check import Parameters, check_count, check_number, check_rate
from chainrule.optim.clipping import clipped
from chainrule.optim.minimize import minimized

Rule = Callable[..., tuple[Any, ...]]


@base_of("optimizer")
@dataclass(eq=False)
class Optimizer:
    """Base class of the optimisers.

    `init(parameters)` makes the state and `update(gradients, state, parameters)` the next
    parameters and the next state. Both are pure functions of trees of arrays, plain or traced: they
    work in `cr.jit`, in the body of `cr.scan`, and under `cr.vmap`. The parameters keep their
    dtypes, the state its structure.

    Args:
        learning_rate: a number, a schedule, or any function of the step.
        weight_decay: each update also takes rate · weight_decay of every parameter away.
        clipnorm: the gradient of each array is shortened to this norm.
        clipvalue: the entries of gradients are cut off at ± this.
        global_clipnorm: all gradients together are shortened to this norm.
        use_ema: whether the state holds a moving average of the parameters; `finalize` gives it.
        ema_momentum: the part of the average that an update keeps.
        ema_overwrite_frequency: after how many updates the parameters themselves are set to the
            average; None: never.
        gradient_accumulation_steps: the number of calls whose mean gradient makes one update.
        name: what it's called in reports.
        exclude_from_weight_decay: parameters that weight decay leaves alone: parts of their names,
            such as ("bias", "gamma", "beta"), or a function from a name to a truth value.

    Raises:
        ArgumentError: numbers out of their range, or several kinds of clipping at once.

    A new optimiser is a subclass: a dataclass whose fields are its arguments, with `slots`, which
    names the arrays kept per parameter and what they begin with, and `rule`, which returns what
    becomes of one array:

        >>> from dataclasses import dataclass
        >>> import numpy as np
        >>> import chainrule as cr
        >>> @cr.optim.register("optimizer")
        ... @dataclass(eq=False)
        ... class SignMomentum(cr.optim.Optimizer):
        ...     learning_rate: float = 0.01
        ...     momentum: float = 0.9
        ...
        ...     def slots(self):
        ...         return {"momentum": 0.0}
        ...
        ...     def rule(self, rate, count, shared):
        ...         def step(parameter, gradient, momentum):
        ...             momentum = self.momentum * momentum + gradient
        ...             way = cr.optim.as_type(rate, parameter) * np.sign(momentum)
        ...             return parameter - way, momentum
        ...
        ...         return step
        >>> optimizer = SignMomentum()
        >>> parameters = {"w": np.array([1.0, 2.0])}
        >>> state = optimizer.init(parameters)
        >>> optimizer.update({"w": np.array([0.5, -0.1])}, state, parameters)[0]
        {'w': array([0.99, 2.01])}
    """

    # Whether `fit` takes all the data for an update, unless a batch size is given.
    full_batch: ClassVar[bool] = False
    # Whether `update` also takes the function that is minimised, as `objective=`.
    needs_objective: ClassVar[bool] = False

    learning_rate: Any = 0.01
    _: KW_ONLY
    weight_decay: float | None = None
    clipnorm: float | None = None
    clipvalue: float | None = None
    global_clipnorm: float | None = None
    use_ema: bool = False
    ema_momentum: float = 0.99
    ema_overwrite_frequency: int | None = None
    gradient_accumulation_steps: int | None = None
    name: str | None = None
    exclude_from_weight_decay: Sequence[str] | Callable[[str], bool] = ()

    def __watched__(self, held: bool) -> list[tuple[dict[str, Any], str]]:
        """The attributes whose changes compiled functions follow: all of them."""
        return [(vars(self), name) for name in sorted(vars(self))]

    def __post_init__(self) -> None:
        if isinstance(self.learning_rate, Mapping):
            self.learning_rate = get("schedule", self.learning_rate)
        if not callable(self.learning_rate):
            check_rate(self.learning_rate)
        if isinstance(self.learning_rate, (int, np.floating)):
            self.learning_rate = float(self.learning_rate)  # weak: parameters keep their dtype
        self._check_clipping()
        if self.weight_decay is not None:
            check_number(self.weight_decay, "weight_decay", least=0)
        check_number(self.ema_momentum, "ema_momentum", least=0, most=1)
        if self.ema_overwrite_frequency is not None:
            check_count(self.ema_overwrite_frequency, "ema_overwrite_frequency", 1)
        if self.gradient_accumulation_steps is not None:
            check_count(self.gradient_accumulation_steps, "gradient_accumulation_steps", 2)
        if isinstance(self.exclude_from_weight_decay, str):
            self.exclude_from_weight_decay = (self.exclude_from_weight_decay,)
        if self.name is None:
            self.name = snake_case(type(self).__name__)

    def _check_clipping(self) -> None:
        options = {
            name: getattr(self, name) for name in ("clipnorm", "clipvalue", "global_clipnorm")
        }
        given = {name: value for name, value in options.items() if value is not None}
        for name, value in given.items():
            check_number(value, name, above=0)
        if len(given) > 1:
            raise ArgumentError("gradients can be clipped in one way only", given, "choose one")

    # ---- what a subclass says --------------------------------------------------------------------

    def slots(self) -> dict[str, float]:
        """The arrays kept for each parameter: their names, and what all entries begin with."""
        return {}

    def shared(self, count: Any = None, shared: Any = None) -> dict[str, Any]:
        """Numbers kept for all parameters together: at the start, or at update `count` (from 1)."""
        return {}

    def rule(self, rate: Any, count: Any, shared: Mapping[str, Any]) -> Rule:
        """What an update does to one array.

        Args:
            rate: the learning rate: a Python number, or float64 of shape ().
            count: the number of this update, from 1: float64 of shape ().
            shared: what `shared` gave for this update.

        Returns:
            `step(parameter, gradient, *slots)` → `(parameter, *slots)`, in the order of `slots`.
        """
        raise NotImplementedError(f"{type(self).__name__} has to define rule(rate, count, shared)")

    # ---- pure functions --------------------------------------------------------------------------

    def init(self, parameters: Any) -> dict[str, Any]:
        """The state before the first update.

        Args:
            parameters: a tree of float arrays: a dict from names to arrays, or any other.

        Returns:
            {"step": 0, name: a tree like parameters, …}: arrays whose structure never changes.

        Raises:
            DtypeError: parameters that aren't of a real floating type.
        """
        given = Parameters(parameters)
        # Scalars, not arrays of shape (): that's what NumPy makes of them in an update, and a
        # compiled update isn't compiled again for the second call.
        state: dict[str, Any] = {"step": np.int64(0)}
        state.update((name, np.float64(value)) for name, value in self.shared().items())
        for name, value in self._kept().items():
            arrays = [np.full(leaf.shape, value, leaf.dtype) for leaf in given.leaves]
            state[name] = unflatten(given.structure, arrays)
        if self.use_ema:
            state["average"] = unflatten(given.structure, [leaf + 0.0 for leaf in given.leaves])
        return state

    def update(
        self, gradients: Any, state: Mapping[str, Any], parameters: Any, rate: Any = None
    ) -> tuple[Any, dict[str, Any]]:
        """One update.

        Args:
            gradients: the derivatives of what is minimised: a tree like parameters.
            state: what `init` or the last `update` gave.
            parameters: the tree of parameters.
            rate: the learning rate of this update, traced or plain; None: `learning_rate`.

        Returns:
            `(parameters, state)` after the update.

        Raises:
            ArgumentError, ShapeError: trees that don't belong together; the error names the path.
            DtypeError: parameters that aren't of a real floating type.
        """
        given = Parameters(parameters)
        slopes = given.matched("gradients", gradients)
        slopes = [as_type(g, p) for g, p in zip(slopes, given.leaves, strict=True)]
        kept = self._matched_state(given, state)
        if rate is None:
            rate = self.rate_at(state["step"])
        every = self.gradient_accumulation_steps
        if every is None:
            leaves, news, shared = self._stepped(given, slopes, kept, state, rate, state["step"])
        else:
            sums = [a + g for a, g in zip(kept.pop("accumulated"), slopes, strict=True)]
            means = [total / every for total in sums]
            due = (state["step"] + 1) % every == 0
            done = self._stepped(given, means, kept, state, rate, state["step"] // every)
            leaves = _chosen(due, done[0], given.leaves)
            news = {name: _chosen(due, new, kept[name]) for name, new in done[1].items()}
            shared = {name: np.where(due, new, state[name]) for name, new in done[2].items()}
            news["accumulated"] = [np.where(due, 0.0, total) for total in sums]
        trees = {name: unflatten(given.structure, new) for name, new in news.items()}
        return unflatten(given.structure, leaves), {
            "step": state["step"] + 1,
            **shared,
            **trees,
        }

    def advance(
        self,
        slope: Callable[[Any], tuple[Any, Any]],
        gradients: Any,
        state: Mapping[str, Any],
        parameters: Any,
        rate: Any = None,
        value: Any = None,
    ) -> tuple[Any, dict[str, Any], Any, Any]:
        """One update, and the function's value and gradient after it.

        Args:
            slope: what `cr.value_and_grad(f)` gives for the function f that is minimised.
            gradients, state, parameters, rate: as for `update`.
            value: the value of f at the parameters.

        Returns:
            `(parameters, state, value, gradients)` after the update.
        """
        parameters, state = self.update(gradients, state, parameters, rate)
        return parameters, state, *slope(parameters)

    def rate_at(self, step: Any) -> Any:
        """The learning rate after `step` updates: a number of shape ()."""
        return self.learning_rate(step) if callable(self.learning_rate) else self.learning_rate

    def finalize(self, parameters: Any, state: Mapping[str, Any]) -> Any:
        """The parameters to keep at the end of training: their moving average, if there is one."""
        return state["average"] if self.use_ema else parameters

    def minimize(self, f: Callable[[Any], Any], parameters: Any, steps: int = 100) -> Any:
        """Minimise a function of a tree of arrays in one compiled loop.

        Args:
            f: a function of the tree whose result is a real number of shape (), in plain NumPy.
            parameters: where to begin: arrays, or a dict, list, tuple or dataclass of them.
            steps: the number of updates.

        Returns:
            `(parameters, values)`: the tree at the end, and an array of the values of f before
            each update and after the last, steps + 1 in all.

        Raises:
            ArgumentError: steps that aren't a whole number.
            DtypeError: parameters that aren't of a real floating type.
            ShapeError: f doesn't return a single number.

        Example:
            >>> import numpy as np
            >>> import chainrule as cr
            >>> bowl = lambda tree: np.sum((tree["x"] - 3.0) ** 2) + tree["y"] ** 2
            >>> start = {"x": np.zeros(2), "y": 1.0}
            >>> found, values = cr.optim.SGD(0.1).minimize(bowl, start, steps=100)
            >>> np.round(found["x"], 6), values.shape
            (array([3., 3.]), (101,))
        """
        return minimized(self, f, parameters, steps)

    # ---- as data ---------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The arguments it was made with, as plain data.

        Raises:
            ArgumentError: the learning rate is a function that isn't entered as a schedule, or
                weight decay is excluded by a function.
        """
        config = {field.name: getattr(self, field.name) for field in fields(self)}
        if callable(self.learning_rate):
            config["learning_rate"] = serialize(self.learning_rate)
        if callable(self.exclude_from_weight_decay):
            raise ArgumentError(
                "exclude_from_weight_decay is a function, which can't be written as data",
                fix='give parts of the names instead: ("bias", "gamma")',
            )
        config["exclude_from_weight_decay"] = list(self.exclude_from_weight_decay)
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Optimizer:
        """The optimiser that `get_config` wrote."""
        return cls(**config)

    # ---- how an update is put together -----------------------------------------------------------

    def _kept(self) -> dict[str, float]:
        """All arrays kept for each parameter, but for the average."""
        more = {} if self.gradient_accumulation_steps is None else {"accumulated": 0.0}
        return {**self.slots(), **more}

    def _matched_state(self, given: Parameters, state: Mapping[str, Any]) -> dict[str, list[Any]]:
        """The leaves of the state's trees, after a look at whether it is a state of this kind."""
        trees = [*self._kept(), *(["average"] if self.use_ema else [])]
        wanted = {"step", *self.shared(), *trees}
        if not isinstance(state, Mapping) or set(state) != wanted:
            raise ArgumentError(
                f"this isn't a state of {type(self).__name__} with these options",
                {
                    "wanted": ", ".join(sorted(wanted)),
                    "given": ", ".join(map(str, state))
                    if isinstance(state, Mapping)
                    else type(state).__name__,
                },
                "use the state that its own init or update gave",
            )
        return {name: given.matched(f"state {name!r}", state[name]) for name in trees}

    def _stepped(
        self,
        given: Parameters,
        gradients: list[Any],
        kept: Mapping[str, list[Any]],
        state: Mapping[str, Any],
        rate: Any,
        done: Any,
    ) -> tuple[list[Any], dict[str, list[Any]], dict[str, Any]]:
        """The parameters, slots and shared numbers after an update; `done` were made before."""
        count = done + 1.0
        shared = self.shared(count, {name: state[name] for name in self.shared()})
        step = self.rule(rate, count, shared)
        gradients = clipped(self, gradients)
        slots = list(self.slots())
        rows = [
            step(p, g, *(kept[name][k] for name in slots))
            for k, (p, g) in enumerate(zip(self._decayed(given, rate), gradients, strict=True))
        ]
        leaves = [row[0] for row in rows]
        news = {name: [row[n] for row in rows] for n, name in enumerate(slots, start=1)}
        if self.use_ema:
            leaves, news["average"] = self._averaged(leaves, kept["average"], done)
        return leaves, news, shared

    def _decayed(self, given: Parameters, rate: Any) -> list[Any]:
        if not self.weight_decay:
            return given.leaves
        part = self.weight_decay * rate
        return [
            leaf if self._is_excluded(name) else leaf - leaf * as_type(part, leaf)
            for name, leaf in zip(given.names(), given.leaves, strict=True)
        ]

    def _is_excluded(self, name: str) -> bool:
        chosen = self.exclude_from_weight_decay
        return chosen(name) if callable(chosen) else any(part in name for part in chosen)

    def _averaged(
        self, leaves: list[Any], averages: list[Any], done: Any
    ) -> tuple[list[Any], list[Any]]:
        """The parameters, and their average with them."""
        kept = np.where(done == 0, 0.0, self.ema_momentum)
        averages = [
            as_type(kept, leaf) * average + as_type(1.0 - kept, leaf) * leaf
            for leaf, average in zip(leaves, averages, strict=True)
        ]
        if self.ema_overwrite_frequency is not None:
            due = (done + 1) % self.ema_overwrite_frequency == 0
            leaves = _chosen(due, averages, leaves)
        return leaves, averages


def as_type(value: Any, array: Any) -> Any:
    """A value in the dtype of an array; Python's own numbers, which take any, stay."""
    dtype = getattr(value, "dtype", None)
    return value if dtype is None or dtype == array.dtype else value.astype(array.dtype)


def _chosen(due: Any, new: list[Any], old: list[Any]) -> list[Any]:
    return [np.where(due, a, b) for a, b in zip(new, old, strict=True)]
