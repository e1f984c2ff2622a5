"""A local server, for personal use and for tests. Install the extra: `pip install "sekha-python-sdk[local]"`."""

try:
    import starlette
    import uvicorn
except ModuleNotFoundError as _missing:
    raise ModuleNotFoundError(
        'the local server requires the extra local: pip install "sekha-python-sdk[local]"', name=_missing.name
    ) from _missing

from sekha.local.errors import LocalSekhaError
from sekha.local.server import LocalSekha

__all__ = ["LocalSekha", "LocalSekhaError"]


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]


del starlette, uvicorn
