"""The hashed embedding, and models behind a URL: fakes of an OpenAI-compatible and of an Ollama server."""

from __future__ import annotations

import json
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Dict, Iterator, List, Tuple

import httpx
import pytest

from local.conftest import KEY, create, python
from sekha.local import LocalSekha, LocalSekhaError
from sekha.local import text as text_module
from sekha.local.text import (
    DIMENSION,
    best_sentences,
    cosine_similarity,
    extract_keywords,
    hash_embedding,
    split_sentences,
)

TEXTS = [
    "Which microservices do we deploy with docker and kubernetes?",
    "How should login tokens expire?",
    "Discussed project timeline",
    "2 week sprint cycle",
    "How much cinnamon goes into the pie?",
    "Wie groß ist der Turm? 東京タワー",
    "We decided to use PostgreSQL for the billing service.",
    "The rocket 🚀 starts tomorrow.",
]


@pytest.mark.parametrize(
    ("query", "nearest"),
    [
        ("docker deployment", 0),
        ("token expiry", 1),
        ("timelines of the project", 2),
        ("sprints", 3),
        ("apple pie with cinnamon", 4),
        ("タワー", 5),
        ("Wie GROSS?", 5),
        ("billing database postgres", 6),
        ("🚀", 7),
    ],
)
def test_similar_texts_are_near(query: str, nearest: int) -> None:
    scores = [cosine_similarity(hash_embedding(query), hash_embedding(text)) for text in TEXTS]
    assert scores.index(max(scores)) == nearest
    assert max(scores) > 0.15


def test_vectors_have_length_one_or_none() -> None:
    assert len(hash_embedding("x")) == DIMENSION
    assert cosine_similarity(hash_embedding(TEXTS[0]), hash_embedding(TEXTS[0])) == pytest.approx(1.0)
    assert hash_embedding("DEPLOY") == hash_embedding("deploy")
    assert set(hash_embedding("")) == set(hash_embedding(" ?! ")) == {0.0}
    team, words = hash_embedding("team"), hash_embedding("We and the team")
    assert cosine_similarity(hash_embedding("and the of"), words) < cosine_similarity(team, words)


def test_vectors_are_the_same_in_every_process() -> None:
    run = f"embed = runpy.run_path({text_module.__file__!r})['hash_embedding']"
    code = f"import runpy; {run}; print([embed(t) for t in {TEXTS!r}])"
    command, environment = python("-c", code)
    printed = [
        subprocess.run(
            command, env={**environment, "PYTHONHASHSEED": seed, "PYTHONUTF8": "1"}, capture_output=True, check=True
        )
        for seed in ("1", "2")
    ]
    assert json.loads(printed[0].stdout) == json.loads(printed[1].stdout) == [hash_embedding(text) for text in TEXTS]


def test_words_and_sentences() -> None:
    assert split_sentences("One. Two!\n\n---\nThree? 四。") == ["One.", "Two!", "Three?", "四。"]
    assert extract_keywords("The deployment of the deployment with docker") == ["deployment", "docker"]
    assert best_sentences("docker?", ["Pie.", "Docker!", "docker"], limit=1) == []
    assert best_sentences("docker here", ["Pie.", "Docker!", "Docker was here."], limit=1) == ["Docker was here."]


MODELS: Dict[str, Dict[str, Any]] = {
    "openai": {"llm_model": "tiny-chat", "embeddings_model": "text-embed-3"},
    "ollama": {"llm_model": "llama3:8b", "embeddings_model": "nomic-embed"},
}


