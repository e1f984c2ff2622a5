"""
JSON bodies as the real controller reads them: its parser (serde_json) refuses in its own words and order.

It reads and checks in one pass, so that the first thing wrong in the text is what is told, with the path to it and its
place. Where JSON is broken the answer is 400, where it is not what was expected 422. A list in the order of the fields
is as good as an object.
"""

from __future__ import annotations

import json
import re
from ctypes import c_float
from decimal import Decimal
from typing import Any, Callable, Dict, List, NoReturn, Optional, Sequence, Tuple, Type, Union, get_type_hints
from uuid import UUID

from starlette.requests import Request
from typing_extensions import Annotated, get_args, get_origin

from sekha.local.uuids import read_uuid
from sekha.local.web import I32, I64, U32, Body, BodyType, USize, json_body, no_fit, no_json

_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*')
_ESCAPES = {ord(mark): text for mark, text in zip('"\\/bfnrt', '"\\/\b\f\n\r\t')}
_RANGES: Sequence[Tuple[Any, str, int, int]] = (
    (U32, "u32", 0, 2**32 - 1),
    (USize, "usize", 0, 2**64 - 1),
    (I32, "i32", -(2**31), 2**31 - 1),
    (I64, "i64", -(2**63), 2**63 - 1),
)
_DEEPEST = 127


class _Fault(Exception):
    def __init__(self, text: str, is_json: bool) -> None:
        super().__init__(text)
        self.is_json = is_json


async def parse(request: Request, model: Type[BodyType]) -> BodyType:
    """The JSON body of a request, or Refused with 400, 413, 415 or 422 in the words of the real controller."""
    return decode(await json_body(request), model)


