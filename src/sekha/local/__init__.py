"""An embedded Sekha for development and tests. It needs the extra: `pip install "sekha-python-sdk[local]"`."""

try:
    import starlette
    import uvicorn
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        'the local Sekha needs its extra: pip install "sekha-python-sdk[local]"', name=missing.name
    ) from missing

from sekha.local.server import LocalSekha, LocalSekhaError

__all__ = ["LocalSekha", "LocalSekhaError"]

del starlette, uvicorn
