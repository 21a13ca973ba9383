"""The neural Turing machine: a network with a memory that it reads and writes by address."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import nn
from chainrule.nn.arguments import whole_number
from chainrule.tracing.origin import announced
from chainrule.transform.control import scan

_TINY = 1e-8  # keeps norms and weightings off 0, where roots and powers have no slope
_ADDRESS = 6  # numbers of an address besides its key: strength, gate, three shifts, sharpness


def neural_turing_machine(
    outputs: int, units: int = 100, *, slots: int = 128, width: int = 20
) -> nn.Sequential:
    """A neural Turing machine with a feed-forward controller, one read head and one write head.

    Args:
        outputs: the size of each step's output: scores, to be put through a sigmoid or softmax.
        units: of the controller.
        slots, width: the shape of the memory, N × M.

    Returns:
        A `Sequential` of one `NeuralTuringMachine`: (batch, steps, features) → (batch, steps,
        outputs).

    Source: Graves, Wayne and Danihelka, Neural Turing machines, 2014.

    Example:
        >>> import chainrule as cr
        >>> model = cr.models.neural_turing_machine(8, units=32, slots=16, width=10)
        >>> model.compute_output_shape((None, 12, 9))
        (None, 12, 8)
    """
    machine = NeuralTuringMachine(outputs, units, slots=slots, width=width, name="machine")
    return nn.Sequential([machine])


@nn.register("layer")
class NeuralTuringMachine(nn.Layer):
    """A controller that sees the input and what it has read, and heads that it moves over a memory.

    At every step the controller h = tanh(W [x, r] + b), with r what was read before, places the
    write head, which erases and adds, then the read head, which reads; the output is V [h, r] + c
    with what was read now. Memory, weightings and first reading start from values that are learnt.

    Args:
        outputs: the size of each step's output.
        units: of the controller.
        slots, width: the shape of the memory, N × M.

    Shapes: (batch, steps, features) → (batch, steps, outputs).

    Source: Graves, Wayne and Danihelka, Neural Turing machines, 2014, equations 2 to 9.
    """

    def __init__(
        self, outputs: int, units: int = 100, *, slots: int = 128, width: int = 20, **options: Any
    ) -> None:
        super().__init__(**options)
        self.outputs = whole_number("outputs", outputs)
        self.units = whole_number("units", units)
        self.slots = whole_number("slots", slots)
        self.width = whole_number("width", width)
        self.input_spec = nn.InputSpec(ndim=3)

    def build(self, input_shape: Any) -> None:
        address = self.width + _ADDRESS
        for name, inputs, outputs in (
            ("controller", input_shape[-1] + self.width, self.units),
            ("write_head", self.units, address + 2 * self.width),
            ("read_head", self.units, address),
            ("output", self.units + self.width, self.outputs),
        ):
            kernel = self.add_weight((inputs, outputs), name=f"{name}_kernel")
            bias = self.add_weight((outputs,), "zeros", name=f"{name}_bias")
            setattr(self, f"{name}_kernel", kernel)
            setattr(self, f"{name}_bias", bias)
        self.first_memory = self.add_weight((self.slots, self.width), name="first_memory")
        self.first_reading = self.add_weight((self.width,), "zeros", name="first_reading")
        # Different first weightings: from equal ones all slots would stay equal for ever.
        self.first_writing = self.add_weight((self.slots,), "random_normal", name="first_writing")
        self.first_looking = self.add_weight((self.slots,), "random_normal", name="first_looking")

    def call(self, inputs: Any) -> Any:
        batch = inputs.shape[0]
        start = (
            np.broadcast_to(np.tanh(self.first_memory), (batch, self.slots, self.width)),
            np.broadcast_to(nn.activations.softmax(self.first_writing), (batch, self.slots)),
            np.broadcast_to(nn.activations.softmax(self.first_looking), (batch, self.slots)),
            np.broadcast_to(np.tanh(self.first_reading), (batch, self.width)),
        )
        _, outputs = scan(self.step, start, np.swapaxes(inputs, 0, 1))
        return np.swapaxes(outputs, 0, 1)

    def step(self, state: Any, x: Any) -> tuple[Any, Any]:
        """One step of time: the next memory, weightings and reading, and the output."""
        memory, writing, looking, reading = state
        h = self._control(x, reading)
        place, erase, add = self._write_head(h)
        writing = address(memory, writing, place)
        memory = write(memory, writing, erase, add)
        looking = address(memory, looking, self._read_head(h))
        reading = read(memory, looking)
        return (memory, writing, looking, reading), self._output(h, reading)

    @announced
    def _control(self, x: Any, reading: Any) -> Any:
        seen = np.concatenate([x, reading], axis=-1)
        return np.tanh(seen @ self.controller_kernel + self.controller_bias)

    @announced
    def _write_head(self, h: Any) -> Any:
        head = h @ self.write_head_kernel + self.write_head_bias
        return np.split(head, [-2 * self.width, -self.width], axis=-1)

    @announced
    def _read_head(self, h: Any) -> Any:
        return h @ self.read_head_kernel + self.read_head_bias

    @announced
    def _output(self, h: Any, reading: Any) -> Any:
        known = np.concatenate([h, reading], axis=-1)
        return known @ self.output_kernel + self.output_bias


@announced
def write(memory: Any, writing: Any, erase: Any, add: Any) -> Any:
    """The memory after erasing and adding: equations 3 and 4."""
    erased = 1.0 - writing[:, :, None] * nn.activations.sigmoid(erase)[:, None, :]
    return memory * erased + writing[:, :, None] * np.tanh(add)[:, None, :]


@announced
def read(memory: Any, looking: Any) -> Any:
    """What stands in the memory where a head looks: equation 2."""
    return np.sum(looking[:, :, None] * memory, axis=1)


@announced
def address(memory: Any, before: Any, head: Any) -> Any:
    """Where a head looks: by content, then by location.

    Args:
        memory: (batch, N, M).
        before: the weighting of the step before, (batch, N).
        head: what the controller says, (batch, M + 6): the key k, the strength β, the gate g, the
            shift s over -1, 0 and 1, and the sharpness γ, all before their activations.

    Returns:
        The weighting, (batch, N), each row at least 0 with sum 1.

    Source: Graves, Wayne and Danihelka, Neural Turing machines, 2014, section 3.3.
    """
    width = memory.shape[-1]
    weighting = by_content(memory, head[:, :width], head[:, width : width + 1])
    # Equation 7: that, or where it was.
    gate = nn.activations.sigmoid(head[:, width + 1 : width + 2])
    weighting = gate * weighting + (1.0 - gate) * before
    weighting = shifted(weighting, head[:, width + 2 : width + 5])
    return sharpened(weighting, head[:, width + 5 :])


@announced
def by_content(memory: Any, key: Any, strength: Any) -> Any:
    """The slots that resemble the key: equations 5 and 6."""
    key = np.tanh(key)
    dots = np.sum(memory * key[:, None, :], axis=-1)
    lengths = np.sum(memory * memory, axis=-1) * np.sum(key * key, axis=-1, keepdims=True)
    likeness = nn.activations.softplus(strength) * dots / np.sqrt(lengths + _TINY)
    return nn.activations.softmax(likeness)


@announced
def shifted(weighting: Any, shift: Any) -> Any:
    """One slot back, none, or one on: equation 8."""
    shift = nn.activations.softmax(shift)
    return (
        shift[:, 0:1] * np.roll(weighting, -1, axis=-1)
        + shift[:, 1:2] * weighting
        + shift[:, 2:3] * np.roll(weighting, 1, axis=-1)
    )


@announced
def sharpened(weighting: Any, sharpness: Any) -> Any:
    """What is large larger, what is small smaller: equation 9."""
    weighting = (weighting + _TINY) ** (1.0 + nn.activations.softplus(sharpness))
    return weighting / np.sum(weighting, axis=-1, keepdims=True)
