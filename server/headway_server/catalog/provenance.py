"""Where a release says it comes from: checked to be signed by whoever may publish it, and about exactly its files."""

from __future__ import annotations

from headway.contract.errors import RefusedError
from headway.contract.manifest import Manifest
from headway.contract.parsing import Fields, decode
from headway.trust.dsse import covers, verify
from headway.trust.keys import PublicKey
from headway_server.ports import Transaction
from headway_server.publication.seal import no_trust
from headway_server.records import JsonObject


def check_provenance(
    tx: Transaction, app: str, role: str, envelope: JsonObject | None, manifest: Manifest, *, required: bool
) -> None:
    """Pass, if a holder of ``role`` signed one about the files of ``manifest``; or there is none and need not be.

    Raises:
        UntrustedError: code ``bad_signature``.
        RefusedError: codes ``no_provenance``, ``no_trust``, ``unknown_role``, ``malformed``, ``wrong_provenance``.
    """
    if envelope is None:
        if required:
            raise RefusedError(
                "no_provenance",
                "This registry takes no release without a signed statement of where it comes from.",
                hint="Publish with a current Headway, which signs one, or send it as provenance (a DSSE envelope).",
            )
        return
    provenance = verify(envelope, _holders(tx, app, role)).provenance
    if not covers(provenance, manifest):
        raise RefusedError(
            "wrong_provenance",
            "The provenance speaks of other files than the manifest.",
            hint="Write the provenance from the manifest that is sent with it.",
        )


def _holders(tx: Transaction, app: str, role: str) -> tuple[PublicKey, ...]:
    targets = tx.roles.current(app, "targets")
    if targets is None:
        raise no_trust(app)
    delegations = decode(targets.data, "role targets").nested("signed").nested("delegations")
    keys = delegations.nested("keys")
    for delegated in delegations.objects("roles"):
        if delegated.text("name") == role:
            return tuple(
                PublicKey.from_json({"keyid": keyid, "key": _plain(keys.nested(keyid))})
                for keyid in delegated.texts("keyids")
            )
    raise RefusedError(
        "unknown_role",
        f"The role {role} is not delegated yet.",
        hint="Delegate it first, signed by the holders of the role targets.",
        kind="not_found",
        role=role,
    )


def _plain(key: Fields) -> JsonObject:
    return {
        "keytype": key.text("keytype"),
        "scheme": key.text("scheme"),
        "keyval": {"public": key.nested("keyval").text("public")},
    }
