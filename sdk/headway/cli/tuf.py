"""The program ``headway-tuf``: the client under test of the TUF community's conformance suite.

It drives exactly the trust code that devices run, over the device's own fetcher, against any TUF repository. Exit code
0 means that the whole command succeeded, 1 that any part of it did not (with one sentence on standard error).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from headway.contract.errors import HeadwayError, RefusedError, UntrustedError
from headway.device.fetcher import HttpFetcher
from headway.trust.client import TrustedClient
from headway.trust.storage import FolderStorage

MAX_TARGET_BYTES = 512 * 2**20
_NEEDS = {
    "init": (),
    "refresh": ("metadata_url",),
    "download": ("metadata_url", "target_name", "target_base_url", "target_dir"),
}


def main() -> None:
    """Run ``headway-tuf`` and exit."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command; its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    missing = [name for name in _NEEDS[options.command] if getattr(options, name) is None]
    if missing:
        parser.error(f"{options.command} needs --" + ", --".join(name.replace("_", "-") for name in missing))
    try:
        match options.command:
            case "init":
                init(options.metadata_dir, options.trusted_root)
            case "refresh":
                _client(options).refresh()
            case _:
                download(_client(options), options.target_name, options.target_dir)
    except HeadwayError as error:
        sys.stderr.write(error.diagnostics() + "\n")
        return 1
    return 0


def init(metadata_dir: Path, trusted_root: Path) -> None:
    """Trust ``trusted_root`` from now on: store its exact bytes as ``root.json``."""
    try:
        data = trusted_root.read_bytes()
    except OSError as error:
        raise RefusedError(
            "unreadable_root", f"Cannot read {trusted_root} ({error.strerror}).", hint="Give the path of a root file."
        ) from error
    FolderStorage(metadata_dir).write_atomic("root.json", data)


def download(client: TrustedClient, name: str, folder: Path) -> Path:
    """Refresh, find the target ``name`` and store it in ``folder`` under its quoted name, if it is not there yet.

    Raises:
        RefusedError: code ``no_such_target``.
        UntrustedError, TransferError: as the client.
    """
    client.refresh()
    target = client.target(name)
    if target is None:
        raise RefusedError(
            "no_such_target",
            f"No trusted role lists {name!r}.",
            hint="Check the name; it is case-sensitive and has no leading slash.",
            kind="not_found",
        )
    file_name = quote(name, safe="")
    storage = FolderStorage(folder)
    present = storage.read(file_name)
    if present is None or not client.matches(target, present):
        storage.write_atomic(file_name, client.fetch(target, max_bytes=MAX_TARGET_BYTES))
    return folder / file_name


def _client(options: argparse.Namespace) -> TrustedClient:
    storage = FolderStorage(options.metadata_dir)
    root = storage.read("root.json")
    if root is None:
        raise UntrustedError(
            "no_root", f"There is no root.json in {options.metadata_dir}.", hint="Run `headway-tuf init` first."
        )
    targets_url = options.target_base_url or ""
    return TrustedClient(None, options.metadata_url, targets_url, root, HttpFetcher(), storage=storage)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="headway-tuf", description="A TUF client: init, refresh, download.")
    parser.add_argument("--metadata-dir", type=Path, required=True, help="where trusted metadata is kept")
    parser.add_argument("--metadata-url", help="URL of the repository's metadata folder")
    parser.add_argument("--target-name", help="path of the target to download")
    parser.add_argument("--target-base-url", help="URL of the repository's targets folder")
    parser.add_argument("--target-dir", type=Path, help="where downloaded targets are kept")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("init", help="start trusting a root file").add_argument("trusted_root", type=Path)
    commands.add_parser("refresh", help="bring top-level metadata up to date")
    commands.add_parser("download", help="bring metadata up to date and download a target")
    return parser