class Fake(BaseHTTPRequestHandler):
    """A server of models; `kind` says how it speaks, `fault` how it fails."""

    kind = "openai"
    fault = ""
    seen: List[Tuple[str, Dict[str, Any]]]

    def do_GET(self) -> None:
        if self.kind == "openai" and self.path == "/v1/models":
            self._send({"data": [{"id": "text-embed-3"}, {"id": "tiny-chat"}, {"id": "big-chat"}]})
        elif self.kind == "ollama" and self.path in ("/api/version", "/api/tags"):
            self._send({"version": "0.5", "models": [{"name": "nomic-embed:latest"}, {"name": "llama3:8b"}]})
        else:
            self._send({"error": "not found"}, 404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.seen.append((self.path, body))
        if self.fault == "error":
            self._send({"error": "the model is tired"}, 500)
        elif self.fault == "garbage":
            self._send(["unexpected"])
        elif "input" in body:
            vectors = [[3.0 * ("cat" in text), 4.0, 0.0] for text in body["input"]]
            data = [{"index": place, "embedding": one} for place, one in enumerate(vectors)]
            self._send({"data": data[::-1]} if self.path == "/v1/embeddings" else {"embeddings": vectors})
        elif body["stream"]:
            self._stream(["Hello", " from", " afar"])
        elif self.path == "/v1/chat/completions":
            self._send({"choices": [{"message": {"role": "assistant", "content": "Hello from afar"}}]})
        else:
            self._send({"message": {"role": "assistant", "content": "Hello from afar"}, "done": True})

    def _stream(self, pieces: List[str]) -> None:
        self.send_response(200)
        self.end_headers()
        for piece in pieces:
            if self.path == "/v1/chat/completions":
                line = f"data: {json.dumps({'choices': [{'delta': {'content': piece}}]})}\n\n"
            else:
                line = json.dumps({"message": {"content": piece}}) + "\n"
            self.wfile.write(line.encode())
            if self.fault == "broken":
                self.wfile.write(b'data: {"error": "out of memory"}\n\n')
                return
        if self.path == "/v1/chat/completions":
            self.wfile.write(b'data: {"choices": [], "usage": {}}\n\ndata: [DONE]\n\n')
        else:
            self.wfile.write(b'{"message": {"content": ""}, "done": true, "done_reason": "stop"}\n')

    def _send(self, answer: Any, status: int = 200) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def fake(kind: str) -> Iterator[Tuple[str, Any]]:
    """A running fake: its address, and its class to look at and to spoil."""
    handler = type("Handler", (Fake,), {"kind": kind, "seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", handler
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [("openai", "/v1"), ("openai", "/v1/chat/completions"), ("openai", ""), ("ollama", ""), ("ollama", "/api/chat")],
)
def test_forwards_to_a_server(kind: str, suffix: str) -> None:
    with fake(kind) as (url, handler):
        names = [*MODELS[kind].values()]
        with LocalSekha(llm_url=url + suffix, embeddings_url=url + "/", **MODELS[kind]) as sekha:
            with httpx.Client(verify=False, base_url=sekha.bridge_url) as bridge:
                body: Dict[str, Any] = {
                    "messages": [{"role": "user", "content": "Hi"}],
                    "temperature": 0.5,
                    "max_tokens": 7,
                }
                answer = bridge.post("/v1/chat/completions", json=body).json()
                assert answer["choices"][0]["message"]["content"] == "Hello from afar"
                assert answer["model"] == names[0]
                path, sent = handler.seen[-1]
                assert sent["messages"] == body["messages"]
                if kind == "openai":
                    assert path == "/v1/chat/completions"
                    assert (sent["model"], sent["temperature"], sent["max_tokens"]) == ("tiny-chat", 0.5, 7)
                else:
                    assert (path, sent["model"]) == ("/api/chat", "llama3:8b")
                    assert sent["options"] == {"temperature": 0.5, "num_predict": 7}
                streamed = bridge.post("/v1/chat/completions", json={**body, "stream": True})
                assert [
                    part["choices"][0]["delta"].get("content") for part in _events(streamed) if part["choices"]
                ] == [
                    *("", "Hello", " from", " afar"),
                    *([None] if kind == "ollama" else []),
                ]
                embedded = bridge.post("/embed", json={"input": ["a cat", "a dog"], "model": names[1]}).json()
                assert [row["embedding"] for row in embedded["data"]] == [[0.6, 0.8, 0.0], [0.0, 1.0, 0.0]]
                assert embedded["model"] == names[1]
                health = bridge.get("/health").json()
                assert (health["status"], health["checks"]["chat"]["status"]) == ("healthy", "ok")
                assert bridge.post("/summarize", json={"messages": ["x"]}).json()["summary"] == "Hello from afar"
                assert bridge.post("/extract", json={"text": "x"}).json()["entities"]["people"] == []
                score = bridge.post("/score", json={"conversation": "x"}).json()
                assert (score["score"], score["reasoning"]) == (5.0, "Hello from afar")
            with httpx.Client(verify=False, base_url=sekha.controller_url, headers=KEY) as api:
                create(api, "The dog sleeps.")
                cat = create(api, "The cat sleeps.")
                best = api.post("/api/v1/query", json={"query": "cat"}).json()["results"][0]
                assert (best["conversation_id"], best["score"]) == (cat, 1.0)


def _events(answer: httpx.Response) -> List[Dict[str, Any]]:
    assert answer.text.endswith("data: [DONE]\n\n")
    return [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]


@pytest.mark.parametrize("kind", ["openai", "ollama"])
@pytest.mark.parametrize("fault", ["error", "garbage"])
def test_a_failing_server_is_a_502(kind: str, fault: str) -> None:
    with fake(kind) as (url, handler), LocalSekha(llm_url=url, embeddings_url=url, **MODELS[kind]) as sekha:
        handler.fault = fault
        with httpx.Client(verify=False, base_url=sekha.bridge_url) as bridge:
            for path, body in [
                ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}),
                ("/embed", {"text": "x"}),
                ("/summarize", {"messages": ["x"]}),
            ]:
                answer = bridge.post(path, json=body)
                assert answer.status_code == 502
                assert isinstance(answer.json()["detail"], str)


