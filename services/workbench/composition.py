"""The pages of one process."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint

from cds_hooks.settings import Settings
from services.knowledge import Known
from services.workbench.access import Access
from services.workbench.evidence import evidence_pages, evidence_paths
from services.workbench.frame import Frame
from services.workbench.what_if.pages import what_if_pages, what_if_paths


def pages(settings: Settings, known: Mapping[str, Known], version: str) -> list[Blueprint]:
    """Everything that people read. Raises ConfigurationFault."""
    frame = Frame(settings, known, version, Access(settings))
    return [
        frame.common(),
        evidence_pages(frame, known[settings.tenant().id]),
        what_if_pages(frame),
    ]


def page_paths(settings: Settings, known: Mapping[str, Known]) -> dict[str, Any]:
    """What the OpenAPI document says of them."""
    return {**evidence_paths(known[settings.tenant().id]), **what_if_paths()}
