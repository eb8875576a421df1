"""Settings of the command line: flags > ``HEADWAY_*`` > ``./headway.toml`` > the user's file.

Each value knows where it came from, so that ``headway env`` can say it. The token is never shown.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from headway.contract.errors import RefusedError

PROJECT_FILE = "headway.toml"


@dataclass(frozen=True, slots=True)
class Setting:
    """One effective value and its source (``flag``, an environment variable, a file, or ``default``)."""

    value: str
    source: str


@dataclass(frozen=True, slots=True)
class Settings:
    """What commands need to reach a registry.

    ``url`` is the registry's address; ``token`` a publisher token; ``app`` the app's name; ``channel`` the channel
    that ``offer`` and ``recall`` act on; ``keys`` the folder with the publisher's signing keys.
    """

    url: Setting
    token: Setting
    app: Setting
    channel: Setting
    keys: Setting

    def need(self, name: str) -> str:
        """The value of ``name``.

        Raises:
            RefusedError: code ``missing_setting``; the sentence says all ways to give it.
        """
        setting: Setting = getattr(self, name)
        if setting.value:
            return setting.value
        raise RefusedError(
            "missing_setting",
            f"The {name} is not set.",
            hint=f'Give --{name}, set HEADWAY_{name.upper()}, or write {name} = "…" in ./{PROJECT_FILE}.',
            setting=name,
        )


_DEFAULTS = {"url": "http://127.0.0.1:8080", "token": "", "app": "", "channel": "stable", "keys": "keys"}


def user_file(environ: Mapping[str, str]) -> Path:
    """The user's own file, by the XDG rule."""
    root = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME", "~")).expanduser() / ".config")
    return Path(root) / "headway" / "config.toml"


def load(
    flags: Mapping[str, str | None] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Settings:
    """The effective settings.

    Raises:
        RefusedError: code ``malformed_settings``; a file is not TOML or holds a name that nothing reads.
    """
    environ = os.environ if environ is None else environ
    project = (Path.cwd() if folder is None else folder) / PROJECT_FILE
    files = [(path, _read(path)) for path in (project, user_file(environ))]
    return Settings(
        **{name: _effective(name, default, flags or {}, environ, files) for name, default in _DEFAULTS.items()}
    )


def _effective(
    name: str,
    default: str,
    flags: Mapping[str, str | None],
    environ: Mapping[str, str],
    files: list[tuple[Path, dict[str, str]]],
) -> Setting:
    flag = flags.get(name)
    if flag is not None:
        return Setting(flag, "flag")
    variable = f"HEADWAY_{name.upper()}"
    if environ.get(variable):
        return Setting(environ[variable], variable)
    for path, values in files:
        if name in values:
            return Setting(values[name], str(path))
    return Setting(default, "default")


def _read(path: Path) -> dict[str, str]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _refuse(path, f"cannot be read as TOML ({error})") from error
    known = {field.name for field in fields(Settings)}
    for name, value in values.items():
        if name not in known:
            raise _refuse(path, f"has the unknown name {name!r}")
        if not isinstance(value, str):
            raise _refuse(path, f"must give {name} as a string")
    return values


def _refuse(path: Path, why: str) -> RefusedError:
    return RefusedError(
        "malformed_settings",
        f"The settings file {path} {why}.",
        hint=f"Known names are {', '.join(_DEFAULTS)}; each is a string.",
    )
