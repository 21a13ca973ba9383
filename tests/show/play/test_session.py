"""The session trains in a thread of its own and does what it is told, between two epochs."""

import json
import time

import pytest

from chainrule import ArgumentError
from chainrule.cli.play import table_source
from chainrule.show.play import session as session_module
from chainrule.show.play.controls import Controls
from chainrule.show.play.session import Session


@pytest.fixture
def session():
    with_thread = Session(Controls(hidden=(3,), batch_size=50, speed=0))
    with_thread.open()
    with with_thread.listening():
        yield with_thread
    with_thread.close()
    assert not with_thread.thread.is_alive()
    assert with_thread.failure is None


def told(session, name="state"):
    """What the page was last told."""
    return json.loads(session.shown.get(name, (0, "{}"))[1])


def test_it_shows_the_network_before_any_training(session, until):
    until(lambda: "frame" in session.shown)
    frame, scene = told(session, "frame"), told(session, "scene")
    assert frame["epoch"] == 0
    assert frame["scene"] == scene["number"]
    assert len(frame["layers"]) == 2
    assert not told(session)["running"]


def test_steps_are_single_epochs(session, until):
    session.order("step")
    until(lambda: told(session, "frame").get("epoch") == 1 and not told(session)["running"])
    session.order("step")
    session.order("step")
    until(lambda: told(session, "frame").get("epoch") == 3 and not told(session)["running"])


def test_start_pause_and_reset(session, until):
    session.order("start")
    until(lambda: told(session, "frame").get("epoch", 0) > 5)
    session.order("pause")
    until(lambda: not told(session)["running"])
    assert session.job(lambda trainer: trainer.epoch).result(60) == told(session)["epoch"]
    session.order("reset")
    until(lambda: told(session, "frame")["epoch"] == 0)
    assert told(session)["note"] == "Back to epoch 0, with the first weights of seed 0."
    assert told(session, "frame")["curves"]["epoch"] == []


def test_controls_act_while_it_runs(session, until):
    session.order("start")
    until(lambda: told(session, "frame").get("epoch", 0) > 2)
    session.change({"learning_rate": 0.02})
    until(lambda: session.trainer.model.compiled.optimizer.learning_rate == 0.02)
    session.change({"activation": "relu"})
    until(lambda: "keeps its weights" in told(session)["note"])
    session.change({"hidden": [2, 2]})
    until(lambda: len(told(session, "frame")["layers"]) == 3)
    until(lambda: told(session, "frame")["epoch"] > 2)
    assert told(session)["note"].startswith("New network 2 – 2 – 2 – 2")
    session.change({"data": "hills"})
    until(lambda: told(session, "scene")["classes"] is None)
    until(lambda: told(session, "frame")["scene"] == told(session, "scene")["number"])
    assert told(session)["running"]


def test_without_a_page_it_waits(until, monkeypatch):
    monkeypatch.setattr(session_module, "_LINGER", 0.05)
    session = Session(Controls(hidden=(2,), batch_size=50, speed=0))
    session.open()
    try:
        session.order("start")
        time.sleep(0.2)
        assert session.trainer.epoch == 0
        with session.listening():
            until(lambda: session.trainer.epoch > 2)
        # It ends on its own, is asked nothing, and nothing moves any more.
        until(lambda: not session._training())
        reached = session.job(lambda trainer: trainer.epoch).result(60)
        time.sleep(0.2)
        assert session.trainer.epoch == reached
        assert session.running
        with session.listening():
            until(lambda: session.trainer.epoch > reached)
    finally:
        session.close()
    assert session.failure is None


def test_a_refused_change_changes_nothing(session):
    before = session.wanted
    with pytest.raises(ArgumentError):
        session.change({"learning_rate": 0.02, "dropout": 3})
    assert session.wanted == before
    with pytest.raises(ArgumentError):
        session.order("stop")


def test_a_diverging_run_stops_and_says_what_helps(session, until):
    linear = {"data": "plane", "activation": "linear", "optimizer": "sgd", "learning_rate": 100}
    session.change(linear)
    session.order("start")
    until(lambda: told(session).get("fault"))
    fault = told(session)["fault"]
    assert "diverged" in fault["problem"]
    assert fault["fix"] == "lower the learning rate; the network is as it was at epoch 0"
    assert not told(session)["running"]
    until(lambda: told(session, "frame")["curves"]["loss"][-1:] == ["NaN"])
    session.change({"learning_rate": 0.01})
    until(lambda: told(session)["fault"] is None)
    session.order("start")
    until(lambda: told(session, "frame")["epoch"] > 1)


def test_jobs_run_between_epochs_and_their_errors_go_to_who_asked(session, until):
    session.order("start")
    until(lambda: session.trainer.epoch > 0)
    assert "model.fit(" in session.job(lambda trainer: trainer.code()).result(60)
    failing = session.job(lambda trainer: trainer.no_such_thing)
    with pytest.raises(AttributeError):
        failing.result(60)
    before = session.trainer.epoch
    until(lambda: session.trainer.epoch > before)


def test_a_table_that_has_gone_is_a_message_and_not_an_end(table, until):
    session = Session(source=table_source(str(table), None, "auto"))
    session.open()
    try:
        with session.listening():
            until(lambda: "frame" in session.shown)
            table.unlink()
            session.change({"seed": 1})
            until(lambda: told(session)["fault"])
            assert "there is no file" in told(session)["fault"]["problem"]
            assert session.wanted.seed == 0
            session.order("step")
            until(lambda: told(session, "frame")["epoch"] == 1)
    finally:
        session.close()


def test_a_fault_of_its_own_ends_it_and_is_kept(until):
    session = Session(Controls(hidden=(2,)))

    def broken(model):
        raise RuntimeError("broken on purpose")

    session.trainer.camera.picture = broken
    session.open()
    until(lambda: session.closed)
    session.thread.join()
    assert str(session.failure) == "broken on purpose"
    assert "should not have" in told(session)["fault"]["problem"]
    with pytest.raises(ArgumentError):
        session.job(lambda trainer: 1)


def test_waiting_for_news_ends_with_the_session(session, until):
    until(lambda: "frame" in session.shown)
    seen = {name: number for name, (number, _) in session.shown.items()}
    assert session.newer({**seen, "state": seen["state"] + 100}, timeout=0.01).keys() <= {
        "frame",
        "scene",
    }
    assert set(session.newer({}, timeout=1)) == {"scene", "state", "frame"}
