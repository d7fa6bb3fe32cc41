"""The pages of one process."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint

from cds_hooks.settings import Settings
from services.knowledge import Known
from services.workbench.access import Access
from services.workbench.evidence import evidence_pages, evidence_paths
from services.workbench.frame import Frame
from services.workbench.governance import governance_pages, governance_paths
from services.workbench.reports import Reports
from services.workbench.sign_in import sign_in_pages, sign_in_paths


def pages(settings: Settings, known: Mapping[str, Known], version: str) -> list[Blueprint]:
    """Everything that people read. Raises ConfigurationFault."""
    frame = Frame(settings, known, version, Access(settings))
    openid = settings.pages.openid
    records = settings.is_open or openid is not None  # else nobody may see them
    return [
        frame.common(),
        evidence_pages(frame, known[settings.tenant().id]),
        *([governance_pages(frame, Reports(settings))] if records else ()),
        *([sign_in_pages(frame, openid)] if openid is not None and not settings.is_open else ()),
    ]


def page_paths(settings: Settings, known: Mapping[str, Known]) -> dict[str, Any]:
    """What the OpenAPI document says of them."""
    records = settings.is_open or settings.pages.openid is not None
    return {
        **evidence_paths(known[settings.tenant().id]),
        **(governance_paths() if records else {}),
        **sign_in_paths(settings),
    }
