"""The settings files of coding agents: our hooks come and go, and nothing else changes."""

from __future__ import annotations

import json
import os
import shlex
import stat
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any, Dict, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.conftest import Run
from sekha.cli import hook_install
from sekha.cli.hook_install import AGENTS, command_line, find_program, hooks_of, join_words, settings_file
from sekha.cli.hook_settings import BadSettings, Hook, add_hooks, remove_hooks

HOOKS = [
    Hook("UserPromptSubmit", "/venv/bin/sekha hook recall", 5),
    Hook("Stop", "/venv/bin/sekha hook remember", 10),
]
OTHER = {"type": "command", "command": "notify-send done"}
LAYOUTS = {
    "empty": "",
    "an empty object": "{}\n",
    "other keys": '{\n    "model": "opus",\n    "permissions": {"allow": ["Bash(ls:*)", "x"]}\n}',
    "tabs": '{\n\t"hooks": {\n\t\t"Stop": [\n\t\t\t{"hooks": [{"type": "command", "command": "x"}]}\n\t\t]\n\t}\n}\n',
    "one line": '{"hooks": {"Stop": [{"matcher": "", "hooks": [{"type": "command", "command": "x"}]}]}, "z": 1.50}',
    "lines of Windows": '{\r\n  "a": 1,\r\n  "hooks": {\r\n    "Other": []\r\n  }\r\n}\r\n',
    "a mark at its begin": '\ufeff{\n  "a": "\\u00fc"\n}\n',
}


def events(text: str) -> Dict[str, List[Any]]:
    return {event: [h for g in groups for h in g["hooks"]] for event, groups in json.loads(text)["hooks"].items()}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_they_come_once_and_go_without_a_trace(layout: str) -> None:
    before = LAYOUTS[layout]
    after = add_hooks(before, HOOKS)
    found = events(after.lstrip("\ufeff"))
    for hook in HOOKS:
        assert found[hook.event][-1] == {"type": "command", "command": hook.command, "timeout": hook.timeout}
    assert add_hooks(after, HOOKS) == after
    left = remove_hooks(after)
    assert left == (before or "{}\n")
    assert remove_hooks(left) == left


def test_the_layout_of_the_file_is_kept() -> None:
    assert add_hooks('{\n    "a": [1,2]\n}\n', HOOKS[:1]) == (
        '{\n    "a": [1,2],\n    "hooks": {\n        "UserPromptSubmit": [\n            {\n                "hooks": [\n'
        '                    {\n                        "type": "command",\n'
        '                        "command": "/venv/bin/sekha hook recall",\n'
        '                        "timeout": 5\n                    }\n                ]\n            }\n        ]\n'
        "    }\n}\n"
    )


def test_an_older_command_is_replaced_where_it_stands() -> None:
    old = add_hooks("{}", [HOOKS[0]._replace(command="'/old venv/bin/sekha' hook recall --folder /x"), HOOKS[1]])
    old = old.replace('"Stop": [', f'"Stop": [{json.dumps({"hooks": [OTHER]})},')
    new = add_hooks(old, HOOKS)
    assert events(new) == {
        "UserPromptSubmit": [HOOKS[0].handler],
        "Stop": [OTHER, HOOKS[1].handler],
    }
    assert new.index("UserPromptSubmit") < new.index("Stop")


def test_one_that_is_there_twice_or_at_another_event_goes() -> None:
    twice = json.dumps({"hooks": {"Stop": [{"hooks": [HOOKS[1].handler, OTHER, HOOKS[1].handler]}], "PreCompact": [
        {"matcher": "auto", "hooks": [HOOKS[1].handler]}]}})  # fmt: skip
    assert events(add_hooks(twice, HOOKS[1:])) == {"Stop": [HOOKS[1].handler, OTHER]}


@pytest.mark.parametrize(
    "command",
    [
        "sekha hook recall",
        "/a/sekha hook remember --folder /x",
        '"C:/Users/Ann Lee/Scripts/sekha.exe" hook recall',
        "'/my venv/bin/sekha' hook recall",
        "/usr/bin/python -c 'import sys; sys.path[:1] = []; from sekha.cli import main; sys.exit(main())' hook recall",
    ],
)
def test_whose_a_command_is(command: str) -> None:
    text = json.dumps({"hooks": {"Stop": [{"hooks": [{"type": "command", "command": command}]}]}})
    assert json.loads(remove_hooks(text)) == {}


