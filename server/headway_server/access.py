"""Who calls: the token behind a text, with wrong ones counted by where they come from. For the API and the console."""

from __future__ import annotations

from headway.contract.errors import RefusedError
from headway_server.catalog import tokens
from headway_server.delivery.ratelimit import Limits, source_of
from headway_server.ports import Ports
from headway_server.records import TokenRecord


def check_token(ports: Ports, limits: Limits, text: str, address: str) -> TokenRecord:
    """The token behind ``text``, sent from ``address``. A right token passes however many wrong ones came before.

    Raises:
        RefusedError: codes ``not_authenticated``, and ``rate_limited`` after too many wrong tokens.
    """
    try:
        return tokens.authenticate(ports, text)
    except RefusedError:
        limits.logins.check(source_of(address), "requests with a wrong token")
        raise
