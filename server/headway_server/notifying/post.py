"""One POST to an address that somebody else chose: what it may reach, and how much it may cost us.

What always holds: the addresses behind the name are looked up once, all of them are judged, and the connection goes to
one that was judged, so that a name cannot point elsewhere in between; no redirect is followed, no proxy is asked; one
deadline covers everything; of the answer only the status is used and only a little is read. Nothing here raises.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from headway.contract.errors import RefusedError
from headway_server.notifying.dial import PORTS, Dialled
from headway_server.notifying.retry import Reply

_MOST_BYTES = 4096
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def check_url(url: str, *, private: bool) -> SplitResult:
    """The parts of an address that a webhook may have.

    Raises:
        RefusedError: code ``bad_url``; not HTTPS (plain HTTP needs ``private``), with a password or a fragment, without
            a host, or a literal address that may not be reached.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    allowed = ("https", "http") if private else ("https",)
    plain = url.isascii() and url.isprintable() and " " not in url
    if not plain or host is None or parts.scheme not in allowed or parts.username or parts.password or parts.fragment:
        raise _bad_url("An address begins with https:// and has a host, but no password and no fragment.")
    with contextlib.suppress(ValueError):
        if not may_reach(ipaddress.ip_address(host), private=private):
            raise _bad_url("That address is not a public one.")
    return parts


def may_reach(address: ipaddress.IPv4Address | ipaddress.IPv6Address, *, private: bool) -> bool:
    """Whether a message may go to ``address``: public unicast, looking also at an IPv4 address inside an IPv6 one."""
    if private:
        return not address.is_multicast and not address.is_unspecified
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return may_reach(address.ipv4_mapped, private=False)
        if address.sixtofour is not None or address.teredo is not None or address in _NAT64:
            return False
    return address.is_global and not address.is_multicast


def post(url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float, private: bool) -> Reply:
    """Send ``body``; the status of the answer, or one phrase about what went wrong."""
    try:
        parts = check_url(url, private=private)
        address = _resolve(parts, private=private)
    except RefusedError as error:
        return Reply(None, error.code)
    except OSError:
        return Reply(None, "unknown host")
    with Dialled(parts, address, timeout_s) as connection:
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", target, body, dict(headers))
            answer = connection.getresponse()
            answer.read(_MOST_BYTES)
            reply = Reply(answer.status)
        except TimeoutError:
            reply = Reply(None, "timeout")
        except ssl.SSLError as error:
            reply = Reply(None, f"TLS: {error.reason or 'failed'}"[:200])
        except (OSError, http.client.HTTPException, ValueError) as error:
            reply = Reply(None, type(error).__name__)
        # A connection that was cut looks like one that broke, or like an answer that simply ended.
        return Reply(None, "timeout") if connection.late.is_set() else reply


def _resolve(parts: SplitResult, *, private: bool) -> str:
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(entry[4][0]) for entry in found]
    judged = [may_reach(ipaddress.ip_address(text.partition("%")[0]), private=private) for text in addresses]
    if not judged or not all(judged):
        raise _bad_url("The name points to an address that is not a public one.")
    return addresses[0]


def _bad_url(why: str) -> RefusedError:
    return RefusedError(
        "bad_url",
        why,
        hint="Give the public HTTPS address of the receiver; the operator may allow private ones.",
    )
