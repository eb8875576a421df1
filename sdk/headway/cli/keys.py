"""``headway keys``: an app's signing keys and who may sign what, from the first ceremony to a theft."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headway.cli.arguments import pairs, thresholds
from headway.cli.files import read_as, write_file
from headway.cli.options import AsJson, There, reaching
from headway.cli.output import note, print_json, print_table
from headway.contract.digests import canonical_json

if TYPE_CHECKING:
    from headway.publisher.registry import Registry
    from headway.publisher.vouched import Vouched
    from headway.trust.keys import PublicKey

app = typer.Typer(help="Create and care for an app's signing keys.", no_args_is_help=True, add_completion=False)

Role = Annotated[str, typer.Argument(help="root, targets, bases or heads-BASE_ID.")]


@app.command()
@reaching("keys")
def create(
    there: There,
    base_id: Annotated[list[str], typer.Option("--base-id", help="A base that heads will be published for.")],
    count: Annotated[int, typer.Option(min=1, max=9, help="Keys of root and of targets, each.")] = 3,
    threshold: Annotated[int, typer.Option(min=1, max=9, help="How many of them must sign.")] = 2,
) -> None:
    """Create an app: its keys here, its first signed metadata on the registry. Safe to repeat."""
    from headway.publisher.ceremonies import KeyPlan, create_app, embedded_root

    folder = there.keys()
    with there.registry() as registry:
        new = create_app(registry, folder, base_id, plan=KeyPlan(count, threshold))
    note(f"{'Created' if new else 'Already created:'} the app {registry.app}. Its keys are in {folder.folder}.")
    note("Move the root and targets keys to media that stay offline; daily publishing needs only 'publisher'.")
    note("Embed this root in the app:")
    typer.echo(str(embedded_root(folder)))


@app.command()
@reaching("keys")
def show(there: There, as_json: AsJson = False) -> None:
    """Show every role, who holds it, and when it expires."""
    from headway.publisher.ceremonies import status

    with there.registry() as registry:
        rows = status(registry, there.keys())
    if as_json:
        roles = [
            {
                "role": row.role,
                "version": row.version,
                "threshold": row.threshold,
                "expires": row.expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "keys": [{"keyid": keyid, "name": name} for keyid, name in row.keys],
                "bins": row.bins,
            }
            for row in rows
        ]
        print_json({"schema": 1, "app": registry.app, "roles": roles})
        return
    table = [
        (
            f"{row.role} ({row.bins} bins)" if row.bins else row.role,
            row.version,
            f"{row.threshold} of {len(row.keys)}",
            f"{row.expires:%Y-%m-%d}",
            ", ".join(name or f"{keyid[:12]}…" for keyid, name in row.keys),
        )
        for row in rows
    ]
    print_table(table, ("role", "version", "signatures", "expires", "keys"))


@app.command()
@reaching()
def export(
    there: There,
    out: Annotated[Path, typer.Argument(help="Where to write root.json.")],
) -> None:
    """Write the newest root, to embed in the next build of the app."""
    with there.registry() as registry:
        write_file(out, registry.role("root"))
    note(f"Wrote {out}.")


@app.command()
@reaching("keys")
def rotate(
    there: There,
    name: Annotated[str, typer.Argument(help="A key's name, or the id of one that is lost.")],
) -> None:
    """Replace a key by a new one in every role it holds. Safe to repeat; also after a loss or theft."""
    from headway.publisher.rotations import rotate_key

    with there.registry() as registry:
        new_name, new = rotate_key(registry, there.keys(), name)
    note(f"{name} is replaced by {new_name} ({new.public.keyid[:12]}…). Destroy the old key's file and its copies.")
    note("If it was stolen: `headway keys signed KEYID` lists what it vouched for, which devices keep until told.")


def _public_key(data: bytes) -> PublicKey:
    from headway.contract.parsing import decode
    from headway.trust.keys import PublicKey

    return PublicKey.from_json(decode(data, "public key"))


@app.command("rotate-online")
@reaching("keys")
def rotate_online(there: There) -> None:
    """Give the registry new online keys, as after a break-in. If it was cut off, run it again."""
    from headway.publisher.rotations import rotate_online_keys

    with there.registry() as registry:
        rotate_online_keys(registry, there.keys())
    note("Root and targets name new online keys; what the old ones sign is worthless from now on.")


@app.command()
@reaching("keys", without=("app", "url", "token"))
def make(
    there: There,
    name: Annotated[str, typer.Argument(help="What to call the key here.")],
    out: Annotated[Path, typer.Option("--out", help="Where to write its public half.")],
) -> None:
    """Make a key on this machine, or find it, and write its public half for whoever puts it into a role."""
    keys = there.keys()
    key = keys.load(name) if name in keys.names() else keys.create(name)
    write_file(out, canonical_json(key.public.to_json(), document="public key"))
    note(f"Wrote {out}: the public half of {name} ({key.public.keyid[:12]}…). The key stays in {keys.folder}.")


@app.command()
@reaching("keys")
def admit(
    there: There,
    public: Annotated[Path, typer.Argument(metavar="FILE", help="A public key that `headway keys make` wrote.")],
    beside: Annotated[str, typer.Option("--beside", help="The id of a publisher's key: the new one may what it may.")],
) -> None:
    """Let another publisher sign wherever one may already."""
    from headway.publisher.rotations import admit_key

    key = read_as(public, _public_key)
    with there.registry() as registry:
        signed = admit_key(registry, there.keys(), key, beside)
    note(f"{key.keyid[:12]}… may sign from version {signed.version} of targets on.")


@app.command()
@reaching("keys")
def revoke(
    there: There,
    keyid: Annotated[str, typer.Argument(help="The id of a publisher's key.")],
) -> None:
    """Take a publisher's key out of every role, where others hold those roles too."""
    from headway.publisher.rotations import revoke_key

    with there.registry() as registry:
        revoke_key(registry, there.keys(), keyid)
        found = _vouched(registry, keyid)
    note(f"{keyid[:12]}… may sign nothing any more. What it signed before stays on devices until you order it off.")
    _tell_vouched(found)


