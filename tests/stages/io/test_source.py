from __future__ import annotations

import http.server
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import fsspec
import pytest

import stages.io.uri_gate
from models.video.container import MediaLimits
from stages.io.source import SourceFiles, source_info
from stages.outcome import BadRow

SCHEMES = ("file", "memory", "http", "https")


@pytest.fixture
def files(monkeypatch, tmp_path) -> Iterator[SourceFiles]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    opened = SourceFiles(SCHEMES, limits=MediaLimits(max_bytes=1000), max_files=2)
    yield opened
    opened.close()


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    filesystem = fsspec.filesystem("memory")
    yield filesystem
    filesystem.store.clear()


def test_local_files_are_opened_in_place(files, tmp_path, monkeypatch):
    (tmp_path / "a b.mp4").write_bytes(b"x" * 5000)
    for uri in (str(tmp_path / "a b.mp4"), f"file://{tmp_path}/a b.mp4"):
        source = files.open(uri)
        assert (source.path, source.size_bytes, source.etag) == (str(tmp_path / "a b.mp4"), 5000, None)
    monkeypatch.chdir(tmp_path)
    assert files.open("a b.mp4").path == str(tmp_path / "a b.mp4")


def test_a_missing_file_and_one_that_cannot_be_read(files, tmp_path):
    with pytest.raises(BadRow, match=r"NotFound: .*gone.mp4 does not exist"):
        files.open(str(tmp_path / "gone.mp4"))
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(BadRow, match="UnreadableSource"):
        files.open(str(tmp_path / "loop"))
    with pytest.raises(BadRow, match="UnreadableSource"):
        files.open(str(tmp_path / ("x" * 300)))


def test_a_file_that_changed_since_it_was_seen(files, tmp_path, memory):
    (tmp_path / "a.mp4").write_bytes(b"x" * 500)
    files.open(str(tmp_path / "a.mp4"), size_bytes=500)
    with pytest.raises(BadRow, match=r"SourceChanged: .* has 500 bytes, it had 499; run ingest again"):
        files.open(str(tmp_path / "a.mp4"), size_bytes=499)
    memory.pipe("/b.mp4", b"y" * 10)
    with pytest.raises(BadRow, match="SourceChanged"):
        files.open("memory://b.mp4", size_bytes=11)


def test_remote_files_are_fetched_once_and_few_are_kept(files, memory, tmp_path):
    for name in "abc":
        memory.pipe(f"/{name}.mp4", name.encode() * 100)
    first = files.open("memory://a.mp4")
    assert Path(first.path).read_bytes() == b"a" * 100
    memory.pipe("/a.mp4", b"changed")
    assert files.open("memory://a.mp4") == first
    files.open("memory://b.mp4")
    files.open("memory://a.mp4")
    files.open("memory://c.mp4")  # evicts b, the least recently used
    kept = [path.read_bytes()[:1] for path in tmp_path.glob("zoetrope-sources-*/*")]
    assert sorted(kept) == [b"a", b"c"]
    files.close()
    assert not list(tmp_path.glob("zoetrope-sources-*"))
    assert Path(files.open("memory://c.mp4").path).read_bytes() == b"c" * 100


def test_remote_files_that_are_missing_or_too_large_leave_nothing(files, memory, tmp_path):
    with pytest.raises(BadRow, match=r"NotFound: memory://gone.mp4"):
        files.open("memory://gone.mp4")
    memory.pipe("/big.mp4", b"x" * 1001)
    with pytest.raises(BadRow, match=r"TooLarge: .* 1001 bytes or more, 1000 are allowed"):
        files.open("memory://big.mp4")
    assert not list(tmp_path.glob("zoetrope-sources-*/*"))


def test_what_a_killed_process_left_is_removed(files, memory, tmp_path):
    dead, alive = tmp_path / "zoetrope-sources-99999999-x", tmp_path / f"zoetrope-sources-{os.getppid()}-x"
    dead.mkdir()
    alive.mkdir()
    memory.pipe("/a.mp4", b"a")
    files.open("memory://a.mp4")
    assert not dead.exists()
    assert alive.exists()


