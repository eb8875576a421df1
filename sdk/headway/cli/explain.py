"""``headway explain``: which release would a device hold, and why not the others. The device's own pure function."""

from __future__ import annotations

from typing import Annotated

import typer

from headway.cli.options import AsJson, There, reaching
from headway.cli.output import note, print_json, print_table
from headway.contract.compat import HostProfile
from headway.contract.digests import parse_digest
from headway.contract.errors import RefusedError
from headway.contract.explain import Choice, DeviceProfile, explain
from headway.contract.targets import HeadTarget
from headway.contract.telling import Told, tell, tell_reasons
from headway.contract.versions import parse_version

app = typer.Typer(help="Why would this device get, or not get, a release?")


@app.command()
@reaching("base_id", "channel")
def show(
    there: There,
    name: Annotated[str, typer.Option("--name", help="The head's name.")],
    base_version: Annotated[str | None, typer.Option(help="Version of the base in the app; default: newest.")] = None,
    os: Annotated[str, typer.Option("--os", help="System version.")] = "17.0",
    build: Annotated[int, typer.Option(help="App build.")] = 1,
    install_id: Annotated[str, typer.Option(help="Any text: it decides the rollout bucket.")] = "example",
    group: Annotated[list[str], typer.Option(help="A group the app puts the device in.")] = (),  # type: ignore[assignment]
    current: Annotated[int, typer.Option(help="The release it runs now; 0 is the embedded head.")] = 0,
    floor: Annotated[
        int | None, typer.Option(help="The highest release it ever confirmed.", show_default="the one it runs")
    ] = None,
    failed: Annotated[list[int], typer.Option(help="A release that failed there and is in quarantine.")] = (),  # type: ignore[assignment]
    expired: Annotated[bool, typer.Option("--expired", help="Its signed metadata has expired.")] = False,
    clock_behind: Annotated[
        bool, typer.Option("--clock-behind", help="Its clock is behind by more than a day.")
    ] = False,
    chinese: Annotated[bool, typer.Option("--zh", help="Sentences in Chinese.")] = False,
    as_json: AsJson = False,
) -> None:
    """Decide for a device profile exactly as the device would, and give every reason."""
    with there.registry() as registry:
        base_id = there.base_id(registry)
        document = registry.channel(there.channel, base_id)
        bases = [row for row in registry.bases() if row["base_id"] == base_id]
        rows = [
            row for row in registry.heads(name) if row["base_id"] == base_id and row["state"] in ("live", "revoked")
        ]
    heads = [HeadTarget.from_json(row["custom"]) for row in rows]
    digests = {head.release: head.head for head in heads}
    bases.sort(key=lambda row: parse_version(row["version"]))
    base = next((row for row in reversed(bases) if base_version in (None, row["version"])), None)
    if base is None:
        raise RefusedError(
            "no_such_base",
            f"There is no base {base_id}@{base_version or 'any version'}.",
            hint="See what there is with `headway bases list`.",
            kind="not_found",
        )
    profile = DeviceProfile(
        host=HostProfile(
            app=there.app,
            base=parse_digest(base["package"]),
            contract=parse_digest(base["contract"]),
            os=parse_version(os, what="--os"),
            app_build=build,
        ),
        install_id=install_id,
        groups=frozenset(group),
        current_release=current,
        floor_release=current if floor is None else floor,
        floor_head=digests.get(current if floor is None else floor),
        quarantined=frozenset(digests[release] for release in failed if release in digests),
        metadata_expired=expired,
        clock_behind=clock_behind,
    )
    choice = explain(name, profile, document, heads)
    told = tell(name, profile, choice, document, heads)
    _print(name, choice, told, as_json, language=1 if chinese else 0)


def _print(name: str, choice: Choice, told: Told, as_json: bool, language: int) -> None:
    if as_json:
        verdicts = [{"release": v.release, "head": v.head, "reasons": list(v.reasons)} for v in choice.verdicts]
        chosen = None if choice.chosen is None else choice.chosen.release
        reasons, sentence = list(choice.reasons), told[language]
        print_json({"schema": 1, "chosen": chosen, "sentence": sentence, "reasons": reasons, "verdicts": verdicts})
        return
    rows = [
        (f"{name}@{v.release}", "no" if v.reasons else "yes", tell_reasons(v.reasons)[language])
        for v in choice.verdicts
    ]
    print_table(rows, ("release", "may have it", "why not"))
    note(told[language])
