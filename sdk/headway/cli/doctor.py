"""``headway doctor``: what this installation can do, and what to install for the rest."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys

import typer

from headway import __version__
from headway.cli.output import print_json, print_table

app = typer.Typer(help="Check what this installation can do.")

_PARTS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "device": ("run a device, poll, explain", ("cryptography", "httpx2", "tuf"), "headway"),
    "sim": ("run, prove and train Core ML models", ("numpy", "coremltools", "onnxruntime", "safetensors"), "sim"),
    "server": ("run a registry", ("flask", "flask_openapi", "sqlalchemy", "alembic", "gunicorn"), "server"),
    "report": ("draw reports", ("jinja2",), "report"),
    "trainer": ("make bases and heads", ("torch", "transformers"), "trainer"),
}


@app.callback(invoke_without_command=True)
def check(as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """Check what this installation can do; exit 1 when even a device cannot run."""
    parts = []
    for name, (purpose, modules, extra) in _PARTS.items():
        missing = [m for m in modules if importlib.util.find_spec(m) is None]
        remedy = f"pip install 'headway[{extra}]'" if missing and extra != "headway" else ""
        parts.append({"part": name, "purpose": purpose, "ready": not missing, "missing": missing, "remedy": remedy})
    machine = {
        "headway": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "swift": shutil.which("swift") is not None,
    }
    if as_json:
        print_json({"schema": 1, "machine": machine, "parts": parts})
    else:
        print_table(machine.items(), ("machine", ""))
        sys.stdout.write("\n")
        print_table(
            [(p["part"], "ready" if p["ready"] else "missing", p["purpose"], p["remedy"]) for p in parts],
            ("part", "state", "what for", "to get it"),
        )
    if not parts[0]["ready"]:
        raise typer.Exit(1)
