"""`cobalamin doctor`: why a token, a preflight, discovery or a call is answered as it is."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import rich_click as click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cds_hooks.config.settings import Settings
from cds_hooks.protocol.service import DISCOVERY
from cds_hooks.protocol.strict_json import Unreadable, loads
from cds_hooks.security.key_sets import Keys, usable_keys
from cds_hooks.security.token_report import Step, Verdict, explain_token
from services.cli.common import config_option, load_all, load_tenant, tenant_option
from services.hooks.offered_hooks import OFFERED_HOOKS, service_id

MARKS = {
    Verdict.GOOD: ("✓", "green"),
    Verdict.FAULT: ("✗", "red"),
    Verdict.OPEN: ("?", "yellow"),
}
OUT = Console(highlight=False)
source = click.argument("source", type=click.File("rb"), default="-", metavar="[FILE]")


@click.group()
def doctor() -> None:
    """Explain a token, a preflight, discovery or a call, without a network.

    Everything is looked at by the configuration alone, as a running service would; no secret is
    printed. Exit status 1 where a fault was found.
    """


@doctor.command()
@config_option
@click.option(
    "--keys",
    "key_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The EHR's key set, a JSON file, where the configuration names a URL.",
)
@click.option("--at", metavar="TIME", help="Look at it as of then (RFC 3339; default: now).")
@click.argument("source", type=click.File("r"), default="-", metavar="[FILE]")
def token(config: Path | None, key_file: Path | None, at: str | None, source: IO[str]) -> None:
    """Explain an EHR's token: on standard input, or in a FILE. With or without "Bearer".

    Never an argument: those end up in the shell's history and the list of processes.
    """
    settings, _known = load_all(config)
    now = _moment(at)
    text = click.prompt("Token", hide_input=True, err=True) if source.isatty() else source.read()
    words = text.split()
    steps = explain_token(
        words[-1] if words else "",
        settings.tenants,
        _endpoints(map(service_id, OFFERED_HOOKS)),
        _keys(settings, key_file),
        now,
    )
    _show("Token", steps)


def _endpoints(services: Iterable[str]) -> list[str]:
    """Discovery, and each service with its feedback."""
    paths = [DISCOVERY]
    for one in services:
        paths += [f"{DISCOVERY}/{one}", f"{DISCOVERY}/{one}/feedback"]
    return paths


def _keys(settings: Settings, key_file: Path | None) -> dict[str, Keys]:
    """The keys at hand: pinned ones, and those of `key_file` for tenants whose keys have a URL."""
    found = {}
    for tenant in settings.tenants:
        file = tenant.trust.jwks_file if tenant.trust else None
        if tenant.trust and (file or key_file):
            found[tenant.id] = _read_keys(file or key_file or Path())
    return found


def _read_keys(file: Path) -> Keys:
    try:
        return usable_keys(loads(file.read_bytes()))
    except (OSError, Unreadable) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else str(fault)
        raise click.BadParameter(f"{file}: {reason}", param_hint="--keys") from None


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    with suppress(ValueError):
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None:
            return found
    raise click.BadParameter("give a time such as 2026-11-25T10:00:00Z", param_hint="--at")


@doctor.command()
@config_option
@tenant_option
@click.argument("origin")
def preflight(config: Path | None, tenant_name: str | None, origin: str) -> None:
    """Explain what a page of ORIGIN, such as https://ehr.example.org, may do in a browser."""
    from services.hooks.in_process import rehearsal  # noqa: PLC0415  # the application takes a second

    settings, tenant, known = load_tenant(config, tenant_name)
    with rehearsal(settings, tenant, known) as rehearsed:
        paths = _endpoints(one.id for one in rehearsed.services)
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        steps = []
        for path in paths:
            headers = rehearsed.client.options(path, headers=asked).headers
            allowed = headers.get("Access-Control-Allow-Origin") == origin
            says = (
                f"{headers['Access-Control-Allow-Methods']} with "
                f"{headers['Access-Control-Allow-Headers']}"
                if allowed
                else _not_allowed(origin, settings)
            )
            steps.append(Step(path, Verdict.GOOD if allowed else Verdict.FAULT, says))
    _show(f"Preflight of {origin}", steps)


def _not_allowed(origin: str, settings: Settings) -> str:
    there = ", ".join(settings.cors_origins) or "none"
    hint = ""
    if origin.rstrip("/") in settings.cors_origins:
        hint = "; an origin has no slash at its end"
    elif origin.lower() in settings.cors_origins:
        hint = "; browsers write an origin in lower case"
    return f"is not in cors.origins ({there}), so browsers keep the answer from the page{hint}"


@doctor.command()
@config_option
@tenant_option
def discovery(config: Path | None, tenant_name: str | None) -> None:
    """Show what discovery offers a tenant, as its EHR's analysts have to enter it."""
    from services.hooks.in_process import rehearsal  # noqa: PLC0415  # the application takes a second

    settings, tenant, known = load_tenant(config, tenant_name)
    base = tenant.trust.audience if tenant.trust else settings.base_url
    with rehearsal(settings, tenant, known) as rehearsed:
        listed = rehearsed.client.get(DISCOVERY).get_json()["services"]
        required = {one.id: one.required for one in rehearsed.services}
    if tenant.trust is not None:
        _line("A token's `aud` is the URL that is called, character by character.")
    _line(f"{base}{DISCOVERY}")
    for one in listed:
        _line(f"\n{base}{DISCOVERY}/{one['id']}  ({one['hook']} {one['hookVersion']})")
        for key, query in one["prefetch"].items():
            needed = " (needed)" if key in required[one["id"]] else ""
            _line(f"  {key}{needed}")
            _line(f"    {query}")


def _line(text: str) -> None:
    """Whole, so that it can be copied."""
    OUT.print(text, markup=False, soft_wrap=True)


@doctor.command()
@config_option
@tenant_option
@click.option("--at", metavar="TIME", help="Look at it as of then (RFC 3339; default: now).")
@source
def call(config: Path | None, tenant_name: str | None, at: str | None, source: IO[bytes]) -> None:
    """Explain how a captured call is answered: its body, on standard input or in a FILE.

    Nothing is fetched, so what the call left out stays unknown here.
    """
    from services.hooks.call_report import explain_call  # noqa: PLC0415  # the application
    from services.hooks.in_process import rehearsal  # noqa: PLC0415  # takes a second

    settings, tenant, known = load_tenant(config, tenant_name)
    body = source.read()
    now = _moment(at)
    with rehearsal(settings, tenant, known, now) as rehearsed:
        steps = list(explain_call(body, rehearsed, tenant, known, now))
    _show(f"Call, as tenant {tenant.id}", steps)


def _show(title: str, steps: Iterable[Step]) -> None:
    """The steps as a table; exit status 1 with a fault."""
    table = Table(title=title, title_justify="left", show_header=False, box=None)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    is_good = True
    for step in steps:
        mark, colour = MARKS[step.verdict]
        table.add_row(Text(mark, style=colour), Text(step.name), Text(step.says))
        is_good = is_good and step.verdict is not Verdict.FAULT
    OUT.print(table)
    raise SystemExit(0 if is_good else 1)
