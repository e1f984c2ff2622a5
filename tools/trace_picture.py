"""Take the picture of a trace in docs/assets/trace.png: one turn of a chat with a memory, as Phoenix shows it.

    python -m venv phoenix
    phoenix/bin/pip install -e ".[local]" arize-phoenix opentelemetry-exporter-otlp-proto-http
    phoenix/bin/python tools/trace_picture.py

It needs Chromium, and a Python that Phoenix supports. Phoenix runs on the loopback alone while the picture is taken.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from importlib import import_module
from pathlib import Path
from typing import Any

from screenshots import ROOT, Chromium
from sekha import SekhaClient
from sekha.memory import Memory, Scope
from sekha.testing import ScriptedSekha, answer_with

PICTURE = ROOT / "docs" / "assets" / "trace.png"
PORT, GRPC_PORT = 6106, 6107
PHOENIX = f"http://127.0.0.1:{PORT}"
WIDTH, HEIGHT = 1440, 700
QUESTION = {"role": "user", "content": "When do we ship?"}
_START = 120.0  # seconds that Phoenix gets for its first start


def trace_to(endpoint: str) -> Any:
    """Send spans to an address by OTLP; return the provider."""
    trace = import_module("opentelemetry.trace")
    sdk = import_module("opentelemetry.sdk.trace")
    export = import_module("opentelemetry.sdk.trace.export")
    otlp = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    provider = sdk.TracerProvider()
    provider.add_span_processor(export.BatchSpanProcessor(otlp.OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces")))
    trace.set_tracer_provider(provider)
    return provider


def turn(sekha: ScriptedSekha, provider: Any) -> str:
    """Recall, ask a model, and remember; the first search of the memory gets a 502. Return the id of the trace."""
    with SekhaClient(**sekha.options) as client:
        memory = Memory(client, Scope("shop", "ann", session="s1"))
        memory.remember([{"role": "user", "content": "We ship on Fridays."}])
    sekha.fail("POST /api/v1/query", answer_with(502))
    with SekhaClient(**sekha.options) as client:
        memory = Memory(client, Scope("shop", "ann", session="s2"))
        with provider.get_tracer("shop").start_as_current_span("answer a question") as span:
            messages = memory.turn().with_memory([QUESTION])
            with client.bridge.stream_complete(messages, model="llama3.1:8b", temperature=0.2) as stream:
                answer = stream.get_final_text()
            memory.remember([QUESTION, {"role": "assistant", "content": answer}])
    return f"{span.get_span_context().trace_id:032x}"


def wait_for_phoenix(process: subprocess.Popen[bytes]) -> None:
    """Wait until it serves pages."""
    until = time.monotonic() + _START
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(PHOENIX, timeout=1).close()
            return
        except OSError:
            time.sleep(0.5)
    raise TimeoutError("Phoenix does not start")


def main() -> None:
    """Draw the picture."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": str(PORT),
            "PHOENIX_GRPC_PORT": str(GRPC_PORT),
            "PHOENIX_WORKING_DIR": folder,
            "PHOENIX_TELEMETRY_ENABLED": "false",
        }
        program = str(Path(sys.executable).with_name("phoenix"))
        silent = subprocess.DEVNULL
        with subprocess.Popen([program, "serve"], env=environment, stdout=silent, stderr=silent) as process:
            try:
                wait_for_phoenix(process)
                take_picture()
            finally:
                process.send_signal(signal.SIGINT)


def take_picture() -> None:
    """Trace a turn, and take its picture."""
    provider = trace_to(PHOENIX)
    with ScriptedSekha() as sekha:
        trace_id = turn(sekha, provider)
    provider.shutdown()  # sends what is left
    with (
        tempfile.TemporaryDirectory() as profile,
        Chromium(Path(profile), f"--window-size={WIDTH},{HEIGHT}") as browser,
    ):
        browser.open(PHOENIX)
        browser.wait_for("document.body.innerText.includes('Tracing')")
        browser.value("localStorage.setItem('arize-phoenix-theme', 'light')")
        browser.open(f"{PHOENIX}/redirects/traces/{trace_id}")
        browser.wait_for("document.body.innerText.includes('create_memory')")
        browser.value("document.querySelector('[aria-label=\"Collapse side navigation\"]').click()")
        spans = "[...document.querySelectorAll('span')].filter(span => span.textContent === 'search_memory')"
        browser.value(f"{spans}.pop().click()")
        browser.wait_for("document.body.innerText.includes('gen_ai.memory.store.id')")
        time.sleep(1)  # until nothing moves
        PICTURE.write_bytes(browser.picture(WIDTH, HEIGHT))


if __name__ == "__main__":
    main()
