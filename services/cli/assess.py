"""`cobalamin try`, `assess` and `check-cases`: answer samples, documents and regression cases."""

import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson
import rich_click as click
from rich.console import Console
from rich.progress import Progress

from cds_hooks.config.loader import find_configuration_file
from mappings.knowledge_file import KnowledgeError
from services.cards.composer import CardComposer
from services.cli.common import ERRORS, config_option, exit_on_errors, load_tenant, tenant_option
from services.cli.terminal import show_cards
from services.hooks.catalog import read_attention_rules
from services.hooks.documents import UnusableDocumentError, assess_document
from services.hooks.overrides import Variant, VariantOptions, build_variant
from services.hooks.regression_cases import RegressionCase, find_case_differences, read_case
from services.hooks.topics import TOPICS
from services.knowledge.configuration import load_settings

MANY_FILES = 20  # a progress bar from here on


@click.command("try")
@config_option
@tenant_option
@click.option("--json", "as_text", is_flag=True, help="Print the answer as JSON.")
@click.option("--sample", default="neuropathy", help="Name of the sample patient.")
def try_(config: Path | None, tenant_name: str | None, *, as_text: bool, sample: str) -> None:
    """Show the cards of a bundled sample patient."""
    settings, tenant, knowledge = load_tenant(config, tenant_name)
    source = files("services.hooks") / "samples" / f"{sample}.json"
    if not source.is_file():
        names = sorted(p.name[:-5] for p in (files("services.hooks") / "samples").iterdir())
        ERRORS.print(f"no sample {sample}; there are: {', '.join(names)}", style="red")
        raise SystemExit(2)
    document = orjson.loads(source.read_bytes())
    maker = CardComposer.from_site(
        knowledge, TOPICS, settings.base_url, app=tenant.smart is not None
    )
    attention = read_attention_rules(tenant.service_tables.get("attention"), knowledge)
    today = date.fromisoformat(document.pop("sampleDay"))
    result = assess_document(document, maker, today, attention)
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
    settings, tenant, knowledge = load_tenant(
        config, tenant_name, b12_guideline, sarcopenia_definition
    )
    maker = CardComposer.from_site(
        knowledge, TOPICS, settings.base_url, app=tenant.smart is not None
    )
    attention = read_attention_rules(tenant.service_tables.get("attention"), knowledge)
    today = as_of.date() if as_of else datetime.now(UTC).date()
    out = sys.stdout.buffer
    unusable = 0
    for name, document in read_documents(paths or ("-",)):
        try:
            if isinstance(document, UnusableDocumentError):
                raise document
            out.write(orjson.dumps(assess_document(document, maker, today, attention)) + b"\n")
        except UnusableDocumentError as fault:
            unusable += 1
            click.echo(f"{name}: {fault}", err=True)
    out.flush()
    raise SystemExit(2 if unusable else 0)


def read_documents(paths: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """(where, document or why there is none) of every document in the files."""
    with Progress(console=ERRORS, transient=True, disable=len(paths) < MANY_FILES) as progress:
        for path in progress.track(paths, description="assessing"):
            name = "standard input" if path == "-" else path
            try:
                data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
            except OSError as fault:
                yield name, UnusableDocumentError(fault.strerror or "unreadable")
                continue
            yield from _parse_documents(name, data)


def _parse_documents(name: str, data: bytes) -> Iterator[tuple[str, Any]]:
    try:
        yield name, orjson.loads(data)
    except orjson.JSONDecodeError as fault:
        lines = [line for line in data.splitlines() if line.strip()]
        if len(lines) < 2 or not _is_json(lines[0]):
            yield (
                name,
                UnusableDocumentError(f"not JSON at line {fault.lineno}, column {fault.colno}"),
            )
            return
        for number, line in enumerate(data.splitlines(), start=1):
            if line.strip():
                try:
                    yield f"{name}:{number}", orjson.loads(line)
                except orjson.JSONDecodeError as inner:
                    yield (
                        f"{name}:{number}",
                        UnusableDocumentError(f"not JSON at column {inner.colno}"),
                    )


def _is_json(line: bytes) -> bool:
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True


@click.command("check-cases")
@config_option
@tenant_option
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
def check_cases(config: Path | None, tenant_name: str | None, paths: tuple[str, ...]) -> None:
    """Answer kept regression cases anew, and say which are answered otherwise.

    A PATH is a case as the what-if page saves it (`cobalamin schema case`), or a folder of them.
    Exit status 1 where an answer differs, 2 where a file is no case or cannot be answered.
    """
    with exit_on_errors():
        settings = load_settings(find_configuration_file(config))
        tenant = settings.find_tenant(tenant_name)
    status = 0

    @cache
    def load_variant(choices: VariantOptions) -> Variant:
        return build_variant(tenant, choices, settings.base_url)

    for path in _list_files(paths):
        try:
            case = _read_case(path)
            differing = list(find_case_differences(case, load_variant(case.choices)))
        except (UnusableDocumentError, KnowledgeError) as fault:
            click.echo(f"unusable {path}: {fault}", err=True)
            status = 2
            continue
        click.echo(f"{'differs' if differing else 'same'} {path}: {case.name}")
        for line in differing:
            click.echo(f"  {line}")
        status = max(status, 1) if differing else status
    raise SystemExit(status)


def _list_files(paths: tuple[str, ...]) -> Iterator[Path]:
    for path in map(Path, paths):
        yield from sorted(path.rglob("*.json")) if path.is_dir() else [path]


def _read_case(path: Path) -> RegressionCase:
    try:
        document = orjson.loads(path.read_bytes())
    except OSError as fault:
        raise UnusableDocumentError(fault.strerror or "unreadable") from None
    except orjson.JSONDecodeError as fault:
        raise UnusableDocumentError(
            f"not JSON at line {fault.lineno}, column {fault.colno}"
        ) from None
    return read_case(document)
