"""Which repository a folder belongs to, as git itself lays it out."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Callable

import pytest

from sekha.cli.hook_repository import repository_name

Git = Callable[..., None]


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """Runs git, which knows nothing of the user of this machine."""
    environment = {
        **os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "HOME": str(tmp_path),
        "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@a", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@a",
    }  # fmt: skip

    def git(*words: str, cwd: Path = tmp_path) -> None:
        command = ["git", "-c", "protocol.file.allow=always", *words]
        subprocess.run(command, cwd=cwd, env=environment, check=True, capture_output=True)

    return git


@pytest.fixture
def shop(git: Git, tmp_path: Path) -> Path:
    """A repository with a commit."""
    folder = tmp_path / "shop"
    git("init", "-q", str(folder))
    git("commit", "-q", "--allow-empty", "-m", "begin", cwd=folder)
    return folder


def name(path: Path) -> str:
    return repository_name(str(path))


def test_all_worktrees_and_subfolders_have_one_name(shop: Path, git: Git, tmp_path: Path) -> None:
    git("worktree", "add", "-q", str(tmp_path / "elsewhere" / "hotfix"), cwd=shop)
    (shop / "src" / "deep").mkdir(parents=True)
    (tmp_path / "elsewhere" / "hotfix" / "src").mkdir()
    places = [shop, shop / "src" / "deep", shop / ".git", shop / ".git" / "refs"]
    places += [tmp_path / "elsewhere" / "hotfix", tmp_path / "elsewhere" / "hotfix" / "src"]
    assert {name(place) for place in places} == {"shop"}


def test_a_worktree_whose_repository_is_gone_is_still_one_of_it(shop: Path, git: Git, tmp_path: Path) -> None:
    git("worktree", "add", "-q", str(tmp_path / "hotfix"), cwd=shop)
    shutil.rmtree(shop)
    assert name(tmp_path / "hotfix") == "shop"


def test_a_git_file_that_points_nowhere_makes_its_folder_the_repository(tmp_path: Path) -> None:
    for number, text in enumerate(["gitdir: /nowhere/at/all\n", "gitdir: x\0y", "gitdir:", "nonsense", "\xff"]):
        folder = tmp_path / f"project{number}" / "src"
        folder.mkdir(parents=True)
        (folder.parent / ".git").write_bytes(text.encode("latin-1"))
        assert name(folder) == ("project0" if number == 0 else "src")  # the others are no pointers: git goes on, too


def test_a_bare_repository_and_its_worktrees(git: Git, tmp_path: Path, shop: Path) -> None:
    git("clone", "-q", "--bare", str(shop), str(tmp_path / "store.git"))
    git("worktree", "add", "-q", str(tmp_path / "w1"), cwd=tmp_path / "store.git")
    assert {name(tmp_path / "store.git"), name(tmp_path / "store.git" / "refs"), name(tmp_path / "w1")} == {"store"}


def test_a_bare_repository_beside_its_worktrees(git: Git, tmp_path: Path, shop: Path) -> None:
    project = tmp_path / "project"
    git("clone", "-q", "--bare", str(shop), str(project / ".bare"))
    (project / ".git").write_text("gitdir: ./.bare\n")
    git("worktree", "add", "-q", str(project / "feature"), cwd=project)
    assert {name(project), name(project / "feature")} == {"project"}


def test_a_submodule_is_a_repository_of_its_own(git: Git, tmp_path: Path, shop: Path) -> None:
    git("init", "-q", str(tmp_path / "app"))
    git("submodule", "add", "-q", str(shop), "libs/lib", cwd=tmp_path / "app")
    (tmp_path / "app" / "libs" / "lib" / "src").mkdir()
    assert (name(tmp_path / "app" / "libs"), name(tmp_path / "app" / "libs" / "lib" / "src")) == ("app", "lib")


def test_a_repository_whose_git_folder_is_elsewhere(git: Git, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    git("init", "-q", "--separate-git-dir", str(tmp_path / "kept" / "shop.git"), str(tmp_path / "work"))
    assert name(tmp_path / "work") == "shop"


def test_links_are_followed(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(shop, target_is_directory=True)
    assert name(tmp_path / "link") == "shop"
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert name(tmp_path / "a") == "a"  # in a circle


def test_a_folder_that_is_gone_counts_as_if_it_was_there(shop: Path, tmp_path: Path) -> None:
    assert name(shop / "removed" / "deep") == "shop"
    assert name(tmp_path / "removed" / "deep") == "deep"


def test_outside_of_a_repository_it_is_the_name_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "notes" / ".git").mkdir(parents=True)  # empty, so for git it is no repository either
    assert name(tmp_path / "notes") == "notes"
    assert repository_name(os.path.abspath(os.sep)) != ""
    assert repository_name(os.path.join(str(tmp_path), "ein Ordner ü\udcff")) == "ein Ordner ü\ufffd"


def test_where_nobody_may_look_there_is_no_repository(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> bool:
        raise PermissionError

    monkeypatch.setattr(Path, "exists", refuse)
    assert name(shop / "src") == "src"
