from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from models.weights import web

CONTENT = bytes(range(256)) * 8
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of a host without TLS, which tests may use."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.lstrip("/")
            if name == "moved":
                self.answer(302, b"", Location="/file")
            elif name == "elsewhere":
                self.answer(302, b"", Location="ftp://127.0.0.1/file")
            elif name == "page":
                self.answer(200, b"<html>sign in</html>", **{"Content-Type": "text/html; charset=utf-8"})
            elif name == "broken":
                self.answer(200, CONTENT[:100], length=len(CONTENT))
            elif name == "endless":
                self.answer(200, CONTENT, length=None)
            else:
                self.answer(200 if name == "file" else 404, CONTENT)

        def answer(self, status: int, body: bytes, length: int | None = -1, **headers: str) -> None:
            self.send_response(status)
            if length is not None:
                self.send_header("Content-Length", str(len(body) if length < 0 else length))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            if length is None:  # more than any limit of these tests, then the connection ends
                self.wfile.write(b"\0" * 2**21)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setattr(web, "SCHEMES", ("http",))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("name", ["file", "moved"])
def test_a_whole_file_is_published(host: str, tmp_path: Path, name: str) -> None:
    path = tmp_path / "folder" / "weights.pth"
    web.download(f"{host}/{name}", path, size_bytes=len(CONTENT), sha256=DIGEST)
    assert path.read_bytes() == CONTENT
    assert [p.name for p in path.parent.iterdir()] == ["weights.pth"]


@pytest.mark.parametrize(
    ("name", "expected", "message"),
    [
        ("missing", {}, "404"),
        ("page", {}, "web page"),
        ("broken", {}, "broke off after 100 of 2048 bytes"),
        ("file", {"sha256": "0" * 64}, f"its digest is sha256:{DIGEST}, expected sha256:0000"),
        ("endless", {"size_bytes": 1000}, "more than 1049586 bytes"),
        ("elsewhere", {}, "not an HTTPS address"),
    ],
)
def test_anything_else_is_refused_and_leaves_nothing(
    host: str, tmp_path: Path, name: str, expected: dict[str, Any], message: str
) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"before")
    with pytest.raises(web.DownloadError, match=message):
        web.download(f"{host}/{name}", path, **expected)
    assert path.read_bytes() == b"before"
    assert [p.name for p in tmp_path.iterdir()] == ["weights.pth"]


@pytest.mark.parametrize("url", ["http://127.0.0.1/file", "file:///etc/passwd", "/etc/passwd"])
def test_only_https_is_asked(tmp_path: Path, url: str) -> None:
    with pytest.raises(web.DownloadError, match="not an HTTPS address"):
        web.download(url, tmp_path / "weights.pth")


def test_a_silent_host_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "SCHEMES", ("http",))
    monkeypatch.setattr(web, "TIMEOUT_SECONDS", 0.2)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(web.DownloadError, match="timed out"):
            web.download(f"http://127.0.0.1:{silent.getsockname()[1]}/file", tmp_path / "weights.pth")
