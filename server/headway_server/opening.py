"""Opening a registry that is there already, for commands that look after one: a slip in a path makes no new one."""

from __future__ import annotations

from headway.contract.errors import RefusedError
from headway_server.app import make_ports
from headway_server.db.engine import SqlDatabase, missing_file, reach
from headway_server.db.migrate import current, newest
from headway_server.ports import Ports
from headway_server.settings import Settings


def opened(settings: Settings) -> Ports:
    """The ports of a registry whose database is there, answers, and has the schema of this version.

    Raises:
        RefusedError: codes ``no_registry`` (kind ``not_found``), ``bad_database_url``, ``other_schema``.
        TransferError: code ``database_unreachable``.
    """
    there(settings)
    database = SqlDatabase(settings.resolved_database_url)
    reach(database.engine)
    found, wanted = current(database.engine), newest()
    if found != wanted:
        raise RefusedError(
            "other_schema",
            f"The database is {f'at revision {found}' if found else 'empty'}, this version needs {wanted}.",
            hint="Run `headway server migrate`, or the version of Headway that made this database.",
            kind="conflict",
        )
    return make_ports(settings, database=database)


def there(settings: Settings) -> None:
    """Refuse a data folder without a registry; raises ``no_registry`` as :func:`opened` does."""
    missing = missing_file(settings.resolved_database_url)
    if missing is not None:
        raise RefusedError(
            "no_registry",
            f"There is no registry in {missing.parent}.",
            hint="Check --data-dir (or HEADWAY_SERVER_DATA_DIR); `headway server run` makes a new one.",
            kind="not_found",
        )
