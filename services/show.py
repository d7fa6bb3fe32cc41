"""Cards and configuration on a terminal."""

from typing import Any

from rich.console import Console, Group
from rich.markdown import Markdown
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cds_hooks.settings import Settings
from mappings.guideline_file import FOLDER, read_toml
from services.catalog import HOOKS
from services.knowledge import Known

COLOURS = {"info": "blue", "warning": "yellow", "critical": "red"}


def show_cards(console: Console, sample: str, result: dict[str, Any]) -> None:
    """The cards of `result` as panels."""
    console.print(f"\nSample patient [bold]{sample}[/] on {result['asOf']}\n")
    for card in result["cards"]:
        colour = COLOURS[card["indicator"]]
        parts: list[Any] = [
            Text(f"{card['summary']}\n", style=f"bold {colour}"),
            Markdown(card["detail"]),
        ]
        for suggestion in card.get("suggestions", ()):
            mark = "★" if suggestion.get("isRecommended") else "○"
            parts.append(Padding(Text(f"{mark} {suggestion['label']}", style="bold"), (1, 0, 0, 0)))
            parts += [Text(f"   {a['description']}") for a in suggestion["actions"]]
        parts.append(Padding(Text(card["source"]["label"], style="dim"), (1, 0, 0, 0)))
        console.print(
            Panel(Group(*parts), title=card["indicator"], title_align="left", border_style=colour)
        )
    if not result["cards"]:
        console.print("No card: there is nothing to say.")


def show_configuration(console: Console, settings: Settings, known: Known) -> None:
    """What is in force."""
    guideline, definition = known.b12.guideline, known.muscle.definition
    table = Table(title=f"In force: {settings.file or 'the defaults'}", show_header=False)
    rows = {
        "listens on": f"{settings.host}:{settings.port}, {settings.workers} workers",
        "reached at": settings.base_url,
        "services": ", ".join(f"b12-muscle-{hook}" for hook in HOOKS),
        "B12 guideline": f"{guideline.label}: {guideline.title}",
        "reviewed": f"{guideline.reviewed}, {guideline.reviewer}",
        "sarcopenia": f"{definition.label}: {definition.title}",
        "sarcopenia from": f"{definition.minimum_age} years",
        "orders": f"{known.templates.locale}, {len(known.templates.by_id)} templates",
        "codes": f"{len(known.index.exact)} in {len(known.index.sets)} value sets",
        "FHIR servers": ", ".join(settings.fhir_servers)
        or ("this machine only" if settings.allow_loopback_fhir else "none"),
        "browser origins": ", ".join(settings.cors_origins)
        or ("this machine only" if settings.allow_loopback_origins else "none"),
        "deadline for FHIR": f"{settings.fhir_deadline_ms} ms in all",
        "records": without_password(settings.records_url),
    }
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)
    policy = Table(title="Choices of this service (set in \\[policy])")
    for column in ("choice", "value", "why"):
        policy.add_column(column)
    whys = read_toml(FOLDER / "policy.toml")
    for name, chosen in known.b12.policy.items():
        policy.add_row(name, f"{chosen:g}", whys[name]["why"])
    console.print(policy)


def without_password(url: str) -> str:
    """A database URL as it may be shown."""
    scheme, separator, rest = url.partition("://")
    credentials, at, place = rest.rpartition("@")
    return f"{scheme}{separator}{credentials.partition(':')[0]}{at}{place}"
