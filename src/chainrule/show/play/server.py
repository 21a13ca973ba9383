"""The playground's server: for this machine alone, and for its own page alone.

It listens on the loopback address; every path begins with a secret that only the printed address
holds; a request whose Host or Origin isn't the server's own is refused, so that neither another
site in the same browser nor a name that points here (DNS rebinding) gets anything.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Callable
from concurrent.futures import TimeoutError as Late
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any, NamedTuple

from chainrule.base.errors import ArgumentError, ChainruleError
from chainrule.show.play.colours import style_sheet
from chainrule.show.play.session import Session

LOOPBACK = "127.0.0.1"
PORT = 8765  # tried first where none is asked for
MOST_BYTES = 16_384  # of a request's body
MOST_STREAMS = 16
_PULSE = 5.0  # seconds after which a silent stream shows that it's alive
_JOB_SECONDS = 60.0

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_KINDS = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
}


class Refusal(Exception):
    """A request that isn't answered as asked. Fields: the status; a sentence for who asked."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class Download(NamedTuple):
    """A file made on demand. Fields: its name and type; what makes it of the trainer."""

    name: str
    kind: str
    make: Callable[[Any], str | bytes]


_DOWNLOADS = {
    "network.safetensors": Download(
        "network.safetensors", "application/octet-stream", lambda trainer: trainer.model_file()
    ),
    "network.py": Download(
        "network.py", "text/x-python; charset=utf-8", lambda trainer: trainer.code()
    ),
}


def page_files() -> dict[str, bytes]:
    """The files of the page by name."""
    folder = resources.files("chainrule.show.play") / "assets"
    files = {
        entry.name: entry.read_bytes()
        for entry in folder.iterdir()
        if entry.name.rpartition(".")[2] in _KINDS
    }
    return {**files, "colours.css": style_sheet().encode()}


