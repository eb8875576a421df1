"""The metadata store against kills and full disks: the old bytes or the new ones, and a client that heals."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headway.contract.errors import DeviceStoreError
from headway.trust.client import TrustedClient
from headway.trust.simulator import RepositorySimulator
from headway.trust.storage import FolderStorage, MemoryStorage

from .parts import APP, BASE_ID, NOW, head, manifest


class Killed(BaseException):
    """The process ends here."""


class KillAt:
    """Ends the process at the n-th primitive that changes the disk, before or after it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, count: int, after: bool) -> None:
        self.left, self.after = count, after
        fsync, replace, opened = os.fsync, Path.replace, Path.open
        monkeypatch.setattr(os, "fsync", lambda handle: self.around(lambda: fsync(handle)))
        monkeypatch.setattr(Path, "replace", lambda path, to: self.around(lambda: replace(path, to)))

        def open_(path, mode="r", *args, **kwargs):
            if mode == "wb":
                return self.around(lambda: opened(path, mode, *args, **kwargs))
            return opened(path, mode, *args, **kwargs)

        monkeypatch.setattr(Path, "open", open_)

    def around(self, act):
        self.left -= 1
        if self.left == 0 and not self.after:
            raise Killed
        result = act()
        if self.left == 0:
            raise Killed
        return result


def client_of(repo: RepositorySimulator, folder: Path) -> TrustedClient:
    return TrustedClient(folder, repo.metadata_url, repo.targets_url, repo.root_bytes, repo, lambda: NOW)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_any_step_every_file_is_whole_and_the_next_run_completes(tmp_path, monkeypatch, after):
    """A refresh from an old state to a new one, cut at each primitive in turn."""
    repo = RepositorySimulator(APP, (BASE_ID,), now=lambda: NOW)
    old = tmp_path / "old"
    client_of(repo, old).heads(BASE_ID)
    repo.put_head(head(1), manifest(1))
    repo.rotate_online_keys("second")
    repo.publish()
    known = set(repo.files.values()) | {path.read_bytes() for path in old.rglob("*.json")}
    steps = 0
    for count in range(1, 200):
        folder = tmp_path / f"kill-{count}"
        copy(old, folder)
        with monkeypatch.context() as patch:
            KillAt(patch, count, after)
            try:
                client_of(repo, folder).heads(BASE_ID)
            except Killed:
                steps += 1
            else:
                break
        for path in folder.rglob("*.json"):
            assert path.read_bytes() in known
        assert [h.target.release for h in client_of(repo, folder).heads(BASE_ID)] == [1]
        assert (folder / "root.json").read_bytes() == repo.root
    assert steps > 20


def copy(source: Path, target: Path) -> None:
    for path in source.rglob("*"):
        if path.is_file():
            (target / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            (target / path.relative_to(source)).write_bytes(path.read_bytes())


def test_full_disk_is_a_store_error_and_keeps_the_old_bytes(tmp_path, monkeypatch):
    storage = FolderStorage(tmp_path)
    storage.write_atomic("a.json", b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DeviceStoreError) as caught:
        storage.write_atomic("a.json", b"new")
    assert caught.value.code == "metadata_store"
    assert storage.read("a.json") == b"old"


def test_full_disk_during_a_refresh_leaves_the_device_where_it_was():
    repo = RepositorySimulator(APP, (BASE_ID,), now=lambda: NOW)

    class Full(MemoryStorage):
        room = True

        def write_atomic(self, name: str, data: bytes) -> None:
            if not self.room:
                raise DeviceStoreError("metadata_store", "No space left.", hint="Free some.")
            super().write_atomic(name, data)

    storage = Full()
    root = repo.root_bytes

    def client() -> TrustedClient:
        return TrustedClient(None, repo.metadata_url, repo.targets_url, root, repo, lambda: NOW, storage=storage)

    client().refresh()
    before = dict(storage.files)
    repo.put_head(head(1), manifest(1))
    repo.publish()
    storage.room = False
    with pytest.raises(DeviceStoreError):
        client().refresh()
    assert storage.files == before
    storage.room = True
    assert len(client().heads(BASE_ID)) == 1


@pytest.mark.parametrize("storage", [MemoryStorage(), None], ids=["memory", "folder"])
def test_storages_agree(storage, tmp_path):
    storage = storage or FolderStorage(tmp_path)
    assert storage.read("x/y.json") is None
    storage.write_atomic("x/y.json", b"1")
    storage.write_atomic("x/y.json", b"2")
    assert storage.read("x/y.json") == b"2"
    storage.remove("x/y.json")
    storage.remove("x/y.json")
    assert storage.read("x/y.json") is None


def test_stray_temp_file_is_never_read(tmp_path):
    storage = FolderStorage(tmp_path)
    (tmp_path / "a.json.tmp").write_bytes(b"half")
    assert storage.read("a.json") is None
    storage.write_atomic("a.json", b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_unreadable_folder_is_a_store_error(tmp_path):
    (tmp_path / "a.json").mkdir()
    with pytest.raises(DeviceStoreError):
        FolderStorage(tmp_path).read("a.json")