@app.command()
@reaching()
def signed(
    there: There,
    keyid: Annotated[str, typer.Argument(help="The id of a publisher's key, also of one that is gone.")],
    as_json: AsJson = False,
) -> None:
    """List the head releases that a key vouched for, and how to order each off devices."""
    with there.registry() as registry:
        found = _vouched(registry, keyid)
    if as_json:
        print_json({"schema": 1, "keyid": keyid, "releases": [asdict(one) for one in found]})
        return
    _tell_vouched(found)


def _vouched(registry: Registry, keyid: str) -> tuple[Vouched, ...]:
    from headway.publisher.vouched import vouched_by

    return vouched_by(keyid, registry.heads(), registry.rollouts())


def _tell_vouched(found: tuple[Vouched, ...]) -> None:
    if not found:
        note("It signed no head release.")
        return
    rows = [
        (
            f"{one.name}@{one.release}",
            one.base_id,
            one.state,
            "this key" if one.signed else "unknown",
            one.confirmed,
            " ; ".join(one.commands) or "-",
        )
        for one in found
    ]
    print_table(rows, ("release", "base", "state", "signed by", "confirmed", "order devices off it with"))
    if any(one.commands for one in found):
        note("Nothing above is done by itself: run the commands of those that are not yours.")


@app.command()
@reaching("keys")
def threshold(
    there: There,
    role: Role,
    count: Annotated[int, typer.Argument(min=1, help="How many of its keys must sign.")],
) -> None:
    """Change how many signatures a role needs."""
    from headway.publisher.rotations import change_threshold

    with there.registry() as registry:
        signed = change_threshold(registry, there.keys(), role, count)
    note(f"{role} needs {count} signature(s) from version {signed.version} on.")


@app.command()
@reaching("keys")
def delegate(
    there: There,
    base_id: Annotated[str, typer.Argument(help="The new base.")],
) -> None:
    """Let the publishers of bases sign heads on a new base."""
    from headway.publisher.ceremonies import delegate_base

    with there.registry() as registry:
        delegate_base(registry, there.keys(), base_id)
    note(f"Heads may now be published for {base_id}.")


