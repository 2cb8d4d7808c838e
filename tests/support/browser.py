"""Pages in Chromium: their requests and errors, and pages driven by keys and clicks over the DevTools protocol."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OWN_HOSTS = re.compile(r"https?://[\w.-]*(google|googleapis|gvt1)\.com")
"""Hosts that Chromium contacts on its own, regardless of the page."""
_OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


class Page(HTMLParser):
    """Tags, addresses (src, href, …), and the first text of each element with an id."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.texts: dict[str, str] = {}
        self.ids: list[str | None] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [str(value) for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]
        self.ids.append(dict(attrs).get("id"))

    def handle_endtag(self, tag: str) -> None:
        self.ids.append(None)

    def handle_data(self, data: str) -> None:
        if self.ids and self.ids[-1]:
            self.texts.setdefault(self.ids[-1], data.strip())


def browse(path: Path, folder: Path, *options: str) -> tuple[str, list[str], set[str]]:
    """Open a file; returns the output, the lines of the console, and the addresses requested from outside."""
    assert CHROMIUM is not None
    log = folder / "net.json"
    command = [CHROMIUM, *_OPTIONS, "--enable-logging=stderr", f"--log-net-log={log}"]
    command += [f"--user-data-dir={folder / 'profile'}", *options, path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line], _outside(log)


def _outside(log: Path) -> set[str]:
    events = json.loads(log.read_text())["events"]
    requests = {event["params"]["url"] for event in events if "url" in (event.get("params") or {})}
    return {url for url in requests if url.startswith("http") and not OWN_HOSTS.match(url)}


class DrivenPage:
    """A page in a running Chromium. Made by `open_page`."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands = os.fdopen(commands, "wb", buffering=0)
        self._answers = os.fdopen(answers, "rb", buffering=0)
        self._last_id = 0
        self._pending = b""
        self._session: str | None = None
        self.errors: list[str] = []
        """Exceptions of the page's scripts, and its console errors."""

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._last_id += 1
        message: dict[str, Any] = {"id": self._last_id, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._commands.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._last_id:
                assert "error" not in answer, answer["error"]
                result: dict[str, Any] = answer["result"]
                return result

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._pending:
            more = self._answers.read(1 << 16)
            assert more, "Chromium ended"
            self._pending += more
        message, _, self._pending = self._pending.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        if answer.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
            self.errors.append(json.dumps(answer["params"]))
        return answer

    def load(self, address: str, downloads: Path) -> None:
        """Open `address` and wait until it is loaded; downloads go to a folder."""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._call(f"{domain}.enable")
        self._call("Page.navigate", url=address)
        self.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'")

    def reload(self) -> None:
        """Reload the page and wait until it is loaded."""
        self.evaluate("window.reloading = true")
        self._call("Page.reload")
        # Until the event, an expression may meet the old document, or none.
        while self._receive().get("method") != "Page.loadEventFired":
            pass
        self.wait_for("!window.reloading && document.readyState === 'complete'")

    def evaluate(self, expression: str) -> Any:
        """Value of a JavaScript expression."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, expression: str, seconds: float = 30.0) -> None:
        """Wait until a JavaScript expression is true."""
        deadline = time.monotonic() + seconds
        while not self.evaluate(expression):
            assert time.monotonic() < deadline, f"not true after {seconds} s: {expression}"
            time.sleep(0.02)

    def press(self, key: str) -> None:
        """Press and release a key, by its name in `KeyboardEvent.key`."""
        text = {"text": key} if len(key) == 1 else {}
        self._call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self._call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def click(self, selector: str) -> None:
        """Click the middle of an element."""
        element = f"document.querySelector({json.dumps(selector)})"
        self.evaluate(f"{element}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
        box = self.evaluate(f"(r => [r.x + r.width / 2, r.y + r.height / 2])({element}.getBoundingClientRect())")
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def resize(self, width_px: int, height_px: int, *, dark: bool = False) -> None:
        """Set the size of the window, and whether the page is to be dark."""
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width_px, height=height_px, deviceScaleFactor=1, mobile=False
        )
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._call("Emulation.setEmulatedMedia", features=features)

    def screenshot(self) -> bytes:
        """Picture of the window as PNG."""
        import base64

        return base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])


@contextlib.contextmanager
def open_page(path: Path, folder: Path) -> Iterator[DrivenPage]:
    """Context manager with a page in Chromium; `folder` receives its profile and downloads."""
    assert CHROMIUM is not None
    our_read, write = os.pipe()
    read, our_write = os.pipe()
    # Chromium speaks the protocol over the descriptors 3 and 4, which none of the others may be.
    their_read, their_write = (fcntl.fcntl(handle, fcntl.F_DUPFD, 10) for handle in (read, write))
    os.close(read)
    os.close(write)
    script = f'exec "$0" "$@" 3<&{their_read} 4>&{their_write} {their_read}<&- {their_write}>&-'
    command = [
        "bash",
        "-c",
        script,
        CHROMIUM,
        *_OPTIONS,
        "--remote-debugging-pipe",
        "--autoplay-policy=no-user-gesture-required",
    ]
    command += [f"--user-data-dir={folder / 'profile'}", "about:blank"]
    process = subprocess.Popen(
        command, pass_fds=(their_read, their_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(their_read)
    os.close(their_write)
    page = DrivenPage(our_write, our_read)
    try:
        page.load(path.as_uri(), folder)
        yield page
    finally:
        process.terminate()
        process.wait(timeout=30)
