"""The cells of recurrent layers: what one step of time does."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.registry import get, register
from chainrule.nn.arguments import fraction, whole_number
from chainrule.nn.noise import Random

States = list[Any]


class Cell(Random):
    """A step of time in two parts: a product of the input alone, and the rest.

    The first part is done for all steps at once, outside of the loop over time.

    Args:
        units: the size of the output, and of each state.
        activation, recurrent_activation: names or functions; None is linear.
        use_bias: whether a bias is added.
        kernel_initializer, recurrent_initializer, bias_initializer: first values.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties.
        kernel_constraint, recurrent_constraint, bias_constraint: applied after each update.
        dropout: the share of the inputs that is dropped while training.
        recurrent_dropout: the share of the state that is. Both patterns are one for all steps and
            all gates.
        seed: a number mixed into the seed of the call.
    """

    gates = 1  # how many products of size `units` a step needs
    state_count = 1

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed, **options)
        self.units = whole_number("units", units)
        self.activation = get("activation", activation) or get("activation", "linear")
        self.use_bias = bool(use_bias)
        self.kernel_initializer = get("initializer", kernel_initializer)
        self.recurrent_initializer = get("initializer", recurrent_initializer)
        self.bias_initializer = get("initializer", bias_initializer)
        self.kernel_regularizer = get("regularizer", kernel_regularizer)
        self.recurrent_regularizer = get("regularizer", recurrent_regularizer)
        self.bias_regularizer = get("regularizer", bias_regularizer)
        self.kernel_constraint = get("constraint", kernel_constraint)
        self.recurrent_constraint = get("constraint", recurrent_constraint)
        self.bias_constraint = get("constraint", bias_constraint)
        self.dropout = fraction("dropout", dropout)
        self.recurrent_dropout = fraction("recurrent_dropout", recurrent_dropout)

    @property
    def state_size(self) -> list[int]:
        """The size of each state."""
        return [self.units] * self.state_count

    @property
    def output_size(self) -> int:
        """The size of the output."""
        return self.units

    def build(self, input_shape: Any) -> None:
        width = self.units * self.gates
        self.kernel = self.add_weight(
            name="kernel",
            shape=(input_shape[-1], width),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel",
            shape=(self.units, width),
            initializer=self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=self.bias_shape(),
                initializer=self.first_bias(),
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def bias_shape(self) -> tuple[int, ...]:
        """The shape of the bias."""
        return (self.units * self.gates,)

    def first_bias(self) -> Any:
        """What the bias starts with."""
        return self.bias_initializer

    def input_bias(self) -> Any:
        """The bias that is added to the product of the input."""
        return self.bias

    def project(self, inputs: Any) -> Any:
        """The part of a step that needs no state; for one step or, with more axes, for many."""
        z = inputs @ self.kernel
        return z + self.input_bias() if self.use_bias else z

    def step(self, projected: Any, states: States, pattern: Any) -> tuple[Any, States]:
        """The rest of a step: its output and the new states."""
        raise NotImplementedError

    def patterns(self, batch: int, features: int, training: bool) -> tuple[Any, Any]:
        """What inputs and state are multiplied by for dropout; None for nothing."""
        rates = ((self.dropout, features), (self.recurrent_dropout, self.units))
        inputs, state = (
            self._pattern(rate, (batch, size)) if training and rate else None
            for rate, size in rates
        )
        return inputs, state

    def _pattern(self, rate: float, shape: tuple[int, ...]) -> Any:
        return self.kept(np.ones(shape, self.dtype), rate, shape)

    def call(self, inputs: Any, states: States, training: bool = False) -> tuple[Any, States]:
        batch, features = inputs.shape
        across, along = self.patterns(batch, features, training)
        if across is not None:
            inputs = inputs * across
        return self.step(self.project(inputs), states, along)


def dropped(state: Any, pattern: Any) -> Any:
    """A state with what recurrent dropout leaves of it."""
    return state if pattern is None else state * pattern


@register("layer")
class SimpleRNNCell(Cell):
    """One step of the plain recurrent network: h' = activation(x @ kernel + h @ recurrent + bias).

    Its arguments are those of `SimpleRNN` up to `seed`. Called with an input (batch, features) and
    a list of the state (batch, units), it gives the output and the list of the new state.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> cell = cr.nn.SimpleRNNCell(3)
        >>> y, states = cr.nn.RNN(cell, return_state=True)(np.ones((2, 5, 4)))
        >>> y.shape, states.shape
        ((2, 3), (2, 3))
    """

    def step(self, projected: Any, states: States, pattern: Any) -> tuple[Any, States]:
        h = dropped(states[0], pattern)
        y = self.activation(projected + h @ self.recurrent_kernel)
        return y, [y]


@register("layer")
class LSTMCell(Cell):
    """One step of a long short-term memory; `LSTM` has the formula.

    Its arguments are those of `LSTM` up to `seed`. Called with an input (batch, features) and the
    list [h, c] of its states, each (batch, units), it gives the output and the new list.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> cell = cr.nn.LSTMCell(3)
        >>> cr.nn.RNN(cell)(np.ones((2, 5, 4))).shape
        (2, 3)
    """

    gates = 4
    state_count = 2

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            units,
            activation,
            use_bias,
            kernel_initializer,
            recurrent_initializer,
            bias_initializer,
            kernel_regularizer,
            recurrent_regularizer,
            bias_regularizer,
            kernel_constraint,
            recurrent_constraint,
            bias_constraint,
            dropout,
            recurrent_dropout,
            seed,
            **options,
        )
        self.recurrent_activation = get("activation", recurrent_activation or "linear")
        self.unit_forget_bias = bool(unit_forget_bias)

    def first_bias(self) -> Any:
        return self._with_forget_bias if self.unit_forget_bias else self.bias_initializer

    def _with_forget_bias(self, shape: Any, dtype: Any = None, seed: Any = None) -> np.ndarray:
        value = np.array(self.bias_initializer(shape, dtype, seed=seed))
        value[self.units : 2 * self.units] = 1.0
        return value

    def step(self, projected: Any, states: States, pattern: Any) -> tuple[Any, States]:
        h, c = states
        z = projected + dropped(h, pattern) @ self.recurrent_kernel
        taken, kept, new, shown = np.split(z, self.gates, axis=-1)
        gate = self.recurrent_activation
        c = gate(kept) * c + gate(taken) * self.activation(new)
        h = gate(shown) * self.activation(c)
        return h, [h, c]


@register("layer")
class GRUCell(Cell):
    """One step of a gated recurrent unit; `GRU` has the formula.

    Its arguments are those of `GRU` up to `seed`, then `reset_after`. Called with an input
    (batch, features) and a list of the state (batch, units), it gives the output and the new list.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> cell = cr.nn.GRUCell(3)
        >>> cr.nn.RNN(cell)(np.ones((2, 5, 4))).shape
        (2, 3)
    """

    gates = 3

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            units,
            activation,
            use_bias,
            kernel_initializer,
            recurrent_initializer,
            bias_initializer,
            kernel_regularizer,
            recurrent_regularizer,
            bias_regularizer,
            kernel_constraint,
            recurrent_constraint,
            bias_constraint,
            dropout,
            recurrent_dropout,
            seed,
            **options,
        )
        self.recurrent_activation = get("activation", recurrent_activation or "linear")
        self.reset_after = bool(reset_after)

    def bias_shape(self) -> tuple[int, ...]:
        width = self.units * self.gates
        return (2, width) if self.reset_after else (width,)

    def input_bias(self) -> Any:
        return self.bias[0] if self.reset_after else self.bias

    def step(self, projected: Any, states: States, pattern: Any) -> tuple[Any, States]:
        u = self.units
        h = states[0]
        seen = dropped(h, pattern)
        x = np.split(projected, self.gates, axis=-1)
        gate = self.recurrent_activation
        if self.reset_after:
            inner = seen @ self.recurrent_kernel
            if self.use_bias:
                inner = inner + self.bias[1]
            s = np.split(inner, self.gates, axis=-1)
            update, reset = gate(x[0] + s[0]), gate(x[1] + s[1])
            new = self.activation(x[2] + reset * s[2])
        else:
            inner = seen @ self.recurrent_kernel[:, : 2 * u]
            update, reset = gate(x[0] + inner[:, :u]), gate(x[1] + inner[:, u:])
            new = self.activation(x[2] + (reset * seen) @ self.recurrent_kernel[:, 2 * u :])
        h = update * h + (1.0 - update) * new
        return h, [h]
