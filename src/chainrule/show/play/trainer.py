"""The network on the page: trained by `fit`, changed between epochs, with a record of how."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.base.errors import DivergenceError
from chainrule.base.trees import map_tree
from chainrule.show.play.controls import MAKE, ROWS, STRUCTURE, VIEW, Controls, Source, in_words
from chainrule.show.play.frame import Camera, Curves
from chainrule.show.play.network import network, take_over
from chainrule.show.play.problem import problem_for
from chainrule.show.play.script import Segment, script
from chainrule.train.callback import Callback
from chainrule.train.container import write_container
from chainrule.train.saving import contents

# `fit` keeps the numbers of all its epochs; ended and begun anew now and then, it forgets them.
_EPOCHS = 1000


class Trainer:
    """A network and where its training stands. For one thread.

    Args:
        controls: how to begin.
        source: the user's table, if there is one.

    Attributes: controls, problem, model, epoch (how many are done), curves, camera, segments (what
    was trained under which controls since the weights were drawn).

    Raises:
        ChainruleError: a table that can't be read or learned from.
    """

    def __init__(self, controls: Controls, source: Source | None) -> None:
        self.source = source
        self.controls = controls
        self._begin(controls)

    def _begin(self, controls: Controls) -> None:
        """A new problem, a new network."""
        problem = problem_for(controls, self.source)
        self.model = network(controls, problem)
        self.problem, self.camera = problem, Camera(problem)
        self.controls = controls
        self.epoch = 0
        self.curves = Curves()
        self.segments = [Segment(_recorded(controls), 0, 0)]
        self._keep()

    def restart(self) -> None:
        """The first weights again."""
        self._begin(self.controls)

    def apply(self, controls: Controls) -> str:
        """Go on under these controls.

        Returns:
            What became of the network by that, in a sentence; "" if nothing did.

        Raises:
            ChainruleError: the problem that they choose can't be had; all is as it was.
        """
        names = controls.differences(self.controls)
        if names & STRUCTURE:
            self._begin(controls)
            sizes = [len(self.problem.inputs), *controls.hidden, self.problem.outputs]
            return (
                f"New network {' – '.join(map(str, sizes))}: its weights were drawn anew "
                f"from seed {controls.seed}, and training begins at epoch 0."
            )
        if names & (ROWS | VIEW):
            self.problem = problem_for(controls, self.source)
            self.camera = Camera(self.problem)
        self.controls = controls
        told = ""
        if names & MAKE:
            before = self.model
            self.model = network(controls, self.problem)
            take_over(self.model, before, with_optimizer="optimizer" not in names)
            fields = Controls.__dataclass_fields__
            what = ", ".join(in_words(name) for name in fields if name in names)
            told = f"Changed {what}: the network keeps its weights."
        elif "learning_rate" in names:
            self.model.compiled.optimizer.learning_rate = controls.learning_rate
        self._turn(_recorded(controls))
        return told

    def _turn(self, controls: Controls) -> None:
        """Enter in the record that from here on there are other controls."""
        if controls == self.segments[-1].controls:
            return
        self.segments[-1] = self.segments[-1]._replace(last=self.epoch)
        last = self.segments[-1]
        # A segment without an epoch leaves no trace, except that another optimiser forgets.
        alone = len(self.segments) == 1
        if last.first == last.last and (
            alone or last.controls.optimizer == self.segments[-2].controls.optimizer
        ):
            self.segments.pop()
        if self.segments and self.segments[-1].controls == controls:
            return
        self.segments.append(Segment(controls, self.epoch, self.epoch))

    def train(self, go_on: Callable[[], bool]) -> None:
        """Train until told to stop, or for some hundreds of epochs.

        Args:
            go_on: called after every epoch.

        Raises:
            DivergenceError: the loss left the finite numbers; the network is as it was after the
                last whole epoch.
        """
        x, y = self.problem.train
        self._keep()
        try:
            self.model.fit(
                x,
                y,
                batch_size=self.controls.batch_size or None,
                initial_epoch=self.epoch,
                epochs=self.epoch + _EPOCHS,
                validation_data=self.problem.validation,
                callbacks=[_Live(self, go_on)],
                seed=self.controls.seed,
                verbose=0,
            )
        except DivergenceError:
            variables, self.model.optimizer_state = self._kept
            self.model.keep(variables)
            self.curves.last = (self.epoch + 1, np.nan, None, None, None)
            raise

    def after_epoch(self, logs: dict[str, Any]) -> None:
        """Note that an epoch is done, and its numbers."""
        self.epoch += 1
        self.curves.add(self.epoch, logs)
        self._keep()

    def _keep(self) -> None:
        state = self.model.optimizer_state
        self._kept = (
            map_tree(np.copy, self.model.variables),
            None if state is None else map_tree(np.copy, state),
        )

    # --- what can be taken away ----------------------------------------------------------------

    def code(self) -> str:
        """A Python program that makes this network, bit for bit."""
        self.segments[-1] = self.segments[-1]._replace(last=self.epoch)
        return script(self.segments, self.problem, self.source)

    def model_file(self) -> bytes:
        """The network as a file; `cr.nn.load` reads it, and for a table `chainrule predict`."""
        meaning, arrays = contents(self.model, include_optimizer=False)
        if self.problem.encoder is not None:
            meaning["table"] = self.problem.encoder.config()
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "network.safetensors"
            write_container(file, "model", meaning, arrays)
            return file.read_bytes()


def _recorded(controls: Controls) -> Controls:
    """The controls without those that change nothing in the network."""
    return replace(controls, axes=None, speed=0)


class _Live(Callback):
    """Tells of every epoch while `fit` runs, and ends it."""

    def __init__(self, trainer: Trainer, go_on: Callable[[], bool]) -> None:
        self.trainer = trainer
        self.go_on = go_on

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.trainer.after_epoch(dict(logs or {}))
        if not self.go_on():
            self.model.stop_training = True
