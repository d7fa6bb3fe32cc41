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
from cds_hooks.protocol.service import DISCOVERY_PATH
from cds_hooks.protocol.strict_json import UnreadableJsonError, parse_json
from cds_hooks.security.key_sets import Keys, read_usable_keys
from cds_hooks.security.token_report import CheckResult, TokenCheck, explain_token
from services.cli.common import config_option, load_all, load_tenant, tenant_option
from services.hooks.offered_hooks import OFFERED_HOOKS, build_service_id

MARKS = {
    CheckResult.GOOD: ("✓", "green"),
    CheckResult.FAULT: ("✗", "red"),
    CheckResult.OPEN: ("?", "yellow"),
}
OUT = Console(highlight=False)
source_argument = click.argument("source", type=click.File("rb"), default="-", metavar="[FILE]")


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
    now = _parse_time(at)
    text = click.prompt("Token", hide_input=True, err=True) if source.isatty() else source.read()
    words = text.split()
    steps = explain_token(
        words[-1] if words else "",
        settings.tenants,
        _list_endpoints(map(build_service_id, OFFERED_HOOKS)),
        _collect_keys(settings, key_file),
        now,
    )
    _print_steps("Token", steps)


def _list_endpoints(services: Iterable[str]) -> list[str]:
    """Discovery, and each service with its feedback."""
    paths = [DISCOVERY_PATH]
    for service in services:
        paths += [f"{DISCOVERY_PATH}/{service}", f"{DISCOVERY_PATH}/{service}/feedback"]
    return paths


def _collect_keys(settings: Settings, key_file: Path | None) -> dict[str, Keys]:
    """The keys at hand: pinned ones, and those of `key_file` for tenants whose keys have a URL."""
    keys = {}
    for tenant in settings.tenants:
        file = tenant.trust.jwks_file if tenant.trust else None
        if tenant.trust and (file or key_file):
            keys[tenant.id] = _read_keys(file or key_file or Path())
    return keys


def _read_keys(file: Path) -> Keys:
    try:
        return read_usable_keys(parse_json(file.read_bytes()))
    except (OSError, UnreadableJsonError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else str(fault)
        raise click.BadParameter(f"{file}: {reason}", param_hint="--keys") from None


def _parse_time(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    with suppress(ValueError):
        time = datetime.fromisoformat(text)
        if time.tzinfo is not None:
            return time
    raise click.BadParameter("give a time such as 2026-11-25T10:00:00Z", param_hint="--at")


@doctor.command()
@config_option
@tenant_option
@click.argument("origin")
def preflight(config: Path | None, tenant_name: str | None, origin: str) -> None:
    """Explain what a page of ORIGIN, such as https://ehr.example.org, may do in a browser."""
    from services.hooks.in_process import run_in_process  # noqa: PLC0415  # the application takes a second

    settings, tenant, knowledge = load_tenant(config, tenant_name)
    with run_in_process(settings, tenant, knowledge) as rehearsed:
        paths = _list_endpoints(service.id for service in rehearsed.services)
        request_headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        steps = []
        for path in paths:
            headers = rehearsed.client.options(path, headers=request_headers).headers
            allowed = headers.get("Access-Control-Allow-Origin") == origin
            says = (
                f"{headers['Access-Control-Allow-Methods']} with "
                f"{headers['Access-Control-Allow-Headers']}"
                if allowed
                else _explain_refusal(origin, settings)
            )
            steps.append(TokenCheck(path, CheckResult.GOOD if allowed else CheckResult.FAULT, says))
    _print_steps(f"Preflight of {origin}", steps)


def _explain_refusal(origin: str, settings: Settings) -> str:
    origins = ", ".join(settings.cors_origins) or "none"
    hint = ""
    if origin.rstrip("/") in settings.cors_origins:
        hint = "; an origin has no slash at its end"
    elif origin.lower() in settings.cors_origins:
        hint = "; browsers write an origin in lower case"
    return f"is not in cors.origins ({origins}), so browsers keep the answer from the page{hint}"


@doctor.command()
@config_option
@tenant_option
def discovery(config: Path | None, tenant_name: str | None) -> None:
    """Show what discovery offers a tenant, as its EHR's analysts have to enter it."""
    from services.hooks.in_process import run_in_process  # noqa: PLC0415  # the application takes a second

    settings, tenant, knowledge = load_tenant(config, tenant_name)
    base = tenant.trust.audience if tenant.trust else settings.base_url
    with run_in_process(settings, tenant, knowledge) as rehearsed:
        listed = rehearsed.client.get(DISCOVERY_PATH).get_json()["services"]
        required = {service.id: service.required for service in rehearsed.services}
    if tenant.trust is not None:
        _print_line("A token's `aud` is the URL that is called, character by character.")
    _print_line(f"{base}{DISCOVERY_PATH}")
    for service in listed:
        hook = f"{service['hook']} {service['hookVersion']}"
        _print_line(f"\n{base}{DISCOVERY_PATH}/{service['id']}  ({hook})")
        for key, query in service["prefetch"].items():
            needed = " (needed)" if key in required[service["id"]] else ""
            _print_line(f"  {key}{needed}")
            _print_line(f"    {query}")


def _print_line(text: str) -> None:
    """Whole, so that it can be copied."""
    OUT.print(text, markup=False, soft_wrap=True)


@doctor.command()
@config_option
@tenant_option
@click.option("--at", metavar="TIME", help="Look at it as of then (RFC 3339; default: now).")
@source_argument
def call(config: Path | None, tenant_name: str | None, at: str | None, source: IO[bytes]) -> None:
    """Explain how a captured call is answered: its body, on standard input or in a FILE.

    Nothing is fetched, so what the call left out stays unknown here.
    """
    from services.hooks.call_report import explain_call  # noqa: PLC0415  # the application
    from services.hooks.in_process import run_in_process  # noqa: PLC0415  # takes a second

    settings, tenant, knowledge = load_tenant(config, tenant_name)
    body = source.read()
    now = _parse_time(at)
    with run_in_process(settings, tenant, knowledge, now) as rehearsed:
        steps = list(explain_call(body, rehearsed, tenant, knowledge, now))
    _print_steps(f"Call, as tenant {tenant.id}", steps)


def _print_steps(title: str, steps: Iterable[TokenCheck]) -> None:
    """The steps as a table; exit status 1 with a fault."""
    table = Table(title=title, title_justify="left", show_header=False, box=None)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    is_good = True
    for step in steps:
        mark, colour = MARKS[step.result]
        table.add_row(Text(mark, style=colour), Text(step.name), Text(step.text))
        is_good = is_good and step.result is not CheckResult.FAULT
    OUT.print(table)
    raise SystemExit(0 if is_good else 1)
