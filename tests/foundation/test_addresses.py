from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.addresses import is_odd_spelling, is_public, network_key, parse_address

REFUSED = [
    # IPv4: first and last address of every special-purpose block
    *("0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.64.0.1", "100.127.255.255"),
    *("127.0.0.0", "127.0.0.1", "127.255.255.255", "169.254.0.0", "169.254.169.254", "169.254.255.255"),
    *("172.16.0.0", "172.31.255.255", "192.0.0.0", "192.0.0.9", "192.0.0.10", "192.0.0.170", "192.0.0.255"),
    *("192.0.2.0", "192.0.2.255", "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.168.0.0", "192.168.255.255"),
    *("192.175.48.1", "198.18.0.0", "198.18.0.1", "198.19.255.255", "198.51.100.0", "198.51.100.255"),
    *("203.0.113.0", "203.0.113.255", "224.0.0.0", "239.255.255.255", "240.0.0.0", "240.0.0.1", "255.255.255.255"),
    # IPv6
    *("::", "::1", "::7f00:1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:8.8.8.8"),
    *("64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"),
    *("100::", "100::ffff:ffff:ffff:ffff", "100:0:0:1::1", "200::1", "400::1", "1000::1"),
    *("2001::", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:1::1", "2001:2::1", "2001:3::1"),
    *("2001:4:112::1", "2001:10::1", "2001:20::1", "2001:30::1", "2001:1ff:ffff::1"),
    *("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2002::", "2002:7f00:1::", "2002:808:808::1"),
    *("2620:4f:8000::1", "3ffe::1", "3fff::", "3fff:fff:ffff::1", "4000::1", "5f00::1", "8000::1"),
    *("fc00::", "fd12:3456::1", "fe80::1", "fe80::1%eth0", "febf::1", "fec0::1", "ff00::", "ff02::1", "ff0e::1"),
    # no canonical address
    *("", " ", "localhost", "2130706433", "0x7f.1", "0x7f000001", "127.1", "0177.0.0.1", "8.8.8.08", "8.8.8.8 "),
    *("[::1]", "8.8.8.8:53", "2606:4700::1111%eth0", "8.8.8.8.", "٨.8.8.8", "1" * 5000),
]

PUBLIC = [
    *("1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255"),
    *("128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255"),
    *("192.169.0.0", "198.17.255.255", "198.20.0.0", "203.0.112.255", "203.0.114.0", "223.255.255.255"),
    *("2000::1", "2001:200::1", "2001:4860:4860::8888", "2003::1", "2606:4700:4700::1111", "2A00:1450::1", "3ffd::1"),
    "3fff:1000::1",
]


@pytest.mark.parametrize("address", REFUSED)
def test_special_purpose_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_neighbours_of_special_blocks_are_public(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses())
def test_nothing_the_standard_library_calls_special_is_public(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    special = address.is_private or address.is_multicast or address.is_reserved or address.is_loopback
    assert not (special or address.is_link_local or address.is_unspecified) or not is_public(str(address))


@given(st.text(max_size=60))
def test_any_text_has_an_answer(text: str) -> None:
    assert is_public(text) in (True, False)
    assert isinstance(network_key(text), str)


@pytest.mark.parametrize(
    ("host", "odd"),
    [
        *((host, True) for host in ("2130706433", "0x7f.1", "0X7F.1", "0x", "127.1", "127.0.1", "0177.0.0.1", "1.2.3")),
        *((host, True) for host in ("256.1.1.1", "01.2.3.4", "1.2.3.4.5", "peer.example.1", "127.1.", "0")),
        *(
            (host, False)
            for host in ("127.0.0.1", "8.8.8.8", "peer.example", "1.example", "0x7f.example", "a1", "xn--0")
        ),
    ],
)
def test_odd_spellings(host: str, odd: bool) -> None:
    assert is_odd_spelling(host) is odd


def test_mapped_addresses_are_folded_when_parsed() -> None:
    assert parse_address("::ffff:192.0.2.7") == ipaddress.ip_address("192.0.2.7")
    assert parse_address("2001:DB8::1") == ipaddress.ip_address("2001:db8::1")
    for text in ("", "x", "127.1", "fe80::1%eth0", "1" * 100):
        assert parse_address(text) is None


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("", ""),
        ("x" * 100, "x" * 64),
    ],
)
def test_network_key(address: str, key: str) -> None:
    assert network_key(address) == key
