"""A training under way: the carry, the native calls it goes through, and where it stands."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.base.settings import current, settings
from chainrule.base.trees import flatten, unflatten
from chainrule.nn.pure import sorted_apart
from chainrule.run.guards import settled
from chainrule.run.jit import jit
from chainrule.train.blocked import BLOCK, First, blocked_training, first_layer
from chainrule.train.callback import Callback
from chainrule.train.carrying import states_for
from chainrule.train.divergence import refuse_divergence
from chainrule.train.epoch import Carry, training
from chainrule.train.history import History
from chainrule.train.memory import Memory
from chainrule.train.prepare import Setting, compiled_of
from chainrule.train.progress import Progress
from chainrule.train.source import Chunk

_WATCHED_SECONDS = 0.2  # how long a native call may take while someone watches
_QUIET_SECONDS = 5.0  # and while nobody does: what Ctrl-C may cost
_MOVE_SHARE = 0.02  # the part of a call's time that writing the weights elsewhere may take
_MOVE_RATE = 1e10  # bytes a second, a careful guess
_LARGE_BYTES = 1 << 20  # of a carry, from which on its memory is used again


class Training:
    """Steps of training from where the model stands now.

    Args:
        model: the network, with values.
        how: its objective and meters.
        source: the batches.
        seed: decides the order of the rows and all chance.
        by_batch: whether every batch is a native call of its own.
    """

    def __init__(self, model: Any, how: Setting, source: Any, seed: int, by_batch: bool) -> None:
        compiled = compiled_of(model, "fit")
        self.model, self.how, self.source, self.seed = model, how, source, seed
        self.optimizer = compiled.optimizer
        # The one that programs read is a copy without the rate: a new rate is no new program.
        self.read = compiled.kept(("optimizer",), lambda: copy.copy(compiled.optimizer))
        self.weights = how.objective.weights
        variables = sorted_apart(model, {path: w.kept() for path, w in self.weights.items()})
        slots = model.optimizer_state
        if slots is None:
            slots = self.optimizer.init(variables["parameters"])
        self.carried = how.objective.carried
        state = variables["state"] | self._states()
        self.carry = Carry(variables["parameters"], state, slots, how.meters.init())
        first = first_layer(model, how.objective, self.optimizer, source.plan, compiled.blocked)
        self.blocked = first is not None
        key = ("train", how.objective, source.plan, self.blocked)
        self.program = compiled.kept(key, lambda: jit(settled(self._steps(first))))
        handed = compiled.kept(("bytes", how.objective), lambda: _bytes(self.carry))
        self.memory, self.large = Memory(), handed >= _LARGE_BYTES
        # What a step takes is known from the last time, where there was one like it.
        self.pace = compiled.kept(
            ("pace", key, by_batch, current()),
            lambda: _Pace(by_batch, handed, BLOCK if self.blocked else 1),
        )
        self.position = (0, 0)
        self.callbacks: Sequence[Callback] = ()
        self.history = History()

    def _steps(self, first: First | None) -> Any:
        objective, meters = self.how
        if first is not None:
            return blocked_training(objective, self.read, meters, first)
        return training(objective, self.read, meters, self.source.plan)

    def _states(self) -> dict[str, Any]:
        """What stateful layers begin the next batch with."""
        if not self.carried:
            return {}
        return states_for(self.model, self.source.sample().x, self.source.plan.size, "fit")

    # --- the model and the carry ---------------------------------------------------------------

    def hand_over(self) -> None:
        """Give the model the values that the training has reached."""
        kept = {**self.weights, **self.carried}
        for path, value in (*self.carry.parameters.items(), *self.carry.state.items()):
            kept[path].value = np.asarray(value)
        self.model.optimizer_state = self.carry.optimizer

    def finish(self) -> None:
        """Give the model the parameters to keep: their moving average, where there is one."""
        last = self.optimizer.finalize(self.carry.parameters, self.carry.optimizer)
        self.carry = self.carry._replace(parameters=last)
        self.hand_over()

    def take_over(self) -> None:
        """Go on from the model's values, which a callback may have changed."""
        states = self._states()
        kept = {path: weight.kept() for path, weight in self.weights.items()} | states
        slots = self.model.optimizer_state
        self.carry = self.carry._replace(
            parameters={path: kept[path] for path in self.carry.parameters},
            state={path: kept[path] for path in self.carry.state},
            optimizer=self.carry.optimizer if slots is None else slots,
        )

    def rate_now(self) -> float | None:
        """The learning rate, where it's one number."""
        rate = getattr(self.optimizer, "learning_rate", None)
        if rate is None:
            return None
        return float(rate(int(self.carry.optimizer["step"])) if callable(rate) else rate)

    def resumed(self, meters: Any) -> None:
        """Go on from the model's values, with the sums of an epoch under way."""
        self.take_over()
        self.carry = self.carry._replace(meters=meters)

    def plain_rate(self) -> float | None:
        """The rate as the program takes it: a number that may change, or None for a schedule."""
        rate = getattr(self.optimizer, "learning_rate", None)
        return None if rate is None or callable(rate) else float(rate)

    # --- an epoch ------------------------------------------------------------------------------

    def epoch(
        self, epoch: int, start: int, callbacks: Sequence[Callback], progress: Progress
    ) -> dict[str, Any]:
        """All steps of an epoch from `start` on; its numbers."""
        if start == 0:
            self.carry = self.carry._replace(meters=self.how.meters.init())
        chance = np.random.SeedSequence([self.seed, epoch, 1])
        key = chance.generate_state(2, np.uint64)
        for chunk in self.source.chunks(self.seed, epoch, start):
            self._chunk(chunk, epoch, max(start, chunk.first), key, callbacks, progress)
        self.hand_over()
        return self.how.meters.results(self.carry.meters)

    def _chunk(
        self,
        chunk: Chunk,
        epoch: int,
        step: int,
        key: np.ndarray,
        callbacks: Sequence[Callback],
        progress: Progress,
    ) -> None:
        last = chunk.first + chunk.steps
        while step < last:
            stop = min(self.pace.stop(step, progress.watched), last)
            stop = min([stop, *(_boundary(c.every_steps(), step) for c in callbacks)])
            if self.pace.single:
                for callback in callbacks:
                    callback.on_train_batch_begin(step, {})
                self.take_over()
            began = time.perf_counter()
            before = self.carry
            after, reached, fine = self.run_steps(before, chunk, step, stop, key)
            if not fine:
                refuse_divergence(self, before, chunk, step, int(reached), key)
            self.carry = after
            self.pace.note(stop - step, time.perf_counter() - began)
            step = stop
            self.position = (epoch, step)
            if progress.watched:
                progress.advance(step, self.how.meters.results(after.meters))
            self._tell(callbacks, epoch, step)

    def run_steps(self, carry: Carry, chunk: Chunk, start: int, stop: int, key: np.ndarray) -> Any:
        """One native call: the carry after it, the step it stopped at, whether all was finite.

        Gradients too small for all their digits would slow it down, and change no weight.
        """
        said = current().flush_denormals
        with settings(flush_denormals=True if said is None else said):
            return self._run_steps(carry, chunk, start, stop, key)

    def _run_steps(self, carry: Carry, chunk: Chunk, start: int, stop: int, key: np.ndarray) -> Any:
        rate = self.plain_rate()
        vars(self.read).update(vars(self.optimizer))
        if rate is not None:
            self.read.learning_rate = 0.0
        given = (
            carry,
            chunk.data,
            chunk.order,
            chunk.filled,
            chunk.first,
            start,
            stop,
            key,
            rate,
        )
        if not self.large:
            return self.program(*given)
        # The carry that a call begins with stays whole, for Ctrl-C and for a loss that diverges.
        leaves, structure = flatten(carry)
        places = [self.memory.like(leaf) for leaf in leaves]
        step, fine = np.empty((), np.int64), np.empty((), bool)
        self.program(*given, out=(unflatten(structure, places), step, fine))
        after = unflatten(structure, [place if place.ndim else place[()] for place in places])
        return after, step[()], fine[()]

    def _tell(self, callbacks: Sequence[Callback], epoch: int, step: int) -> None:
        if self.pace.single:
            self.hand_over()
            logs = self.how.meters.results(self.carry.meters)
            for callback in callbacks:
                callback.on_train_batch_end(step - 1, logs)
            self.take_over()
        for callback in callbacks:
            every = callback.every_steps()
            if every is not None and step % every == 0:
                self.hand_over()
                callback.on_steps(epoch, step, self)


