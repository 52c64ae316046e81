"""Where a webhook may lead: to https on the open internet, or to a place that the office allows its partner."""

from collections.abc import Collection, Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address
from typing import Final, NamedTuple

from pydantic import AnyUrl, TypeAdapter, ValidationError

LONGEST: Final = 2000
_URL: Final = TypeAdapter(AnyUrl)
_NO_PLACE: Final = "each place is host:port, such as host.example:8443"
_UNICAST: Final = IPv6Network("2000::/3")
"""What is given out of IPv6 (RFC 4291); an IPv4 address in the clothes of another lies mostly outside."""
_NOT_ONE_HOST_S: Final = (
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv6Network("2001::/23"),
    IPv6Network("2002::/16"),
    IPv6Network("3fff::/20"),
)
"""Protocols' own, 6to4, Teredo and examples, where the standard library takes them for global (IANA's registries)."""


class Place(NamedTuple):
    """A host in the spelling that it is connected to, an IPv6 address without its brackets, and a port."""

    host: str
    port: int


class BadUrlError(ValueError):
    """No address for a webhook; its text says what was expected."""


def is_public(address: str) -> bool:
    """Whether an address is one host's of the open internet. Those that wrap an IPv4 address (mapped, NAT64, 6to4,
    Teredo) are not: what they lead to is decided elsewhere."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if any(found in network for network in _NOT_ONE_HOST_S if network.version == found.version):
        return False
    return found.is_global and not found.is_multicast and (isinstance(found, IPv4Address) or found in _UNICAST)


def permitted(place: Place, addresses: Iterable[str], allowed: Collection[Place]) -> list[str]:
    """Those of a host's addresses that may be connected to."""
    return [address for address in addresses if place in allowed or is_public(address)]


def place_of(written: str) -> Place:
    """The place in `host:port`; raises `ValueError`."""
    try:
        host, _, port = written.rpartition(":")
        found = _URL.validate_python(f"https://{host}:{int(port)}/")
    except (AttributeError, ValueError):
        raise ValueError(_NO_PLACE) from None
    if (found.path, found.query, found.fragment, found.username) != ("/", None, None, None):
        raise ValueError(_NO_PLACE)
    return _place(found)


def checked(url: str, allowed: Collection[Place]) -> str:
    """The URL in its one spelling, which is the one to connect to; raises `BadUrlError`."""
    try:
        found = _URL.validate_python(url)
    except ValidationError:
        raise BadUrlError("a URL such as https://example.org/events") from None
    if found.scheme != "https" and not (found.scheme == "http" and _place(found) in allowed):
        raise BadUrlError("https")
    if found.username is not None or found.password is not None:
        raise BadUrlError("no user or password in it: the signature says who sends")
    if found.fragment is not None:
        raise BadUrlError("nothing behind a #")
    if len(str(found)) > LONGEST:
        raise BadUrlError(f"at most {LONGEST} characters")
    return str(found)


def _place(url: AnyUrl) -> Place:
    return Place((url.host or "").strip("[]"), url.port or 0)
