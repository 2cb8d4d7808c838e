"""Gate for URIs that come from tables: each passes it before a file system is opened or a host reached.

Tables are untrusted. A URI could name a file system that opens others (`simplecache::`, `zip://`, `reference://`), or a
service that only this machine reaches, such as a metadata service or a database.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote, urlsplit

from stages.outcome import BadRow, Reason

DEFAULT_SCHEMES = ("file", "s3", "gs", "abfs")
"""Default allowed schemes. `http` and `https` require opt-in."""

HTTP_SCHEMES = ("http", "https")
_MAX_URI_CHARS = 4096


def check_uri(uri: Any, allowed_schemes: Iterable[str]) -> str:
    """Validate the URI of a file; returns its scheme, `file` for a plain path.

    Addresses of hosts are validated when they are resolved, by `public_address`.

    Raises:
        BadRow: InvalidRow for a malformed URI, NotAllowed for one that must not be opened.
    """
    _check_characters(uri)
    if "::" in uri and uri.partition("://")[0].lower() not in HTTP_SCHEMES:  # IPv6 addresses of http URLs have it
        raise BadRow(Reason.NOT_ALLOWED, f"uri chains file systems with '::': {uri[:100]!r}")
    scheme = uri.split("://", 1)[0].lower() if "://" in uri else "file"
    if scheme not in (allowed := tuple(allowed_schemes)):
        text = f"scheme '{scheme:.60}' of {shown_uri(uri)} is not allowed; allowed are {', '.join(allowed)}"
        raise BadRow(Reason.NOT_ALLOWED, text)
    decoded = unquote(uri) if scheme == "file" and "://" in uri else uri
    if any(ord(character) < 32 for character in decoded):
        raise BadRow(Reason.NOT_ALLOWED, f"uri holds control characters: {uri[:100]!r}")
    if ".." in decoded.replace("\\", "/").split("/"):
        raise BadRow(Reason.NOT_ALLOWED, f"uri goes up with '..': {shown_uri(uri)}; give the path it leads to")
    _check_host(uri, scheme)
    return scheme


def check_dataset_uri(uri: Any, allowed_schemes: Iterable[str]) -> None:
    """Validate the URI of a dataset. Datasets are listed, which http cannot do, so that it is never allowed.

    Raises:
        BadRow: as `check_uri`.
    """
    check_uri(uri, [scheme for scheme in allowed_schemes if scheme not in HTTP_SCHEMES])


def public_address(host: str, port: int) -> str:
    """IP address of `host`, to which a client connects: a second look-up could give another one.

    Raises:
        BadRow: NotFound if it has none; NotAllowed if any of its addresses is not public.
    """
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, OverflowError) as error:
        raise BadRow(Reason.NOT_FOUND, f"the host {host:.100} has no address: {error}") from error
    addresses = [str(entry[4][0]) for entry in entries]
    for address in addresses:
        if not is_public(address):
            raise BadRow(Reason.NOT_ALLOWED, f"{host:.100} leads to {address}, which is not a public address")
    return addresses[0]


def is_public(address: str) -> bool:
    """False for private, loopback, link-local, multicast and reserved addresses, and for IPv6 forms that embed one."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour or (parsed.teredo[1] if parsed.teredo else None)
        if inner is not None:
            return is_public(str(inner))
        # Outside of this block are NAT64, IPv4-compatible and translated addresses, site-local and future ones.
        return parsed in _GLOBAL_UNICAST and parsed.is_global and not _is_isatap(parsed)
    return parsed.is_global and not parsed.is_multicast


_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")


def _is_isatap(address: ipaddress.IPv6Address) -> bool:
    """Whether the interface identifier embeds an IPv4 address (RFC 5214)."""
    return (int(address) >> 32) & 0xFDFFFFFF == 0x00005EFE


def shown_uri(uri: str) -> str:
    """URI for messages: without credentials and query, at most about 200 characters."""
    if "://" in uri and not uri.startswith("file:"):
        scheme, _, rest = uri.partition("://")
        host, slash, path = rest.partition("/")
        uri = f"{scheme}://{host.rpartition('@')[2]}{slash}{path}".split("?", 1)[0].split("#", 1)[0]
    return uri if len(uri) <= 200 else f"{uri[:100]}…{uri[-80:]}"


def _check_characters(uri: Any) -> None:
    if not isinstance(uri, str) or not uri.strip():
        raise BadRow(Reason.INVALID_ROW, f"expected a path or URL as uri, got {uri!r:.100}")
    if len(uri) > _MAX_URI_CHARS:
        raise BadRow(Reason.INVALID_ROW, f"uri has {len(uri)} characters, {_MAX_URI_CHARS} are allowed: {uri[:60]!r}…")
    if any(ord(character) < 32 or ord(character) == 127 for character in uri):
        raise BadRow(Reason.NOT_ALLOWED, f"uri holds control characters: {uri[:100]!r}")
    try:
        uri.encode()
    except UnicodeEncodeError as error:
        raise BadRow(Reason.INVALID_ROW, f"uri is not valid Unicode: {uri[:100]!r}") from error


def _check_host(uri: str, scheme: str) -> None:
    """Validate the form of the host, without resolving it."""
    if scheme == "file":
        if "://" in uri and not uri.partition("://")[2].startswith("/"):
            raise BadRow(Reason.INVALID_ROW, f"{shown_uri(uri)} names a host; expected file:///path")
        return
    try:
        parts = urlsplit(uri)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise BadRow(Reason.INVALID_ROW, f"{shown_uri(uri)} is no valid URL: {error}") from error
    if scheme in HTTP_SCHEMES and not named:
        raise BadRow(Reason.INVALID_ROW, f"{shown_uri(uri)} names no host")
    if scheme in HTTP_SCHEMES and (parts.username or parts.password):
        raise BadRow(Reason.NOT_ALLOWED, f"{shown_uri(uri)} has a password in it, which is not allowed")