def _boundary(every: int | None, step: int) -> int:
    """The next step after this one at which something is due."""
    return (step // every + 1) * every if every else 1 << 62


def _bytes(carry: Carry) -> int:
    return sum(np.asarray(leaf).nbytes for leaf in flatten(carry)[0])


class _Pace:
    """How many steps a native call takes: few enough to watch it, enough that calling is free.

    How an epoch is cut changes nothing but this, since every call goes on exactly where the last
    one stopped.
    """

    def __init__(self, single: bool, handed: int, block: int) -> None:
        self.single = single
        self.block = block  # calls begin and end at multiples of this
        self.least = handed / _MOVE_RATE / _MOVE_SHARE  # seconds
        self.each: float | None = None  # seconds of one step

    def stop(self, step: int, watched: bool) -> int:
        """The step before which a call that begins at `step` is to end."""
        if self.single:
            return step + 1
        wanted = max(_WATCHED_SECONDS if watched else _QUIET_SECONDS, self.least)
        steps = 1 if self.each is None else max(1, int(wanted / self.each))
        return -(-(step + steps) // self.block) * self.block

    def note(self, steps: int, seconds: float) -> None:
        """A call has taken so long; the first one was compiled, too, and says little."""
        if self.each is None:
            seconds = min(seconds, _WATCHED_SECONDS) / 16
        self.each = seconds / steps
