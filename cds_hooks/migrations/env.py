"""Run by alembic inside a connection that `cds_hooks.records` hands over."""

from alembic import context

from cds_hooks.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
