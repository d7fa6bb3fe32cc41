"""`cobalamin import-valueset`, `new-guideline` and `diff-guidelines`: a site's own knowledge."""

import getpass
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import orjson
import rich_click as click
import tomlkit
from rich.console import Console
from rich.table import Table

from mappings.fault import KnowledgeFault
from mappings.guideline import Guideline
from mappings.guideline_file import own_guidelines, read_guideline, read_toml
from mappings.new_guideline import as_file_name, copied
from mappings.sarcopenia_definition import Definition, read_definition
from mappings.site_codes import read_site_codes
from mappings.value_set_import import NotImportable, read_value_set
from services.chart import Chart
from services.commands.assess import documents
from services.commands.configured import (
    ERRORS,
    config_option,
    faults_told,
    load_tenant,
    tenant_option,
)
from services.documents import UnusableDocument, chart_of_document
from services.guideline_difference import Changed, Difference, Printed, changed, differences
from services.knowledge import Known

NAME = re.compile(r"[a-z][a-z0-9_]*")
ID = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
UNUSABLE = 2


@click.command("import-valueset")
@click.option("--value-set", required=True, help="Name of the value set the codes go into.")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--kind",
    type=click.Choice(["condition", "medication", "procedure"]),
    help="Of a value set that does not exist yet.",
)
@click.option("--title", help="Of a value set that does not exist yet.")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False, exists=True)
)
def import_valueset(
    value_set: str, out: Path, kind: str | None, title: str | None, files: tuple[Path, ...]
) -> None:
    """Read ValueSets of a terminology server, expanded, into a file of codes for this site.

    The file says where each list came from. Name it in the configuration: [[value_set]] file = ...
    Exit status 2 where a FILE cannot be used; nothing is written then.
    """
    if not NAME.fullmatch(value_set):
        raise click.BadParameter("small letters, digits and _", param_hint="--value-set")
    day, by = datetime.now(UTC).date().isoformat(), getpass.getuser()
    document = tomlkit.document()
    document["value_set"] = value_set
    for key, text in (("kind", kind), ("title", title)):
        if text:
            document[key] = text
    sources = tomlkit.aot()
    for file in files:
        data = file.read_bytes()
        try:
            found = read_value_set(orjson.loads(data), file.name, data, day, by)
        except orjson.JSONDecodeError:
            _end(f"{file}: is no JSON", UNUSABLE)
        except NotImportable as fault:
            _end(f"{file}: {fault}", UNUSABLE)
        codes = tomlkit.array().multiline(True)
        for code in found.source.pop("codes"):
            entry = tomlkit.inline_table()
            entry.update(code)
            codes.append(entry)
        table = tomlkit.table()
        table.update(found.source)
        table["codes"] = codes
        sources.append(table)
        passed = ", ".join(f"{n} {why}" for why, n in found.passed_over.items())
        click.echo(f"{file}: {len(codes)} codes{f'; passed over: {passed}' if passed else ''}")
    document["source"] = sources
    try:
        out.write_text(tomlkit.dumps(document), encoding="utf-8")
    except OSError as fault:
        _end(f"{out}: {fault.strerror}")
    with faults_told():
        read_site_codes(out)
    click.echo(f"{out}: name it in the configuration:\n[[value_set]]\nfile = {str(out)!r}")