@pytest.mark.parametrize(
    "command", ["sekha import notes", "mysekha hook recall", "echo sekha; hook recall", "sekha hooks recall", ""]
)
def test_what_is_not_ours_stays(command: str) -> None:
    text = json.dumps({"hooks": {"Stop": [{"hooks": [{"type": "command", "command": command}, 5]}, 7, {"hooks": 3}]}})
    assert remove_hooks(text) == text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(
    others=st.dictionaries(st.text(max_size=5).filter("hooks".__ne__), json_values, max_size=3),
    groups=st.dictionaries(
        st.sampled_from(["Stop", "UserPromptSubmit", "PreToolUse"]),
        st.lists(st.fixed_dictionaries({"hooks": st.just([OTHER])}), min_size=1, max_size=2),
        min_size=1,
    ),
    indent=st.sampled_from([None, 1, 4, "\t"]),
    ascii=st.booleans(),
)
def test_any_settings_come_back_as_they_were(others: Any, groups: Any, indent: Any, ascii: bool) -> None:
    before = json.dumps({**others, "hooks": groups}, indent=indent, ensure_ascii=ascii)
    after = add_hooks(before, HOOKS)
    assert {**json.loads(after), "hooks": None} == {**others, "hooks": None}
    assert remove_hooks(after) == before


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{\n  "a": \n}', "line 3 column 1: not valid JSON"),
        ('{\n  // mine\n  "a": 1}', "line 2 column 3: not valid JSON"),
        ("[]", "must be a JSON object"),
        ('{"hooks": []}', "hooks: must be an object"),
        ('{"hooks": {"Stop": {}}}', "hooks.Stop: must be a list"),
        ("[" * 100_000, "nested too deeply|not valid JSON"),
    ],
)
def test_a_broken_file_is_refused_with_its_place(text: str, problem: str) -> None:
    with pytest.raises(BadSettings, match=problem):
        add_hooks(text, HOOKS)
    with pytest.raises(BadSettings, match=problem):
        remove_hooks(text)


# The command


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    monkeypatch.delenv("CODEX_HOME", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("agent", "options", "path", "expected"),
    [
        ("claude-code", [], ".claude/settings.json", ["UserPromptSubmit", "Stop", "SessionEnd"]),
        ("claude-code", ["--project"], ".claude/settings.local.json", ["UserPromptSubmit", "Stop", "SessionEnd"]),
        ("codex", [], ".codex/hooks.json", ["UserPromptSubmit", "Stop"]),
        ("codex", ["--project"], ".codex/hooks.json", ["UserPromptSubmit", "Stop"]),
    ],
)
def test_install_and_uninstall(
    agent: str, options: List[str], path: str, expected: List[str], run: Run, home: Path
) -> None:
    done = run("hook", "install", agent, "--yes", *options)
    assert done.code == 0, done.err
    found = events((home / path).read_text())
    assert list(found) == expected
    for event, (handler,) in found.items():
        assert handler["command"].endswith("hook recall" if event == "UserPromptSubmit" else "hook remember")
        assert os.path.isabs(shlex.split(handler["command"])[0])
        assert f'+        "{event}"' in done.out or f'+    "{event}"' in done.out
    assert "SEKHA_CONTROLLER_URL and SEKHA_API_KEY not set: set in the environment" in done.err
    again = run("hook", "install", agent, "--yes", *options)
    assert (again.code, again.out) == (0, "")
    assert "these hooks are already installed" in again.err
    assert run("hook", "uninstall", agent, "--yes", *options).code == 0
    assert json.loads((home / path).read_text()) == {}
    assert "no hooks to remove" in run("hook", "uninstall", agent, "--yes", *options).err


def test_it_asks_and_keeps_mode_link_and_all_else(run: Run, home: Path) -> None:
    real = home / "dotfiles.json"
    real.write_text('{"model": "opus"}')
    real.chmod(0o640)
    (home / ".claude").mkdir()
    (home / ".claude" / "settings.json").symlink_to(real)
    done = run("hook", "install", "claude-code", terminal="n\n")
    assert done.code == 1
    assert "Nothing was changed." in done.err
    assert real.read_text() == '{"model": "opus"}'
    assert run("hook", "install", "claude-code", terminal="y\n").code == 0
    assert json.loads(real.read_text())["model"] == "opus"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert (home / ".claude" / "settings.json").is_symlink()
    assert [path.name for path in (home / ".claude").iterdir()] == ["settings.json"]


