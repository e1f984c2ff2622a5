"""Addresses as sockets take them."""

from __future__ import annotations

from sekha._http.network import _numeric_host


def test_an_address_of_ipv6_keeps_the_link_that_it_is_good_on() -> None:
    assert _numeric_host(("127.0.0.1", 80)) == "127.0.0.1"
    assert _numeric_host(("::1", 80, 0, 0)) == "::1"
    assert _numeric_host(("fe80::1", 80, 0, 2)) == "fe80::1%2"
