"""``headway prove``: run a head's golden batch through real bases and show every figure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headway.cli.options import AsJson
from headway.cli.output import note, print_json, print_table
from headway.contract.proof import NotProven, assess

app = typer.Typer(help="Run a head's golden batch through bases, before or without publishing.", add_completion=False)

EXIT_GATE = 8


@app.command()
def prove(
    head: Annotated[Path, typer.Argument(metavar="HEAD", help="The head release: a folder or a zip.")],
    base: Annotated[list[Path], typer.Option("--base", help="A base release to prove it on; may be repeated.")],
    as_json: AsJson = False,
) -> None:
    """Prove a head on bases. Exit 8 if one of the proofs is not good enough."""
    from headway.publisher.bundle import open_release
    from headway.publisher.proving import prove_on

    with open_release("head", head) as (release, _):
        proofs = [(path, prove_on(release, path)) for path in base]
    verdicts = [assess(proof) for _, proof in proofs]
    reasons = [list(verdict.reasons) if isinstance(verdict, NotProven) else [] for verdict in verdicts]
    if as_json:
        rows = [
            {"base": str(path), "proof": proof.to_json(), "digest": proof.digest, "proven": not why, "reasons": why}
            for (path, proof), why in zip(proofs, reasons, strict=True)
        ]
        print_json({"schema": 1, "proofs": rows})
    else:
        table = [
            (
                path.name,
                proof.rows,
                f"{proof.agreement_permyriad / 100:.2f} %",
                f"{proof.accuracy_permyriad / 100:.2f} %",
                f"{proof.feature_deviation_micro / 1e6:.6f}",
                f"{proof.probability_deviation_micro / 1e6:.6f}",
                "not proven" if why else "proven",
            )
            for (path, proof), why in zip(proofs, reasons, strict=True)
        ]
        print_table(table, ("base", "rows", "agreement", "accuracy", "features", "probabilities", "verdict"))
        for why in reasons:
            for reason in why:
                note(f"Not proven: {reason}.")
    if any(reasons):
        raise typer.Exit(EXIT_GATE)
