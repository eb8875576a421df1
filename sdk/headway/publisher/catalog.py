"""The catalog's requests: aliases, labels, the search, and webhooks of one app.

Aliases and labels are notes: what devices get is decided by channels alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlencode

from headway.contract.digests import Digest
from headway.publisher.http import ApiClient

Json = dict[str, Any]


class _Anything:
    """The default of ``expect``: whatever stands there now."""


ANYTHING = _Anything()


class Catalog:
    """Aliases, labels, search and webhooks. Base of :class:`headway.publisher.delivery.Delivery`.

    ``name`` None means the base itself, whose releases are its versions. With ``expect`` a change is made only if that
    stands there now (None: nothing does); otherwise ``RefusedError`` of kind ``conflict``, code ``mark_changed``.
    """

    def __init__(self, api: ApiClient, prefix: str) -> None:
        self.__api = api
        self.__prefix = prefix

    def __ask(self, path: str, **query: object) -> Json:
        given = {name: value for name, value in query.items() if value is not None}
        text = f"?{urlencode(given)}" if given else ""
        return self.__api.send("GET", f"{self.__prefix}/{path}{text}").json()

    def __put(self, path: str, body: Json, expect: str | _Anything | None) -> bool:
        if not isinstance(expect, _Anything):
            body["expect"] = expect
        return self.__api.send("PUT", f"{self.__prefix}/{path}", body=body).json().get("changed") is True

    def set_alias(
        self,
        base_id: str,
        name: str | None,
        alias: str,
        release: str | None,
        *,
        expect: str | _Anything | None = ANYTHING,
        note: str = "",
    ) -> bool:
        """Let an alias point to a release, or (None) to nothing; False if it did so already."""
        body = {"base_id": base_id, "name": name, "alias": alias, "release": release, "note": note}
        return self.__put("aliases", body, expect)

    def aliases(
        self, *, base_id: str | None = None, name: str | None = None, alias: str | None = None, at: int | None = None
    ) -> list[Json]:
        """The aliases that stand, or stood at ``at`` (seconds since 1970)."""
        return list(self.__ask("aliases", base_id=base_id, name=name, alias=alias, at=at).get("aliases", []))

    def alias_history(self, base_id: str, name: str | None, alias: str) -> list[Json]:
        """Everything that an alias ever pointed to, oldest first."""
        return list(self.__ask("aliases/history", base_id=base_id, name=name, alias=alias).get("history", []))

    def set_label(
        self,
        base_id: str,
        name: str | None,
        release: str,
        key: str,
        value: str | None,
        *,
        expect: str | _Anything | None = ANYTHING,
        note: str = "",
    ) -> bool:
        """Set a label of a release, or (None) remove it; False if it stood so already."""
        body = {"base_id": base_id, "name": name, "release": release, "key": key, "value": value, "note": note}
        return self.__put("labels", body, expect)

    def labels(
        self,
        *,
        base_id: str | None = None,
        name: str | None = None,
        release: str | None = None,
        key: str | None = None,
        at: int | None = None,
    ) -> list[Json]:
        """The labels that stand, or stood at ``at`` (seconds since 1970)."""
        answer = self.__ask("labels", base_id=base_id, name=name, release=release, key=key, at=at)
        return list(answer.get("labels", []))

    def label_history(self, base_id: str, name: str | None, release: str, key: str) -> list[Json]:
        """Everything that a label of a release ever was, oldest first."""
        answer = self.__ask("labels/history", base_id=base_id, name=name, release=release, key=key)
        return list(answer.get("history", []))

    def search(
        self,
        *,
        kind: str | None = None,
        name: str | None = None,
        label: str | None = None,
        alias: str | None = None,
        digest: Digest | str | None = None,
        base: str | None = None,
        state: str | None = None,
        publisher: str | None = None,
        since: int | None = None,
        until: int | None = None,
        page: int = 100,
    ) -> Iterator[Json]:
        """Releases that fit everything given, newest first; pages are fetched as they are needed.

        ``name`` and ``digest`` are beginnings, ``label`` is ``key`` or ``key=value``, ``base`` a base id or the
        beginning of a digest, ``state`` also ``recalled`` or ``yanked``, times seconds since 1970.
        """
        after = None
        while True:
            answer = self.__ask(
                "search", kind=kind, name=name, label=label, alias=alias, digest=digest, base=base, state=state,
                publisher=publisher, since=since, until=until, limit=page, after=after,
            )  # fmt: skip
            yield from answer.get("found", [])
            after = answer.get("next")
            if after is None:
                return

    def webhooks(self) -> list[Json]:
        """The webhooks of the app, without their secrets. All about webhooks needs the scope ``admin``."""
        return list(self.__ask("webhooks").get("webhooks", []))

    def add_webhook(self, url: str, events: Iterable[str], *, note: str = "") -> Json:
        """Add a webhook; its ``secret`` is in the answer this once."""
        body = {"url": url, "events": list(events), "note": note}
        return self.__api.send("POST", f"{self.__prefix}/webhooks", body=body, repeatable=False).json()

    def remove_webhook(self, webhook: str) -> None:
        """Remove a webhook and everything still to be sent to it."""
        self.__api.send("DELETE", f"{self.__prefix}/webhooks/{webhook}")

    def rotate_webhook(self, webhook: str) -> str:
        """A new secret, shown this once; the old one signs beside it for another day."""
        path = f"{self.__prefix}/webhooks/{webhook}/secret"
        return str(self.__api.send("POST", path, repeatable=False).json()["secret"])

    def ping_webhook(self, webhook: str) -> Json:
        """Send a test message; its delivery, to be looked for among :meth:`deliveries`."""
        return self.__api.send("POST", f"{self.__prefix}/webhooks/{webhook}/ping", repeatable=False).json()

    def deliveries(
        self, webhook: str, *, state: str | None = None, limit: int = 50, before: int | None = None
    ) -> list[Json]:
        """What was sent to a webhook and what is still to be, newest first."""
        answer = self.__ask(f"webhooks/{webhook}/deliveries", state=state, limit=limit, before=before)
        return list(answer.get("deliveries", []))

    def resend(self, webhook: str, message: str) -> Json:
        """Send a message again under its old id."""
        path = f"{self.__prefix}/webhooks/{webhook}/deliveries/{message}/resend"
        return self.__api.send("POST", path).json()
