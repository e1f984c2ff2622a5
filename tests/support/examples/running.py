"""Blocks are run: blocking, on asyncio, or on trio, with a client of that flavour at hand."""

from __future__ import annotations

import ast
import builtins
import inspect
import linecache
import sys
import types
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple, Type, cast
from unittest import mock

import anyio

from sekha import (
    AsyncBridgeClient,
    AsyncMCPClient,
    AsyncMemoryController,
    AsyncSekhaClient,
    BridgeClient,
    MCPClient,
    MemoryController,
    SekhaClient,
)

_MODULE = {"__name__": "__example__", "__builtins__": builtins}
FLAVOURS = ("asyncio", "trio", "blocking")
_CLIENTS: Tuple[Type[Any], ...] = (
    AsyncBridgeClient,
    AsyncMCPClient,
    AsyncMemoryController,
    AsyncSekhaClient,
    BridgeClient,
    MCPClient,
    MemoryController,
    SekhaClient,
)


class Ran(NamedTuple):
    """What a block did."""

    printed: str
    """Everything it printed."""
    prints: List[Tuple[int, str]]
    """The same print by print, with the line."""
    values: List[Any]
    """The values of its lines that are nothing but an expression, as a Python shell would show them; None too."""
    names: Dict[str, Any]
    """The names it leaves."""
    error: Optional[BaseException]
    """The error that ended it, if that was expected."""

    @property
    def lines(self) -> List[str]:
        """What it printed, line by line."""
        return self.printed.splitlines()


def is_awaited(source: str) -> bool:
    """Whether a block has an ``await``, ``async for`` or ``async with`` outside of functions."""
    return bool(_compiled(source, "<looked at>").co_flags & inspect.CO_COROUTINE)


def run(
    source: str,
    where: str,
    flavour: str,
    options: Mapping[str, Any],
    names: Mapping[str, Any],
    raises: Tuple[Type[BaseException], ...] = (),
) -> Ran:
    """Runs a block in a flavour.

    Args:
        source: The block; an awaited one needs an awaited flavour.
        where: What tracebacks call it.
        flavour: One of `FLAVOURS`.
        options: The arguments of the ``client`` that the block finds.
        names: What else it finds.
        raises: Errors with which it may end.
    """
    filename = f"<{where}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    code = _compiled(source, filename)
    prints: List[Tuple[int, str]] = []
    values: List[Any] = []

    def record(*texts: object, sep: str = " ", end: str = "\n", flush: bool = False) -> None:
        prints.append((sys._getframe(1).f_lineno, sep.join(map(str, texts)) + end))

    space: Dict[str, Any] = {**_MODULE, "print": record, "_shown": values.append, **names}
    ended: Optional[BaseException] = None
    with _clients() as made:
        try:
            if flavour == "blocking":
                _run_blocking(code, space, options, made)
            else:
                anyio.run(_run_awaited, code, space, options, made, backend=flavour)
        except raises as error:
            ended = error
    return Ran("".join(text for _, text in prints), prints, values, space, ended)


def _run_blocking(code: types.CodeType, space: Dict[str, Any], options: Mapping[str, Any], made: List[Any]) -> None:
    space["made"] = made
    with SekhaClient(**options) as client:
        made.clear()
        space.setdefault("client", client)
        try:
            _called(code, space)
        finally:
            for one in made:
                if hasattr(one, "aclose"):
                    anyio.run(one.aclose)
                else:
                    one.close()


async def _run_awaited(
    code: types.CodeType, space: Dict[str, Any], options: Mapping[str, Any], made: List[Any]
) -> None:
    space["made"] = made
    async with AsyncSekhaClient(**options) as client:
        made.clear()
        space.setdefault("client", client)
        try:
            coroutine = _called(code, space)
            if coroutine is not None:
                await coroutine
        finally:
            for one in made:
                if hasattr(one, "aclose"):
                    await one.aclose()
                else:
                    one.close()


def _called(code: types.CodeType, space: Dict[str, Any]) -> Any:
    return cast(Callable[[], Any], types.FunctionType(code, space))()


def _compiled(source: str, filename: str) -> types.CodeType:
    tree = ast.parse(source, filename)
    for statement in tree.body:
        if isinstance(statement, ast.Expr):
            shown = ast.Call(ast.Name("_shown", ast.Load()), [statement.value], [])
            statement.value = ast.copy_location(shown, statement.value)
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code: types.CodeType = compile(ast.fix_missing_locations(tree), filename, "exec", flags=flags, dont_inherit=True)
    return code


@contextmanager
def _clients() -> Iterator[List[Any]]:
    """All clients that are made meanwhile, so that they can be closed."""
    made: List[Any] = []
    patches = []
    for cls in _CLIENTS:

        def init(self: Any, *args: Any, _own: Callable[..., None] = cls.__init__, **options: Any) -> None:
            _own(self, *args, **options)
            made.append(self)

        patches.append(mock.patch.object(cls, "__init__", init))
    for patch in patches:
        patch.start()
    try:
        yield made
    finally:
        for patch in patches:
            patch.stop()
