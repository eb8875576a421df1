"""The registry's memory in SQL: SQLite by default, PostgreSQL by URL. The only package that knows SQLAlchemy."""
