"""`cobalamin import-valueset`: a site's FHIR ValueSets as a file of its own codes."""

import difflib
import getpass
import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import rich_click as click

from cds_hooks.config.loader import find_configuration_file
from mappings.knowledge_file import KnowledgeError, get_canonical
from mappings.terminology.fhir_value_set import UnlistedCodesError
from mappings.terminology.site_codes import read_site_codes
from mappings.terminology.value_set import ValueSet, ValueSetIndex
from mappings.terminology.value_set_file import load_value_sets
from mappings.terminology.value_set_import import (
    ImportedSource,
    as_toml,
    find_value_set,
    read_source,
)
from services.cli.common import config_option, exit_on_errors, tenant_option
from services.knowledge.configuration import load_settings

NEW_KINDS = ("condition", "medication", "procedure")
MAX_CODES = 10  # codes named with one remark


class UnusableFileError(click.ClickException):
    """A file that is no list of codes."""

    exit_code = 2


@click.command("import-valueset")
@config_option
@tenant_option
@click.option("--value-set", "name", help="Which of our value sets the codes are for.")
@click.option(
    "--out", "into", type=click.Path(path_type=Path, dir_okay=False), help="The file to write."
)
@click.option("--by", default=getpass.getuser, help="Who answers for these codes (default: you).")
@click.option("--kind", type=click.Choice(NEW_KINDS), help="Of a value set that is new.")
@click.option("--title", help="What a new value set is called on cards.")
@click.option("--licence", help="Under which the codes are used, in place of what the file says.")
@click.option("--replace", is_flag=True, help="Write over the file if it is there.")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
)
def import_value_set(
    config: Path | None,
    tenant_name: str | None,
    name: str | None,
    into: Path | None,
    by: str,
    kind: str | None,
    title: str | None,
    licence: str | None,
    files: tuple[Path, ...],
    *,
    replace: bool,
) -> None:
    """Read FHIR ValueSets (R4 or R5, JSON) into a file of the site's own codes.

    An expansion is taken as it is; without one, only codes that are listed one by one. What is said
    of each code is for a person to judge before the configuration names the file. Exit status 2,
    and nothing written, where a FILE is no list of codes.
    """
    resources = [_read_resource(file) for file in files]
    with exit_on_errors():
        index = _load_index(config, tenant_name, into)
        name = name or _find_name(resources, index)
        value_set = _choose_value_set(name, kind, title, index)
    target = into or Path(f"{name.replace('_', '-')}.toml")
    if target.exists() and not replace:
        raise click.ClickException(f"{target} is there already; --replace writes over it")
    sources = [*_read_sources(zip(files, resources, strict=True), value_set, index, by, licence)]
    _print_remarks(sources)
    sources = [source for source in sources if source.codes]
    if not sources:
        raise UnusableFileError("there is no code to add; nothing was written")
    with exit_on_errors():
        _write_file(target, as_toml(value_set, sources, new=name not in index.sets))
    click.echo(f"{target}: {sum(len(imported.codes) for imported in sources)} codes for {name}")
    click.echo("To use them, the configuration says:")
    click.echo(f'[[value_set]]\nfile = "{target}"')


def _read_resource(file: Path) -> dict[str, Any]:
    data = file.read_bytes()
    try:
        resource = orjson.loads(data)
    except orjson.JSONDecodeError as fault:
        reason = f"is not JSON at line {fault.lineno}, column {fault.colno}"
        if data.lstrip().startswith(b"<"):
            reason = "is XML; ask for the ValueSet as JSON"
        raise UnusableFileError(f"{file}: {reason}") from None
    if not isinstance(resource, dict):
        raise UnusableFileError(f"{file}: is no FHIR resource")
    return resource


def _load_index(config: Path | None, tenant_name: str | None, into: Path | None) -> ValueSetIndex:
    """Every code that is there already, without those of the file that is about to be written."""
    clinical = (
        load_settings(find_configuration_file(config)).find_tenant(tenant_name).service_tables
    )
    paths = [Path(entry["file"]) for entry in clinical.get("value_set", ())]
    others = [path for path in paths if into is None or path.resolve() != into.resolve()]
    return load_value_sets(
        clinical.get("local_code", ()),
        [read_site_codes(path) for path in others],
        get_canonical(clinical),
    )


def _find_name(resources: Iterable[dict[str, Any]], index: ValueSetIndex) -> str:
    names = {find_value_set(resource, index) for resource in resources}
    [name] = names if len(names) == 1 else [None]
    if name is None:
        raise click.UsageError("--value-set says which of our value sets the codes are for")
    return name


def _choose_value_set(
    name: str, kind: str | None, title: str | None, index: ValueSetIndex
) -> ValueSet:
    """The value set to add to. Raises KnowledgeError for a new one that says too little."""
    if name in index.sets:
        return index.sets[name]
    if kind and title:
        return ValueSet(name, kind, title)
    near = difflib.get_close_matches(name, index.sets, 3)
    hint = f"; there is {', '.join(near)}" if near else ""
    reason = f"no value set {name}{hint}. A new one needs --kind and --title"
    raise KnowledgeError("command line", "--value-set", reason)


def _read_sources(
    read: Iterable[tuple[Path, dict[str, Any]]],
    value_set: ValueSet,
    index: ValueSetIndex,
    by: str,
    licence: str | None,
) -> Iterable[ImportedSource]:
    earlier: set[tuple[str, str]] = set()
    for file, resource in read:
        head = {
            **({"licence": licence} if licence else {}),
            "file": file.name,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "imported": datetime.now(UTC).date().isoformat(),
            "imported_by": by,
        }
        if resource.get("status") in ("draft", "retired"):
            click.echo(f"{file}: its status is {resource['status']}", err=True)
        try:
            yield read_source(resource, value_set, index, earlier, head)
        except UnlistedCodesError as fault:
            raise UnusableFileError(f"{file}: {fault}") from None


def _write_file(target: Path, text: str) -> None:
    """The file, once it is one that a start would read. Raises KnowledgeError."""
    draft = target.with_name(f"{target.name}.new")
    try:
        draft.write_text(text, encoding="utf-8")
        read_site_codes(draft)
        draft.replace(target)
    except OSError as fault:
        raise click.ClickException(f"{target}: {fault.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)


def _print_remarks(sources: Iterable[ImportedSource]) -> None:
    """Every remark with its codes, the first of them where many share it."""
    for source in sources:
        groups: dict[tuple[bool, str], list[str]] = {}
        for remark in source.remarks:
            name = f"{remark.system or '?'}|{remark.code} ({remark.display})"
            groups.setdefault((remark.is_excluded, remark.text), []).append(name)
        for (left_out, says), names in groups.items():
            more = [f"and {len(names) - MAX_CODES} more"] if len(names) > MAX_CODES else []
            click.echo(f"{source.head['file']}: {'left out' if left_out else 'look at'}: {says}")
            for name in (*names[:MAX_CODES], *more):
                click.echo(f"  {name}")
