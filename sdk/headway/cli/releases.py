"""Rows about one release, for ``headway heads show`` and ``headway proofs``: facts, gate, proofs with their dates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

Json = Mapping[str, Any]


def head_facts(record: Json) -> list[tuple[str, str]]:
    """What a head release is."""
    return [
        ("head", f"{record['name']}@{record['release']}"),
        ("base id", record["base_id"]),
        ("state", state_of(record)),
        ("digest", record["head"]),
        ("parent", record["parent"] or "-"),
        ("labels", ", ".join(record["labels"])),
        ("registered", moment(record["created_at"])),
        ("checked", record["checked"]),
    ]


def state_of(record: Json) -> str:
    """What a person must know of a head release at once: revoked by its publisher, recalled, or its state."""
    recalled = record.get("recalled_on") or ()
    if record["state"] == "revoked" or not recalled:
        return str(record["state"])
    return f"recalled on {', '.join(recalled)}"


def gate_rows(gate: Iterable[Json]) -> list[tuple[str, ...]]:
    """The lines of a gate; the reason stands where a person accepted what did not pass."""
    return [(g["metric"], g["limit"], g["found"], g["verdict"], g["waived"] or "") for g in gate]


def proof_rows(record: Json) -> list[tuple[str, ...]]:
    """All proofs of a head release, newest first on each base."""
    rows: list[tuple[str, ...]] = []
    for edge in record["proofs"]:
        rows += [run_row(run)[1:] for run in record["proof_runs"] if run["base"] == edge["base"]]
        when = moment(edge["created_at"])
        if edge["reproof"] is not None:
            rows.append((edge["base"], when, "the registry", "proven", accuracy(edge["reproof"]), edge["verdict"]))
        rows.append((edge["base"], when, "its publisher", "proven", accuracy(edge["proof"]), ""))
    return rows


def run_row(run: Json) -> tuple[str, ...]:
    """One proof that was run again."""
    head = f"{run['name']}@{run['release']}"
    return head, run["base"], moment(run["at"]), run["actor"], run["result"], accuracy(run["proof"]), run["note"]


def accuracy(proof: Json | None) -> str:
    """Accuracy on the golden batch."""
    return "-" if proof is None else f"{proof['accuracy_permyriad'] / 100:.2f} %"


def moment(seconds: int) -> str:
    """A time of the registry."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
