"""The server answers its own page on this machine, and nobody else."""

import http.client
import json
import re
import socket
import threading
from importlib import resources

import pytest

from chainrule import ArgumentError
from chainrule.cli.play import table_source
from chainrule.show.palette import SERIES
from chainrule.show.play import server as server_module
from chainrule.show.play.controls import Controls
from chainrule.show.play.server import MOST_BYTES, Server
from chainrule.show.play.session import Session


class Client:
    """Asks a server, as the page or as somebody else."""

    def __init__(self, server):
        self.server = server
        self.port = server.server_address[1]
        self.root = f"/{server.secret}/"

    def open(self, method, path, body=None, **headers):
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body, names)
        return connection.getresponse()

    def get(self, path, **headers):
        return self.open("GET", path, **headers)

    def post(self, name, data, **headers):
        own = {"Content_Type": "application/json", "Origin": f"http://127.0.0.1:{self.port}"}
        return self.open("POST", self.root + name, json.dumps(data), **{**own, **headers})


@pytest.fixture(scope="module")
def client():
    session = Session(Controls(hidden=(3,), batch_size=50))
    server = Server(session, 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    session.open()
    thread.start()
    yield Client(server)
    session.close()
    server.shutdown()
    server.server_close()
    thread.join()
    assert session.failure is None


def events(response, wanted):
    """What a stream tells, until all wanted names have come."""
    found = {}
    while not wanted <= found.keys():
        line = response.readline().decode()
        if line.startswith("event: "):
            found[line[7:].strip()] = json.loads(response.readline().decode()[6:])
    return found


def test_it_listens_on_loopback_alone(client):
    assert client.server.server_address[0] == "127.0.0.1"
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{16}/", client.server.url)


def test_the_page_and_its_files(client):
    page = client.get(client.root)
    assert page.status == 200
    text = page.read().decode()
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    for name in re.findall(r'(?:href|src)="([\w.]+\.(?:css|js))"', text):
        answer = client.get(client.root + name)
        assert answer.status == 200
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Type"].startswith(("text/css", "text/javascript"))
    colours = client.get(client.root + "colours.css").read().decode()
    assert f"--series-0: {SERIES[0].dark};" in colours


@pytest.mark.parametrize(
    "path", ["", "/", "/index.html", "/events", "/wrong/", "/wrong/events", "/../../etc/passwd"]
)
def test_without_the_secret_there_is_nothing(client, path):
    answer = client.get(path or "/")
    assert answer.status == 404
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert b"open the whole address that `chainrule play` has printed" in answer.read()


@pytest.mark.parametrize("name", ["../server.py", "%2e%2e/server.py", "x", "index.html/", "//"])
def test_no_other_file_can_be_had(client, name):
    assert client.get(client.root + name).status == 404


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:80", "127.0.0.1", "localhost:1", "127.0.0.1:1", "", "[::1]"],
)
def test_a_foreign_host_is_refused(client, host):
    assert client.get(client.root, Host=host).status == 403


def test_its_own_names_are_not(client):
    for name in ("127.0.0.1", "localhost", "LOCALHOST"):
        assert client.get(client.root, Host=f"{name}:{client.port}").status == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://localhost", "http://127.0.0.1"]
)
def test_a_foreign_origin_is_refused(client, origin):
    assert client.get(client.root + "events", Origin=origin).status == 403
    before = client.server.session.wanted
    assert client.post("change", {"seed": 5}, Origin=origin).status == 403
    assert client.server.session.wanted == before


def test_another_site_can_open_the_page_and_nothing_of_it(client):
    assert client.get(client.root, Sec_Fetch_Site="cross-site").status == 200
    for name in ("events", "network.py", "main.js"):
        assert client.get(client.root + name, Sec_Fetch_Site="cross-site").status == 403
        assert client.get(client.root + name, Sec_Fetch_Site="same-site").status == 403
    assert client.get(client.root + "main.js", Sec_Fetch_Site="same-origin").status == 200


def test_two_hosts_are_refused(client):
    with socket.create_connection(("127.0.0.1", client.port), timeout=60) as line:
        own = f"Host: 127.0.0.1:{client.port}\r\n"
        line.sendall(f"GET {client.root} HTTP/1.1\r\n{own}Host: evil.example\r\n\r\n".encode())
        assert b" 400 " in line.recv(100)


