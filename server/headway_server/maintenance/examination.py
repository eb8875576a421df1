"""``headway server doctor``: open a registry however bad it is, repair it if asked, and look at everything."""

from __future__ import annotations

from headway.contract.errors import HeadwayError
from headway_server.app import make_ports
from headway_server.db.engine import SqlDatabase, reach
from headway_server.db.migrate import current, newest
from headway_server.maintenance.doctor import Check, diagnose
from headway_server.opening import there
from headway_server.publication.mirror import mirror_all
from headway_server.settings import Settings


def examine(
    settings: Settings, *, storage: bool = False, deep: bool = False, repair: bool = False
) -> tuple[Check, ...]:
    """All checks; with ``repair`` the public tree is first completed from the database.

    A database that is missing or does not answer is a check that failed, for a monitor reads them all the same.
    """
    try:
        there(settings)
        database = SqlDatabase(settings.resolved_database_url)
        reach(database.engine)
    except HeadwayError as error:
        return (Check("database", False, f"{error.message} {error.hint}"),)
    ports = make_ports(settings, database=database)
    schema, wanted = current(database.engine), newest()
    if repair and schema == wanted:
        mirror_all(ports, force=True)
    return diagnose(ports, schema=schema, wanted=wanted, storage=storage, deep=deep)
