"""The playground in a real browser: it trains live, obeys, exports, and survives a lost server."""

import re
import runpy
import threading

import numpy as np
import pytest

import chainrule as cr
from chainrule.cli.play import table_source
from chainrule.show.play.controls import Controls
from chainrule.show.play.server import Server, page_files
from chainrule.show.play.session import Session

HOSTILE = "<img src=x onerror=document.title='hit'>"


class Playground:
    """A session and its server, which can be ended and begun again at the same address."""

    def __init__(self, source=None, **controls):
        data = "circle" if source is None else "table"
        self.session = Session(Controls(**{"data": data, "speed": 0, **controls}), source)
        self.session.open()
        self.secret, self.port = None, 0
        self.serve()

    def serve(self):
        self.server = Server(self.session, self.port)
        self.port = self.server.server_address[1]
        self.secret = self.server.secret = self.secret or self.server.secret
        self.url = f"http://127.0.0.1:{self.port}/{self.secret}/"
        serve = self.server.serve_forever
        self.thread = threading.Thread(target=serve, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def stop_serving(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def close(self):
        self.session.close()
        self.stop_serving()
        assert self.session.failure is None


@pytest.fixture
def play(chromium):
    opened = []

    def begin(*args, **controls):
        opened.append(Playground(*args, **controls))
        return opened[-1]

    yield begin
    for one in opened:
        one.close()


@pytest.fixture
def shown(play, visit):
    """A page with a small network, once it is drawn."""
    page = opened(visit, play(hidden=(3, 2)).url)
    return page


def opened(visit, url, **options):
    """The page, once its network is drawn. Compiling takes its time on a busy machine."""
    page = visit(url, **options)
    page.set_default_timeout(90_000)
    page.wait_for_selector("#diagram .unit")
    return page


def wait(page, expression):
    """Until a JavaScript expression is true; as a function, for the page refuses to eval texts."""
    page.wait_for_function(f"() => {expression}")


def epoch(page):
    return int(page.inner_text("#epoch").replace(",", ""))


def wait_for_epoch(page, least):
    page.wait_for_function(
        "least => Number(document.getElementById('epoch').textContent.replace(/,/g, '')) >= least",
        arg=least,
    )


def wait_for_text(page, label, text):
    """Until a control shows a value, and the server has it."""
    page.wait_for_function(
        "([label, text]) => [...document.querySelectorAll('label.field')].some((one) =>"
        " one.textContent.includes(label) && one.querySelector('output')?.textContent === text)",
        arg=[label, text],
    )


def picture(page):
    return page.evaluate("document.querySelector('#plane canvas').toDataURL()")


def test_training_runs_live(shown):
    assert epoch(shown) == 0
    assert shown.locator("#diagram .unit").count() == 2 + 3 + 2 + 2
    assert shown.locator("#diagram line.plus, #diagram line.minus").count() == 6 + 6 + 4
    before = picture(shown)
    shown.get_by_role("button", name="Start").click()
    wait_for_epoch(shown, 30)
    assert picture(shown) != before
    shown.get_by_role("button", name="Pause").click()
    wait(shown, "document.getElementById('run').textContent === 'Start'")
    assert shown.locator("#loss path.train").get_attribute("d").count("L") >= 10
    assert re.match(r"training \d", shown.locator("#accuracy .head span").first.inner_text())
    assert shown.locator("#histograms .layer").count() == 3


def test_the_numbers_are_those_of_the_model(play, visit):
    ground = play(hidden=(3,))
    page = opened(visit, ground.url)
    page.get_by_role("button", name="Step").click()
    wait_for_epoch(page, 1)
    wait(page, "document.querySelector('#loss .head span').textContent.match(/[0-9]/)")
    loss = ground.session.trainer.curves.last[1]
    told = page.locator("#loss .head span").first.inner_text()
    assert float(told.removeprefix("training ")) == pytest.approx(loss, rel=5e-3)
    page.locator("#unit-1-0").focus()
    kernel = ground.session.trainer.model.layers[0].kernel
    found = re.search(r"x (\S+), y (\S+)$", page.inner_text("#detail"))
    weights = [float(text.replace("−", "-")) for text in found.groups()]
    np.testing.assert_allclose(weights, kernel[:, 0], rtol=5e-3, atol=1e-3)


def test_controls_act_while_it_runs(shown):
    shown.keyboard.press("Space")
    wait_for_epoch(shown, 2)
    shown.get_by_label("Learning rate").fill("30")
    wait(shown, "document.querySelector('#settings output').textContent === '1'")
    shown.get_by_label("Activation").select_option(label="ReLU")
    wait(shown, "document.getElementById('note').textContent.includes('keeps its weights')")
    for label, place, told in (
        ("Dropout", "4", "0.2"),
        ("L1", "1", "1.0e−5"),
        ("L2", "2", "1.5e−5"),
    ):
        slider = shown.get_by_label(label)
        slider.fill(place)
        slider.dispatch_event("change")
        wait_for_text(shown, label, told)
    shown.get_by_label("Batch").select_option(label="all rows")
    reached = epoch(shown)
    wait_for_epoch(shown, reached + 5)
    shown.get_by_label("More units in layer 1").click()
    wait(shown, "document.querySelectorAll('#diagram .unit').length === 10")
    shown.get_by_label("Fewer layers").click()
    wait(shown, "document.getElementById('depth').textContent === '1 hidden layer'")
    wait(shown, "document.getElementById('note').textContent.startsWith('New network 2 – 4 – 2')")
    shown.get_by_role("button", name="Four arms").click()
    wait(shown, "document.querySelectorAll('#legend canvas').length === 4")
    shown.get_by_role("button", name="Hills").click()
    shown.wait_for_selector("#legend canvas.scale")
    shown.wait_for_selector("#accuracy", state="hidden")
    shown.get_by_label("x²").check()
    shown.wait_for_selector("#unit-0-2")
    wait_for_epoch(shown, 3)
    assert shown.get_by_role("button", name="Pause").is_visible()


def test_every_set_of_points_is_drawn_and_trains(shown):
    shown.get_by_role("button", name="Start").click()
    first, *others = [one.inner_text() for one in shown.locator("#sets button").all()]
    for name in (*others, first):
        button = shown.get_by_role("button", name=name, exact=True)
        button.click()
        wait(shown, "document.getElementById('note').textContent.startsWith('New network')")
        shown.wait_for_function(
            "title => document.querySelector('#plane canvas').ariaLabel.includes(title)",
            arg=name,
        )
        wait_for_epoch(shown, 2)
        assert button.get_attribute("aria-pressed") == "true"
        assert not shown.locator("#fault").is_visible()


def test_all_windows_show_and_steer_the_same_training(play, visit):
    ground = play(hidden=(2,))
    pages = [opened(visit, ground.url) for _ in range(3)]
    pages[0].get_by_role("button", name="Start").click()
    for page in pages:
        wait_for_epoch(page, 2)
    pages[1].get_by_label("Learning rate").fill("30")
    for page in pages:
        wait(page, "document.querySelector('#settings output').textContent === '1'")
    pages[2].get_by_role("button", name="Pause").click()
    for page in pages:
        wait(page, "document.getElementById('run').textContent === 'Start'")
    assert len({page.inner_text("#epoch") for page in pages}) == 1


def test_the_keyboard_is_enough(shown):
    shown.keyboard.press("s")
    wait_for_epoch(shown, 1)
    shown.keyboard.press("S")
    wait_for_epoch(shown, 2)
    shown.keyboard.press("r")
    wait(shown, "document.getElementById('epoch').textContent === '0'")
    shown.keyboard.press("Space")
    wait_for_epoch(shown, 3)
    shown.keyboard.press("Space")
    wait(shown, "document.getElementById('run').textContent === 'Start'")
    reached = set()
    for _ in range(60):
        shown.keyboard.press("Tab")
        reached.add(
            shown.evaluate(
                "(document.activeElement.id || document.activeElement.closest('label')?.textContent"
                " || document.activeElement.textContent).trim()"
            )
        )
    text = " ".join(reached)
    for wanted in ("run", "step", "reset", "more", "unit-1-0", "fewer-1", "seed", "held", "Spiral"):
        assert wanted in reached or wanted in text, wanted
    assert "Download the network" in reached


def test_every_control_has_a_name(shown):
    nameless = shown.evaluate(
        """[...document.querySelectorAll('button, input, select, a')].filter((one) =>
             !(one.textContent.trim() || one.getAttribute('aria-label') || one.labels?.length)
           ).map((one) => one.outerHTML)"""
    )
    assert nameless == []


def test_pointing_at_a_unit_shows_what_it_gives(shown):
    before = picture(shown)
    shown.hover("#unit-1-0")
    wait(
        shown,
        "document.getElementById('picture-title').textContent === 'What the chosen unit gives'",
    )
    assert picture(shown) != before
    assert "unit 1 of layer 1: bias 0; weights: x" in shown.inner_text("#detail")


def test_an_impossible_value_is_answered_and_put_back(shown, visit):
    shown.keyboard.press("Space")
    shown.fill("#seed", "-5")
    shown.press("#seed", "Tab")
    shown.wait_for_selector("#refused:not([hidden])")
    assert "seed can't be set to that" in shown.inner_text("#refused")
    assert "a whole number from 0 to 2147483647" in shown.inner_text("#refused")
    wait(shown, "document.getElementById('seed').value === '0'")
    shown.get_by_role("button", name="Another").click()
    wait(shown, "document.getElementById('refused').hidden")
    wait(shown, "document.getElementById('seed').value === '1'")
    visit.complaints.clear()  # a browser writes each refused request to its console


def test_a_diverging_run_says_so(play, visit):
    page = opened(
        visit, play(data="plane", activation="linear", optimizer="sgd", learning_rate=100.0).url
    )
    page.get_by_role("button", name="Start").click()
    page.wait_for_selector("#fault:not([hidden])")
    assert "the training diverged" in page.inner_text("#fault")
    assert "What helps: lower the learning rate" in page.inner_text("#fault")
    wait(page, "document.querySelector('#loss .head span').textContent === 'training NaN'")
    assert page.locator("#loss .strange text").text_content() == "NaN"


def test_the_exports_are_the_network(play, visit, tmp_path, monkeypatch):
    ground = play(hidden=(3,))
    page = opened(visit, ground.url)
    for _ in range(3):
        page.get_by_role("button", name="Step").click()
    wait_for_epoch(page, 3)
    for name, text in (
        ("network.safetensors", "Download the network"),
        ("again.py", "Python code"),
    ):
        with page.expect_download() as download:
            page.get_by_role("link", name=text).click()
        download.value.save_as(tmp_path / name)
    model = ground.session.trainer.model
    loaded = cr.nn.load(tmp_path / "network.safetensors")
    x = ground.session.trainer.problem.validation[0]
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
    monkeypatch.chdir(tmp_path)
    made = runpy.run_path(str(tmp_path / "again.py"))["model"]
    np.testing.assert_array_equal(made.predict(x), model.predict(x))


def test_names_in_a_table_stay_text(play, visit, tmp_path):
    path = tmp_path / "rows.csv"
    rows = "".join(
        f"{i},{-i},{i % 3},{HOSTILE if i % 2 else '</script><b>b</b>'}\n" for i in range(60)
    )
    path.write_text(f'"{HOSTILE}",b,"\u202ec",kind\n{rows}', encoding="utf-8")
    page = opened(visit, play(table_source(str(path), None, "auto")).url)
    assert HOSTILE in page.inner_text("#legend")
    assert page.locator("img, b:not(.head b)").count() == 0
    page.get_by_label("Axes of the picture").select_option(index=1)
    page.wait_for_function(
        "name => document.querySelector('#plane .along').textContent.includes(name)", arg=HOSTILE
    )
    # A character that turns the text around it would change the sentences that hold the name.
    assert "\u202e" not in page.locator("body").inner_text()
    assert "\ufffdc" in page.inner_text("#diagram")
    assert page.title() == "chainrule playground"


def test_a_lost_server_is_told_and_found_again(play, visit):
    ground = play(hidden=(2,))
    page = opened(visit, ground.url)
    page.get_by_role("button", name="Start").click()
    wait_for_epoch(page, 2)
    ground.stop_serving()
    page.wait_for_selector("#lost:not([hidden])")
    assert "start it again with “chainrule play”" in page.inner_text("#lost")
    page.get_by_role("button", name="Step").click()
    page.wait_for_selector("#refused:not([hidden])")
    assert page.inner_text("#refused") == "The server can’t be reached, so nothing was changed."
    before = ground.session.trainer.epoch
    ground.serve()
    wait(page, "document.getElementById('lost').hidden")
    wait_for_epoch(page, before + 1)
    visit.complaints.clear()  # a browser writes each failed request to its console


def test_another_server_at_the_same_address_is_told_apart(play, visit):
    ground = play(hidden=(2,))
    page = opened(visit, ground.url)
    ground.stop_serving()
    ground.secret = "another-secret"
    ground.serve()
    wait(page, "document.getElementById('lost').textContent.includes('another one is there now')")
    visit.complaints.clear()  # a browser writes each failed request to its console


def test_what_is_not_finite_is_drawn_as_such(play, visit):
    ground = play(hidden=(3,))

    def break_it(trainer):
        kernel = trainer.model.layers[0].kernel.copy()
        kernel[0, 1] = np.nan
        trainer.model.keep({"parameters": {"dense/kernel": kernel}})

    ground.session.job(break_it).result(60)
    page = opened(visit, ground.url)
    assert page.locator("#diagram line.strange").count() >= 1
    assert "100 % not finite" in page.inner_text("#histograms")
    pixel = page.evaluate(
        "[...document.querySelector('#plane canvas')"
        ".getContext('2d').getImageData(3, 3, 1, 1).data]"
    )
    assert pixel == [128, 128, 128, 255]
    page.hover("#unit-1-1")
    wait(page, "document.getElementById('detail').textContent.includes('x NaN')")


def test_opened_without_its_server_it_says_what_to_do(visit, tmp_path):
    for name, content in page_files().items():
        (tmp_path / name).write_bytes(content)
    page = visit(tmp_path / "index.html")
    assert page.locator("#alone").is_visible()
    assert "chainrule play" in page.inner_text("#alone")
    assert not page.locator("#all").is_visible()
    visit.complaints.clear()  # a browser refuses to load modules from files, and says so


@pytest.mark.parametrize("size", [(1280, 800), (820, 1100), (390, 844)])
def test_nothing_is_cut_off_sideways(play, visit, size):
    width, height = size
    page = opened(visit, play(hidden=(8, 8)).url, viewport={"width": width, "height": height})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
