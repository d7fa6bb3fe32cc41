"""The pages of one process.

The clients of identity providers and of EHRs are large: they are loaded where a site has one.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from flask import Blueprint

from cds_hooks.config.settings import Settings
from services.knowledge.site import Known
from services.web.access import Access
from services.web.evidence.openapi import evidence_paths
from services.web.evidence.pages import evidence_pages
from services.web.frame import Frame
from services.web.governance import governance_pages, governance_paths
from services.web.report_process import Reports
from services.web.start import start_pages, start_paths
from services.web.what_if.pages import what_if_pages, what_if_paths


def pages(settings: Settings, known: Mapping[str, Known], version: str) -> list[Blueprint]:
    """Everything that people read. Raises ConfigurationFault."""
    return [*_pages(Frame(settings, known, version, Access(settings)))]


def _pages(frame: Frame) -> Iterator[Blueprint]:
    yield frame.common()
    yield start_pages(frame)
    yield evidence_pages(frame)
    yield what_if_pages(frame)
    openid = frame.settings.pages.openid
    if _has_records_pages(frame.settings):
        yield governance_pages(frame, Reports(frame.settings))
    if openid is not None and frame.access.signs_in:
        from services.web.sign_in import sign_in_pages  # noqa: PLC0415  # as said above

        yield sign_in_pages(frame, openid)
    if _has_app(frame.settings):
        from services.web.smart_app.launch_routes import Door  # noqa: PLC0415  # as said above
        from services.web.smart_app.pages import app_pages  # noqa: PLC0415

        door = Door(frame)
        yield door.routes()
        yield app_pages(frame, door.opened)


def _has_app(settings: Settings) -> bool:
    """Whether some EHR has a client for the SMART app."""
    return any(tenant.smart for tenant in settings.tenants)


def _has_records_pages(settings: Settings) -> bool:
    """Whether anybody may see what records say."""
    return settings.is_open or settings.pages.openid is not None


def page_paths(settings: Settings, known: Mapping[str, Known]) -> dict[str, Any]:
    """What the OpenAPI document says of them."""
    return {
        **start_paths(),
        **evidence_paths(known[settings.tenant().id]),
        **what_if_paths(),
        **(governance_paths() if _has_records_pages(settings) else {}),
        **(_sign_in_paths() if Access(settings).signs_in else {}),
        **(_app_paths() if _has_app(settings) else {}),
    }


def _sign_in_paths() -> dict[str, Any]:
    from services.web.sign_in import sign_in_paths  # noqa: PLC0415  # as said above

    return sign_in_paths()


def _app_paths() -> dict[str, Any]:
    from services.web.smart_app.launch_routes import door_paths  # noqa: PLC0415  # as said above
    from services.web.smart_app.pages import app_paths  # noqa: PLC0415

    return door_paths() | app_paths()
