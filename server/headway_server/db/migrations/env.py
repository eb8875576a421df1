"""Alembic's entry point; it runs on the connection that :mod:`headway_server.db.migrate` gives."""

from alembic import context

from headway_server.db.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=False)
context.run_migrations()
