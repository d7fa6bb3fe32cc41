"""The pages of one process.

The clients of identity providers and of EHRs are large: they are loaded where a site has one.
"""

from collections.abc import Iterator, Mapping

from flask import Blueprint

from cds_hooks.config.settings import Settings
from services.knowledge.site import SiteKnowledge
from services.web.access import Access
from services.web.evidence.pages import make_evidence_pages
from services.web.frame import Frame
from services.web.governance import make_governance_pages
from services.web.report_process import ReportRunner
from services.web.start import make_start_pages
from services.web.what_if.pages import make_what_if_pages


def make_pages(
    settings: Settings, knowledge: Mapping[str, SiteKnowledge], version: str
) -> list[Blueprint]:
    """Everything that people read. Raises ConfigurationError."""
    return [*_make_pages(Frame(settings, knowledge, version, Access(settings)))]


def _make_pages(frame: Frame) -> Iterator[Blueprint]:
    yield frame.make_common_blueprint()
    yield make_start_pages(frame)
    yield make_evidence_pages(frame)
    yield make_what_if_pages(frame)
    openid = frame.settings.pages.openid
    if _has_records_pages(frame.settings):
        yield make_governance_pages(frame, ReportRunner(frame.settings))
    if openid is not None and frame.access.has_sign_in:
        from services.web.sign_in import make_sign_in_pages  # noqa: PLC0415  # as said above

        yield make_sign_in_pages(frame, openid)
    if _has_app(frame.settings):
        from services.web.smart_app.launch_routes import LaunchRoutes  # noqa: PLC0415  # as said above
        from services.web.smart_app.pages import make_app_pages  # noqa: PLC0415

        door = LaunchRoutes(frame)
        yield door.make_blueprint()
        yield make_app_pages(frame, door.open_launch)


def _has_app(settings: Settings) -> bool:
    """Whether some EHR has a client for the SMART app."""
    return any(tenant.smart for tenant in settings.tenants)


def _has_records_pages(settings: Settings) -> bool:
    """Whether anybody may see what records say."""
    return settings.is_open or settings.pages.openid is not None
