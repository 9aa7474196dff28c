from __future__ import annotations

import pytest

from foundation.sites import provider_of, site_of


@pytest.mark.parametrize(
    ("authority", "site"),
    [
        ("peertube.example", "peertube.example"),
        ("a.b.peertube.example", "peertube.example"),
        ("peertube.example:8443", "peertube.example"),
        ("tube.club.co.uk", "club.co.uk"),
        # The private part of the list: customers of one provider are not one owner.
        ("one.github.io", "one.github.io"),
        ("x.one.github.io", "one.github.io"),
        ("two.github.io", "two.github.io"),
        ("evil.duckdns.org", "evil.duckdns.org"),
        # Who is a suffix has nobody above.
        ("github.io", "github.io"),
        ("co.uk", "co.uk"),
        ("localhost", "localhost"),
        ("localhost:9000", "localhost"),
        ("a.xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:8443", "192.0.2.7"),
        ("[2001:db8:0:1::7]", "2001:db8:0:1::/64"),
        ("[2001:db8:0:1::8]:8443", "2001:db8:0:1::/64"),
        ("[2001:db8:0:2::8]", "2001:db8:0:2::/64"),
        ("", ""),
    ],
)
def test_a_site_is_what_somebody_registered(authority: str, site: str) -> None:
    assert site_of(authority) == site


@pytest.mark.parametrize(
    ("authority", "provider"),
    [
        ("peertube.example:8443", "peertube.example"),
        ("tube.club.co.uk", "club.co.uk"),
        ("x.one.github.io", "github.io"),
        ("github.io", "github.io"),
        ("evil.duckdns.org", "duckdns.org"),
        ("co.uk", "co.uk"),
        ("localhost:9000", "localhost"),
        ("192.0.2.7:8443", "192.0.2.7"),
        ("[2001:db8:0:1::7]", "2001:db8:0:1::/64"),
        ("", ""),
    ],
)
def test_a_provider_is_what_was_registered_with_a_registry(authority: str, provider: str) -> None:
    assert provider_of(authority) == provider
    assert provider_of(site_of(authority)) == provider