def test_changes_and_orders(client):
    assert client.post("change", {"learning_rate": 0.05}).status == 200
    assert client.server.session.wanted.learning_rate == 0.05
    assert client.post("order", "step").status == 200
    assert client.post("elsewhere", {}).status == 404


def test_an_impossible_value_is_answered_with_a_message(client):
    answer = client.post("change", {"learning_rate": "<b>fast</b>"})
    assert answer.status == 400
    assert answer.headers["Content-Type"] == "application/json"
    assert json.loads(answer.read()) == {
        "problem": "learning rate can't be set to that",
        "facts": {"given": "'<b>fast</b>'"},
        "fix": "it is a number from 1e-06 to 100",
    }
    assert client.post("order", "explode").status == 400
    assert client.post("order", {"a": 1}).status == 400


def test_bodies_are_bounded_and_checked(client):
    root = client.root
    json_type = {"Content_Type": "application/json"}
    assert client.open("POST", root + "change", "{}").status == 415
    assert client.open("POST", root + "change", "{}", Content_Type="text/plain").status == 415
    assert client.open("POST", root + "change", "{", **json_type).status == 400
    assert client.open("POST", root + "change", "[" * 9000, **json_type).status == 400
    assert client.open("POST", root + "change", b"\xff", **json_type).status == 400
    assert client.open("POST", root + "change", '{"l1": NaN}', **json_type).status == 400
    large = client.open("POST", root + "change", " " * (MOST_BYTES + 1), **json_type)
    assert large.status == 413
    lie = client.open("POST", root + "change", "{}", **json_type, Content_Length="999999999999999")
    assert lie.status == 413
    word = client.open("POST", root + "change", "{}", **json_type, Content_Length="two")
    assert word.status == 411


def test_other_methods_are_unknown(client):
    assert client.open("DELETE", client.root).status == 501
    assert client.open("OPTIONS", client.root + "change").status == 501


def test_the_stream_tells_all_there_is(client):
    response = client.get(client.root + "events")
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    found = events(response, {"scene", "state", "frame"})
    assert found["scene"]["classes"] == ["A", "B"]
    assert found["state"]["controls"]["hidden"] == [3]
    assert found["frame"]["layers"][0]["units"] == 3
    response.close()


def test_downloads(client):
    code = client.get(client.root + "network.py")
    assert code.headers["Content-Disposition"] == 'attachment; filename="network.py"'
    assert b"import chainrule as cr" in code.read()
    model = client.get(client.root + "network.safetensors")
    assert model.status == 200
    assert b"weights/dense/kernel" in model.read()


def test_too_many_pages_are_refused(client, monkeypatch):
    monkeypatch.setattr(client.server.session, "listeners", server_module.MOST_STREAMS)
    assert client.get(client.root + "events").status == 503


def test_hostile_names_stay_data(table):
    session = Session(source=table_source(str(table), None, "auto"))
    server = Server(session, 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    session.open()
    thread.start()
    try:
        client = Client(server)
        found = events(client.get(client.root + "events"), {"scene"})
        assert "</script>" in found["scene"]["classes"]
        assert b"</script>" not in client.get(client.root).read().replace(
            b'<script type="module" src="main.js"></script>', b""
        )
    finally:
        session.close()
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_port_in_use_is_named_and_the_usual_one_is_given_up_for_a_free_one(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        session = Session(Controls(hidden=()))
        with pytest.raises(ArgumentError) as caught:
            Server(session, number)
        assert caught.value.problem == f"port {number} can't be had"
        assert "--port" in caught.value.fix
        monkeypatch.setattr(server_module, "PORT", number)
        server = Server(session)
        assert server.server_address[1] != number
        server.server_close()


def test_the_page_takes_nothing_from_elsewhere_and_writes_no_markup():
    folder = resources.files("chainrule.show.play") / "assets"
    files = {entry.name: entry.read_text("utf-8") for entry in folder.iterdir() if entry.is_file()}
    assert {"index.html", "main.js", "play.css"} <= files.keys()
    for name, text in files.items():
        addresses = re.findall(r"https?://[^\s\"']+", text)
        assert set(addresses) <= {"http://www.w3.org/2000/svg"}, name
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert word not in text, name
        # Every file that a module names is there.
        for wanted in re.findall(r'from "\./([\w.]+)"', text):
            assert wanted in files
