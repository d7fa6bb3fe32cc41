"""`cobalamin try` and `cobalamin assess`: evaluations without a service."""

import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson
import rich_click as click
from rich.console import Console
from rich.progress import Progress

from services.card_maker import CardMaker
from services.catalog import attention_of
from services.commands.configured import (
    ERRORS,
    config_option,
    load_tenant,
    tenant_option,
)
from services.documents import UnusableDocument, assessment_of
from services.show import show_cards

MANY_FILES = 20  # a progress bar from here on


@click.command("try")
@config_option
@tenant_option
@click.option("--json", "as_text", is_flag=True, help="Print the answer as JSON.")
@click.option("--sample", default="neuropathy", help="Name of the sample patient.")
def try_(config: Path | None, tenant_name: str | None, *, as_text: bool, sample: str) -> None:
    """Show the cards of a bundled sample patient."""
    settings, tenant, known = load_tenant(config, tenant_name)
    source = files("services") / "samples" / f"{sample}.json"
    if not source.is_file():
        names = sorted(p.name[:-5] for p in (files("services") / "samples").iterdir())
        ERRORS.print(f"no sample {sample}; there are: {', '.join(names)}", style="red")
        raise SystemExit(2)
    document = orjson.loads(source.read_bytes())
    maker = CardMaker.at_start(known, settings.base_url, app=tenant.smart is not None)
    attention = attention_of(tenant.clinical.get("attention"), known)
    today = date.fromisoformat(document.pop("sampleDay"))
    result = assessment_of(document, maker, today, attention)
    if as_text:
        click.echo(orjson.dumps({"cards": result["cards"]}, option=orjson.OPT_INDENT_2))
    else:
        show_cards(Console(), sample, result)


@click.command()
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
    settings, tenant, known = load_tenant(config, tenant_name, b12_guideline, sarcopenia_definition)
    maker = CardMaker.at_start(known, settings.base_url, app=tenant.smart is not None)
    attention = attention_of(tenant.clinical.get("attention"), known)
    today = as_of.date() if as_of else datetime.now(UTC).date()
    out = sys.stdout.buffer
    unusable = 0
    for name, document in documents(paths or ("-",)):
        try:
            if isinstance(document, UnusableDocument):
                raise document
            out.write(orjson.dumps(assessment_of(document, maker, today, attention)) + b"\n")
        except UnusableDocument as fault:
            unusable += 1
            click.echo(f"{name}: {fault}", err=True)
    out.flush()
    raise SystemExit(2 if unusable else 0)


def documents(paths: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
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