def test_the_variables_of_the_agents_name_their_folders(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", "/c")
    monkeypatch.setenv("CODEX_HOME", "/x")
    files = [settings_file(agent, project=False) for agent in AGENTS.values()]
    assert files == [Path("/c/settings.json"), Path("/x/hooks.json")]


def test_options_go_into_the_command(run: Run, home: Path) -> None:
    (home / "my.env").write_text("SEKHA_API_KEY=sk-secret-of-the-user\n")
    words = ["--folder", "/work/a b", "--env-file", "my.env", "--min-score", "0.25"]
    assert run("hook", "install", "codex", "--yes", *words).code == 0
    text = (home / ".codex" / "hooks.json").read_text()
    found = events(text)
    shared = ["--folder", "/work/a b", "--env-file", str(home / "my.env")]
    assert shlex.split(found["UserPromptSubmit"][0]["command"])[1:] == [
        "hook",
        "recall",
        *shared,
        "--min-score",
        "0.25",
    ]
    assert shlex.split(found["Stop"][0]["command"])[1:] == ["hook", "remember", *shared]
    assert "sk-secret" not in text


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (["bake"], 2, "'bake': must be one of recall, remember, install, uninstall"),
        (["install"], 2, "requires an agent: claude-code or codex"),
        (["install", "cursor", "--yes"], 2, "requires an agent: claude-code or codex"),
        (["install", "codex"], 2, "cannot ask for confirmation (stdin is not a terminal): use --yes"),
        (["install", "codex", "--yes", "--wait"], 2, "--wait is only for remember"),
        (["install", "codex", "--yes", "--env-file", "gone"], 2, "--env-file"),
        (["install", "codex", "--yes", "--folder", "/"], 2, "--folder: '/' is not a folder below /"),
        (["install", "codex", "--yes", "--folder", "/x/"], 2, "--folder: '/x/' ends with /: use /x for that folder"),
    ],
)
def test_wrong_usage(words: List[str], code: int, problem: str, run: Run, home: Path) -> None:
    done = run("hook", *words)
    assert (done.code, done.out) == (code, "")
    assert problem in done.err
    assert not (home / ".codex").exists()


@pytest.mark.parametrize("data", [b'{\n "a": \n}', b"\xff\xfe{\x00}\x00"])
def test_a_broken_file_stays_as_it_is(data: bytes, run: Run, home: Path) -> None:
    (home / ".claude").mkdir()
    path = home / ".claude" / "settings.json"
    path.write_bytes(data)
    done = run("hook", "install", "claude-code", "--yes")
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert str(path) in done.err
    assert "nothing was changed" in done.err
    assert path.read_bytes() == data


@pytest.mark.parametrize("verb", ["install", "uninstall"])
def test_a_link_that_points_nowhere_is_named(verb: str, run: Run, home: Path) -> None:
    (home / ".claude").mkdir()
    path = home / ".claude" / "settings.json"
    path.symlink_to(home / "gone" / "dotfiles.json")
    done = run("hook", verb, "claude-code", "--yes")
    said = f"{path} is a symbolic link to {home / 'gone' / 'dotfiles.json'}, which does not exist\n"
    assert (done.code, done.out, done.err) == (1, "", f"sekha hook: {said}")
    assert not path.exists()


def test_a_file_that_changes_while_it_asks_is_not_overwritten(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = home / ".codex" / "hooks.json"
    path.parent.mkdir()

    def confirm(question: str) -> bool:
        path.write_text('{"a": 1}')
        return True

    monkeypatch.setattr(hook_install, "confirm", confirm)
    done = run("hook", "install", "codex", terminal="")
    assert (done.code, path.read_text()) == (1, '{"a": 1}')
    assert "was changed by another program in the meantime" in done.err


# Command lines


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of Unix")
def test_the_command_runs_from_everywhere_whatever_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sekha").mkdir()
    for name in ("sekha/__init__.py", "json.py", "typing.py"):
        (tmp_path / name).write_text("raise SystemExit('this is not the library')")
    monkeypatch.setattr(hook_install, "find_program", lambda: None)
    line = command_line(["hook", "recall", "--help"])
    environment = {**os.environ, "PYTHONPATH": str(Path(hook_install.__file__).parents[2])}
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: sekha hook" in done.stdout


def test_the_program_is_that_which_runs_now_or_that_of_this_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "sekha.exe" if sys.platform == "win32" else "sekha"
    program = tmp_path / "bin of ann" / name
    program.parent.mkdir()
    program.touch()
    monkeypatch.setattr("sys.argv", [str(program)])
    assert find_program() == str(program)
    monkeypatch.setattr("sys.argv", ["pytest"])
    scripts = [str(program.parent), str(program.parent), str(program.parent), str(tmp_path)]

    def get_path(name: str) -> str:
        assert name == "scripts"
        return scripts.pop(0)

    monkeypatch.setattr(sysconfig, "get_path", get_path)
    assert find_program() == str(program)
    assert [shlex.split(hook.command)[0] for hook in hooks_of(AGENTS["codex"], [], [])] == [str(program)] * 2
    assert find_program() is None


def test_words_are_quoted_for_the_shell() -> None:
    assert join_words(["/a b/sekha", "hook", "--folder", "/x'y"], is_windows=False) == (
        "'/a b/sekha' hook --folder '/x'\"'\"'y'"
    )
    assert join_words([r"C:\Users\Ann Lee\sekha.exe", "hook", "--folder", "/a b"], is_windows=True) == (
        '"C:/Users/Ann Lee/sekha.exe" hook --folder "/a b"'
    )
    assert join_words([r"C:\venv\sekha.exe", "hook", "recall"], is_windows=True) == "C:/venv/sekha.exe hook recall"