def test_messages_hold_no_credentials(files):
    with pytest.raises(BadRow) as caught:
        files.open("http://user:secret@10.0.0.1/a.mp4?token=secret")
    assert "secret" not in str(caught.value)


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `/a.mp4`; other paths redirect or fail."""

    requests: ClassVar[list[tuple[str, str]]] = []

    def do_GET(self) -> None:
        self.requests.append((self.command, self.path))
        leads = {
            "/moved": "/a.mp4",
            "/loop": "/loop",
            "/metadata": "http://169.254.169.254/latest/meta-data",
            "/inside": "http://127.0.0.2/a.mp4",
            "/file": "file:///etc/passwd",
        }
        if self.path in leads:
            self.send_response(302)
            self.send_header("Location", leads[self.path])
            self.end_headers()
        elif self.path.startswith("/a.mp4"):
            self.send_response(200)
            self.send_header("ETag", '"abc"')
            self.send_header("Content-Length", "100")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(b"v" * 100)
        elif self.path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"v" * 60)
        elif self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"v" * 5000)
        else:
            self.send_error(404)

    do_HEAD = do_GET

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch) -> Iterator[str]:
    """HTTP server on 127.0.0.1, which counts as a public address during the test."""
    is_public = stages.io.uri_gate.is_public
    monkeypatch.setattr(stages.io.uri_gate, "is_public", lambda address: address == "127.0.0.1" or is_public(address))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


def test_http(files, server):
    for path in ("/a.mp4", "/a.mp4?x=1", "/moved"):
        source = files.open(server + path)
        assert (Path(source.path).read_bytes(), source.etag) == (b"v" * 100, "abc")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/metadata", "NotAllowed: 169.254.169.254 leads to 169.254.169.254, which is not a public address"),
        ("/inside", "NotAllowed: 127.0.0.2 leads to"),
        ("/file", "NotAllowed: scheme 'file' of file:///etc/passwd is not allowed; allowed are http, https"),
        ("/loop", "UnreadableSource: .* redirects more than 5 times"),
        ("/gone", "NotFound: 127.0.0.1 answers 404"),
        ("/endless", "TooLarge"),
        ("/short", "UnreadableSource: .* broke off after 60 of 100 bytes"),
    ],
)
def test_http_that_leads_astray(files, server, path, text):
    with pytest.raises(BadRow, match=text):
        files.open(server + path)


@pytest.mark.parametrize("path", ["/metadata", "/inside", "/file"])
def test_heads_pass_the_same_gate(server, path):
    Handler.requests.clear()
    assert source_info(f"{server}/moved", SCHEMES) == {"size": "100", "ETag": '"abc"', "LastModified": None}
    with pytest.raises(BadRow, match="NotAllowed"):
        source_info(server + path, SCHEMES)
    assert Handler.requests == [("HEAD", "/moved"), ("HEAD", "/a.mp4"), ("HEAD", path)]


def test_a_loopback_server_is_not_reached(files):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        Handler.requests.clear()
        for host in ("127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"):
            for read in (files.open, lambda uri: source_info(uri, SCHEMES)):
                with pytest.raises(BadRow, match="NotAllowed"):
                    read(f"http://{host}:{running.server_address[1]}/a.mp4")
        running.shutdown()
    assert not Handler.requests


@pytest.mark.parametrize("kind", ["a named pipe", "a socket", "a device", "a folder"])
def test_special_files_are_not_opened(files, tmp_path, kind):
    path = tmp_path / "a.png"
    if kind == "a named pipe":
        os.mkfifo(path)
    elif kind == "a socket":
        opened = socket.socket(socket.AF_UNIX)
        opened.bind(str(path))
        opened.close()
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(BadRow, match=f"UnreadableSource: .* is {kind}, expected a regular file"):
        files.open(str(path))


def test_a_store_whose_package_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(BadRow, match=r"UnreadableSource: gs://bucket/a.mp4 .* gcsfs"):
        source_info("gs://bucket/a.mp4", ("gs",))


def test_a_name_with_one_private_address_is_refused(files, monkeypatch):
    def both(*args: object, **kwargs: object) -> list[tuple]:
        return [(2, 1, 6, "", ("93.184.215.14", 80)), (2, 1, 6, "", ("10.0.0.1", 80))]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    with pytest.raises(BadRow, match=r"rebind.example leads to 10.0.0.1"):
        files.open("http://rebind.example/a.mp4")


def test_the_address_that_was_checked_is_the_one_reached(files, server, monkeypatch):
    """DNS rebinding: the host name is resolved only once."""
    port = int(server.rsplit(":", 1)[1])
    answers = iter([[(2, 1, 6, "", ("127.0.0.1", port))]])
    ask = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *a, **k: next(answers) if host == "name.example" else ask(host, *a, **k)
    )
    assert Path(files.open(f"http://name.example:{port}/a.mp4").path).read_bytes() == b"v" * 100
