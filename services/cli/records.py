"""`cobalamin migrate`, `purge` and `audit`: schema, retention and audit of the records."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import rich_click as click
from rich.console import Console

from cds_hooks.config.loader import find_configuration_file
from cds_hooks.config.tenants import Tenant
from cds_hooks.records.audit_verification import verify_chain
from cds_hooks.records.database import RecordsUnavailableError, get_sqlite_file, make_engine
from cds_hooks.records.keyring import read_keyring
from cds_hooks.records.migrations import UnknownRevisionError
from cds_hooks.records.queries import read_comments, read_records
from cds_hooks.records.retention import PurgeCounts, plan_purge, purge_records
from cds_hooks.records.store import Records
from cds_hooks.records.transactions import migrate_to
from cds_hooks.web.maintenance import open_records
from mappings.knowledge_file import get_canonical
from services.cli.common import ERRORS, config_option, exit_on_errors
from services.exports.audit_events import build_audit_event
from services.knowledge.configuration import load_settings

DAY = click.DateTime(["%Y-%m-%d"])
OUT = Console(soft_wrap=True, highlight=False, markup=False)
tenant_option = click.option("--tenant", "name", help="One tenant alone (default: all).")
since_option = click.option("--since", type=DAY, help="From this day on (UTC).")
until_option = click.option("--until", type=DAY, help="Until before this day (UTC).")


@contextmanager
def _exit_on_record_errors() -> Iterator[None]:
    """Faults of configuration, keys and database on standard error, and exit 1."""
    try:
        with exit_on_errors():
            yield
    except RecordsUnavailableError as fault:
        ERRORS.print(f"records: {fault}", style="red", markup=False, soft_wrap=True)
        raise SystemExit(1) from None


@contextmanager
def _open_records(config: Path | None, name: str | None) -> Iterator[tuple[Records, list[Tenant]]]:
    """The records, and the tenants that are meant."""
    with _exit_on_record_errors():
        settings = load_settings(find_configuration_file(config))
        tenants = [settings.find_tenant(name)] if name else list(settings.tenants)
        records = open_records(settings)
        try:
            yield records, tenants
        finally:
            records.close()


@click.command("migrate")
@config_option
@click.option("--to", "target", default="head", help="Revision to go to (default: the newest).")
def migrate_(config: Path | None, target: str) -> None:
    """Bring the database's schema to the newest version, or back to an older one.

    `serve` does the former by itself when it starts. Going back loses what only the newer schema
    can hold: make a backup first.
    """
    with _exit_on_record_errors():
        settings = load_settings(find_configuration_file(config))
        url = settings.records_url
        # A new database gets its key first, as when `serve` makes it.
        read_keyring(
            get_sqlite_file(url), settings.records_key_file, settings.records_old_key_files
        )
        engine = make_engine(url)
        try:
            before, after = migrate_to(target, engine)
        except UnknownRevisionError as fault:
            raise click.BadParameter(str(fault), param_hint="--to") from None
        finally:
            engine.dispose()
    OUT.print(f"schema {before or 'base'} -> {after or 'base'}")


@click.command("purge")
@config_option
@tenant_option
@click.option(
    "--older-than",
    "days",
    type=click.IntRange(1, 36500),
    metavar="DAYS",
    help="Instead of the tenant's retention_days.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
def purge_(config: Path | None, name: str | None, days: int | None, *, dry_run: bool) -> None:
    """Remove records that are older than a tenant keeps them.

    The audit's chain says that they were removed, so that it still verifies.
    """
    now = datetime.now(UTC)
    with _open_records(config, name) as (records, tenants):
        for tenant in tenants:
            cutoff = now - timedelta(days=days or tenant.retention_days)
            counts = (
                plan_purge(records, tenant.id, cutoff)
                if dry_run
                else purge_records(records, tenant.id, cutoff, now)
            )
            OUT.print(
                f"{tenant.id}: {_describe_removal(counts, dry_run=dry_run)} "
                f"from before {cutoff:%Y-%m-%d}"
            )


def _describe_removal(counts: PurgeCounts, *, dry_run: bool) -> str:
    verb = "would remove" if dry_run else "removed"
    return (
        f"{verb} {counts.decisions} decisions, {counts.feedback} answers, {counts.audit} audit rows"
    )


@click.group("audit")
def audit_() -> None:
    """Verify what was kept, and hand it on."""


@audit_.command("verify")
@config_option
@tenant_option
@click.option("--head", help="A row that has to be there still, as an earlier run printed it.")
def verify_(config: Path | None, name: str | None, head: str | None) -> None:
    """Read each tenant's chain and every record that it binds.

    Exit status 1 where a record was changed, removed or put in beside the service. Keep the head
    that is printed elsewhere: only with it a chain that was cut off at its end is seen.
    """
    if head and name is None:
        raise click.UsageError("--head belongs to one tenant: name it with --tenant")
    is_whole = True
    with _open_records(config, name) as (records, tenants):
        for tenant in tenants:
            result = verify_chain(records, tenant.id, head)
            OUT.print(f"{tenant.id}: {result.entries} rows, head {result.head or 'none'}")
            for fault in result.faults:
                OUT.print(f"  {fault}", style="red")
            is_whole = is_whole and not result.faults
    OUT.print("whole" if is_whole else "NOT whole", style="green" if is_whole else "red")
    raise SystemExit(0 if is_whole else 1)


@audit_.command("export")
@config_option
@tenant_option
@since_option
@until_option
def export_(
    config: Path | None, name: str | None, since: datetime | None, until: datetime | None
) -> None:
    """Write what was kept as FHIR R4 AuditEvents, one JSON document a line.

    Patients stand in them as keyed hashes, as in the records.
    """

    def events(records: Records, tenant: Tenant) -> Iterator[dict[str, Any]]:
        base = get_canonical(tenant.service_tables)
        exported = read_records(records, tenant.id, _make_utc(since), _make_utc(until))
        return (build_audit_event(record, base) for record in exported)

    _write_lines(config, name, events)


@audit_.command("comments")
@config_option
@tenant_option
@since_option
@until_option
def comments_(
    config: Path | None, name: str | None, since: datetime | None, until: datetime | None
) -> None:
    """Write what clinicians typed when they overrode cards, one JSON document a line.

    There is something to write for tenants with `comments = "encrypt"` alone, and it may speak of
    patients: send it nowhere that may not know them.
    """

    def comments(records: Records, tenant: Tenant) -> Iterator[dict[str, Any]]:
        return read_comments(records, tenant.id, _make_utc(since), _make_utc(until))

    _write_lines(config, name, comments)


def _write_lines(
    config: Path | None,
    name: str | None,
    documents: Callable[[Records, Tenant], Iterator[dict[str, Any]]],
) -> None:
    out = sys.stdout.buffer
    with _open_records(config, name) as (records, tenants):
        for tenant in tenants:
            for document in documents(records, tenant):
                out.write(orjson.dumps(document) + b"\n")
    out.flush()


def _make_utc(day: datetime | None) -> datetime | None:
    return day.replace(tzinfo=UTC) if day else None
