"""`cobalamin new-guideline` and `diff-guidelines`: a site's own guideline, and what it changes."""

import re
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, date, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import orjson
import rich_click as click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cds_hooks.config.loader import find_configuration_file
from cds_hooks.config.tenants import Tenant
from mappings.knowledge_file import KnowledgeError, read_toml
from mappings.publications.definition import Definition
from mappings.publications.guideline import Guideline
from mappings.publications.guideline_copy import copy_guideline
from mappings.publications.guideline_difference import Difference, find_differences
from mappings.publications.guideline_file import (
    find_own_guidelines,
    get_shipped_file,
    list_guideline_ids,
)
from services.cli.assess import read_documents
from services.cli.common import config_option, exit_on_errors, tenant_option
from services.evaluation.evaluate import as_json as evaluation_json
from services.evaluation.evaluate import evaluate
from services.exports.guideline_changes import Assessment, CategoryChanges, compare_categories
from services.hooks.documents import UnusableDocumentError, read_document_chart
from services.hooks.topics import TOPICS
from services.knowledge.configuration import PUBLICATION_KEYS, choose_publication, load_settings
from services.knowledge.site import SiteKnowledge, load_knowledge

ID_PATTERN = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@click.command("new-guideline")
@config_option
@click.argument("id_", metavar="ID")
@click.option("--from", "origin", required=True, metavar="ID", help="What to copy.")
@click.option(
    "--out",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write (default: named by the id).",
)
def new_guideline(config: Path | None, id_: str, origin: str, target: Path | None) -> None:
    """Copy a guideline or a definition of sarcopenia as the beginning of the site's own.

    What is the site's to write is left open in it, and no start uses the file until it is filled
    in.
    """
    if not ID_PATTERN.fullmatch(id_):
        raise click.BadParameter(
            "small letters, digits and hyphens, such as our-b12", param_hint="ID"
        )
    with exit_on_errors():
        files = _find_files(config)
        if id_ in files:
            raise KnowledgeError("command line", "ID", f"{id_} is there already")
        if origin not in files:
            choices = ", ".join(files)
            raise KnowledgeError(
                "command line", "--from", f"no guideline {origin}; there are {choices}"
            )
    path = target or Path(f"{id_.replace('-', '_')}.toml")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(copy_guideline(files[origin].read_text(encoding="utf-8"), id_, _get_today()))
    except FileExistsError:
        raise click.ClickException(f"{path} is there already") from None
    except OSError as fault:
        raise click.ClickException(f"{path}: {fault.strerror}") from None
    subject = read_toml(path)["subject"]
    click.echo(f"{path}: {id_}, begun as a copy of {origin}. Fill in what says TO FILL IN.")
    click.echo("To use it, the configuration says:")
    click.echo(
        f'[[guideline]]\nfile = "{path}"\n[{subject}]\n{PUBLICATION_KEYS[subject]} = "{id_}"'
    )


def _get_today() -> date:
    return datetime.now(UTC).date()


def _find_files(config: Path | None) -> dict[str, Path]:
    """Every guideline and definition by its id: the shipped ones, and those the site names."""
    shipped = chain.from_iterable(map(list_guideline_ids, PUBLICATION_KEYS))
    tenants = load_settings(find_configuration_file(config)).tenants
    own = (
        entry["file"] for tenant in tenants for entry in tenant.service_tables.get("guideline", ())
    )
    files = {id_: get_shipped_file(id_) for id_ in shipped}
    return {**files, **find_own_guidelines(map(Path, dict.fromkeys(own)))}


@click.command("diff-guidelines")
@config_option
@tenant_option
@click.option("--json", "as_text", is_flag=True, help="Print the comparison as JSON.")
@click.option(
    "--as-of", type=click.DateTime(["%Y-%m-%d"]), help="The day to assess on (default: today)."
)
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.argument("data", nargs=-1, metavar="[DATA]...")
def diff_guidelines(
    config: Path | None,
    tenant_name: str | None,
    as_of: datetime | None,
    a: str,
    b: str,
    data: tuple[str, ...],
    *,
    as_text: bool,
) -> None:
    """Say how two guidelines or definitions differ, and which patients are judged otherwise.

    A and B are ids or files. DATA is what `assess` reads: FHIR Bundles or CDS Hooks requests, `-`
    for standard input. Exit status 2 where a document could not be used.
    """
    with exit_on_errors():
        tenant = load_settings(find_configuration_file(config)).find_tenant(tenant_name)
        knowledge_a, subject_a = _load_with(tenant, a)
        knowledge_b, subject_b = _load_with(tenant, b)
    if subject_a != subject_b:
        raise click.UsageError("one is about vitamin B12, the other about muscle")
    publication_a, publication_b = (
        _get_publication(knowledge_a, subject_a),
        _get_publication(knowledge_b, subject_b),
    )
    differences = find_differences(publication_a, publication_b, knowledge_a.b12.titles)
    changes, unusable = None, list[str]()
    if data:
        today = as_of.date() if as_of else _get_today()
        pairs = _assess_pairs(data, (knowledge_a, knowledge_b), today, unusable)
        changes = compare_categories(pairs, subject_a)
    if as_text:
        click.echo(_as_json(publication_a, publication_b, differences, changes))
    else:
        _print_differences(Console(), publication_a, publication_b, differences, changes)
    for line in unusable:
        click.echo(line, err=True)
    raise SystemExit(2 if unusable else 0)