def test_a_stream_that_breaks_ends_in_an_error_event() -> None:
    with fake("openai") as (url, handler), LocalSekha(llm_url=url, llm_model="tiny-chat") as sekha:
        handler.fault = "broken"
        body = {"messages": [{"role": "user", "content": "Hi"}], "stream": True}
        with httpx.Client(verify=False, base_url=sekha.bridge_url) as bridge:
            answer = bridge.post("/v1/chat/completions", json=body)
            assert answer.status_code == 200
            assert "out of memory" in json.loads(answer.text.split("\n\n")[-2][6:])["error"]["message"]
            assert "[DONE]" not in answer.text
            handler.fault = "error"
            answer = bridge.post("/v1/chat/completions", json=body)
            assert (answer.status_code, "tired" in answer.json()["detail"]) == (502, True)


def test_a_server_that_is_down_loses_nothing() -> None:
    with fake("openai") as (url, _):
        pass
    with LocalSekha(llm_url=f"{url}/v1", embeddings_url=url) as sekha:
        with httpx.Client(verify=False, base_url=sekha.bridge_url) as bridge:
            body = {"messages": [{"role": "user", "content": "Hi"}], "stream": True}
            for path, sent in [("/v1/chat/completions", body), ("/embed", {"text": "x"})]:
                answer = bridge.post(path, json=sent)
                assert (answer.status_code, url in answer.json()["detail"]) == (502, True)
            health = bridge.get("/health").json()
            assert (health["status"], health["checks"]["chat"]["status"]) == ("degraded", "error")
            assert bridge.get("/api/v1/health/providers").json()["healthy_providers"] == 0
            assert bridge.post("/api/v1/route", json={"task": "embedding"}).status_code == 503
        with httpx.Client(verify=False, base_url=sekha.controller_url, headers=KEY) as api:
            identity = create(api, "Stored without a vector.")
            assert api.post("/api/v1/search/fts", json={"query": "vector"}).json()["total"] == 1
            answer = api.post("/api/v1/query", json={"query": "vector"}).json()
            assert [hit["conversation_id"] for hit in answer["results"]] == [identity], "it is found by its words"
            assert api.post("/mcp/tools/memory_search", json={"query": "x"}).json()["data"]["results"] == []
            summary = api.post("/api/v1/summarize", json={"conversation_id": identity, "level": "daily"}).json()
            assert summary["summary"] == "Daily summary: 1 messages (LLM offline)"
            assert api.post("/api/v1/rebuild-embeddings").status_code == 202


@pytest.mark.parametrize("url", ["localhost:11434", "ftp://x", "http://"])
def test_a_url_of_a_model_must_be_one(url: str) -> None:
    with pytest.raises(LocalSekhaError, match="the URL of a model must look like"):
        LocalSekha(llm_url=url).start()
