"""HTTP client restricted to public addresses, to prevent server-side request forgery.

Manifests are untrusted: a URL could target services reachable from this machine only, such as a metadata service or a
database. Each host name is therefore resolved here, the connection is made to the validated address (a second look-up
could return another), and each redirect is validated in the same way.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
from urllib.parse import urljoin, urlsplit

from stages.outcome import BadRow, Reason

_TIMEOUT_SECONDS = 60.0
_MAX_REDIRECTS = 5


def open_http(url: str) -> http.client.HTTPResponse:
    """Response to a GET of `url`, after redirects, with an unread body.

    Raises:
        BadRow: NotAllowed for an address that is not public; NotFound or UnreadableSource for an error status.
        OSError, http.client.HTTPException: the connection fails.
    """
    for _ in range(_MAX_REDIRECTS + 1):
        response = _get(url)
        if response.status in (301, 302, 303, 307, 308) and (location := response.getheader("Location")):
            response.close()
            url = urljoin(url, location)
            continue
        if response.status == 200:
            return response
        response.close()
        reason = Reason.NOT_FOUND if response.status in (404, 410) else Reason.UNREADABLE_SOURCE
        raise BadRow(reason, f"{_host(url)} answers {response.status} {response.reason}")
    raise BadRow(Reason.UNREADABLE_SOURCE, f"{_host(url)} redirects more than {_MAX_REDIRECTS} times")


def _get(url: str) -> http.client.HTTPResponse:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadRow(Reason.NOT_ALLOWED, f"expected an http or https URL, was led to {parts.scheme}://{parts.hostname}")
    if parts.username or parts.password:
        raise BadRow(Reason.NOT_ALLOWED, "a URL with a password in it is not allowed")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = public_address(parts.hostname, port)
    connection = (
        _HttpsTo(parts.hostname, port, address) if parts.scheme == "https" else _HttpTo(parts.hostname, port, address)
    )
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection.request("GET", target, headers={"User-Agent": "zoetrope", "Accept-Encoding": "identity"})
    return connection.getresponse()


def public_address(host: str, port: int) -> str:
    """IP address of `host`.

    Raises:
        BadRow: NotFound if it has none; NotAllowed if any of its addresses is not public.
    """
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
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
        if inner is not None or parsed in _NAT64:
            return inner is not None and is_public(str(inner))
    return parsed.is_global and not parsed.is_multicast


_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class _HttpTo(http.client.HTTPConnection):
    """HTTP connection to a fixed IP address, with the host name in the request."""

    def __init__(self, host: str, port: int, address: str) -> None:
        super().__init__(host, port, timeout=_TIMEOUT_SECONDS)
        self.address = address

    def connect(self) -> None:
        """Connect to the validated address."""
        self.sock = socket.create_connection((self.address, self.port), _TIMEOUT_SECONDS)


class _HttpsTo(_HttpTo):
    """HTTPS connection to a fixed IP address, with the certificate verified for the host name."""

    def connect(self) -> None:
        """Connect to the validated address and verify the certificate."""
        super().connect()
        self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)


def _host(url: str) -> str:
    return str(urlsplit(url).hostname)
