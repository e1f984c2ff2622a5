"""Hosts of URLs: how they are encoded, looked up and named to their server; which address is tried first."""

from __future__ import annotations

import socket
from typing import Any, List

import httpx
import pytest

from sekha._http.addresses import ADDRESS_MEMORY, AddressMemory, encode_host, lookup_host, server_name

HOSTS = [
    "localhost",
    "127.0.0.1",
    "münchen.test",
    "MÜNCHEN.test",
    "straße.test",
    "例え.テスト",
    "xn--mnchen-3ya.test",
    "my_service",
]


@pytest.mark.promise("C10")
@pytest.mark.parametrize("host", HOSTS)
def test_a_host_is_encoded_as_httpx_does_it(host: str) -> None:
    assert encode_host(host).lower() == httpx.URL(f"http://{host}").raw_host.decode()


@pytest.mark.promise("C10")
@pytest.mark.parametrize("host", ["ü..test", "ü" * 64, "my_ü.test", "ü%41.test", "-ü.test", "\u00ad"])
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(UnicodeError):
        encode_host(host)


@pytest.mark.promise("C10")
@pytest.mark.parametrize(
    ("host", "looked_up", "name"),
    [
        ("localhost", "localhost", "localhost"),
        ("sekha.test.", "sekha.test.", "sekha.test"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("::1", "::1", "::1"),
        ("fe80::1%25eth0", "fe80::1%eth0", "fe80::1"),
        ("fe80::1%25En1", "fe80::1%En1", "fe80::1"),
        ("fe80::1%251", "fe80::1%1", "fe80::1"),
        ("fe80::1%25br%2Dlan", "fe80::1%br-lan", "fe80::1"),
        ("fe80::1%eth0", "fe80::1%eth0", "fe80::1"),
        ("fe80::1%25", "fe80::1%25", "fe80::1"),
        ("fe80::1%", "fe80::1%", "fe80::1"),
        ("a%25b.test.", "a%25b.test.", "a%25b.test"),
    ],
)
def test_zones_and_dots_at_the_end_are_for_looking_up_only(host: str, looked_up: str, name: str) -> None:
    assert (lookup_host(host), server_name(host)) == (looked_up, name)


def infos(*addresses: str) -> List[Any]:
    return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, 80)) for address in addresses]


@pytest.mark.promise("R11", "W7")
def test_the_address_that_worked_is_tried_first_for_ten_minutes() -> None:
    memory = AddressMemory()
    assert memory.order(infos("a", "b", "c"), 0.0) == infos("a", "b", "c")
    memory.remember(("b", 80), 10.0)
    assert memory.order(infos("a", "b", "c"), 10.0) == infos("b", "a", "c")
    memory.remember(("b", 80), 300.0)  # the ten minutes are over all the same: the first may work again
    assert memory.order(infos("c", "b", "a"), 9.9 + ADDRESS_MEMORY) == infos("b", "c", "a")
    assert memory.order(infos("a", "b", "c"), 10.0 + ADDRESS_MEMORY) == infos("a", "b", "c")
    memory.remember(("b", 80), 700.0)
    assert memory.order(infos("a", "b", "c"), 1200.0) == infos("b", "a", "c")


@pytest.mark.promise("R11", "W7")
def test_the_last_address_that_worked_counts_if_the_host_still_has_it() -> None:
    memory = AddressMemory()
    memory.remember(("b", 80), 0.0)
    memory.remember(("c", 80), 599.0)
    assert memory.order(infos("a", "b", "c"), 601.0) == infos("c", "a", "b")
    assert memory.order(infos("a", "b"), 601.0) == infos("a", "b")
    assert memory.order([], 601.0) == []
