"""All settings of the server, read in this one place: from the environment (``HEADWAY_SERVER_*``) and from a file.

The file is TOML with the names below, where ``HEADWAY_SERVER_CONFIG`` says; the environment wins over it, and flags of
the command line over both. A name that nothing reads is refused, so that a slip is not ignored. Units stand in the
names: ``_s`` seconds, ``_bytes`` bytes. Nothing else in the server reads the environment.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from headway.contract.errors import RefusedError

_PREFIX = "HEADWAY_SERVER_"
CONFIG = f"{_PREFIX}CONFIG"
"""The variable that names the file."""


class Settings(BaseSettings):
    """Settings with their defaults: SQLite and a folder below ``data_dir``, bound to loopback."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="ignore")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given in code, then the environment, then the file."""
        path = os.environ.get(CONFIG)
        file = () if not path else (InitSettingsSource(settings_cls, _read(Path(path), set(cls.model_fields))),)
        return (init_settings, env_settings, *file)

    data_dir: Path = Path("headway-data")
    """Database, signing keys, work files and the public tree, where no other place is set."""
    database_url: str = ""
    """SQLAlchemy URL; empty: ``headway.db`` in ``data_dir``. PostgreSQL: ``postgresql+psycopg://…``."""
    environment: str = Field(default="live", pattern=r"^[a-z0-9]{1,16}$")
    """Stands in every token (``hw_<environment>_…``), so that a test token is refused in production."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    threads: int = Field(default=8, ge=1, le=256)
    workers: int = Field(default=1, ge=1, le=64)
    client_pause_s: float = Field(default=20.0, gt=0, le=600)
    """The longest pause while a client sends a request or takes its answer; one that is longer ends it (408)."""
    client_bytes_per_s: float = Field(default=16_384.0, gt=0)
    """How fast a request's body must come on the whole, after the first ``client_pause_s``."""
    trusted_proxies: int = Field(default=0, ge=0, le=8)
    """How many reverse proxies stand in front; their ``X-Forwarded-For`` entries are believed, no others."""

    storage: Literal["filesystem", "s3"] = "filesystem"
    s3_bucket: str = ""
    s3_prefix: str = ""
    s3_endpoint_url: str = ""
    s3_region: str = "us-east-1"
    s3_access_key_id: str = ""
    s3_secret_access_key: SecretStr = SecretStr("")
    s3_presigned_uploads: bool = True
    """Let publishers send the parts of large files straight to the bucket, by addresses that are signed for an hour."""
    s3_public_endpoint_url: str = ""
    """Under which address publishers reach the bucket, if another one than the registry does."""

    json_max_bytes: int = Field(default=256 * 1024, ge=1024)
    role_max_bytes: int = Field(default=1024 * 1024, ge=1024)
    artifact_max_bytes: int = Field(default=2 * 2**30, ge=1024)
    upload_part_bytes: int = Field(default=16 * 2**20, ge=1024)
    """Size of a part of a large upload; S3 asks for at least 5 MiB."""
    upload_expires_s: int = Field(default=86_400, ge=60)
    """A large upload that nobody continued for so long is removed."""
    uploads_max_bytes: int = Field(default=8 * 2**30, ge=1024)
    """How many bytes the large uploads of one app that are under way may announce together."""
    require_provenance: bool = False
    """Refuse releases that come without a signed statement of where they come from."""
    outcomes_max_bytes: int = Field(default=1024 * 1024, ge=1024)
    """Size of one batch of outcomes after decompression."""
    outcomes_max_events: int = Field(default=500, ge=1, le=10_000)
    outcomes_per_s: float = Field(default=50.0, gt=0)
    """Outcome requests per second and source address, in the long run."""
    outcomes_burst: int = Field(default=1000, ge=1)
    """Outcome requests that one source may send at once after being quiet."""
    outcomes_keep_days: int = Field(default=90, ge=1, le=3650)
    """How long ``headway server gc`` keeps outcomes one by one; their counters stay for good."""

    poll_after_s: int = Field(default=3600, ge=1, le=30 * 86_400)
    """How often devices of a new channel poll."""
    resign_after_s: int = Field(default=86_400, ge=1)
    """``headway server tick`` signs the timestamp anew when it is older than this."""

    api_per_s: float = Field(default=100.0, gt=0)
    """Publisher API requests per second and token, in the long run, over all workers together."""
    api_burst: int = Field(default=2000, ge=1)
    """Publisher API requests that one token may send at once after being quiet."""
    login_failures_per_s: float = Field(default=0.2, gt=0)
    """Requests with a wrong token per second and source address, in the long run, over all workers together."""
    login_failures_burst: int = Field(default=50, ge=1)
    """Requests with a wrong token that one source may send at once; further ones are answered with 429."""

    webhook_every_s: float = Field(default=5.0, ge=0)
    """How often a serving process looks for webhook messages to send; 0: only ``headway server tick`` sends."""
    webhook_timeout_s: float = Field(default=10.0, gt=0, le=120)
    """Time for one attempt as a whole, from looking up the address to the end of the answer."""
    webhook_attempts: int = Field(default=10, ge=1, le=50)
    """Attempts before a message is dead; with the default waits the last one is 9 to 18 hours after the first."""
    webhook_first_wait_s: int = Field(default=20, ge=1)
    """Wait before the second attempt; each further wait is three times as long, up to ``webhook_most_wait_s``."""
    webhook_most_wait_s: int = Field(default=6 * 3600, ge=1)
    webhook_keep_s: int = Field(default=30 * 86_400, ge=60)
    """How long delivered and dead messages stay in the list."""
    webhook_private_networks: bool = False
    """Let webhooks reach loopback and private addresses, and use plain HTTP. Off, or any admin token reaches inside."""

    validation_timeout_s: float = Field(default=120.0, gt=0)
    """Wall-clock limit of one validation or proof of an uploaded model."""
    validation_max_bytes: int = Field(default=4 * 2**30, ge=256 * 2**20)
    """Address-space limit of the process that reads an uploaded model."""
    log_json: bool = True

    @property
    def resolved_database_url(self) -> str:
        """The database's URL."""
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'headway.db'}"

    @property
    def public_dir(self) -> Path:
        """The static tree that any web server can serve: ``apps/<app>/{metadata,targets,artifacts}``."""
        return self.data_dir / "public"

    @property
    def keys_dir(self) -> Path:
        """Private keys of the online roles, one file each, mode 0600."""
        return self.data_dir / "keys"

    @property
    def work_dir(self) -> Path:
        """Scratch space: models being proven, uploads to S3 on their way."""
        return self.data_dir / "work"


