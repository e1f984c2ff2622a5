"""`docs/llms.txt`, the command that writes it (`tools/llms.py`), and `SKILL.md`: what language models read."""

from __future__ import annotations

import importlib
import re
import shlex
import sys
from pathlib import Path
from typing import Any, List

import pytest
import yaml

from cli.conftest import connect
from sekha.cli import main
from sekha.local import LocalSekha

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
tool: Any = importlib.import_module("llms")
sys.path.pop(0)

TEXT = (ROOT / tool.PAGE).read_text("utf-8")
SKILL = ROOT / "skills" / "sekha" / "SKILL.md"


def test_the_list_is_up_to_date() -> None:
    assert tool.main(["--check"]) == 0, "run: python tools/llms.py"


def test_it_has_every_page_once_and_no_other() -> None:
    links = re.findall(r"^- \[.+?\]\((.+?)\): .+$", TEXT, re.MULTILINE)
    files: List[str] = [page.file for page in tool.navigation(ROOT)]
    assert sorted(links) == sorted(str(tool.address(file)) for file in files)
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert set(files) == pages
    assert set(tool.ABOUT) <= pages


def test_it_has_the_form_of_such_files() -> None:
    """https://llmstxt.org: a title, a quote, text without headings, then sections of nothing but links."""
    head, *sections = re.split(r"^## .+$", TEXT, flags=re.MULTILINE)
    assert re.match(r"# .+\n\n> ", head)
    assert head.count("\n#") == 0
    assert sections
    for section in sections:
        assert all(line.startswith("- [") for line in section.strip().splitlines())
    assert re.findall(r"^## (.+)$", TEXT, re.MULTILINE)[-1] == "Optional"


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        ("# Title\n\nOne [link](a.md#b) and `code.x` here. Two.\n", "One link and `code.x` here"),
        (
            "# T\n\n<!-- Written. By a tool. -->\n\n```python\nx = 1.\n```\n\n| a |\n\n**Bold** words\nwrap: so\n",
            "Bold words wrap",
        ),
        ("# T\n\n!!! note\n    Not this.\n\n- nor this.\n\nBut this", "But this"),
    ],
)
def test_the_first_sentence(page: str, sentence: str) -> None:
    assert tool.first_sentence(page) == sentence


@pytest.mark.parametrize(
    ("file", "address"),
    [("index.md", "./"), ("a/index.md", "a/"), ("a/one.md", "a/one/"), ("a/my-index.md", "a/my-index/")],
)
def test_the_address_of_a_page(file: str, address: str) -> None:
    assert tool.address(file) == address


def test_a_page_without_a_sentence_is_reported() -> None:
    with pytest.raises(ValueError, match="without a sentence"):
        tool.first_sentence("# Title\n")


def test_the_command_writes_what_is_stale(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "mkdocs.yml").write_text("nav:\n  - Start: index.md\n  - More:\n      - One: more/one.md\n")
    (tmp_path / "docs" / "index.md").write_text("# A\n\nThe begin. More.\n")
    (tmp_path / "docs" / "more").mkdir()
    (tmp_path / "docs" / "more" / "one.md").write_text("# B\n\nThe rest!\n")
    assert tool.main(["--root", str(tmp_path), "--check"]) == 1
    assert tool.main(["--root", str(tmp_path)]) == 0
    assert tool.main(["--root", str(tmp_path), "--check"]) == 0
    assert "wrote docs/llms.txt" in capsys.readouterr().out
    written = (tmp_path / tool.PAGE).read_text()
    assert written.endswith("## Pages\n\n- [Start](./): The begin\n\n## More\n\n- [One](more/one/): The rest!\n")


# The skill


def test_the_skill_has_the_front_matter_that_agents_ask_for() -> None:
    """https://agentskills.io/specification"""
    _, front, _ = SKILL.read_text("utf-8").split("---\n", 2)
    found = yaml.safe_load(front)
    assert set(found) <= {"name", "description", "license", "compatibility", "metadata", "allowed-tools"}
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", found["name"])
    assert found["name"] == SKILL.parent.name
    assert 0 < len(found["description"]) <= 1024
    assert 0 < len(found["compatibility"]) <= 500
    assert len(SKILL.read_text("utf-8").splitlines()) < 500


def commands() -> List[List[str]]:
    blocks = re.findall(r"^```bash\n(.*?)^```$", SKILL.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def test_its_commands_run(
    sekha: LocalSekha, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    connect(sekha.options, monkeypatch)
    monkeypatch.chdir(tmp_path)
    install, *others = commands()
    assert install == ["pip", "install", "sekha-python-sdk[cli,local]"]
    for program, *words in others:
        assert program == "sekha"
        assert main(words) == 0, words
        out = capsys.readouterr().out
        assert words[0] in ("health", "store") or "We ship on Fridays." in out or "Releases" in out, words


def test_its_text_names_only_commands_that_there_are() -> None:
    from sekha.cli import COMMANDS

    named = set(re.findall(r"`sekha ([a-z]+)", SKILL.read_text("utf-8")))
    assert named <= set(COMMANDS)
    assert {"serve", "import", "hook", "mcp"} <= named
