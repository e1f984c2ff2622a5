"""A server for models like an Ollama, which can be told to fail."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Dict, Iterator, List, Optional, Tuple

from sekha.local.models import ModelInfo
from sekha.local.text import hash_embedding

MODELS = ("nomic-embed-text", "llama3.1:8b", "llama3.2-vision:11b")

NAMES: Dict[str, Any] = {"llm_model": "llama3.1:8b", "embeddings_model": "nomic-embed-text"}
"""Settings of a local Sekha that name two of them."""


class StubModels:
    """What it answers next, and what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.fault: Optional[Tuple[int, str]] = None  # status and body instead of any answer
        self.text: Optional[str] = None  # the text of the chat model instead of its own
        self.asked: List[Dict[str, Any]] = []

    def answer(self, path: str, body: Any) -> Tuple[int, str]:
        """Status and body for a request."""
        self.asked.append({"path": path, "body": body})
        if path == "/api/tags":
            return 200, json.dumps({"models": [{"name": name} for name in MODELS]})
        if self.fault is not None:
            return self.fault
        if path == "/api/embed":
            return 200, json.dumps({"embeddings": [hash_embedding(text) for text in body["input"]]})
        text = "7, stub, words" if self.text is None else self.text
        return 200, json.dumps({"message": {"role": "assistant", "content": text}})


class OnlyEmbeds:
    """The part of an embedder that a test of embedding has no use for: whoever asks for it is wrong."""

    async def info(self) -> ModelInfo:
        raise AssertionError("not asked for")

    async def check(self) -> None:
        raise AssertionError("not checked")

    async def close(self) -> None:
        raise AssertionError("not closed")


@contextmanager
def stub_models() -> Iterator[StubModels]:
    """Runs one; its `url` is good for `llm_url` and `embeddings_url`."""
    stub = StubModels()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            size = int(self.headers.get("content-length", 0))
            status, text = stub.answer(self.path, json.loads(self.rfile.read(size)) if size else None)
            self.send_response(status)
            self.send_header("content-length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        stub.url = f"http://127.0.0.1:{server.server_address[1]}/api"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield stub
        finally:
            server.shutdown()
            thread.join()
