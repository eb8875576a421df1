"""`headway train import`: a person's own texts, examined and made into the files of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from headway.contract.errors import RefusedError

_IN_A_SOURCE_TREE = Path(__file__).parents[3] / "ios_fixtures/models/base/vocab.txt"

Files = Annotated[list[Path], typer.Argument(help="CSV, TSV or JSONL, also .xz or .gz; train…, dev…, test… by name.")]
Column = Annotated[str | None, typer.Option(help="Its name, or its number from 1; guessed if not given.")]
Split = Annotated[list[Path] | None, typer.Option(help="File of this split; else it is made from the others.")]
Share = Annotated[float, typer.Option(min=0.01, max=0.45, help="Share of the rows, where the split is made.")]


def import_files(
    files: Files,
    out: Annotated[Path, typer.Option(help="A new folder for the splits, the report and run.toml.")] = Path("data"),
    text: Column = None,
    label: Column = None,
    group: Annotated[
        str | None, typer.Option(help="Column whose rows belong together: no group stands in two splits.")
    ] = None,
    dev: Split = None,
    test: Split = None,
    dev_share: Share = 0.1,
    test_share: Share = 0.1,
    seed: Annotated[int, typer.Option(help="Decides which rows go where.")] = 1,
    vocabulary: Annotated[Path | None, typer.Option(help="The teacher's vocab.txt.")] = None,
    max_length: Annotated[int | None, typer.Option(min=8, max=128, help="Tokens a text is cut to.")] = None,
    title: Annotated[str | None, typer.Option(help="What the cards call these texts.")] = None,
    licence: Annotated[str, typer.Option(help="Under which licence they stand; the cards say it.")] = "not stated",
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Examine labelled FILES, write train, dev and test, a report and a configuration to start from.

    Texts that occur twice, with two labels, or on both sides of a split are found as the tokenizer sees them.
    """
    from headway_trainer.importing.columns import Wanted
    from headway_trainer.importing.importer import Order, import_texts
    from headway_trainer.importing.splitting import Shares
    from headway_trainer.importing.telling import tell

    order = Order(
        files=files,
        out=out,
        vocabulary=vocabulary or _vocabulary(),
        dev=dev or (),
        test=test or (),
        columns=Wanted(text, label, group),
        shares=Shares(dev_share, test_share),
        seed=seed,
        max_length=max_length,
        title=title,
        licence=licence,
    )
    report = import_texts(order)
    typer.echo(json.dumps(report, ensure_ascii=False, indent=2) if as_json else tell(report))
    typer.echo(f"Next: headway train {out / 'run.toml'} --teacher FOLDER_OR_ID", err=True)


def _vocabulary() -> Path:
    if _IN_A_SOURCE_TREE.exists():
        return _IN_A_SOURCE_TREE
    raise RefusedError(
        "import.vocabulary",
        "The vocabulary is not known, and lengths are counted in its tokens.",
        hint="Give the teacher's vocab.txt with --vocabulary.",
    )
