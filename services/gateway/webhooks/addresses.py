"""Where a webhook may lead: to https on the open internet, or to a host that the office allows by name."""

from collections.abc import Collection, Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address
from typing import Final

from pydantic import AnyUrl, TypeAdapter, ValidationError

LONGEST: Final = 2000
_URL: Final = TypeAdapter(AnyUrl)
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


def permitted(host: str, addresses: Iterable[str], allowed: Collection[str]) -> list[str]:
    """Those of a host's addresses that may be connected to."""
    return [address for address in addresses if host in allowed or is_public(address)]


def checked(url: str, allowed: Collection[str]) -> str:
    """The URL in its one spelling, which is the one to connect to; raises `BadUrlError`."""
    try:
        found = _URL.validate_python(url)
    except ValidationError:
        raise BadUrlError("a URL such as https://example.org/events") from None
    host = (found.host or "").strip("[]")
    if found.scheme != "https" and not (found.scheme == "http" and host in allowed):
        raise BadUrlError("https")
    if found.username is not None or found.password is not None:
        raise BadUrlError("no user or password in it: the signature says who sends")
    if found.fragment is not None:
        raise BadUrlError("nothing behind a #")
    if len(str(found)) > LONGEST:
        raise BadUrlError(f"at most {LONGEST} characters")
    return str(found)
