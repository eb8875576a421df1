"""`headway train head`: a new head for a base that exists already."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from headway_trainer.cli.bars import on_terminals_only

Hidden = Annotated[list[int] | None, typer.Option(min=1, max=4096, help="Width of a dense layer before the last.")]


def head(
    base: Annotated[Path, typer.Argument(help="Folder of the base's release.", exists=True, file_okay=False)],
    data: Annotated[Path, typer.Argument(help="Folder with train, dev and test, as `headway train import` leaves it.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="A new folder, ready for `headway heads publish`.")],
    name: Annotated[str | None, typer.Option(help="The head's name; default: the folder's.")] = None,
    hidden: Hidden = None,
    rows: Annotated[int, typer.Option(min=0, help="Training rows to take, by chance; 0: all.")] = 0,
    refit: Annotated[bool, typer.Option(help="Fit once more on train and dev, as dev chose.")] = True,
    title: Annotated[str | None, typer.Option(help="What the card calls these texts.")] = None,
    licence: Annotated[str, typer.Option(help="Under which licence they stand; the card says it.")] = "not stated",
    seed: Annotated[int, typer.Option(help="Decides rows, first weights and the golden batch.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the card.")] = False,
) -> None:
    """Fit a head for the frozen base in BASE on the labelled rows in DATA, measure it, and write its folder.

    No teacher is needed and nothing of the base is trained: this is how one base in an app serves another task.
    """
    on_terminals_only()
    from headway.contract.versions import parse_name
    from headway_trainer.heads import HeadConfig
    from headway_trainer.new_head import HeadOrder, make

    config = HeadConfig(
        parse_name(name or out.name, what="head name"), hidden=tuple(hidden or ()), refit=refit, seed=seed
    )
    card = make(HeadOrder(base, data, out, config, title or data.resolve().name, licence, rows))
    typer.echo(json.dumps(card, ensure_ascii=False, indent=2) if as_json else _told(card))
    typer.echo(f"Next: headway heads publish {out} --name {config.name} --base {base}", err=True)


def _told(card: dict[str, Any]) -> str:
    def said(split: str) -> str:
        found = card["figures"][split]
        low, high = (100 * value for value in found["wilson95"])
        return f"{split}: {100 * found['accuracy']:.2f} % [{low:.2f}, {high:.2f}] of {found['rows']}"

    layers = " → ".join(map(str, card["layers"]))
    return f"{card['head']} for base {card['base_id']} {card['base_version']}: {layers}\n{said('dev')}\n{said('test')}"