class Server(ThreadingHTTPServer):
    """Serves one session.

    Args:
        session: what is shown; the caller opens and closes it.
        port: to listen on; None takes the usual one or, where that is taken, a free one.

    Attributes: url, what to open.

    Raises:
        ArgumentError: the port can't be had.
    """

    daemon_threads = True
    block_on_close = False
    # On Windows the option lets a second server take a port that is in use.
    allow_reuse_address = os.name != "nt"

    def __init__(self, session: Session, port: int | None = None) -> None:
        self.session = session
        self.secret = secrets.token_urlsafe(12)
        self.files = page_files()
        self.ended = False
        if port is None:
            try:
                super().__init__((LOOPBACK, PORT), Handler)
            except OSError:
                super().__init__((LOOPBACK, 0), Handler)
        else:
            try:
                super().__init__((LOOPBACK, port), Handler)
            except OSError as error:
                raise ArgumentError(
                    f"port {port} can't be had",
                    {"reason": error.strerror or str(error)},
                    "--port with another number, or none for a free one",
                ) from None
        number = self.server_address[1]
        self.names = {f"{host}:{number}" for host in (LOOPBACK, "localhost")}
        self.url = f"http://{LOOPBACK}:{number}/{self.secret}/"

    def server_close(self) -> None:
        """Stop listening, and end the streams; the session goes on."""
        self.ended = True
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A browser that has gone away is no error.
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    timeout = 30
    server_version = "chainrule"
    sys_version = ""

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed: the terminal is the user's."""

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def _answer(self, method: Callable[[str], None]) -> None:
        try:
            method(self._own_path())
        except Refusal as refusal:
            if self.command == "GET":  # a person may read it
                self._send(refusal.status, "text/plain; charset=utf-8", refusal.text.encode())
            else:
                self._send_json(refusal.status, {"problem": refusal.text, "fix": ""})
        except ChainruleError as error:
            facts = {name: text[:200] for name, text in error.facts.items()}
            data = {"problem": error.problem, "facts": facts, "fix": error.fix or ""}
            self._send_json(HTTPStatus.BAD_REQUEST, data)

    def _own_path(self) -> str:
        """What is asked for, if it is asked from this server's own page or by the user.

        Raises:
            Refusal: it isn't.
        """
        names = self.server.names
        origin = self.headers.get("Origin")
        site = self.headers.get("Sec-Fetch-Site", "none")
        if self.headers.get_all("Host") is None or len(self.headers.get_all("Host", [])) != 1:
            raise Refusal(HTTPStatus.BAD_REQUEST, "one Host is needed")
        if self.headers["Host"].lower() not in names:
            raise Refusal(HTTPStatus.FORBIDDEN, "this server answers to its own address only")
        if origin is not None and origin.lower() not in {f"http://{name}" for name in names}:
            raise Refusal(HTTPStatus.FORBIDDEN, "this server answers to its own page only")
        path = self.path.partition("?")[0]
        head, _, rest = path.lstrip("/").partition("/")
        if not secrets.compare_digest(head.encode(), self.server.secret.encode()):
            raise Refusal(
                HTTPStatus.NOT_FOUND,
                "nothing here: open the whole address that `chainrule play` has printed",
            )
        # A link on another site may not lead into the page's own requests, but may open the page.
        if rest and site not in ("same-origin", "none"):
            raise Refusal(HTTPStatus.FORBIDDEN, "this server answers to its own page only")
        return rest

    # --- what can be asked for -----------------------------------------------------------------

    def _get(self, path: str) -> None:
        path = path or "index.html"
        if path == "events":
            self._stream()
        elif path in _DOWNLOADS:
            self._download(_DOWNLOADS[path])
        elif path in self.server.files:
            self._send(HTTPStatus.OK, _KINDS[path.rpartition(".")[2]], self.server.files[path])
        else:
            raise Refusal(HTTPStatus.NOT_FOUND, "there is no such page")

    def _post(self, path: str) -> None:
        data = self._body()
        if path == "change":
            self.server.session.change(data)
        elif path == "order":
            self.server.session.order(data)
        else:
            raise Refusal(HTTPStatus.NOT_FOUND, "there is no such page")
        self._send_json(HTTPStatus.OK, {})

    def _body(self) -> Any:
        """The JSON that came with a request.

        Raises:
            Refusal: there is none, it's too long, or it isn't JSON.
        """
        if self.headers.get_content_type() != "application/json":
            raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "changes are sent as JSON")
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            raise Refusal(HTTPStatus.LENGTH_REQUIRED, "a request says how long it is")
        if len(length) > 9 or int(length) > MOST_BYTES:
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "that is too much for a change")
        try:
            return json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            raise Refusal(HTTPStatus.BAD_REQUEST, "this isn't JSON") from None

    def _download(self, wanted: Download) -> None:
        try:
            made = self.server.session.job(wanted.make).result(_JOB_SECONDS)
        except Late:
            raise Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE, "the training is busy: try again in a moment"
            ) from None
        content = made.encode() if isinstance(made, str) else made
        self._send(
            HTTPStatus.OK,
            wanted.kind,
            content,
            {"Content-Disposition": f'attachment; filename="{wanted.name}"'},
        )

    def _stream(self) -> None:
        """Server-sent events: all that is shown, whenever it is new, until the reader goes."""
        server, session = self.server, self.server.session
        if session.listeners >= MOST_STREAMS:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "too many pages are open")
        self._begin(HTTPStatus.OK, "text/event-stream; charset=utf-8", {})
        self.wfile.write(b"retry: 1000\n\n")
        seen: dict[str, int] = {}
        with session.listening():
            while not (session.closed or server.ended):
                news = session.newer(seen, _PULSE)
                for name in ("scene", "state", "frame"):
                    if name in news:
                        number, text = news[name]
                        seen[name] = number
                        self.wfile.write(f"event: {name}\ndata: {text}\n\n".encode())
                if not news:
                    self.wfile.write(b": still here\n\n")

    # --- answers -------------------------------------------------------------------------------

    def _begin(self, status: HTTPStatus, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, **_HEADERS, **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(
        self, status: HTTPStatus, kind: str, content: bytes, headers: dict[str, str] | None = None
    ) -> None:
        self._begin(status, kind, {"Content-Length": str(len(content)), **(headers or {})})
        self.wfile.write(content)

    def _send_json(self, status: HTTPStatus, data: dict[str, Any]) -> None:
        self._send(status, "application/json", json.dumps(data).encode())
