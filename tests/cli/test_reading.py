"""`sekha list`, `query`, `show`, `stats`, and `health --json`."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Callable

import pytest

from cli.conftest import Run
from sekha import SekhaClient
from sekha.testing import ScriptedSekha

Remember = Callable[..., str]


def test_list_shows_the_last_changed_first(run: Run, remember: Remember) -> None:
    first, second = remember("a", label="Plans"), remember("b", label="Pie", folder="/home", importance=10)
    done = run("list")
    assert (done.code, done.err) == (0, "")
    header, *rows = [line.split() for line in done.out.splitlines()]
    assert header == ["ID", "LABEL", "FOLDER", "IMPORTANCE", "STATUS", "UPDATED", "(UTC)"]
    assert [row[:5] for row in rows] == [
        [second[:8], "Pie", "/home", "10", "active"],
        [first[:8], "Plans", "/work", "5", "active"],
    ]
    assert [line.split()[0] for line in run("list", "--full-ids").out.splitlines()[1:]] == [second, first]
    assert "\033" not in done.out
    assert not any(line.endswith(" ") for line in done.out.splitlines())


def test_list_can_be_narrowed(run: Run, remember: Remember, client: SekhaClient) -> None:
    plans, deep = remember("a", label="Plans"), remember("b", label="Deep", folder="/work/deep")
    pie = remember("c", label="Pie", folder="/home", importance=10)
    client.controller.archive_conversation(deep)

    def ids(*options: str) -> list[str]:
        return [row["conversation_id"] for row in run("list", "--json", *options).json["results"]]

    assert ids("--label", "Pie") == [pie]
    assert ids("--folder", "/work") == [plans]
    assert set(ids("--folder", "/work", "--subfolders")) == {plans, deep}
    assert ids("--pinned") == [pie]
    assert pie not in ids("--not-pinned")
    assert ids("--archived") == [deep]
    assert set(ids("--not-archived")) == {plans, pie}


@pytest.mark.parametrize("command", ["list", "export"])
def test_conversations_of_a_time(command: str, run: Run, remember: Remember) -> None:
    remember("a", label="Plans")
    remember("b", label="Pie")

    def count(*options: str) -> int:
        if command == "list":
            return len(run("list", "--json", *options).json["results"])
        return len(run("export", *options).out.splitlines())

    today = datetime.now(timezone.utc)
    yesterday = (today - timedelta(days=1)).date().isoformat()
    assert count("--since", yesterday) == count("--since", "2000-01-01", "--until", "2999-12-31") == 2
    assert count("--until", yesterday) == count("--since", "2999-01-01T00:00:00Z") == 0
    assert count("--since", yesterday, "--label", "Pie") == 1
    done = run(command, "--since", "2026-02-01", "--until", "2026-01-01")
    assert (done.code, done.out) == (2, "")
    assert "--until: must not be before" in done.err


def test_list_says_that_there_is_more(run: Run, remember: Remember) -> None:
    for label in ("a", "b", "c"):
        remember("x", label=label)
    done = run("list", "--limit", "2")
    assert len(done.out.splitlines()) == 3
    assert done.err == "Only the first 2 are shown; use --limit to show more.\n"
    done = run("list", "--limit", "2", "--json")
    assert set(done.json) == {"results", "more"}
    assert (len(done.json["results"]), done.json["more"]) == (2, True)
    assert run("list", "--limit", "3", "--json").json["more"] is False


def test_an_empty_list_is_no_failure(run: Run, client: SekhaClient) -> None:
    done = run("list")
    assert (done.code, done.out, done.err) == (0, "", "No conversations found.\n")
    assert run("list", "--json").json == {"results": [], "more": False}


def test_query_shows_the_best_first(run: Run, remember: Remember) -> None:
    id = remember("Which database for billing?", "PostgreSQL, with\nreplication.", label="Billing", folder="/home")
    remember("How much cinnamon goes into the pie?", label="Pie")
    done = run("query", "billing", "database", "--limit", "2")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0].split() == ["SCORE", "RESULT"]
    assert f"  Billing  /home  {id[:8]}\n" in done.out
    assert f"  Billing  /home  {id}\n" in run("query", "billing database", "--full-ids").out
    assert "Which database for billing?" in done.out.splitlines()[2]
    found = run("query", "billing database", "--json").json
    assert found["results"][0]["conversation_id"] == id
    assert set(found["results"][0]) >= {"score", "label", "folder", "content", "message_id"}


def test_query_can_be_narrowed(run: Run, remember: Remember) -> None:
    remember("database", label="Low", folder="/home")
    high = remember("database", label="High", importance=9)

    def ids(*options: str) -> set[str]:
        return {hit["conversation_id"] for hit in run("query", "database", "--json", *options).json["results"]}

    assert ids("--label", "High") == ids("--folder", "/work") == ids("--min-importance", "8") == {high}
    assert len(ids("--since", "2000-01-01", "--until", "2999-12-31")) == 2
    assert len(ids("--folder", "/", "--subfolders")) == 2
    assert ids("--archived") == set()
    assert len(ids("--not-archived")) == 2
    assert len(ids("--no-hybrid")) == 2
    assert ids("--until", "2000-01-01") == set()
    done = run("query", "database", "--until", "2000-01-01")
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("No results.")


def test_words_are_searched_for_too(run: Run, faulty: ScriptedSekha) -> None:
    run("store", "Which database for billing?")
    lines = []
    for options in ([], ["--no-hybrid"]):
        before = len(faulty.requests)
        assert run("query", "billing", *options).code == 0
        lines.append([request.line for request in faulty.requests[before:]])
    assert sorted(lines[0]) == ["POST /api/v1/query", "POST /api/v1/search/fts"]
    assert lines[1] == ["POST /api/v1/query"]


def test_search_is_query(run: Run, remember: Remember) -> None:
    remember("Which database for billing?", label="Billing")
    assert run("search", "billing", "database") == run("query", "billing", "database")
    assert run("search", "billing", "--json").json == run("query", "billing", "--json").json
    assert run("search", " ").err.startswith("sekha search: WORDS: ")


def test_a_text_is_shown_once_if_its_label_is_its_beginning(run: Run, client: SekhaClient) -> None:
    for text in ("We ship on Fridays.", "We ship " + "rather often, " * 20):
        client.controller.create_conversation(messages=[{"role": "user", "content": text}])
    done = run("query", "We ship on Fridays.")
    assert done.out.count("We ship on Fridays.") == 1
    assert done.out.count("We ship") == 2
    (row,) = [row for row in client.controller.iter_conversations() if row["label"].endswith("Fridays.")]
    assert f"\n       /  {row['conversation_id'][:8]}\n" in done.out


def test_what_is_below_a_score_is_left_out(run: Run, remember: Remember) -> None:
    remember("Which database for billing?", label="Billing")
    remember("How much cinnamon goes into the pie?", label="Pie")
    done = run("query", "Which database for billing?", "--min-score", "0.9")
    assert done.code == 0
    assert "Billing" in done.out
    assert "Pie" not in done.out
    assert done.err == "Omitted with a score below 0.9: 1.\n"
    done = run("query", "zzzz qqqq", "--min-score", "0.9")
    assert (done.code, done.out, done.err) == (0, "", "No results.\nOmitted with a score below 0.9: 2.\n")
    found = run("query", "zzzz", "--min-score", "1", "--json").json
    assert (found["results"], found["below_min_score"]) == ([], 2)


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_tables_fit_the_terminal(
    columns: int, run: Run, remember: Remember, client: SekhaClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = "/work/projects/a-rather-long-name/of-a-folder"
    id = remember("word " * 100, label="A label of quite some length, which has many words", folder=folder)
    remember("x" * 300, label="x" * 100, importance=2)
    client.controller.archive_conversation(id)
    monkeypatch.setenv("COLUMNS", str(columns))
    for words in (["list"], ["query", "word"], ["stats"], ["health"], ["prune", "--threshold-days", "0", "--dry-run"]):
        lines = run(*words).out.splitlines()
        assert lines
        assert max(map(len, lines)) <= columns, words
        if words[0] in ("list", "prune"):
            assert all(line.strip() for line in lines)
            assert len(lines) in (2, 3), "one line each"
    heading, *rows = run("list").out.splitlines()
    assert heading.split()[0] == "ID"
    assert heading.endswith("UPDATED (UTC)")
    assert any(row.startswith(f"{id[:8]}  A label") for row in rows)


def test_show_has_every_word_of_a_conversation(run: Run, remember: Remember) -> None:
    id = remember("Which database?", "PostgreSQL,\nof course.", label="Billing", importance=9)
    done = run("show", id)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"Billing\n{id}  /work  active  importance 9\ncreated 20")
    assert done.out.endswith("\n\nuser\nWhich database?\n\nassistant\nPostgreSQL,\nof course.\n")
    shown = run("show", "--json", id).json
    assert set(shown) == {"conversation", "messages"}
    assert shown["conversation"]["id"] == id
    assert [message["role"] for message in shown["messages"]] == ["user", "assistant"]


def test_stats_count(run: Run, remember: Remember) -> None:
    remember("a", "b", label="Plans")
    remember("c", label="Pie", folder="/home", importance=9)
    done = run("stats")
    assert (done.code, done.err) == (0, "")
    assert [line.split(maxsplit=1) for line in done.out.splitlines()] == [
        ["STATISTIC", "VALUE"],
        ["conversations", "2"],
        ["messages", "3"],
        ["average", "importance  7.0"],
        ["folders", "2: /home, /work"],
        ["labels", "2: Pie, Plans"],
    ]
    assert run("stats", "--json", "--folder", "/home").json == {
        "total_conversations": 1,
        "total_messages": 1,
        "average_importance": 9.0,
        "folders": ["/home"],
        "labels": ["Pie"],
    }
    assert run("stats", "--json", "--label", "Plans", "--since", "2000-01-01").json["total_conversations"] == 1
    assert run("stats", "--json", "--folder", "/", "--subfolders").json["total_conversations"] == 2
    assert run("stats", "--json", "--folder", "/").json["total_conversations"] == 0


def test_health_as_json(run: Run, client: SekhaClient, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run("health", "--json")
    assert done.code == 0
    assert {name: found["status"] for name, found in done.json.items()} == dict.fromkeys(
        ("controller", "bridge", "mcp"), "healthy"
    )
    assert done.json["controller"]["address"].startswith("http://127.0.0.1:")
    monkeypatch.delenv("SEKHA_BRIDGE_URL")
    done = run("health", "--json")
    assert (done.code, done.json["bridge"]["status"], done.json["bridge"]["address"]) == (1, "not_configured", None)


def test_what_was_remembered_is_no_markup_and_steers_no_terminal(run: Run, remember: Remember) -> None:
    id = remember("[red]danger[/red] \033]0;title\007 :smile:", label="[bold]\033[2J", folder="/[x]")
    for words in (("list",), ("query", "danger"), ("show", id), ("stats",)):
        done = run(*words)
        assert done.code == 0
        assert "\033" not in done.out
        assert "\007" not in done.out
        assert "[bold]\N{REPLACEMENT CHARACTER}[2J" in done.out
    assert "[red]danger[/red]" in run("query", "danger").out
    assert run("show", "--json", id).json["conversation"]["label"] == "[bold]\033[2J"
