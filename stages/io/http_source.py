"""HTTP client restricted to public addresses, to prevent server-side request forgery.

Each host name is resolved here, the connection is made to the validated address (a second look-up could return
another), and each redirect is validated in the same way.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from urllib.parse import urljoin, urlsplit

from stages.io.uri_gate import HTTP_SCHEMES, check_uri, public_address
from stages.outcome import BadRow, Reason

_TIMEOUT_SECONDS = 60.0
_MAX_REDIRECTS = 5


def open_http(url: str, method: str = "GET") -> http.client.HTTPResponse:
    """Response to a GET or HEAD of `url`, after redirects, with an unread body.

    Raises:
        BadRow: InvalidRow for a malformed URL; NotAllowed for an address that is not public; NotFound or
            UnreadableSource for an error status.
        OSError, http.client.HTTPException: the connection fails.
    """
    for _ in range(_MAX_REDIRECTS + 1):
        response = _request(method, url)
        if response.status in (301, 302, 303, 307, 308) and (location := response.getheader("Location")):
            response.close()
            url = urljoin(url, location)
            continue
        if response.status == 200:
            return response
        response.close()
        reason = Reason.NOT_FOUND if response.status in (404, 410) else Reason.UNREADABLE_SOURCE
        raise BadRow(reason, f"{urlsplit(url).hostname} answers {response.status} {response.reason}")
    raise BadRow(Reason.UNREADABLE_SOURCE, f"{urlsplit(url).hostname} redirects more than {_MAX_REDIRECTS} times")


def _request(method: str, url: str) -> http.client.HTTPResponse:
    check_uri(url, HTTP_SCHEMES)
    parts = urlsplit(url)
    host, port = str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80)
    address = public_address(host, port)
    connection = (_HttpsTo if parts.scheme == "https" else _HttpTo)(host, port, address)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection.request(method, target, headers={"User-Agent": "zoetrope", "Accept-Encoding": "identity"})
    return connection.getresponse()


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
