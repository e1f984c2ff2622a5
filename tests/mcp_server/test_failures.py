"""A memory that is down, refuses, hangs or breaks off; calls side by side, and calls that the client cancels."""

from __future__ import annotations

import threading
from typing import Any, Callable

import anyio
import pytest

from mcp_server.peer import cancel_last_request, connected
from sekha.local import LocalSekha
from sekha.testing import ScriptedSekha, answer_with, cut_after_work, hold
from support.programs import free_ports

QUERY, CREATE, FTS = "POST /api/v1/query", "POST /api/v1/conversations", "POST /api/v1/search/fts"
EXPORT = "POST /mcp/tools/memory_export"
SAID = [{"role": "user", "content": "We ship on Fridays."}]


async def test_a_memory_that_is_down_is_an_error_of_each_call_until_it_is_back() -> None:
    [port] = free_ports(1)
    options = {"controller_url": f"http://127.0.0.1:{port}", "api_key": "canary-of-rest", "max_retries": 0}
    async with connected(options) as peer:
        for tool, arguments in (("memory_search", {"query": "x"}), ("memory_stats", {})):
            error = await peer.error(tool, **arguments)
            assert f"127.0.0.1:{port}" in error
            assert error.endswith("That does not mean that nothing is stored.")
        assert (await peer.error("memory_store", messages=SAID)).endswith("Nothing was changed.")
        with pytest.raises(Exception, match="That does not mean that nothing is stored") as caught:
            await peer.session.get_prompt("recall", {"topic": "x"})
        refused: Any = caught.value
        assert refused.error.code == -32603
        with LocalSekha(port=port, api_key="canary-of-rest"):
            assert await peer.data("memory_search", query="x") == {"results": []}


async def test_a_write_of_unknown_outcome_says_so(sekha: LocalSekha) -> None:
    with ScriptedSekha(sekha) as scripted:
        scripted.fail(CREATE, cut_after_work())
        async with connected(scripted.options, max_retries=0) as peer:
            error = await peer.error("memory_store", messages=SAID)
            assert "it may have been applied" in error
            assert "Do not call the tool again for it" in error
            assert (await peer.data("memory_stats"))["total_conversations"] == 1


async def test_a_write_that_was_refused_says_that_nothing_was_changed(sekha: LocalSekha) -> None:
    with ScriptedSekha(sekha) as scripted:
        scripted.fail(CREATE, answer_with(507, {"error": "no room"}))
        async with connected(scripted.options, max_retries=0) as peer:
            error = await peer.error("memory_store", messages=SAID)
            assert "no room" in error
            assert error.endswith("Nothing was changed.")


async def test_the_key_that_is_refused_is_named(sekha_0_1: LocalSekha) -> None:
    async with connected(sekha_0_1.options, mcp_api_key="canary-wrong", max_retries=0) as peer:
        await peer.text("memory_search", query="x")  # needs no such key
        error = await peer.error("memory_stats")
        assert "the user has to set SEKHA_MCP_API_KEY for this server" in error
        assert "canary-wrong" not in error


async def test_an_answer_that_is_nonsense_is_an_error(sekha: LocalSekha) -> None:
    with ScriptedSekha(sekha) as scripted:
        scripted.fail(QUERY, answer_with(200, {"results": [{"content": 4}]}))
        async with connected(scripted.options, max_retries=0) as peer:
            assert "results[0]" in await peer.error("memory_search", query="x")
            assert await peer.data("memory_search", query="x") == {"results": []}


@pytest.mark.filterwarnings("ignore:a hybrid search returned results by meaning only:sekha.SekhaWarning")
async def test_a_failed_search_for_words_is_noted(sekha: LocalSekha) -> None:
    with ScriptedSekha(sekha) as scripted:
        scripted.fail(FTS, answer_with(500, {"error": "no index"}), times=2)
        async with connected(scripted.options, max_retries=0) as peer:
            await peer.store("We ship on Fridays.")
            note = "Only the search by meaning was made, since the full-text search failed."
            assert (await peer.data("memory_search", query="ship"))["note"] == note
            assert (await peer.text("memory_get_context", query="ship")).endswith(note)


async def test_a_bug_is_an_error_and_not_the_end(
    sekha: LocalSekha, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sekha.mcp_server.tools.statistics_of", lambda stats: stats["nonsense"])
    async with connected(sekha.options) as peer:
        said = "memory_stats failed because of an error in the server; its log has the details."
        assert await peer.error("memory_stats") == said
        assert await peer.data("memory_search", query="x") == {"results": []}
    out, err = capsys.readouterr()
    assert out == ""
    assert "KeyError: 'nonsense'" in err


async def _until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(30):
        while not condition():  # noqa: ASYNC110 - the other side is a thread
            await anyio.sleep(0.01)


def _has_seen(scripted: ScriptedSekha, line: str) -> bool:
    return any(request.line == line for request in scripted.requests)


async def test_calls_are_served_side_by_side(sekha: LocalSekha) -> None:
    with ScriptedSekha(sekha) as scripted:
        release = threading.Event()
        scripted.fail(EXPORT, hold(release))
        async with connected(scripted.options) as peer, anyio.create_task_group() as tasks:
            id = await peer.store("We ship on Fridays.")
            done = anyio.Event()

            async def export() -> None:
                await peer.export(id)
                done.set()

            tasks.start_soon(export)
            await _until(lambda: _has_seen(scripted, EXPORT))
            for _ in range(3):
                await peer.data("memory_search", query="x")
            assert not done.is_set()
            release.set()
            with anyio.fail_after(30):
                await done.wait()


async def test_a_call_can_be_cancelled(sekha: LocalSekha) -> None:
    with ScriptedSekha(sekha) as scripted:
        release = threading.Event()
        scripted.fail(QUERY, hold(release))
        async with connected(scripted.options) as peer:
            assert peer.memory is not None
            async with anyio.create_task_group() as tasks:

                async def search() -> None:
                    await peer.call("memory_search", query="x")

                tasks.start_soon(search)
                await _until(lambda: _has_seen(scripted, QUERY))
                tasks.cancel_scope.cancel()
            await cancel_last_request(peer.session)
            with anyio.fail_after(30):
                await peer.memory.wait_idle()  # the call has ended, though the memory has not answered
            release.set()
            assert await peer.data("memory_search", query="x") == {"results": []}
