"""The content behind a URL that a stranger wrote: of the public internet, whole and soon."""

import functools
import socket
import ssl
import time
from contextvars import ContextVar
from dataclasses import dataclass
from threading import Lock
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, MaxRetryError, NameResolutionError, NewConnectionError

from train_pytorch_model.ports.public_addresses import is_public

CONNECT_SECONDS = 5.0
SILENT_SECONDS = 20.0
FETCH_SECONDS = 120.0
"""How long a server may take to be reached, be silent, and take in all, redirects and further
attempts with it.
"""

MAX_FAILURES = 5
REST_SECONDS = 60.0
"""A server that could not be reached this often in a row is not asked for this long."""


def fetched(url: str, max_bytes: int, private: bool = False) -> bytes:
    """The content behind an http(s) URL; no proxy is used, whatever the environment says.

    Args:
        url: the address; a stranger's.
        max_bytes: how large the content may be.
        private: whether addresses that are not of the public internet are fetched too.

    Raises:
        OSError: it cannot be fetched within the limits, or leads to an address that is not to be
            fetched; the message says why.
    """
    if not url.lower().startswith(("http://", "https://")):
        raise OSError("the file is absent and its coco_url is not http(s)")
    token = _TERMS.set(_Terms(private, time.monotonic() + FETCH_SECONDS))
    try:
        server = urllib3.util.parse_url(url).netloc or ""
        _SERVERS.check(server)
        try:
            response = _http(private).request("GET", url, preload_content=False)
            content = _content(response, max_bytes)
        except HTTPError as error:
            _SERVERS.note(server, failed=_is_silence(error))
            raise
        _SERVERS.note(server, failed=False)
        return content
    except (HTTPError, ValueError) as error:
        cause = error.reason if isinstance(error, MaxRetryError) else None
        raise OSError(f"fetching its coco_url failed ({type(cause or error).__name__})") from error
    except _NotPublicError as error:
        raise OSError(f"it needs --private-urls True, as its coco_url leads to {error}") from error
    finally:
        _TERMS.reset(token)


def _content(response: urllib3.BaseHTTPResponse, max_bytes: int) -> bytes:
    try:
        if response.status != 200:
            raise OSError(f"the server answered {response.status}")
        content: bytes = response.read(max_bytes + 1, decode_content=True)
    finally:
        response.release_conn()
    if len(content) > max_bytes:
        raise OSError(f"its coco_url holds more than {max_bytes:,} bytes")
    return content


@functools.cache
def _http(private: bool) -> urllib3.PoolManager:
    """Connections by server; those of either kind are never used for the other."""
    del private
    context = ssl.create_default_context()
    context.sslsocket_class = _TlsSocket
    manager = urllib3.PoolManager(
        maxsize=64,
        ssl_context=context,
        timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=SILENT_SECONDS),
        retries=urllib3.Retry(
            total=3,
            redirect=3,
            backoff_factor=0.3,
            status_forcelist=(429, 500, 502, 503, 504),
            respect_retry_after_header=False,  # a server may ask for hours
        ),
    )
    manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
    return manager


@dataclass(frozen=True)
class _Terms:
    """Of the fetch that a thread is at: whether private addresses are allowed, and its end."""

    private: bool
    end: float

    def seconds(self, at_most: float) -> float:
        """How long to wait for the next step.

        Raises:
            TimeoutError: no time is left.
        """
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimeoutError("it took too long")
        return min(left, at_most)


_TERMS: ContextVar[_Terms] = ContextVar("terms")


class _Socket(socket.socket):
    """A socket whose every wait ends with the fetch: a server may send a byte a second."""

    def recv_into(self, *args: Any) -> int:
        """Receive."""
        self.settimeout(_TERMS.get().seconds(SILENT_SECONDS))
        return super().recv_into(*args)


class _TlsSocket(ssl.SSLSocket):
    """The same, encrypted."""

    def recv_into(self, *args: Any, **options: Any) -> int:
        """Receive."""
        self.settimeout(_TERMS.get().seconds(SILENT_SECONDS))
        return super().recv_into(*args, **options)


class _NotPublicError(Exception):
    """A name leads to addresses that are not of the public internet: the first of them.

    No OSError, which urllib3 would take for a reason to try again.
    """


def _connected(connection: HTTPConnection) -> socket.socket:
    """A socket that is connected to an address of the connection's host which was checked.

    The name is resolved once, and the very address that was checked is connected to: a second
    look-up may give another one.
    """
    terms = _TERMS.get()
    try:
        found = socket.getaddrinfo(connection.host, connection.port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise NameResolutionError(connection.host, connection, error) from error
    allowed = [entry for entry in found if terms.private or is_public(str(entry[4][0]))]
    if not allowed:
        raise _NotPublicError(found[0][4][0])
    for family, kind, protocol, _, address in allowed:
        endpoint = _Socket(family, kind, protocol)
        try:
            endpoint.settimeout(terms.seconds(CONNECT_SECONDS))
            endpoint.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            endpoint.connect(address)
            return endpoint
        except OSError as error:
            endpoint.close()
            failure = error
    raise NewConnectionError(connection, str(failure)) from failure


class _HttpConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _connected(self)


class _HttpsConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _connected(self)


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


def _is_silence(error: HTTPError) -> bool:
    """Whether the server could not be reached, or did not answer."""
    cause = error.reason if isinstance(error, MaxRetryError) else error
    return isinstance(cause, urllib3.exceptions.TimeoutError | NewConnectionError)


class _Servers:
    """Which servers are worth asking; used by several threads."""

    def __init__(self) -> None:
        self._failures: dict[str, tuple[int, float]] = {}  # in a row, and when the last was
        self._lock = Lock()

    def check(self, server: str) -> None:
        """Do not ask a server that is down.

        Raises:
            OSError: it could not be reached a few times in a row, just now.
        """
        with self._lock:
            count, last = self._failures.get(server, (0, 0.0))
        if count >= MAX_FAILURES and time.monotonic() < last + REST_SECONDS:
            raise OSError(
                f"its server could not be reached {count} times in a row, and rests for a minute"
            )

    def note(self, server: str, *, failed: bool) -> None:
        """Note how a request went."""
        with self._lock:
            if failed:
                count, _ = self._failures.get(server, (0, 0.0))
                self._failures[server] = count + 1, time.monotonic()
            else:
                self._failures.pop(server, None)


_SERVERS = _Servers()
