"""A page that needs nothing else; its own policy keeps scripts and hosts out."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


@dataclass(frozen=True, slots=True)
class Laid:
    """A table as a reader sees it; `total` rows stand in its CSV."""

    title: str
    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]
    total: int


def rendered(template: str, shows: Mapping[str, Any], style: str = "") -> str:
    """The page that `template` makes of what it `shows`; `style` goes behind that of all pages."""
    styled = (files("services") / "templates" / "report.css").read_text(encoding="utf-8") + style
    digest = base64.b64encode(hashlib.sha256(styled.encode()).digest()).decode()
    templates = Environment(
        loader=PackageLoader("services"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    templates.filters["svg"] = Markup
    return templates.get_template(template).render(
        style=Markup(styled),  # noqa: S704  # our own files
        policy=f"default-src 'none'; style-src 'sha256-{digest}'",
        **shows,
    )
