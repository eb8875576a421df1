"""Where the server's settings come from, and what is said when one is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from headway.cli.main import run
from headway.contract.errors import RefusedError
from headway_server.settings import CONFIG, load


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "server.toml"
    monkeypatch.setenv(CONFIG, str(path))
    return path


def test_flag_beats_environment_beats_file_beats_default(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text(
        'port = 1000\nthreads = 3\nstorage = "s3"\nwebhook_private_networks = true\ndata_dir = "/srv/x"\n'
    )
    monkeypatch.setenv("HEADWAY_SERVER_PORT", "2000")
    settings = load(threads=5)
    assert (settings.port, settings.threads, settings.storage, settings.workers) == (2000, 5, "s3", 1)
    assert settings.webhook_private_networks
    assert settings.data_dir == Path("/srv/x")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("prot = 1", "unknown name 'prot'"),
        ("port = ", "cannot be read as TOML"),
        ("port = 99999", "The setting port is wrong"),
        ("[database]\nurl = 1", "unknown name 'database'"),
        ('s3_secret_access_key = ["swordfish"]', "The setting s3_secret_access_key is wrong"),
    ],
)
def test_a_slip_is_told(config: Path, text: str, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(text)
    with pytest.raises(RefusedError, match=why):
        load()
    assert run(["server", "gc"]) == 1
    error = capsys.readouterr().err
    assert "Error [malformed_settings]" in error
    assert "swordfish" not in error


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("HEADWAY_SERVER_DATADIR", "Did you mean HEADWAY_SERVER_DATA_DIR?"),
        ("HEADWAY_SERVER_REQUIRE_PROVENENCE", "Did you mean HEADWAY_SERVER_REQUIRE_PROVENANCE?"),
        ("HEADWAY_SERVER_", "deployment page"),
    ],
)
def test_a_variable_that_nothing_reads(
    name: str, near: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A slip in a name would otherwise leave the default in force, without a word."""
    monkeypatch.setenv(name, "swordfish")
    assert run(["server", "migrate", "--data-dir", str(tmp_path / "data")]) == 1
    error = capsys.readouterr().err
    assert f"The environment variable {name} is set, and nothing reads it." in error
    assert near in error
    assert "swordfish" not in error
    assert not (tmp_path / "data").exists()


def test_a_slip_in_the_file_is_told_with_the_nearest_name(config: Path) -> None:
    config.write_text("webhook_evry_s = 1")
    with pytest.raises(RefusedError) as caught:
        load()
    assert "Did you mean webhook_every_s?" in caught.value.hint


def test_a_file_that_is_not_there(config: Path) -> None:
    with pytest.raises(RefusedError, match=r"which HEADWAY_SERVER_CONFIG names, cannot be read \(No such file"):
        load()


def test_a_database_address_that_is_none(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text('database_url = "swordfish"')
    assert run(["server", "tick", "--data-dir", str(tmp_path / "data")]) == 1
    told = capsys.readouterr().err
    assert "Error [bad_database_url]" in told
    assert "swordfish" not in told


def test_a_database_that_does_not_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "headway.db").write_text("This is no database. " * 100)
    assert run(["server", "tick", "--data-dir", str(tmp_path)]) == 7
    assert "Error [database_unreachable]: The database cannot be used (file is not" in capsys.readouterr().err
