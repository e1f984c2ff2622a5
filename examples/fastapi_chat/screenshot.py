"""Takes docs/assets/fastapi-chat.png: the page in Chromium, with an answer from a local Sekha and some memories."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import quote

import uvicorn

from sekha import SekhaClient
from sekha.local import LocalSekha

PICTURE = Path(__file__).parents[2] / "docs" / "assets" / "fastapi-chat.png"
QUESTION = "Which database did we choose for billing, and why?"
MEMORIES = {
    "Billing database": (
        "We chose PostgreSQL as the database for billing, because invoices need transactions.",
        "Agreed. The team knows it, too.",
    ),
    "Backups": ("The billing database is backed up every night.",),
    "Reports": ("Reports read from a replica of the billing database.",),
}


def main() -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        raise SystemExit("no Chromium was found")
    with LocalSekha() as sekha, tempfile.TemporaryDirectory() as profile:
        with SekhaClient(**sekha.options) as client:
            for label, texts in MEMORIES.items():
                messages = [{"role": role, "content": text} for role, text in zip(("user", "assistant"), texts)]
                client.controller.create_conversation(label=label, folder="/work", messages=messages)
        os.environ.update({f"SEKHA_{name.upper()}": str(value) for name, value in sekha.options.items()})
        server = uvicorn.Server(uvicorn.Config("app:app", port=0, log_level="warning"))
        thread = threading.Thread(target=server.run)
        thread.start()
        while thread.is_alive() and not server.started:
            time.sleep(0.05)
        try:
            port = server.servers[0].sockets[0].getsockname()[1]
            command = [browser, "--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--log-level=3"]
            command += ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses to run as root with it
            command += [
                f"--user-data-dir={profile}",
                "--window-size=1200,720",
                "--hide-scrollbars",
                "--virtual-time-budget=10000",
            ]
            command += [f"--screenshot={PICTURE}", f"http://127.0.0.1:{port}/?q={quote(QUESTION)}"]
            subprocess.run(command, check=True, timeout=120)
        finally:
            server.should_exit = True
            thread.join()


if __name__ == "__main__":
    main()
