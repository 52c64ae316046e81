"""Where webhooks may lead, and how that is told in the settings."""

from typing import Any

import pytest
from pydantic import ValidationError

from services.gateway.settings import GatewaySettings
from services.gateway.webhooks.addresses import BadUrlError, Place, checked, is_public, permitted, place_of

THERE = Place("receiver.example", 8443)
OFFICE = Place("office.example", 8080)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.0.9",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.1.2.3",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::808:808",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2001:1::1",
        "2002:7f00:1::",
        "2002:808:808::",
        "3fff::1",
        "fc00::1",
        "fd12::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
        "localhost",
        "",
    ],
)
def test_an_address_of_ours_or_of_nobody_is_refused(address: str) -> None:
    assert not is_public(address)
    assert permitted(THERE, [address], ()) == []
    assert permitted(THERE, [address], {Place("receiver.example", 8444)}) == []
    assert permitted(THERE, [address], {THERE}) == [address]


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:2800:220:1::1", "2a00:1450:4001::5e"])
def test_an_address_of_the_open_internet_is_permitted(address: str) -> None:
    assert permitted(THERE, ["10.0.0.1", address], ()) == [address]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://receiver.example/", "https"),
        ("http://office.example/", "https"),
        ("http://office.example:8081/", "https"),
        ("ftp://receiver.example/", "https"),
        ("file:///etc/passwd", "https"),
        ("receiver.example", "a URL"),
        ("https://", "a URL"),
        ("https://user:word@receiver.example/", "no user"),
        ("https://user@receiver.example/", "no user"),
        ("https://receiver.example/#there", "nothing behind"),
        ("https://receiver.example:99999/", "a URL"),
        ("https://receiver.example/" + "ü" * 700, "at most 2000"),
    ],
)
def test_a_url_is_refused_with_what_was_expected(url: str, expected: str) -> None:
    with pytest.raises(BadUrlError, match=expected):
        checked(url, {OFFICE})


@pytest.mark.parametrize(
    ("url", "spelt"),
    [
        ("https://Receiver.Example", "https://receiver.example/"),
        ("https://receiver.example:443/in?a=b", "https://receiver.example/in?a=b"),
        ("https://2130706433/", "https://127.0.0.1/"),
        ("https://0x7f.1/", "https://127.0.0.1/"),
        ("http://office.example:8080/x", "http://office.example:8080/x"),
    ],
)
def test_a_url_has_one_spelling(url: str, spelt: str) -> None:
    assert checked(url, {OFFICE}) == spelt


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("Host.Example:8443", Place("host.example", 8443)),
        ("bücher.example:443", Place("xn--bcher-kva.example", 443)),
        ("127.1:80", Place("127.0.0.1", 80)),
        ("[::1]:80", Place("::1", 80)),
    ],
)
def test_a_place_is_spelt_as_it_is_connected_to(written: str, place: Place) -> None:
    assert place_of(written) == place


@pytest.mark.parametrize(
    "written",
    ["host.example", "host.example:", ":80", "::1:80", "[::1]", "https://h:80", "u@h:80", "h:80/in", "h:99999", 3],
)
def test_a_place_without_a_port_or_with_more_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="each place is host:port"):
        place_of(written)


def test_the_settings_name_partners_and_their_places_and_long_keys() -> None:
    known: dict[str, Any] = {
        "mongo_url": "mongodb://127.0.0.1:9",
        "partners_folder": "nowhere",
        "cursor_key": "x" * 16,
        "webhook_key": "x" * 16,
    }

    found = GatewaySettings(**known, webhook_hosts={"awo": ["Host.Example:8443"]})

    assert found.webhook_hosts == {"awo": {Place("host.example", 8443)}}
    for wrong in (
        {"webhook_hosts": ["host.example:8443"]},
        {"webhook_hosts": {"awo": ["host.example"]}},
        {"cursor_key": ""},
        {"webhook_key": "x" * 15},
    ):
        with pytest.raises(ValidationError) as refused:
            GatewaySettings(**known | wrong)
        assert [error["loc"][0] for error in refused.value.errors()] == [*wrong]