def decode(data: bytes, model: Type[BodyType]) -> BodyType:
    """A body as a model, or Refused with 400 or 422."""
    try:
        found: BodyType = _Reader(data).whole(model)
    except _Fault as fault:
        raise (no_fit if fault.is_json else no_json)(fault) from fault
    return found


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._depth = 0

    def whole(self, model: Any) -> Any:
        """The only value of the text."""
        found = self._value(model, "")
        if self._peek() is not None:
            self._broken("trailing characters", "", ahead=1)
        return found

    # What is wrong, and where

    def _place(self, ahead: int = 0) -> str:
        at = min(self._at + ahead, len(self._data))
        before = self._data[:at]
        line = before.count(b"\n") + 1
        column = at - before.rfind(b"\n") - 1
        return f" at line {line} column {column}"

    def _broken(self, text: str, path: str, ahead: int = 0) -> NoReturn:
        raise _Fault(_at(path) + text + self._place(ahead), is_json=False)

    def _wrong(self, text: str, path: str) -> NoReturn:
        raise _Fault(_at(path) + text + self._place(), is_json=True)

    def _unexpected(self, expected: str, path: str) -> NoReturn:
        """What stands here is not what was expected."""
        first = self._peek()
        kind = {b"{": "map", b"[": "sequence"}.get(first or b"") or _described(self._any(path))
        self._wrong(f"invalid type: {kind}, expected {expected}", path)

    # The text

    def _peek(self) -> Optional[bytes]:
        """The next character that is no space."""
        while self._data[self._at : self._at + 1] in (b" ", b"\n", b"\t", b"\r"):
            self._at += 1
        return self._data[self._at : self._at + 1] or None

    def _items(self, end: bytes, what: str, path: str, item: Callable[[int], None]) -> None:
        """The inside of a list or an object, from after its first bracket to before its last."""
        number = 0
        while True:
            first = self._peek()
            if first is None:
                self._broken(f"EOF while parsing {what}", path)
            if first == end:
                return
            if number:
                if first != b",":
                    self._broken(f"expected `,` or `{end.decode()}`", path, ahead=1)
                self._at += 1
                following = self._peek()
                if following == end:
                    self._broken("trailing comma", path, ahead=1)
                if following is None:
                    self._broken("EOF while parsing a value", path)
            item(number)
            number += 1

    def _inside(self, read: Callable[[], Any], path: str) -> Any:
        """What a bracket holds; the closing one must follow."""
        self._depth += 1
        if self._depth > _DEEPEST:
            self._broken("recursion limit exceeded", path, ahead=1)
        self._at += 1
        found = read()
        self._at += 1
        self._depth -= 1
        return found

    def _entries(self, path: str, entry: Callable[[str], None]) -> None:
        def one(_: int) -> None:
            if self._peek() != b'"':
                self._broken("key must be a string", path, ahead=1)
            entry(self._string(path))

        self._items(b"}", "an object", path, one)

    def _colon(self, path: str) -> None:
        first = self._peek()
        if first is None:
            self._broken("EOF while parsing an object", path)
        if first != b":":
            self._broken("expected `:`", path, ahead=1)
        self._at += 1

    def _string(self, path: str) -> str:
        parts: List[bytes] = []
        self._at += 1
        while True:
            plain = _PLAIN.match(self._data, self._at)
            assert plain is not None
            parts.append(plain.group())
            self._at = plain.end()
            mark = self._data[self._at : self._at + 1]
            if not mark:
                self._broken("EOF while parsing a string", path)
            self._at += 1
            if mark == b'"':
                break
            if mark != b"\\":
                self._broken("control character (\\u0000-\\u001F) found while parsing a string", path)
            parts.append(self._escape(path))
        try:
            return b"".join(parts).decode()
        except UnicodeDecodeError:
            self._broken("invalid unicode code point", path)

    def _escape(self, path: str) -> bytes:
        mark = self._data[self._at : self._at + 1]
        if not mark:
            self._broken("EOF while parsing a string", path)
        self._at += 1
        if mark != b"u":
            if mark[0] not in _ESCAPES:
                self._broken("invalid escape", path)
            return _ESCAPES[mark[0]].encode()
        unit = self._hex(path)
        if 0xDC00 <= unit < 0xE000:
            self._broken("lone leading surrogate in hex escape", path)
        if not 0xD800 <= unit < 0xDC00:
            return chr(unit).encode()
        for expected in (b"\\", b"u"):
            found = self._data[self._at : self._at + 1]
            self._at += 1 if found else 0
            if found != expected:
                self._broken("unexpected end of hex escape" if found else "EOF while parsing a string", path)
        low = self._hex(path)
        if not 0xDC00 <= low < 0xE000:
            self._broken("lone leading surrogate in hex escape", path)
        return chr(0x10000 + ((unit - 0xD800) << 10) + low - 0xDC00).encode()

    def _hex(self, path: str) -> int:
        digits = self._data[self._at : self._at + 4]
        self._at += len(digits)
        if len(digits) < 4:
            self._broken("EOF while parsing a string", path)
        if not re.fullmatch(rb"[0-9a-fA-F]{4}", digits):
            self._broken("invalid escape", path)
        return int(digits, 16)

    def _word(self, word: bytes, value: Any, path: str) -> Any:
        for expected in word:
            found = self._data[self._at : self._at + 1]
            self._at += 1 if found else 0
            if not found:
                self._broken("EOF while parsing a value", path)
            if found[0] != expected:
                self._broken("expected ident", path)
        return value

    def _number(self, path: str) -> Union[int, float]:
        match = _NUMBER.match(self._data, self._at)
        if match is None:
            self._at += 1  # a minus sign alone
            self._broken("invalid number" if self._at < len(self._data) else "EOF while parsing a value", path, ahead=1)
        self._at = match.end()
        if self._data[self._at : self._at + 1] in (b".", b"e", b"E"):  # with nothing behind
            self._at += 1
            self._broken("invalid number" if self._at < len(self._data) else "EOF while parsing a value", path, ahead=1)
        if b"0" <= self._data[self._at : self._at + 1] <= b"9":
            self._broken("invalid number", path, ahead=1)
        if match.group(1) or match.group(2) or not -(2**63) <= int(match.group()) < 2**64:
            number = float(match.group())
            if number in (float("inf"), float("-inf")):
                self._broken("number out of range", path)
            return number
        return int(match.group())

    # Values

    def _any(self, path: str) -> Any:
        """Whatever stands here."""
        first = self._peek()
        if first is None:
            self._broken("EOF while parsing a value", path)
        if first == b'"':
            return self._string(path)
        if first in (b"n", b"t", b"f"):
            word, value = {b"n": (b"null", None), b"t": (b"true", True), b"f": (b"false", False)}[first]
            return self._word(word, value, path)
        if first == b"-" or first.isdigit():
            return self._number(path)
        if first == b"[":
            return self._inside(lambda: self._list(Any, path), path)
        if first == b"{":
            return self._inside(lambda: self._map(path), path)
        self._broken("expected value", path, ahead=1)

    def _map(self, path: str) -> Dict[str, Any]:
        found: Dict[str, Any] = {}

        def entry(name: str) -> None:
            self._colon(path)
            found[name] = self._any(_join(path, name))

        self._entries(path, entry)
        return found

    def _list(self, hint: Any, path: str) -> List[Any]:
        found: List[Any] = []
        self._items(b"]", "a list", path, lambda number: found.append(self._value(hint, f"{path}[{number}]")))
        return found

    def _value(self, hint: Any, path: str) -> Any:
        """A value of a type: those of the fields of a `Body`, and a `Body` itself."""
        first = self._peek()
        if first is None:
            self._broken("EOF while parsing a value", path)
        for known, name, least, most in _RANGES:
            if hint == known:
                return self._integer(name, least, most, path)
        if get_origin(hint) is Annotated:
            hint = get_args(hint)[0]
        if get_origin(hint) is Union:  # Optional
            return self._any(path) if first == b"n" else self._value(get_args(hint)[0], path)
        if get_origin(hint) is list:
            if first != b"[":
                self._unexpected("a sequence", path)
            return self._inside(lambda: self._list(get_args(hint)[0], path), path)
        if isinstance(hint, type) and issubclass(hint, Body):
            return self._struct(hint, path)
        readers: Dict[Any, Callable[[str], Any]] = {str: self._text, UUID: self._uuid}
        readers.update({bool: self._bool, float: self._float})
        return readers.get(hint, self._any)(path)

    def _text(self, path: str, expected: str = "a string") -> str:
        if self._peek() != b'"':
            self._unexpected(expected, path)
        return self._string(path)

    def _uuid(self, path: str) -> UUID:
        text = self._text(path, "a UUID string")
        try:
            return read_uuid(text)
        except ValueError as error:
            self._wrong(str(error), path)

    def _bool(self, path: str) -> bool:
        if self._peek() not in (b"t", b"f"):
            self._unexpected("a boolean", path)
        return bool(self._any(path))

    def _float(self, path: str) -> float:
        first = self._peek()
        if first is None or not (first == b"-" or first.isdigit()):
            self._unexpected("f32", path)
        return single(self._number(path))

    def _integer(self, name: str, least: int, most: int, path: str) -> int:
        first = self._peek()
        if first is None or not (first == b"-" or first.isdigit()):
            self._unexpected(name, path)
        found = self._number(path)
        if isinstance(found, float):
            self._wrong(f"invalid type: {_described(found)}, expected {name}", path)
        if not least <= found <= most:
            self._wrong(f"invalid value: {_described(found)}, expected {name}", path)
        return found

    def _struct(self, model: Type[Body], path: str) -> Body:
        hints = get_type_hints(model, include_extras=True)
        found: Dict[str, Any] = {}
        first = self._peek()
        expected = f"struct {model.model_config.get('title', model.__name__)}"

        def entry(name: str) -> None:
            if name in found:
                self._wrong(f"duplicate field `{name}`", path)
            self._colon(path)
            value = self._value(hints.get(name, Any), _join(path, name))
            if name in model.model_fields:
                found[name] = value

        def item(number: int) -> None:
            if number >= len(model.model_fields):
                self._broken("trailing characters", path, ahead=1)
            name = list(model.model_fields)[number]
            found[name] = self._value(hints[name], f"{path}[{number}]")

        if first == b"{":
            self._inside(lambda: self._entries(path, entry), path)
        elif first == b"[":
            self._inside(lambda: self._items(b"]", "a list", path, item), path)
            if any(field.is_required() for field in list(model.model_fields.values())[len(found) :]):
                count = len(model.model_fields)
                self._wrong(f"invalid length {len(found)}, expected {expected} with {count} elements", path)
        else:
            self._unexpected(expected, path)
        for name, field in model.model_fields.items():
            if name not in found and field.is_required():
                self._wrong(f"missing field `{name}`", path)
        return model.model_construct(**found)


def single(number: float) -> float:
    """A number as one of 32 bits keeps it."""
    return c_float(number).value


def _described(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"boolean `{str(value).lower()}`"
    if isinstance(value, float):
        text = f"{Decimal(repr(value)):f}"
        return f"floating point `{text if '.' in text else f'{text}.0'}`"
    if isinstance(value, int):
        return f"integer `{value}`"
    return f"string {json.dumps(value, ensure_ascii=False)}"


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _at(path: str) -> str:
    return f"{path}: " if path else ""
