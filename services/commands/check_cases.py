"""`cobalamin check-cases`: whether kept calls are still answered as they were."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import orjson
import rich_click as click

from cds_hooks.settings import configuration_file
from mappings.fault import KnowledgeFault
from services.cases import Case, differences, read_case
from services.choices import Choices, Chosen, choose
from services.commands.configured import config_option, faults_told, tenant_option
from services.configuration import load_settings
from services.documents import UnusableDocument


@click.command("check-cases")
@config_option
@tenant_option
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
def check_cases(config: Path | None, tenant_name: str | None, paths: tuple[str, ...]) -> None:
    """Answer kept regression cases anew, and say which are answered otherwise.

    A PATH is a case as the what-if page saves it (`cobalamin schema case`), or a folder of them.
    Exit status 1 where an answer differs, 2 where a file is no case or cannot be answered.
    """
    with faults_told():
        settings = load_settings(configuration_file(config))
        tenant = settings.tenant(tenant_name)
    status = 0

    @cache
    def chosen(choices: Choices) -> Chosen:
        return choose(tenant, choices, settings.base_url)

    for path in _files(paths):
        try:
            case = _read(path)
            differing = list(differences(case, chosen(case.choices)))
        except (UnusableDocument, KnowledgeFault) as fault:
            click.echo(f"unusable {path}: {fault}", err=True)
            status = 2
            continue
        click.echo(f"{'differs' if differing else 'same'} {path}: {case.name}")
        for line in differing:
            click.echo(f"  {line}")
        status = max(status, 1) if differing else status
    raise SystemExit(status)


def _files(paths: tuple[str, ...]) -> Iterator[Path]:
    for path in map(Path, paths):
        yield from sorted(path.rglob("*.json")) if path.is_dir() else [path]


def _read(path: Path) -> Case:
    try:
        document = orjson.loads(path.read_bytes())
    except OSError as fault:
        raise UnusableDocument(fault.strerror or "unreadable") from None
    except orjson.JSONDecodeError as fault:
        raise UnusableDocument(f"not JSON at line {fault.lineno}, column {fault.colno}") from None
    return read_case(document)
