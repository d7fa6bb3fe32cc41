"""The governance page, read as those read it who answer for the service."""

from collections.abc import Iterator

import pytest
from browser.conftest import DESKTOP, PHONE
from openid_provider import IdentityProvider, identity_provider
from served_process import Running, free_port
from simulation.week import lived

CONFIGURATION = """
[server]
base_url = "http://127.0.0.1:{port}"
trusted_proxies = ["127.0.0.9"]
certificate_header = "X-Subject"
[records]
url = "sqlite:///week.sqlite3"
key_file = "week.key"
[metrics]
enabled = false
[[tenant]]
id = "local"
certificate = "CN=local"
[[tenant]]
id = "empty"
certificate = "CN=empty"
[pages.openid]
issuer = "{issuer}"
client_id = "cobalamin"
tenants_claim = "groups"
"""
ADA = {"sub": "1", "name": "Ada Example", "groups": ["local", "empty"]}


@pytest.fixture(scope="module")
def hospital(tmp_path_factory) -> Iterator[tuple[Running, IdentityProvider]]:
    folder = tmp_path_factory.mktemp("governance")
    with (
        (folder / "week-log").open("wb") as log,
        lived(log, folder, calls=150, disliked="orderFolicAcid"),
    ):
        pass
    port = free_port()
    with identity_provider("cobalamin", f"http://127.0.0.1:{port}/sign-in/callback") as provider:
        provider.person = ADA
        text = CONFIGURATION.format(port=port, issuer=provider.issuer)
        running = Running(folder, text, port=port).start()
        yield running, provider
        running.end()


@pytest.mark.parametrize(
    ("theme", "screen"), [("light", DESKTOP), ("dark", PHONE)], ids=["light desktop", "dark phone"]
)
def test_a_week_is_looked_at_and_taken_home(hospital, reading, theme, screen):
    service, provider = hospital
    reader = reading(service.base, theme=theme, screen=screen)
    reader.hosts.add(provider.issuer)
    # She came for the page, and the sign-in brings her there.
    page = reader.open("/governance?from=2026-11-02&to=2026-11-08")
    assert page.url == f"{service.base}/governance?from=2026-11-02&to=2026-11-08"
    assert page.locator(".tiles").inner_text().startswith("Calls answered")
    page.get_by_role("heading", name="What stands out").wait_for()
    assert page.locator("figure.plot canvas").count() >= 5
    for closed in page.locator("main details > summary").all():
        closed.click()
    reader.accessible()
    reader.shoot(f"governance-{theme}")
    with page.expect_download() as taken:
        page.get_by_role("link", name="What clinicians answer as CSV").click()
    assert taken.value.suggested_filename == "answers-local-2026-11-02-2026-11-08.csv"
    assert taken.value.path().read_text().startswith("topic,shown,accepted")
    reader.tab_to("#topic")
    page.keyboard.type("Folic acid")
    reader.tab_to("form[action='/governance'] button")
    page.keyboard.press("Enter")
    page.wait_for_url("**topic=orderFolicAcid**")
    rows = (
        page.locator("section", has=page.locator("#answers"))
        .locator("table")
        .first.locator("tbody tr")
    )
    assert rows.count() == 1
    reader.accessible("one rule")


def test_where_nothing_is_on_record_it_is_not_said_that_all_is_well(hospital, reading):
    service, provider = hospital
    reader = reading(service.base)
    reader.hosts.add(provider.issuer)
    page = reader.open("/governance?from=&tenant=empty")
    assert page.locator("#tenant").input_value() == "empty"
    page.get_by_text("nothing is known").wait_for()
    reader.accessible()
    reader.shoot("governance-empty")
