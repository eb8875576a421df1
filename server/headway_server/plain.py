"""Plain requests: the few that the loop answers without a parser, a framework or an ``environ``.

A head is taken for plain only if it is exactly so, field by field (RFC 9112 §3 and §5); whatever is unusual goes to the
application, which gives the same answer more slowly. So what stands here must agree with the application, and may
always be more timid.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence

END = b"\r\n\r\n"
"""Where a head ends."""
UNUSUAL = frozenset(b"expect te trailer transfer-encoding upgrade".split())
"""Fields that make no request plain: they ask for more than an answer."""

_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)")


def fields_of(lines: Sequence[bytes], unusual: frozenset[bytes]) -> dict[bytes, bytes] | None:
    """Fields of a head by their names in lower case, from its lines after the first; None if it is not plain.

    Not plain: a malformed line, a field that comes twice, one of ``unusual``, no host, a connection that shall end.
    """
    fields: dict[bytes, bytes] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None or (name := field[1].lower()) in unusual or name in fields:
            return None
        fields[name] = field[2].strip(b" \t")
    if b"host" not in fields or fields.get(b"connection", b"keep-alive").lower() != b"keep-alive":
        return None
    return fields


def request_id_from(given: str) -> str:
    """The id under which a request is logged and answered: the caller's if it is harmless, else a new one."""
    harmless = 0 < len(given) <= 64 and given.isascii() and given.replace("-", "").isalnum()
    return given if harmless else secrets.token_hex(8)