@app.command()
@reaching("keys")
def split(
    there: There,
    base_id: Annotated[str, typer.Argument(help="The base whose heads to split.")],
    bins: Annotated[
        int | None,
        typer.Option("--bins", help="How many, a power of 2; 1 puts all back into one role.", show_default="as suits"),
    ] = None,
) -> None:
    """Split the role of a base's heads into hash bins, so that a device downloads a small part of it."""
    from headway.contract.versions import parse_name
    from headway.publisher.head_roles import split_heads
    from headway.trust.client import utc_now

    base_id = parse_name(base_id, what="base id")
    with there.registry() as registry:
        count, signed = split_heads(registry, base_id, there.keys().all(), bins=bins, now=utc_now())
    state = "now" if signed.changed else "already"
    stand = "one role" if count == 1 else f"{count} bins"
    note(f"The heads of {base_id} are {state} in {stand} (version {signed.version}).")


@app.command()
@reaching("keys")
def renew(there: There, role: Role) -> None:
    """Sign a role anew before it expires, without a change."""
    from headway.publisher.ceremonies import renew_any

    with there.registry() as registry:
        signed = renew_any(registry, there.keys(), role)
    note(f"{role} is now version {signed.version}.")


@app.command()
@reaching()
def request(
    there: There,
    role: Role,
    out: Annotated[Path, typer.Option("--out", help="Where to write the request.")],
    replace: Annotated[
        list[str], typer.Option("--replace", metavar="KEYID=FILE", help="Put a public key into an old one's place.")
    ] = (),  # type: ignore[assignment]
    count: Annotated[
        list[str], typer.Option("--threshold", metavar="ROLE=N", help="How many signatures a role needs.")
    ] = (),  # type: ignore[assignment]
    online: Annotated[bool, typer.Option("--online", help="Name new online keys, which the registry makes.")] = False,
) -> None:
    """Write a role's next version as a signing request, for holders who never see a network."""
    from headway.publisher.requests import Asked, signing_request
    from headway.trust.offline import describe

    new_keys = pairs(replace, "--replace", "KEYID=FILE")
    replaced = {keyid: read_as(Path(file), _public_key) for keyid, file in new_keys.items()}
    changes = Asked(replaced, thresholds(count), online)
    with there.registry() as registry:
        asked = signing_request(registry, role, changes)
    write_file(out, asked.to_bytes())
    note(f"Wrote {out}: {describe(asked)}")


@app.command()
@reaching("keys", without=("app", "url", "token"))
def sign(
    there: There,
    request_file: Annotated[Path, typer.Argument(metavar="REQUEST", help="A signing request.")],
    key: Annotated[str, typer.Option("--key", help="The name of the key to sign with.")],
    out: Annotated[Path, typer.Option("--out", help="Where to write the signature.")],
) -> None:
    """Sign a request, offline. Says first what the signature will mean."""
    from headway.trust.offline import SigningRequest, answer, describe

    asked = read_as(request_file, SigningRequest.from_bytes)
    note(f"Signing {describe(asked)}")
    signer = there.keys().load(key)
    write_file(out, answer(asked, signer).to_bytes())
    note(f"Wrote {out}.")


@app.command()
@reaching(without=("app",))
def merge(
    there: There,
    request_file: Annotated[Path, typer.Argument(help="The signing request.")],
    signatures: Annotated[list[Path], typer.Argument(help="The signature files.")],
) -> None:
    """Put signatures into a request and post the role."""
    from headway.trust.offline import DetachedSignature, SigningRequest
    from headway.trust.offline import merge as put_together

    asked = read_as(request_file, SigningRequest.from_bytes)
    data = put_together(asked, [read_as(path, DetachedSignature.from_bytes) for path in signatures])
    with there.registry(asked.app) as registry:
        posted = registry.post_role(asked.role, data)
    note(f"{asked.role} is now version {posted.version}.")
