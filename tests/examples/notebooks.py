"""Executes `examples/notebook.ipynb` against a local Sekha.

python tests/examples/notebooks.py    # draws docs/assets/notebook.png anew
"""

from __future__ import annotations

import base64
import os
import tempfile
from pathlib import Path
from typing import Any, List

import nbformat

from sekha.local import LocalSekha

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "examples" / "notebook.ipynb"
PICTURE = ROOT / "docs" / "assets" / "notebook.png"
SECONDS = 120  # for one cell; the first use of matplotlib on a machine looks at all fonts


def read() -> Any:
    """The notebook as it is in the repository."""
    return nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]  # nbformat is typed in part


def execute(*more: str) -> Any:
    """The notebook with what its cells gave, in a kernel of its own; further cells come at the end.

    The environment of this process says which Sekha it is about, and where Jupyter keeps its files.
    """
    os.environ["JUPYTER_PLATFORM_DIRS"] = "1"  # the places of jupyter_core 6; before it, the import warns without this
    from nbclient import NotebookClient

    notebook = read()
    for code in more:
        notebook.cells.append(nbformat.v4.new_code_cell(code))  # type: ignore[no-untyped-call]  # as above
    with tempfile.TemporaryDirectory(prefix="nb") as folder:
        options = {"timeout": SECONDS, "kernel_name": "python3", "config": kernel_config(folder)}
        NotebookClient(notebook, **options).execute()
    return notebook


def kernel_config(folder: str) -> Any:
    """How the kernel is reached: by files, since a port that was free may be taken before the kernel binds it."""
    from traitlets.config import Config

    if os.name == "nt":
        return Config()
    files = {"transport": "ipc", "ip": os.path.join(folder, "k")}
    return Config({"ConnectionFileMixin": files})


def outputs(notebook: Any, kind: str) -> List[str]:
    """What the cells gave of one kind, such as ``image/png``."""
    given = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return [output.data[kind] for output in given if kind in output.get("data", {})]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, LocalSekha() as sekha:
        os.environ.update(SEKHA_CONTROLLER_URL=sekha.controller_url, SEKHA_API_KEY=sekha.api_key, IPYTHONDIR=folder)
        PICTURE.write_bytes(base64.b64decode(outputs(execute(), "image/png")[-1]))


if __name__ == "__main__":
    main()
