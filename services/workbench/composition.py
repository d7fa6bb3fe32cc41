"""The pages of one process."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint

from cds_hooks.settings import Settings
from services.knowledge import Known
from services.smart_app.door import Door, door_paths
from services.smart_app.pages import app_pages, app_paths
from services.workbench.access import Access
from services.workbench.evidence.pages import evidence_pages
from services.workbench.evidence.paths import evidence_paths
from services.workbench.frame import Frame
from services.workbench.sign_in import sign_in_pages, sign_in_paths


def pages(settings: Settings, known: Mapping[str, Known], version: str) -> list[Blueprint]:
    """Everything that people read. Raises ConfigurationFault."""
    frame = Frame(settings, known, version, Access(settings))
    openid = settings.pages.openid
    return [
        frame.common(),
        evidence_pages(frame),
        *([sign_in_pages(frame, openid)] if openid is not None and not settings.is_open else ()),
        *_smart_app(frame),
    ]


def _smart_app(frame: Frame) -> list[Blueprint]:
    """The app and its door, where some EHR has a client for it."""
    if not _has_app(frame.settings):
        return []
    door = Door(frame)
    return [door.routes(), app_pages(frame, door.opened)]


def _has_app(settings: Settings) -> bool:
    return any(tenant.smart for tenant in settings.tenants)


def page_paths(settings: Settings, known: Mapping[str, Known]) -> dict[str, Any]:
    """What the OpenAPI document says of them."""
    return {
        **evidence_paths(known[settings.tenant().id]),
        **sign_in_paths(settings),
        **(door_paths() | app_paths() if _has_app(settings) else {}),
    }
