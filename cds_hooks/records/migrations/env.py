"""Run by alembic inside a connection that `cds_hooks.records.store` hands over."""

from alembic import context

from cds_hooks.records.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
