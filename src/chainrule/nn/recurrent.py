"""Recurrent layers: a cell, and the loop over time."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, ShapeError
from chainrule.base.registry import get, register
from chainrule.base.trees import flatten, map_tree
from chainrule.nn.carried import Carried
from chainrule.nn.cell import Cell
from chainrule.nn.layer import Layer
from chainrule.nn.scope import current, received, write
from chainrule.nn.spec import InputSpec
from chainrule.transform.control import scan


@register("layer")
class RNN(Layer):
    """A cell applied to one step of time after the other, as one compiled loop.

    A cell of your own is a layer with `state_size` (a number, or a list of them), whose
    `call(self, inputs, states)` takes one step's inputs (batch, features) and the list of states
    (batch, size), and returns its output and the new states.

    Args:
        cell: the cell.
        return_sequences: return the outputs of all steps, not only the last.
        return_state: return the last states too: (outputs, *states).
        go_backwards: begin with the last step; the outputs are in the order they are made.
        stateful: whether a call, or a batch in training, begins with the states that the one
            before ended with; `reset_states` makes the next one begin with zeros. All batches then
            have one size, and row i of a batch goes on where row i of the last one ended.
        unroll: write the steps out one after the other instead of a loop: the same numbers, longer
            to compile.
        zero_output_for_mask: give 0 for steps that are masked out, not the last output again.

    Shapes: (batch, steps, features) → (batch, size), or (batch, steps, size). A call also takes
    `initial_state`, a list of arrays (batch, size), zeros if not given, and `mask`, (batch, steps):
    where it is false the states stay as they are.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> class Sum(cr.nn.Layer):
        ...     state_size = 1
        ...
        ...     def call(self, inputs, states):
        ...         total = states[0] + np.sum(inputs, axis=-1, keepdims=True)
        ...         return total, [total]
        >>> layer = cr.nn.RNN(Sum(), return_sequences=True)
        >>> layer(np.array([[[1.0], [2.0], [4.0]]]))[0, :, 0]
        array([1., 3., 7.], dtype=float32)
    """

    supports_masking = True

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        *,
        zero_output_for_mask: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.cell = get("layer", cell)
        if not isinstance(self.cell, Layer) or not hasattr(self.cell, "state_size"):
            raise ArgumentError(
                "the cell of an RNN is a layer that says the size of its states",
                {"given": repr(cell)[:80]},
                "cr.nn.LSTMCell(32), or a layer of your own with state_size = 32",
            )
        self.return_sequences = bool(return_sequences)
        self.return_state = bool(return_state)
        self.go_backwards = bool(go_backwards)
        self.stateful = bool(stateful)
        if self.stateful:
            self.own_carried = tuple(Carried(f"state_{i}") for i in range(len(self.sizes())))
        self.unroll = bool(unroll)
        self.zero_output_for_mask = bool(zero_output_for_mask)
        own = isinstance(self.cell, Cell)
        self.input_spec = InputSpec(ndim=3) if own else InputSpec(min_ndim=3)

    def sizes(self) -> list[int]:
        """The size of each state of the cell."""
        size = self.cell.state_size
        return [int(n) for n in size] if isinstance(size, (list, tuple)) else [int(size)]

    def build(self, input_shape: Any) -> None:
        shape = input_shape[0] if isinstance(input_shape, list) else input_shape
        self.input_spec = InputSpec(ndim=len(shape), axes={-1: shape[-1]})
        scope = current()
        if not self.cell.built and scope is not None:
            self.cell._build((shape[0], *shape[2:]), scope)

    def call(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool = False,
    ) -> Any:
        states = self._start(initial_state, sequences.shape[0])
        step, rows = self._step(np.swapaxes(sequences, 0, 1), training)
        masked = mask is not None
        if masked:
            rows = (rows, self._steps_of(mask, sequences))
        # A cell of ours gives its first state for output; any other's travels along.
        carried = masked or not isinstance(self.cell, Cell)
        first = self._no_output(sequences.shape[0]) if carried else ()

        def body(carry: Any, row: Any) -> tuple[Any, Any]:
            old, last = carry
            inputs, counts = row if masked else (row, True)
            output, new = step(inputs, old)
            if masked:
                before: Any = 0.0 if self.zero_output_for_mask else last
                output = np.where(counts, output, before)
                new = [np.where(counts, n, o) for n, o in zip(new, old, strict=True)]
            return (new, output if carried else ()), output if self.return_sequences else None

        loop = _written_out if self.unroll else scan
        (states, last), ys = loop(body, (states, first), rows, reverse=self.go_backwards)
        if self.return_sequences:
            output = np.swapaxes(ys[::-1] if self.go_backwards else ys, 0, 1)
        else:
            output = last if carried else states[0]
        for left, state in zip(self.own_carried, states, strict=False):
            write(left, state)
        return (output, *states) if self.return_state else output

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        kept = previous_mask if self.return_sequences else None
        return [kept, *(None for _ in self.sizes())] if self.return_state else kept

    def _start(self, given: Any, batch: int) -> list[Any]:
        """The first states."""
        sizes = self.sizes()
        if given is None and self.stateful:
            given = self._left(batch)
        if given is None:
            return [np.zeros((batch, n), self.dtype) for n in sizes]
        states = list(given) if isinstance(given, (list, tuple)) else [given]
        shapes = [np.shape(state) for state in states]
        if shapes != [(batch, n) for n in sizes]:
            raise ShapeError(
                f"the initial_state doesn't fit the layer {self.name!r}",
                {"given": shapes, "expected": [(batch, n) for n in sizes]},
                "pass one array (batch, size) for each state, as return_state=True gives them",
            )
        return [self._cast(state) for state in states]

    def _left(self, batch: int) -> list[Any] | None:
        """The states that the call before has left, if there was one."""
        states = [received(carried) for carried in self.own_carried]
        if any(state is None for state in states):
            return None
        rows = np.shape(states[0])[0]
        if rows != batch:
            raise ShapeError(
                f"the stateful layer {self.name!r} has states for batches of another size",
                {"rows before": rows, "rows now": batch},
                f"pass batches of {rows} rows, or forget the states: model.reset_states()",
            )
        return states

    def _step(self, sequences: Any, training: bool) -> tuple[Any, Any]:
        """What a step does with its row and the states; and the rows, time first."""
        cell = self.cell
        if not isinstance(cell, Cell):
            return self._own_step, sequences
        _, batch, features = sequences.shape
        across, along = cell.patterns(batch, features, training)
        if across is not None:
            sequences = sequences * across
        return (lambda row, states: cell.step(row, states, along)), cell.project(sequences)

    def _own_step(self, row: Any, states: Any) -> tuple[Any, list[Any]]:
        """A step of a user's cell."""
        output, new = self.cell(row, states)
        return output, list(new) if isinstance(new, (list, tuple)) else [new]

    def _no_output(self, batch: int) -> np.ndarray:
        size = getattr(self.cell, "output_size", None) or self.sizes()[0]
        return np.zeros((batch, int(size)), self.dtype)

    def _steps_of(self, mask: Any, sequences: Any) -> Any:
        """The mask with the time first, as truth values (steps, batch, 1)."""
        mask = mask if hasattr(mask, "dtype") else np.asarray(mask)
        if mask.shape != sequences.shape[:2]:
            raise ShapeError(
                f"the mask of {self.name!r} doesn't fit its input",
                {"mask": list(mask.shape), "input": list(sequences.shape)},
                "its shape has to be (batch, steps)",
            )
        return np.swapaxes(mask.astype(bool), 0, 1)[:, :, None]


def _written_out(body: Any, carry: Any, rows: Any, reverse: bool) -> tuple[Any, Any]:
    """What `scan` computes, step after step."""
    steps = len(flatten(rows)[0][0])
    ys: list[Any] = [None] * steps
    for k in reversed(range(steps)) if reverse else range(steps):
        carry, ys[k] = body(carry, map_tree(lambda a, k=k: a[k], rows))
    return carry, np.stack(ys) if ys and ys[0] is not None else None


class OfCell(RNN):
    """A recurrent layer that makes its own cell, and shows the cell's arguments as its own."""

    def __getattr__(self, name: str) -> Any:
        cell = self.__dict__.get("cell")
        own = name.startswith("_") or name in self._derived
        if cell is not None and not own:
            return getattr(cell, name)
        return super().__getattr__(name)
