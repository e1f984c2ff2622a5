"""Take the pictures of pages in docs/assets, with a local Sekha and Chromium.

python tools/screenshots.py
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Dict, Optional, Type

import uvicorn

from sekha import SekhaClient
from sekha.local import LocalSekha

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "assets" / "fastapi-chat.png"
USER = "ann"
QUESTIONS = ("Which database did we choose for billing, and why?", "How often is the billing database backed up?")
MEMORIES = {
    "Billing database": (
        "We chose PostgreSQL as the database for billing, because invoices need transactions.",
        "Agreed. The team knows it, too.",
    ),
    "Backups": ("The billing database is backed up every night.",),
    "Reports": ("Reports read from a replica of the billing database.",),
}
_LIMIT = 60.0  # seconds that the browser gets for an answer
_RUN = "import os, sys; fd = int(sys.argv[1]); os.dup2(fd, 3); os.dup2(fd, 4); os.execv(sys.argv[2], sys.argv[2:])"


def find_chromium() -> Optional[str]:
    """The path of a Chromium on this machine."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Chromium:
    """A Chromium without a window, which is told what to do over its debugging pipe (descriptors 3 and 4).

    It runs until the end of a `with` block, where it is killed with all that it has started.

    Args:
        profile: An empty folder for what it keeps.
        options: More options of its command line.
    """

    def __init__(self, profile: Path, *options: str) -> None:
        browser = find_chromium()
        if browser is None:
            raise FileNotFoundError("no Chromium is installed")
        self._command = [browser, "--headless=new", "--remote-debugging-pipe", f"--user-data-dir={profile}"]
        self._command += ["--disable-gpu", "--disable-dev-shm-usage", "--log-level=3"]
        self._command += ["--no-sandbox"] if os.geteuid() == 0 else []  # as root it does not start with it
        self._command += options
        self._received = b""
        self._calls = 0
        self._session: Optional[str] = None

    def __enter__(self) -> Chromium:
        self._pipe, other = socket.socketpair()
        self._pipe.settimeout(_LIMIT)
        with other:
            command = [sys.executable, "-c", _RUN, str(other.fileno()), *self._command, "about:blank"]
            self._process = subprocess.Popen(command, pass_fds=[other.fileno()], start_new_session=True)
        try:
            targets = self._call("Target.getTargets")["targetInfos"]
            page = next(target["targetId"] for target in targets if target["type"] == "page")
            self._session = self._call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kill it; calling it again does nothing."""
        if self._process.returncode is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._pipe.close()

    def open(self, url: str) -> None:
        """Go to an address."""
        self._call("Page.navigate", url=url)

    def wait_for(self, condition: str) -> None:
        """Wait until an expression of JavaScript is true."""
        look = f"const timer = setInterval(() => {{ if ({condition}) {{ clearInterval(timer); resolve() }} }}, 20)"
        self._call("Runtime.evaluate", expression=f"new Promise(resolve => {{ {look} }})", awaitPromise=True)

    def value(self, expression: str) -> Any:
        """The value of an expression of JavaScript, as data."""
        return self._call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def resize(self, width: int, height: int) -> None:
        """Give the page a size, in pixels."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._call("Emulation.setDeviceMetricsOverride", **size)

    def picture(self, width: int, height: int) -> bytes:
        """The page as a PNG."""
        self.resize(width, height)
        return base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])

    def _call(self, method: str, **parameters: Any) -> Dict[str, Any]:
        self._calls += 1
        message: Dict[str, Any] = {"id": self._calls, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._pipe.sendall(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._calls:  # everything else tells of an event
                break
        if "error" in answer or "exceptionDetails" in answer["result"]:
            raise RuntimeError(f"{method}: {answer}")
        result: Dict[str, Any] = answer["result"]
        return result

    def _receive(self) -> Dict[str, Any]:
        while b"\0" not in self._received:
            piece = self._pipe.recv(65536)
            if not piece:
                raise ConnectionError("Chromium has ended")
            self._received += piece
        line, _, self._received = self._received.partition(b"\0")
        message: Dict[str, Any] = json.loads(line)
        return message


def main() -> None:
    """Take the pictures."""
    with LocalSekha() as sekha, tempfile.TemporaryDirectory() as profile:
        with SekhaClient(**sekha.options) as client:
            memory = client.in_folder("/users", USER)
            for label, texts in MEMORIES.items():
                messages = [{"role": role, "content": text} for role, text in zip(("user", "assistant"), texts)]
                memory.controller.create_conversation(label=label, folder="work", messages=messages)
        os.environ.update({f"SEKHA_{name.upper()}": str(value) for name, value in sekha.options.items()})
        sys.path.insert(0, str(ROOT / "examples"))
        server = uvicorn.Server(uvicorn.Config("fastapi_chat.app:app", port=0, log_level="warning"))
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            while thread.is_alive() and not server.started:
                time.sleep(0.05)
            port = server.servers[0].sockets[0].getsockname()[1]
            with Chromium(Path(profile)) as browser:
                browser.open(f"http://127.0.0.1:{port}/")
                browser.wait_for("document.getElementById('sign-in')?.hidden === false")
                browser.value(f"document.getElementById('name').value = {json.dumps(USER)}")
                browser.value("document.querySelector('#sign-in button').click()")
                browser.wait_for("!document.getElementById('chat').hidden")
                for question in QUESTIONS:
                    browser.value(f"document.getElementById('input').value = {json.dumps(question)}")
                    browser.value("document.querySelector('#form button').click()")
                    browser.wait_for("document.getElementById('status').textContent.startsWith('Answered')")
                PICTURE.write_bytes(browser.picture(1200, 900))
        finally:
            server.should_exit = True
            thread.join()


if __name__ == "__main__":
    main()