@click.command("new-guideline")
@click.option("--from", "original", required=True, help="Id of the guideline to copy.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="The file to write.")
@click.argument("id_", metavar="ID")
def new_guideline(original: str, out: Path | None, id_: str) -> None:
    """Begin a guideline or definition of the site's own as a copy of one that ships.

    What the site must say itself is left to fill in, and refused at the start until it is.
    """
    if not ID.fullmatch(id_):
        raise click.BadParameter("small letters and digits, parted by hyphens", param_hint="ID")
    file = out or as_file_name(id_)
    with faults_told():
        text = copied(original, id_)
    try:
        with file.open("x", encoding="utf-8") as written:
            written.write(text)
    except OSError as fault:
        _end(f"{file}: {fault.strerror}")
    key = "b12.guideline" if '\nsubject = "b12"' in text else "sarcopenia.definition"
    click.echo(
        f"{file}: fill in what says TO FILL IN, change what differs, then\n"
        f"[[guideline]]\nfile = {str(file)!r}\nand {key} = {id_!r}; cobalamin check-config says "
        "what is still open"
    )


@click.command("diff-guidelines")
@config_option
@tenant_option
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.argument("first")
@click.argument("other")
@click.argument("data", nargs=-1, metavar="[DATA]...")
def diff_guidelines(
    config: Path | None,
    tenant_name: str | None,
    first: str,
    other: str,
    data: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Say how two guidelines differ; with DATA, which patients change.

    FIRST and OTHER are ids or files. DATA are Bundles and hook requests as `assess` reads them; for
    a whole population, use `backtest --compare`.
    """
    _settings, _tenant, known = load_tenant(config, tenant_name)
    with faults_told():
        one, two = _printed(first, known), _printed(other, known)
        if type(one) is not type(two):
            raise KnowledgeFault(other, "subject", "is about another thing than the first")
    found = differences(one, two)
    unusable: list[str] = []
    pairs = Counter[tuple[str, str]]()
    people: list[Changed] = []
    for before, after, said in changed(_charts(data, known, unusable), known, one, two):
        pairs[before, after] += 1
        people += [said] if said else []
    if as_json:
        said_json = {
            "first": one.id,
            "other": two.id,
            "differences": [item._asdict() for item in found],
            "categories": [
                {"first": a, "other": b, "patients": n} for (a, b), n in sorted(pairs.items())
            ],
            "changed": [person._asdict() for person in people],
        }
        click.echo(orjson.dumps(said_json, option=orjson.OPT_INDENT_2))
    else:
        _show(one, two, found, pairs, people)
    for fault in unusable:
        click.echo(fault, err=True)
    raise SystemExit(UNUSABLE if unusable else 0)


def _printed(name: str, known: Known) -> Printed:
    """A guideline or definition by its id, or in a file. Raises KnowledgeFault."""
    if Path(name).is_file():
        own = own_guidelines([Path(name)])
        [id_] = own
        if read_toml(Path(name)).get("subject") == "sarcopenia":
            return read_definition(id_, known.index, own=own)
        return read_guideline(id_, known.index, own=own)
    there: dict[str, Guideline | Definition] = {**known.guidelines(), **known.definitions()}
    if name not in there:
        raise KnowledgeFault(name, "", f"no such guideline; there are {', '.join(sorted(there))}")
    return there[name]


def _charts(data: tuple[str, ...], known: Known, unusable: list[str]) -> Iterator[Chart]:
    today = datetime.now(UTC).date()
    for name, document in documents(data):
        try:
            if isinstance(document, UnusableDocument):
                raise document
            yield chart_of_document(document, known, today)
        except UnusableDocument as fault:
            unusable.append(f"{name}: {fault}")


def _show(
    one: Printed,
    two: Printed,
    found: list[Difference],
    pairs: Counter[tuple[str, str]],
    people: list[Changed],
) -> None:
    console = Console()
    table = Table(title=f"{one.label} and {two.label}", show_lines=True)
    for heading in ("", one.id, two.id):
        table.add_column(heading, overflow="fold")
    for item in found:
        table.add_row(item.what, item.first or "does not say", item.other or "does not say")
    console.print(table)
    if not pairs:
        return
    counts = Table(title="Patients by category")
    for heading in (one.id, two.id, "patients"):
        counts.add_column(heading)
    for (before, after), n in sorted(pairs.items()):
        counts.add_row(before, after, str(n), style="bold" if before != after else "")
    console.print(counts)
    for person in people:
        console.print(
            f"{person.patient}: {person.first} -> {person.other}", markup=False, style="bold"
        )
        for result in person.results:
            console.print(f"  {result}", markup=False)


def _end(fault: str, status: int = 1) -> NoReturn:
    ERRORS.print(fault, style="red", markup=False, highlight=False, soft_wrap=True)
    raise SystemExit(status)
