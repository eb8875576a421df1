"""Writing models: the old one stays until the new one is whole."""

from pathlib import Path

import pytest

from headway.coreml.writer import write_file, write_package

OLD = {"Manifest.json": b"old", "Data/model.mlmodel": b"old model"}
NEW = {"Manifest.json": b"new", "Data/model.mlmodel": b"new model", "Data/weights/w.bin": b"weights"}


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def fail_at(monkeypatch, name, call):
    """Make the *call*-th use of a Path method fail as a full disk does."""
    original, seen = getattr(Path, name), []

    def failing(self, *arguments, **options):
        seen.append(self)
        if len(seen) == call:
            raise OSError(28, "No space left on device")
        return original(self, *arguments, **options)

    monkeypatch.setattr(Path, name, failing)


def test_a_file_is_replaced_and_nothing_is_left_over(tmp_path):
    target = tmp_path / "m.mlmodel"
    write_file(target, b"one")
    write_file(target, b"two")
    assert contents(tmp_path) == {"m.mlmodel": b"two"}
    assert target.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("name", ["replace", "chmod"])
def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch, name):
    target = tmp_path / "m.mlmodel"
    target.write_bytes(b"one")
    fail_at(monkeypatch, name, 1)
    with pytest.raises(OSError, match="No space"):
        write_file(target, b"two")
    assert contents(tmp_path) == {"m.mlmodel": b"one"}


def test_a_package_is_replaced_and_nothing_is_left_over(tmp_path):
    source = tmp_path / "w.bin"
    source.write_bytes(b"weights")
    target = tmp_path / "out" / "m.mlpackage"
    target.parent.mkdir()
    write_package(target, OLD)
    write_package(target, NEW | {"Data/weights/w.bin": source})
    assert contents(target) == NEW
    assert [path.name for path in target.parent.iterdir()] == ["m.mlpackage"]


@pytest.mark.parametrize(("name", "call"), [("write_bytes", 1), ("write_bytes", 3), ("rename", 1), ("rename", 2)])
def test_a_failed_package_leaves_the_old_one(tmp_path, monkeypatch, name, call):
    target = tmp_path / "m.mlpackage"
    write_package(target, OLD)
    fail_at(monkeypatch, name, call)
    with pytest.raises(OSError, match="No space"):
        write_package(target, NEW)
    assert contents(tmp_path) == {f"m.mlpackage/{key}": value for key, value in OLD.items()}
