"""The pages of the app, for the patient of a launch."""

from collections.abc import Callable

from flask import Blueprint, Response

from services.smart_app.opened import Opened
from services.workbench.frame import Frame


def app_pages(frame: Frame, opened: Callable[[str], Opened]) -> Blueprint:
    """What a user sees who is inside of a launch."""
    pages = frame.blueprint("smart", own_door=True, fault="workbench/launch_fault.html")

    @pages.get("/smart/p/<launch>/")
    def overview(launch: str) -> Response:
        return frame.page("workbench/launched.html", opened=opened(launch))

    return pages
