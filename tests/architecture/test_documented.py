"""Every public name of the three packages says what it is for."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(p for root in ("sdk", "server", "trainer") for p in (ROOT / root).rglob("*.py"))
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def public_definitions(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Definition]]:
    """Functions and classes that an importer can reach, methods included."""
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public_definitions(node.body, f"{prefix}{node.name}.")


def is_explained_elsewhere(node: Definition) -> bool:
    """An overload or an override says it where it is first defined."""
    names = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
    return bool(names & {"overload", "override", "setter"})


def test_every_module_and_public_name_is_documented() -> None:
    missing = []
    for path in FILES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        where = str(path.relative_to(ROOT))
        if tree.body and not ast.get_docstring(tree) and "migrations" not in path.parts:
            missing.append(where)
        missing += [
            f"{where}:{node.lineno} {name}"
            for name, node in public_definitions(tree.body)
            if not ast.get_docstring(node) and not is_explained_elsewhere(node) and "migrations" not in path.parts
        ]
    assert missing == []
