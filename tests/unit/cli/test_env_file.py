"""Files with settings: what is quoted, what stays, and who may read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekha import SekhaConfig
from sekha.cli.env_file import format_setting, merge_settings, read_env_file, write_env_file
from sekha.cli.exits import CommandError

KEYS = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_categories=["Cc"]), min_size=1).filter(
    lambda key: key.strip() == key and "${" not in key
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("env")


@given(KEYS)
def test_what_is_written_is_read(folder: Path, key: str) -> None:
    file = folder / ".env"
    file.write_text(format_setting("SEKHA_API_KEY", key) + "\nSEKHA_TIMEOUT=5\n", encoding="utf-8")
    config = SekhaConfig.from_env(file)
    assert (config.api_key, config.timeout) == (key, 5)


def test_plain_values_are_not_quoted() -> None:
    assert format_setting("SEKHA_BRIDGE_URL", "http://[::1]:5001/x") == "SEKHA_BRIDGE_URL='http://[::1]:5001/x'"
    assert format_setting("SEKHA_CONTROLLER_URL", "http://localhost:8080") == (
        "SEKHA_CONTROLLER_URL=http://localhost:8080"
    )
    with pytest.raises(CommandError, match="SEKHA_API_KEY: the value contains"):
        format_setting("SEKHA_API_KEY", "a${b}")


@pytest.mark.parametrize(
    ("before", "after", "replaced"),
    [
        ("", "A=1\nB=2\n", []),
        ("\n\n", "A=1\nB=2\n", []),
        ("# mine\nX=1", "# mine\nX=1\nA=1\nB=2\n", []),
        ("A=1\nX=1\nB=2\n", "A=1\nX=1\nB=2\n", []),
        ("A=0\nX=1\n", "A=1\nX=1\nB=2\n", ["A"]),
        ("X=1\nexport B = 3 # old\nB=4\nAB=5\n#A=6\n", "X=1\nB=2\nAB=5\n#A=6\nA=1\n", ["B"]),
    ],
)
def test_other_lines_stay(before: str, after: str, replaced: list[str]) -> None:
    assert merge_settings(before, {"A": "1", "B": "2"}) == (after, replaced)
    assert merge_settings(after, {"A": "1", "B": "2"}) == (after, []), "a second time changes nothing"


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    write_env_file(str(file), {"A": "1"}, force=False)
    assert os.name == "nt" or stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    write_env_file(str(file), {"B": "2"}, force=False)
    assert os.name == "nt" or stat.S_IMODE(file.stat().st_mode) == 0o600, "it has a key now"
    with pytest.raises(CommandError, match=r"\.env has a different A and B; use --force to replace it"):
        write_env_file(str(file), {"A": "3", "B": "3"}, force=False)
    assert file.read_text("utf-8") == "A=1\nB=2\n"
    write_env_file(str(file), {"A": "3"}, force=True)
    assert file.read_text("utf-8") == "A=3\nB=2\n"


def test_what_is_no_such_file_is_reported(tmp_path: Path) -> None:
    assert read_env_file(str(tmp_path / "missing")) == ""
    with pytest.raises(CommandError, match="is not a file"):
        read_env_file(str(tmp_path))
    (tmp_path / "utf16").write_text("A=1", encoding="utf-16")
    with pytest.raises(CommandError, match=r"is not UTF-8; save it as UTF-8 \(> in PowerShell"):
        read_env_file(str(tmp_path / "utf16"))
    with pytest.raises(CommandError, match=r"cannot write .*No such file"):
        write_env_file(str(tmp_path / "no" / ".env"), {"A": "1"}, force=False)
