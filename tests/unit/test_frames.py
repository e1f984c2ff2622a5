"""At which line of the user's program a warning points."""

from __future__ import annotations

import sysconfig
import warnings
from pathlib import Path
from threading import Thread
from typing import Any, Dict, List

import pytest

from sekha._utils.frames import warn_user
from sekha.errors import SekhaWarning

SITE = "/app/.venv/lib/python3.13/site-packages"
PLACES = [f"{SITE}/framework/run.py", SITE.replace("/", "\\") + "\\framework.py", "/usr/lib/python3/dist-packages/f.py"]
PLACES += [str(Path(sysconfig.get_path(name)) / "framework.py") for name in ("stdlib", "scripts")]


def framework(file: str) -> Any:
    """A function that calls another, and stands in a file of an installed package."""
    names: Dict[str, Any] = {"__name__": "framework"}
    exec(compile("def run(function, *arguments):\n    return function(*arguments)\n", file, "exec"), names)
    return names["run"]


@pytest.mark.parametrize("file", PLACES)
def test_a_framework_between_the_user_and_the_library(file: str) -> None:
    run = framework(file)
    with pytest.warns(SekhaWarning) as caught:
        run(run, warn_user, "x")
    assert caught[0].filename == __file__


def test_a_program_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    places: List[str] = []
    run = framework(PLACES[0])
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", lambda message, category, file, *_: places.append(file))
        thread = Thread(target=run, args=(run, warn_user, "x"))
        thread.start()
        thread.join()
    assert places == [PLACES[0]]


def test_a_warning_while_a_module_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "site-packages"
    installed.mkdir()
    (installed / "warns_when_imported.py").write_text("from sekha._utils.frames import warn_user\n\nwarn_user('x')\n")
    monkeypatch.syspath_prepend(installed)
    with pytest.warns(SekhaWarning) as caught:
        import warns_when_imported  # type: ignore[import-not-found]  # noqa: F401  # made above
    assert caught[0].filename == __file__
