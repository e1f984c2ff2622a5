"""Which integration is tested, and how the base classes of its framework looked when the adapter was written.

    INTEGRATION=langchain python tests/support/integrations.py

adds what the installed version has to `frameworks/signatures.json`.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Dict, Iterator, List, Tuple

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "sekha" / "integrations"
VARIABLE = "INTEGRATION"
"""The variable with which the session `integrations` of noxfile.py names it."""
RECIPES = "recipes"
"""The folder of the tests of recipes."""
SIGNATURES = ROOT / "tests" / "frameworks" / "signatures.json"
"""By extra and method of the framework: the signatures that the adapter was written against."""
IGNORED_WARNINGS = {
    "adk": (r":DeprecationWarning:google\.adk",),
    "llamaindex": (
        r"Exception ignored in.* <function Connection\.__del__:pytest.PytestUnraisableExceptionWarning",
        "The 'validate_default' attribute with value True:UserWarning",
        ":DeprecationWarning:inspect",
        "is_running called from within a step:DeprecationWarning",
        "ServiceManager is deprecated:DeprecationWarning",
    ),
}
"""Warnings that a framework causes by itself: ADK 1 uses what it deprecates; LlamaIndex's chat memory never closes its
SQLite, versions before 0.14.8 have a model that newer versions of pydantic do not like, and agents use what is
deprecated in pydantic."""


def chosen() -> str:
    """The extra, or `recipe-NAME`, that is tested; empty for none."""
    return os.environ.get(VARIABLE, "")


def adapter_of(extra: str) -> ModuleType:
    """The module of an adapter."""
    return import_module(f"sekha.integrations.{extra.replace('-', '_')}")


def load() -> Any:
    """What `integrations.toml` says, as `tools/extras.py` reads it."""
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        return import_module("extras").load(ROOT)
    finally:
        sys.path.pop(0)


def framework_files() -> Dict[str, str]:
    """The pages and modules whose examples need a framework, each with what `chosen` is where they can be run."""
    integrations = load()
    adapters = [extra for extra in integrations.extras if extra.is_adapter]
    longest_last = sorted(adapters, key=lambda extra: len(extra.module))  # openai_agents wins from openai
    parts = {extra.name: PACKAGE.glob(f"_{extra.module}_*.py") for extra in longest_last}
    return {
        **{f"docs/integrations/{extra.page or extra.name}.md": extra.name for extra in adapters},
        **{f"sekha/integrations/{extra.module}.py": extra.name for extra in adapters},
        **{f"sekha/integrations/{file.name}": name for name, files in parts.items() for file in files},
        **{f"docs/recipes/{recipe.name}.md": recipe.chosen for recipe in integrations.recipes},
    }


def base_signatures(module: ModuleType) -> Dict[str, str]:
    """The signatures of those methods of the framework that the public classes of an adapter define anew.

    Args:
        module: The adapter.
    """
    found: Dict[str, str] = {}
    for cls in filter(inspect.isclass, (getattr(module, name) for name in getattr(module, "__all__", ()))):
        for name, base, method in _redefined(cls):
            found[f"{base.__module__}.{base.__qualname__}.{name}"] = plain_signature(method)
    return dict(sorted(found.items()))


def _redefined(cls: Any) -> Iterator[Tuple[str, Any, Any]]:
    ours = [base for base in cls.__mro__ if base.__module__.startswith("sekha.")]
    for name, value in [pair for base in ours for pair in vars(base).items()]:
        function = getattr(value, "__func__", value)
        if name.startswith("__") or not inspect.isfunction(function):
            continue
        for base in cls.__mro__:
            inherited = vars(base).get(name)
            if inherited is not None and not base.__module__.startswith("sekha."):
                yield name, base, getattr(inherited, "__func__", inherited)
                break


def plain_signature(method: Any) -> str:
    """A signature without annotations, with the kind of the function: ``async (self, query, *, limit=...)``."""
    signature = inspect.signature(method)
    empty = inspect.Parameter.empty
    plain = [
        one.replace(annotation=empty, default=one.default if one.default is empty else _Default())
        for one in signature.parameters.values()
    ]
    kind = "async " if inspect.iscoroutinefunction(inspect.unwrap(method)) else ""
    return f"{kind}{signature.replace(parameters=plain, return_annotation=empty)}"


class _Default:
    def __repr__(self) -> str:
        return "..."


def recorded_signatures(extra: str) -> Dict[str, List[str]]:
    """What an adapter was written against: for each method the signatures of all versions that are supported."""
    recorded: Dict[str, Dict[str, List[str]]] = json.loads(SIGNATURES.read_text("utf-8"))
    return recorded.get(extra, {})


def main() -> None:
    """Add what the framework in this environment has now to what is recorded; run with `INTEGRATION=NAME`."""
    everything: Dict[str, Dict[str, List[str]]] = json.loads(SIGNATURES.read_text("utf-8"))
    recorded = everything.setdefault(chosen(), {})
    for method, signature in base_signatures(adapter_of(chosen())).items():
        recorded[method] = sorted({*recorded.get(method, []), signature})
    SIGNATURES.write_text(json.dumps(everything, indent=1, sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    main()
