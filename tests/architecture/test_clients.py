"""Third-party clients live in named modules: a library that spreads can never be replaced."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = {"headway", "headway_server", "headway_trainer"}
TYPING_ONLY = {"_typeshed"}
# Where each outside library may be imported, lazily or not. What is not listed may be imported nowhere.
HOMES: dict[str, tuple[str, ...]] = {
    "cryptography": ("headway.trust", "headway.contract", "headway_server.signing", "headway_server.app"),
    "tuf": ("headway.trust", "headway_server.signing"),
    "securesystemslib": ("headway.trust", "headway_server.signing"),
    "httpx2": ("headway.device.fetcher", "headway.publisher", "headway.fleet", "headway.cli", "headway.testing"),
    "stamina": ("headway.publisher.http",),
    "typer": ("headway.cli", "headway_trainer.cli"),
    "click": ("headway.cli", "headway_trainer.cli"),
    "rich": ("headway.cli",),
    "numpy": (
        "headway.coreml",
        "headway.device",
        "headway.publisher",
        "headway.fleet",
        "headway.cli",
        "headway_trainer",
    ),
    "safetensors": ("headway.coreml", "headway_trainer"),
    "coremltools": ("headway.coreml", "headway_trainer.export"),
    "google": ("headway.coreml",),
    "onnx": ("headway.coreml",),
    "numba": ("headway.coreml.fleet",),
    "llvmlite": ("headway.coreml.fleet",),
    # The trainer only subtracts its libraries from the memory that it measures.
    "onnxruntime": ("headway.coreml", "headway_trainer.measure"),
    "jinja2": ("headway.fleet.report", "headway_server.console", "headway_server.app", "headway_trainer.report"),
    "markupsafe": ("headway.fleet.report", "headway_server.console", "headway_trainer.report"),
    "altair": ("headway.fleet.report",),
    "vl_convert": ("headway.fleet.report",),
    "flask": ("headway_server.api", "headway_server.console", "headway_server.app"),
    "werkzeug": ("headway_server.api", "headway_server.console", "headway_server.app"),
    "flask_openapi": ("headway_server.api", "headway_server.app"),
    "flask_openapi3": ("headway_server.api", "headway_server.app"),
    "pydantic": ("headway_server.api", "headway_server.settings"),
    "pydantic_settings": ("headway_server.settings",),
    "sqlalchemy": ("headway_server.db", "headway_server.app"),
    "alembic": ("headway_server.db",),
    "boto3": ("headway_server.storage.s3", "headway_server.storage.s3_staging"),
    "botocore": ("headway_server.storage.s3", "headway_server.storage.s3_staging"),
    "structlog": ("headway_server",),
    "prometheus_client": ("headway_server",),
    "gunicorn": ("headway_server.service", "headway_server.front"),
    "torch": ("headway_trainer",),
    "transformers": ("headway_trainer",),
    "scipy": ("headway_trainer",),
    "sklearn": ("headway_trainer",),
    "pytest": ("headway.testing",),
}
PACKAGES = [path for root in ("sdk", "server", "trainer") for path in (ROOT / root).iterdir() if path.name in OURS]


def module_of(path: Path) -> str:
    relative = path.relative_to(next(package.parent for package in PACKAGES if package in path.parents))
    return ".".join(relative.with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module.partition(".")[0]


def is_home(module: str, home: str) -> bool:
    return module == home or module.startswith(home + ".")


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_clients_stay_in_their_modules(package: Path) -> None:
    strays = {
        f"{module} imports {name}"
        for path in package.rglob("*.py")
        if (module := module_of(path))
        for name in imported(path)
        if name not in OURS | TYPING_ONLY and name not in sys.stdlib_module_names
        if not any(is_home(module, home) for home in HOMES.get(name, ()))
    }
    assert strays == set()
