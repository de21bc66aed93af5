"""Serves the report of a study that still changes, on this machine alone.

    GET /       the page
    GET /state  the state: a few words, with the version of the data
    GET /data   the data of the page

All else is refused, and so are requests by another name than 127.0.0.1 or localhost: a page of
another site, whose name was made to lead here, must not read a study.
"""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from growsearch.study.live import LiveStudy
from growsearch.study.page import content_policy, fill_in
from growsearch.trial.errors import InputError, because

ADDRESS = "127.0.0.1"


class LiveServer(ThreadingHTTPServer):
    """A server of `study` at the port; 0 takes a free one. InputError if it cannot be had."""

    daemon_threads = True

    def __init__(self, study: LiveStudy, port: int = 0) -> None:
        if not 0 <= port <= 65535:
            raise InputError(f"port={port} is no port; give one from 1 to 65535, or leave it out")
        self.study = study
        self.policy = content_policy()
        try:
            super().__init__((ADDRESS, port), _Handler)
        except OSError as error:
            raise InputError(
                f"port {port} cannot be used ({because(error)}); give another one with --port, or "
                "leave it out to get a free one"
            ) from error
        ending = "" if self.server_port == 80 else f":{self.server_port}"
        self.hosts = {ADDRESS + ending, "localhost" + ending}

    @property
    def url(self) -> str:
        return f"http://{ADDRESS}:{self.server_port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that closes a page while it is answered is no error; others are shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # HTTPServer asks a name server as well
        self.server_name, self.server_port = ADDRESS, self.server_address[1]

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Within the block, requests are answered; after it, the port is free."""
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1})
        thread.daemon = True
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: LiveServer
    server_version, sys_version = "growsearch", ""
    error_content_type, error_message_format = "text/plain", "%(message)s\n"
    timeout = 60

    def do_GET(self) -> None:
        if self.headers.get_all("Host", []) not in [[host] for host in self.server.hosts]:
            self.send_error(403, "ask for 127.0.0.1 or localhost, with the port")
            return
        shown = self.server.study.shown
        if self.path == "/":
            page = fill_in(shown.title, shown.data, live=True)
            self._answer(page, "text/html; charset=utf-8")
        elif self.path == "/state":
            self._answer(json.dumps(asdict(shown.state)), "application/json")
        elif self.path == "/data":
            self._answer(shown.data, "application/json")
        elif self.path == "/favicon.ico":  # browsers ask for it, and say so where it is missing
            self._answer("", "image/x-icon")
        else:
            self.send_error(404, "there is nothing of that name")

    def _answer(self, text: str, kind: str) -> None:
        content = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", self.server.policy)
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """The terminal shows one line, not one for each question."""