def _load_with(tenant: Tenant, which: str) -> tuple[SiteKnowledge, str]:
    """The site's knowledge with the guideline or definition of this id or in this file chosen.

    Raises KnowledgeError.
    """
    own_files = list(tenant.service_tables.get("guideline", ()))
    id_ = which
    if Path(which).suffix == ".toml":
        [id_] = find_own_guidelines([Path(which)])
        others = [own for own in own_files if read_toml(Path(own["file"])).get("id") != id_]
        own_files = [*others, {"file": which}]
    clinical = {**tenant.service_tables, "guideline": own_files}
    files = find_own_guidelines(Path(entry["file"]) for entry in own_files)
    place = files.get(id_, get_shipped_file(id_))
    if not place.exists():
        raise KnowledgeError("command line", which, "no such guideline")
    subject = str(read_toml(place).get("subject"))
    if subject not in PUBLICATION_KEYS:
        subject = "b12"  # whose reading says what is wrong with the file
    return load_knowledge(choose_publication(clinical, subject, id_)), subject


def _get_publication(knowledge: SiteKnowledge, subject: str) -> Guideline | Definition:
    return knowledge.b12.guideline if subject == "b12" else knowledge.muscle.definition


def _assess_pairs(
    data: tuple[str, ...],
    knowledge: tuple[SiteKnowledge, SiteKnowledge],
    today: date,
    unusable: list[str],
) -> Iterator[tuple[Assessment, Assessment]]:
    """The assessments of each patient by the two; what could not be used is told in `unusable`."""
    for name, document in read_documents(data):
        try:
            if isinstance(document, UnusableDocumentError):
                raise document
            chart = read_document_chart(document, knowledge[0], today)
        except UnusableDocumentError as fault:
            unusable.append(f"{name}: {fault}")
            continue
        by_a, by_b = (evaluation_json(chart, evaluate(chart, site, TOPICS)) for site in knowledge)
        yield by_a, by_b


def _as_json(
    a: Guideline | Definition,
    b: Guideline | Definition,
    differences: tuple[Difference, ...],
    changes: CategoryChanges | None,
) -> bytes:
    document: dict[str, Any] = {
        "a": a.label,
        "b": b.label,
        "differences": [asdict(difference) for difference in differences],
    }
    if changes is not None:
        document["patients"] = {
            "compared": changes.compared,
            "changed": changes.changed,
            "categories": [
                {"a": in_a, "b": in_b, "patients": number}
                for (in_a, in_b), number in sorted(changes.confusion.items())
            ],
            "who": [asdict(change) for change in changes.patients],
        }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)


def _print_differences(
    console: Console,
    a: Guideline | Definition,
    b: Guideline | Definition,
    differences: tuple[Difference, ...],
    changes: CategoryChanges | None,
) -> None:
    table = Table(title=f"A: {a.label}   B: {b.label}")
    for column in ("what", "A", "B"):
        table.add_column(column, overflow="fold")
    part = ""
    for difference in differences:
        if difference.part != part:
            part = difference.part
            table.add_section()
            table.add_row(Text(part, style="bold"))
        table.add_row(*map(Text, (difference.what, difference.a or "-", difference.b or "-")))
    console.print(table if differences else f"{a.label} and {b.label} say the same.")
    if changes is not None:
        _print_changes(console, changes)


def _print_changes(console: Console, changes: CategoryChanges) -> None:
    table = Table(title="Patients by the category that each gives them")
    for column in ("by A", "by B", "patients", ""):
        table.add_column(column, justify="right" if column == "patients" else "left")
    for (a, b), number in sorted(changes.confusion.items()):
        table.add_row(a, b, str(number), "" if a == b else "changes")
    console.print(table)
    console.print(f"{changes.changed} of {changes.compared} patients change.")
    for change in changes.patients:
        console.print(f"{change.patient}: {change.a} by A, {change.b} by B", markup=False)
        for result in change.results:
            day = f" on {result.day}" if result.day else ""
            readings = f"A: {result.a or 'not read'}; B: {result.b or 'not read'}"
            console.print(
                f"  {result.value:g} {result.unit}{day}: {readings}", markup=False, soft_wrap=True
            )
