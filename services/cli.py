"""The command `cobalamin`."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson
import rich_click as click
from rich.console import Console
from rich.progress import Progress

from cds_hooks.key_sets import key_set_of
from cds_hooks.records import RecordsUnavailable
from cds_hooks.settings import (
    VARIABLE,
    ConfigurationFault,
    Settings,
    configuration_file,
    load_settings,
    refuse_exposed,
)
from cds_hooks.tenants import Tenant
from cds_hooks.upkeep import open_records
from mappings.export import artefacts, validate
from mappings.fault import KnowledgeFault
from services.card_maker import CardMaker
from services.catalog import CANONICAL, attention_of, knowledge_of
from services.documents import UnusableDocument, assessment_of
from services.knowledge import Known
from services.show import show_cards, show_configuration, without_password

ERRORS = Console(stderr=True)
MANY_FILES = 20  # a progress bar from here on

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"Configuration file (TOML); by default the one that {VARIABLE} names, else none.",
)


tenant_option = click.option(
    "--tenant", "tenant_name", help="By whose settings (default: the first tenant's)."
)


@click.group()
@click.version_option(package_name="cobalamin-cds")
def main() -> None:
    """Decision support for vitamin B12 deficiency and muscle loss over CDS Hooks."""


@contextmanager
def _faults_told() -> Iterator[None]:
    """Every fault of configuration and knowledge on standard error, and exit 1."""
    try:
        yield
    except (ConfigurationFault, KnowledgeFault) as fault:
        for line in str(fault).splitlines():
            ERRORS.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
        raise SystemExit(1) from None


def _load_all(config: Path | None) -> tuple[Settings, dict[str, Known]]:
    """Settings, and the knowledge of each tenant."""
    with _faults_told():
        settings = load_settings(configuration_file(config))
        for tenant in settings.tenants:
            if tenant.trust is not None:
                key_set_of(tenant, tenant.trust, lambda _reason: None)
        return settings, knowledge_of(settings.tenants)


def _load(
    config: Path | None,
    tenant_name: str | None,
    guideline: str | None = None,
    definition: str | None = None,
) -> tuple[Settings, Tenant, Known]:
    """Settings, one tenant of them, and its knowledge."""
    with _faults_told():
        settings = load_settings(configuration_file(config))
        tenant = settings.tenant(tenant_name)
        clinical = dict(tenant.clinical)
        if guideline:
            clinical["b12"] = {**clinical.get("b12", {}), "guideline": guideline}
        if definition:
            chosen = clinical.get("sarcopenia", {})
            clinical["sarcopenia"] = {**chosen, "definition": definition}
        tenant = replace(tenant, clinical=clinical)
        return settings, tenant, knowledge_of([tenant])[tenant.id]


@main.command()
@config_option
@click.option("--host", help="Address to listen on (default: this machine only).")
@click.option("--port", type=click.IntRange(1, 65535), help="Port (default 8000).")
@click.option("--workers", type=click.IntRange(1, 64), help="Worker processes (default 2).")
def serve(config: Path | None, host: str | None, port: int | None, workers: int | None) -> None:
    """Run the service under its production server, until interrupted."""
    from services.server import run  # noqa: PLC0415  # the server is not needed by the others

    file = configuration_file(config)
    settings, known = _load_all(file)
    settings = settings.listening_on(host, port, workers)
    refused = refuse_exposed(settings)
    if refused:
        ERRORS.print(refused, style="red", markup=False)
        raise SystemExit(1)
    if file is not None:
        os.environ[VARIABLE] = str(file.resolve())
    ERRORS.print(f"Cobalamin on http://{settings.host}:{settings.port}/cds-services", markup=False)
    for tenant in settings.tenants:
        labels = known[tenant.id].labels
        who = "callers on this machine" if tenant.is_open else tenant.id
        ERRORS.print(f"{who}: {labels['b12']} and {labels['sarcopenia']}", markup=False)
    if settings.is_open:
        ERRORS.print("No tenant is configured: open to callers on this machine, and to them only")
    ERRORS.print(f"Records: {without_password(settings.records_url)}", soft_wrap=True)
    try:
        open_records(settings).close()
    except (RecordsUnavailable, ConfigurationFault) as fault:
        ERRORS.print(f"records: {fault}", style="red", markup=False, soft_wrap=True)
        raise SystemExit(1) from None
    run(settings)


@main.command("try")
@config_option
@tenant_option
@click.option("--json", "as_text", is_flag=True, help="Print the answer as JSON.")
@click.option("--sample", default="neuropathy", help="Name of the sample patient.")
def try_(config: Path | None, tenant_name: str | None, *, as_text: bool, sample: str) -> None:
    """Show the cards of a bundled sample patient."""
    settings, tenant, known = _load(config, tenant_name)
    source = files("services") / "samples" / f"{sample}.json"
    if not source.is_file():
        names = sorted(p.name[:-5] for p in (files("services") / "samples").iterdir())
        ERRORS.print(f"no sample {sample}; there are: {', '.join(names)}", style="red")
        raise SystemExit(2)
    document = orjson.loads(source.read_bytes())
    maker = CardMaker.at_start(known, settings.base_url, CANONICAL)
    attention = attention_of(tenant.clinical.get("attention"), known)
    today = date.fromisoformat(document.pop("sampleDay"))
    result = assessment_of(document, maker, today, attention)
    if as_text:
        click.echo(orjson.dumps({"cards": result["cards"]}, option=orjson.OPT_INDENT_2))
    else:
        show_cards(Console(), sample, result)


@main.command()
@config_option
@tenant_option
@click.option("--b12-guideline", help="Guideline to assess B12 by, e.g. us-aafp2025.")
@click.option(
    "--sarcopenia-definition",
    help="Definition to judge muscle by: ewgsop2-2019, awgs-2019, sdoc-2020, fnih-2014.",
)
@click.option(
    "--as-of", type=click.DateTime(["%Y-%m-%d"]), help="The day to assess on (default: today)."
)
@click.argument("paths", nargs=-1, metavar="[FILE]...")
def assess(
    config: Path | None,
    tenant_name: str | None,
    b12_guideline: str | None,
    sarcopenia_definition: str | None,
    as_of: datetime | None,
    paths: tuple[str, ...],
) -> None:
    """Assess FHIR Bundles or CDS Hooks requests, one line of JSON each.

    A FILE holds one JSON document, or one on each line; `-` or none is standard input. Exit status
    2 where a document could not be used; the others are still assessed.
    """
    settings, tenant, known = _load(config, tenant_name, b12_guideline, sarcopenia_definition)
    maker = CardMaker.at_start(known, settings.base_url, CANONICAL)
    attention = attention_of(tenant.clinical.get("attention"), known)
    today = as_of.date() if as_of else datetime.now(UTC).date()
    out = sys.stdout.buffer
    unusable = 0
    for name, document in _documents(paths or ("-",)):
        try:
            if isinstance(document, UnusableDocument):
                raise document
            out.write(orjson.dumps(assessment_of(document, maker, today, attention)) + b"\n")
        except UnusableDocument as fault:
            unusable += 1
            click.echo(f"{name}: {fault}", err=True)
    out.flush()
    raise SystemExit(2 if unusable else 0)


def _documents(paths: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """(where, document or why there is none) of every document in the files."""
    with Progress(console=ERRORS, transient=True, disable=len(paths) < MANY_FILES) as progress:
        for path in progress.track(paths, description="assessing"):
            name = "standard input" if path == "-" else path
            try:
                data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
            except OSError as fault:
                yield name, UnusableDocument(fault.strerror or "unreadable")
                continue
            yield from _parsed(name, data)


def _parsed(name: str, data: bytes) -> Iterator[tuple[str, Any]]:
    try:
        yield name, orjson.loads(data)
    except orjson.JSONDecodeError as fault:
        lines = [line for line in data.splitlines() if line.strip()]
        if len(lines) < 2 or not _is_json(lines[0]):
            yield name, UnusableDocument(f"not JSON at line {fault.lineno}, column {fault.colno}")
            return
        for number, line in enumerate(data.splitlines(), start=1):
            if line.strip():
                try:
                    yield f"{name}:{number}", orjson.loads(line)
                except orjson.JSONDecodeError as inner:
                    yield f"{name}:{number}", UnusableDocument(f"not JSON at column {inner.colno}")


def _is_json(line: bytes) -> bool:
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True


@main.command("check-config")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
def check_config(file: Path | None) -> None:
    """Read everything that a start would read, and say what is in force.

    Exit status 1 with every fault found: file, key and reason.
    """
    settings, known = _load_all(file)
    show_configuration(Console(soft_wrap=True), settings, known)


@main.command("export-knowledge")
@config_option
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def export_knowledge(config: Path | None, folder: Path) -> None:
    """Write the project's own FHIR R4 artefacts to a folder: SARC-F and the code systems."""
    _settings, _tenant, known = _load(config, None)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, resource in artefacts(known.index, known.readable.questionnaire).items():
            validate(resource)
            file = folder / f"{name.replace('/', '-')}.json"
            file.write_bytes(orjson.dumps(resource, option=orjson.OPT_INDENT_2) + b"\n")
            click.echo(file)
    except OSError as fault:
        ERRORS.print(f"{folder}: {fault.strerror}", style="red", markup=False)
        raise SystemExit(1) from None