def load(**given: Any) -> Settings:
    """The effective settings, with these on top.

    Raises:
        RefusedError: code ``malformed_settings``; the sentence names the setting but never repeats its value.
    """
    _check_names(os.environ)
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise _refuse(f"The setting {name} is wrong: {first['msg'].lower()}.") from error


def _check_names(environ: Iterable[str]) -> None:
    known = {CONFIG, *(_PREFIX + name.upper() for name in Settings.model_fields)}
    for name in sorted(name for name in environ if name.upper().startswith(_PREFIX)):
        if name.upper() not in known:
            near = get_close_matches(name.upper(), known, n=1)
            meant = f"Did you mean {near[0]}? " if near else ""
            raise _refuse(f"The environment variable {name} is set, and nothing reads it.", meant)


def _read(path: Path, known: set[str]) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _refuse(f"The settings file {path}, which {CONFIG} names, cannot be read ({error.strerror}).") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        # Its own words, less what they may quote of the file: a value can be a secret.
        where = re.search(r"\(at .*\)$", str(error))
        raise _refuse(f"The settings file {path} cannot be read as TOML{' ' + where[0] if where else ''}.") from error
    unknown = sorted(set(values) - known)
    if unknown:
        near = get_close_matches(unknown[0], known, n=1)
        meant = f"Did you mean {near[0]}? " if near else ""
        raise _refuse(f"The settings file {path} has the unknown name {unknown[0]!r}.", meant)
    return values


def _refuse(why: str, meant: str = "") -> RefusedError:
    hint = f"{meant}See the deployment page for the settings of a server."
    return RefusedError("malformed_settings", why, hint=hint)
