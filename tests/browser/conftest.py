"""Pages in a real Chromium, as people see them: light and dark, desktop and phone."""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright
from served_process import Running

CHROMIUM = shutil.which("chromium")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
SERIOUS = ("serious", "critical")
# Where screenshots go, for whoever wants to look at the pages that the tests walk through.
SHOTS = os.environ.get("COBALAMIN_SCREENSHOTS")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def service(tmp_path_factory) -> Iterator[Running]:
    """The service as `cobalamin serve` runs it for this machine."""
    running = Running(tmp_path_factory.mktemp("pages"), "[cors]\nallow_loopback = true\n").start()
    yield running
    running.stop()


@dataclass
class Reader:
    """A person with a browser. Nothing may go wrong on her console or go to another host."""

    page: Page
    base: str
    faults: list[str] = field(default_factory=list)
    # Answers other than 2xx that a test asks for.
    expected: set[int] = field(default_factory=set)
    # Hosts besides the service that the walk belongs to: an EHR, a provider of identities.
    hosts: set[str] = field(default_factory=set)

    def open(self, path: str) -> Page:
        self.page.goto(path if path.startswith("http") else f"{self.base}{path}")
        return self.page

    def accessible(self, where: str = "") -> None:
        """axe finds nothing serious, and nothing is wider than the screen."""
        found = Axe().run(self.page).response["violations"]
        told = [
            f"{where} {one['id']}: {node['html'][:120]}: {node['failureSummary']}"
            for one in found
            if one["impact"] in SERIOUS
            for node in one["nodes"]
        ]
        assert told == []
        wide = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{where}: {wide} pixels wider than the screen"

    def shoot(self, name: str) -> None:
        """A picture of the whole page, where somebody wants to look."""
        if SHOTS:
            Path(SHOTS).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)

    def tab_to(self, selector: str, most: int = 120) -> None:
        """Moves the focus by the keyboard alone."""
        for _ in range(most):
            if self.page.evaluate("s => document.activeElement.matches(s)", selector):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"{selector} cannot be reached by the keyboard")

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        status = re.search(r"status of (\d+)", message.text)
        if not (status and int(status[1]) in self.expected):
            self.faults.append(f"console: {message.text}")

    def _asked(self, request: Request) -> None:
        ours = (self.base, *self.hosts, "data:", "blob:")
        if not request.url.startswith(ours):
            self.faults.append(f"asked elsewhere: {request.url}")


@pytest.fixture
def reading(chromium) -> Iterator[Any]:
    """Opens browsers: `reading(service.base, theme="dark", screen=PHONE)`."""
    opened: list[Reader] = []

    def read(base: str, *, theme: str = "light", screen: Any = None, **options: Any) -> Reader:
        context = chromium.new_context(
            color_scheme=theme,
            viewport=screen or DESKTOP,
            locale="en-GB",
            reduced_motion="reduce",  # no colour is looked at while it changes
            **options,
        )
        reader = Reader(context.new_page(), base)
        reader.page.on("console", reader._heard)
        reader.page.on("pageerror", lambda error: reader.faults.append(f"script: {error}"))
        reader.page.on("request", reader._asked)
        reader.page.set_default_timeout(60_000)
        opened.append(reader)
        return reader

    yield read
    for reader in opened:
        reader.page.context.close()
        assert reader.faults == []


@pytest.fixture(params=[("light", DESKTOP), ("dark", PHONE)], ids=["light desktop", "dark phone"])
def look(request, reading, service) -> tuple[Reader, str]:
    """A reader of the service's pages, and how to call her pictures."""
    theme, screen = request.param
    name = f"{theme}-{'phone' if screen is PHONE else 'desktop'}"
    return reading(service.base, theme=theme, screen=screen), name
