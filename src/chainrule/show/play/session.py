"""A training that runs in a thread of its own, and takes orders from others."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from chainrule.base.errors import ArgumentError, ChainruleError, DivergenceError, InternalError
from chainrule.show.play.controls import Controls, Source, changed, offered
from chainrule.show.play.frame import numbers, scene
from chainrule.show.play.trainer import Trainer

ORDERS = ("start", "pause", "step", "reset")
_FRAMES = 15  # at most so many a second
_LIVE = frozenset({"learning_rate", "speed", "axes"})  # can change while `fit` runs
_WAITING_JOBS = 16
_LINGER = 10.0  # seconds that training goes on without a page: long enough to load one anew


class Session:
    """A playground: a network that trains, pauses and changes as it is told.

    Args:
        controls: how to begin.
        source: the user's table, if there is one.

    What it shows lies in `shown`: "scene", "state" and "frame", each as JSON text with a number
    that grows; `newer` waits for it. All public methods can be called from any thread.

    Raises:
        ChainruleError: a table that can't be read or learned from.
    """

    def __init__(self, controls: Controls | None = None, source: Source | None = None) -> None:
        self.source = source
        self.wanted = controls or Controls(data="circle" if source is None else "table")
        self.trainer = Trainer(self.wanted, source)
        self.changed = threading.Condition()
        self.running = False
        self.steps = 0  # epochs still to do before pausing again
        self.restarting = False
        self.stale = True  # whether the page shows less than there is
        self.closed = False
        self.busy = ""
        self.note = ""
        self.fault: dict[str, Any] | None = None
        self.failure: BaseException | None = None
        self.speed = 0.0
        self.listeners = 0
        self._left = -math.inf  # when the last page went
        self.shown: dict[str, tuple[int, str]] = {}
        self._jobs: list[tuple[Callable[[], Any], Future[Any]]] = []
        self._next_frame = 0.0
        self._next_epoch = 0.0
        self._pace = (0, 0.0)  # epochs and seconds when the speed was last measured
        self._scene_of: Any = None
        self._scenes = 0
        self._compiled_for: Any = None
        self.thread = threading.Thread(target=self._work, name="playground", daemon=True)

    # --- for any thread ------------------------------------------------------------------------

    def open(self) -> None:
        """Begin to work."""
        self.thread.start()

    def close(self) -> None:
        """End the work; returns when the thread is done."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()
        if self.thread.is_alive() and self.thread is not threading.current_thread():
            self.thread.join()

    def change(self, given: Any) -> None:
        """Set controls.

        Raises:
            ArgumentError: no such control, or a value that it can't take; nothing is changed.
        """
        with self.changed:
            self.wanted = changed(self.wanted, given, self.source)
            self.changed.notify_all()

    def order(self, name: Any) -> None:
        """Do one of "start", "pause", "step" (one epoch) and "reset" (the first weights again).

        Raises:
            ArgumentError: something else.
        """
        if name not in ORDERS:
            raise ArgumentError(
                "there is no such order", {"asked": repr(name)[:40], "known": ", ".join(ORDERS)}
            )
        with self.changed:
            if name == "reset":
                self.restarting = True
            else:
                self.running = name != "pause"
                self.steps = self.steps + 1 if name == "step" else 0
            self.changed.notify_all()

    def job(self, work: Callable[[Trainer], Any]) -> Future[Any]:
        """Have something done with the trainer, between two epochs.

        Raises:
            ArgumentError: too much is waiting already, or the work has ended.
        """
        done: Future[Any] = Future()
        with self.changed:
            if self.closed:
                raise ArgumentError("the playground is closed", fix="start it again")
            if len(self._jobs) >= _WAITING_JOBS:
                raise ArgumentError("too many requests are waiting", fix="try again in a moment")
            self._jobs.append((lambda: work(self.trainer), done))
            self.changed.notify_all()
        return done

    @contextmanager
    def listening(self) -> Iterator[None]:
        """While someone looks: frames are made, and the network trains, only then."""
        with self.changed:
            self.listeners += 1
            self.stale = True
            self.changed.notify_all()
        try:
            yield
        finally:
            with self.changed:
                self.listeners -= 1
                self._left = time.monotonic()

    def newer(self, seen: Mapping[str, int], timeout: float) -> dict[str, tuple[int, str]]:
        """What is shown and newer than these numbers; waits for it, up to a time."""

        def news() -> dict[str, tuple[int, str]]:
            return {
                name: entry for name, entry in self.shown.items() if entry[0] > seen.get(name, 0)
            }

        with self.changed:
            self.changed.wait_for(lambda: self.closed or news(), timeout)
            return news()

    # --- in the thread of its own --------------------------------------------------------------

    def _work(self) -> None:
        try:
            while self._wait():
                self._apply()
                self._do_jobs()
                if self.stale:
                    self._show()
                if self._training() and not self._interrupted():
                    self._train()
        except BaseException as error:  # handed to the main thread, which raises it
            self.failure = error
            problem = InternalError(
                "the training stopped, and should not have",
                {"error": f"{type(error).__name__}: {error}"},
                "the terminal says more",
            )
            self._fail(problem)
            self._tell()
            with self.changed:
                self.closed = True
                self.changed.notify_all()
        finally:
            for _, done in self._jobs:
                done.set_exception(ArgumentError("the playground is closed"))
            self._jobs.clear()

    def _wait(self) -> bool:
        """Sleep until there is something to do; whether there is."""
        with self.changed:
            self.changed.wait_for(
                lambda: self.closed or self._training() or self.stale or self._interrupted()
            )
            return not self.closed

    def _training(self) -> bool:
        """Whether to train: if it is started, and someone looks or did so a moment ago."""
        watched = self.listeners or time.monotonic() - self._left < _LINGER
        return bool(self.running and watched)

    def _interrupted(self) -> bool:
        """Whether something other than training is due."""
        other = self.wanted.differences(self.trainer.controls)
        return bool(self.closed or self.restarting or self._jobs or other)

    def _apply(self) -> None:
        with self.changed:
            wanted, restarting = self.wanted, self.restarting
            self.restarting = False
        if not restarting and wanted == self.trainer.controls:
            return
        self.note, self.fault, self.stale = "", None, True
        try:
            if wanted != self.trainer.controls:
                if wanted.differences(self.trainer.controls) - _LIVE:
                    self._tell("compiling")
                self.note = self.trainer.apply(wanted)
            if restarting:
                self.trainer.restart()
                self.note = f"Back to epoch 0, with the first weights of seed {wanted.seed}."
        except ChainruleError as error:
            self._fail(error)
            with self.changed:
                self.wanted = self.trainer.controls

    def _do_jobs(self) -> None:
        with self.changed:
            jobs, self._jobs = self._jobs, []
        for work, done in jobs:
            try:
                done.set_result(work())
            except Exception as error:  # belongs to who asked
                done.set_exception(error)

    def _train(self) -> None:
        self.fault = None
        self._next_epoch = time.monotonic()
        self._pace = (self.trainer.epoch, time.monotonic())
        compiled_for = (self.trainer.model, self.trainer.controls.batch_size)
        self._tell("" if compiled_for == self._compiled_for else "compiling")
        self._compiled_for = compiled_for
        try:
            self.trainer.train(self._after_epoch)
        except DivergenceError as error:
            done = self.trainer.epoch
            self._fail(error, f"lower the learning rate; the network is as it was at epoch {done}")
        except ChainruleError as error:
            self._fail(error)
        if not self.running:
            self.speed, self.stale = 0.0, True

    def _fail(self, error: ChainruleError, fix: str | None = None) -> None:
        """Stop, and show what is wrong."""
        self.running, self.steps, self.stale = False, 0, True
        helps = error.fix or "" if fix is None else fix
        self.fault = {"problem": error.problem, "facts": error.facts, "fix": helps}

    def _after_epoch(self) -> bool:
        """Called after each epoch: show, wait, obey; whether to go on at once."""
        now = time.monotonic()
        if self.steps:
            self.steps -= 1
            if not self.steps:
                self.running = False
        epochs, since = self._pace
        if now - since > 0.5:
            self.speed = (self.trainer.epoch - epochs) / (now - since)
            self._pace = (self.trainer.epoch, now)
        if self.listeners and now >= self._next_frame:
            self._show()
        with self.changed:
            wanted = self.wanted
        other = wanted.differences(self.trainer.controls)
        if other and other <= _LIVE:
            self.trainer.apply(wanted)
        if wanted.speed:
            self._next_epoch = max(self._next_epoch + 1 / wanted.speed, now - 0.2)
            with self.changed:
                self.changed.wait_for(
                    lambda: not self.running or self._interrupted(),
                    max(0.0, self._next_epoch - time.monotonic()),
                )
        return self._training() and not self._interrupted()

    # --- what is shown -------------------------------------------------------------------------

    def _show(self) -> None:
        """Make a frame."""
        began = time.monotonic()
        self.stale = False
        trainer = self.trainer
        if trainer.problem is not self._scene_of:
            self._scenes += 1
            told = {**scene(trainer.problem), "number": self._scenes}
            self._put("scene", {**told, "offered": offered(self.source)})
            self._scene_of = trainer.problem
        picture = trainer.camera.picture(trainer.model)
        told = {"scene": self._scenes, "epoch": trainer.epoch, "curves": trainer.curves.data()}
        self._put("frame", {**picture, **told})
        self._tell()
        # Pictures take at most half of the time.
        ended = time.monotonic()
        self._next_frame = ended + max(1 / _FRAMES, ended - began)

    def _tell(self, busy: str = "") -> None:
        """Show how things stand, which is quick."""
        trainer = self.trainer
        size = trainer.controls.batch_size or len(trainer.problem.train[1])
        state = {
            "running": self.running,
            "busy": busy,
            "epoch": trainer.epoch,
            "steps": -(-len(trainer.problem.train[1]) // size),
            "speed": numbers([self.speed])[0],
            "note": self.note,
            "fault": self.fault,
            "controls": self.wanted.data_dict(),
        }
        self._put("state", state)

    def _put(self, name: str, data: dict[str, Any]) -> None:
        text = json.dumps(data, allow_nan=False, separators=(",", ":"))
        with self.changed:
            number = self.shown.get(name, (0, ""))[0] + 1
            self.shown[name] = (number, text)
            self.changed.notify_all()
