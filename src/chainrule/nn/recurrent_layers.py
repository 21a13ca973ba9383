"""SimpleRNN, LSTM and GRU."""

from __future__ import annotations

from typing import Any

from chainrule.base.registry import register
from chainrule.nn.cell import GRUCell, LSTMCell, SimpleRNNCell
from chainrule.nn.recurrent import OfCell


@register("layer", "simple_rnn")
class SimpleRNN(OfCell):
    """The plain recurrent network: h_t = activation(x_t @ kernel + h_(t-1) @ recurrent + bias).

    Args:
        units: the size of output and state.
        activation: a name or function; None is linear.
        use_bias: whether a bias is added.
        kernel_initializer, recurrent_initializer, bias_initializer: first values.
        kernel_regularizer, recurrent_regularizer, bias_regularizer, activity_regularizer:
            penalties.
        kernel_constraint, recurrent_constraint, bias_constraint: applied after each update.
        dropout, recurrent_dropout: the share of inputs and of the state that is dropped while
            training, the same for all steps.
        return_sequences: return the outputs of all steps, not only the last.
        return_state: return the last state too: (outputs, h).
        go_backwards: begin with the last step; the outputs are in the order they are made.
        stateful, unroll: as for `RNN`.
        seed: a number mixed into the seed of the call.

    Shapes: (batch, steps, features) → (batch, units), or (batch, steps, units). A call also takes
    `initial_state` and `mask`, as for `RNN`. Weights: cell/kernel (features, units),
    cell/recurrent_kernel (units, units), cell/bias (units,).

    Source: Elman, Finding structure in time, 1990.

    Example:
        >>> import chainrule as cr
        >>> cr.nn.SimpleRNN(8, return_sequences=True).compute_output_shape((None, 10, 3))
        (None, 10, 8)
    """

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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        *,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        cell = SimpleRNNCell(
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
            dtype=options.get("dtype"),
        )
        super().__init__(
            cell,
            return_sequences,
            return_state,
            go_backwards,
            stateful,
            unroll,
            activity_regularizer=activity_regularizer,
            **options,
        )


@register("layer")
class LSTM(OfCell):
    """Long short-term memory.

        i = recurrent_activation(x_t @ W_i + h @ U_i + b_i)    f, o likewise
        c ← f · c + i · activation(x_t @ W_c + h @ U_c + b_c)
        h ← o · activation(c)

    Args:
        units: the size of the output and of the states h and c.
        activation, recurrent_activation: names or functions; None is linear.
        use_bias: whether biases are added.
        kernel_initializer, recurrent_initializer, bias_initializer: first values.
        unit_forget_bias: start with 1 for b_f.
        kernel_regularizer, recurrent_regularizer, bias_regularizer, activity_regularizer:
            penalties.
        kernel_constraint, recurrent_constraint, bias_constraint: applied after each update.
        dropout, recurrent_dropout: the share of inputs and of h that is dropped while training,
            the same for all steps and gates.
        seed: a number mixed into the seed of the call.
        return_sequences: return the outputs of all steps, not only the last.
        return_state: return the last states too: (outputs, h, c).
        go_backwards: begin with the last step; the outputs are in the order they are made.
        stateful, unroll: as for `RNN`.

    Shapes: (batch, steps, features) → (batch, units), or (batch, steps, units). A call also takes
    `initial_state` and `mask`, as for `RNN`. Weights, with the gates i, f, c, o side by side:
    cell/kernel (features, 4 · units), cell/recurrent_kernel (units, 4 · units), cell/bias.

    Source: Hochreiter and Schmidhuber, Long short-term memory, 1997; forget gate: Gers,
        Schmidhuber and Cummins, Learning to forget, 2000.

    Example:
        >>> import chainrule as cr
        >>> cr.nn.LSTM(8, return_state=True).compute_output_shape((None, 10, 3))
        ((None, 8), (None, 8), (None, 8))
    """

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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        **options: Any,
    ) -> None:
        cell = LSTMCell(
            units,
            activation,
            recurrent_activation,
            use_bias,
            kernel_initializer,
            recurrent_initializer,
            bias_initializer,
            unit_forget_bias,
            kernel_regularizer,
            recurrent_regularizer,
            bias_regularizer,
            kernel_constraint,
            recurrent_constraint,
            bias_constraint,
            dropout,
            recurrent_dropout,
            seed,
            dtype=options.get("dtype"),
        )
        super().__init__(
            cell,
            return_sequences,
            return_state,
            go_backwards,
            stateful,
            unroll,
            activity_regularizer=activity_regularizer,
            **options,
        )


@register("layer")
class GRU(OfCell):
    """Gated recurrent unit.

        z = recurrent_activation(x_t @ W_z + h @ U_z + b_z)    r likewise
        n = activation(x_t @ W_n + b_n + r · (h @ U_n + b'_n))    reset_after=True
        n = activation(x_t @ W_n + b_n + (r · h) @ U_n)           reset_after=False
        h ← z · h + (1 - z) · n

    Args:
        units: the size of output and state.
        activation, recurrent_activation: names or functions; None is linear.
        use_bias: whether biases are added.
        kernel_initializer, recurrent_initializer, bias_initializer: first values.
        kernel_regularizer, recurrent_regularizer, bias_regularizer, activity_regularizer:
            penalties.
        kernel_constraint, recurrent_constraint, bias_constraint: applied after each update.
        dropout, recurrent_dropout: the share of inputs and of h that is dropped while training,
            the same for all steps and gates.
        seed: a number mixed into the seed of the call.
        return_sequences: return the outputs of all steps, not only the last.
        return_state: return the last state too: (outputs, h).
        go_backwards: begin with the last step; the outputs are in the order they are made.
        stateful, unroll: as for `RNN`.
        reset_after: whether r comes after the product, with a bias of its own, or before it.

    Shapes: (batch, steps, features) → (batch, units), or (batch, steps, units). A call also takes
    `initial_state` and `mask`, as for `RNN`. Weights, with z, r, n side by side: cell/kernel
    (features, 3 · units), cell/recurrent_kernel (units, 3 · units), cell/bias (2, 3 · units) with
    reset_after, the input's and the state's, else (3 · units,).

    Source: Cho and others, Learning phrase representations using RNN encoder-decoder, 2014;
        reset_after as in NVIDIA's cuDNN.

    Example:
        >>> import chainrule as cr
        >>> cr.nn.GRU(8).compute_output_shape((None, 10, 3))
        (None, 8)
    """

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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        *,
        reset_after: bool = True,
        **options: Any,
    ) -> None:
        cell = GRUCell(
            units,
            activation,
            recurrent_activation,
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
            reset_after,
            seed,
            dtype=options.get("dtype"),
        )
        super().__init__(
            cell,
            return_sequences,
            return_state,
            go_backwards,
            stateful,
            unroll,
            activity_regularizer=activity_regularizer,
            **options,
        )
