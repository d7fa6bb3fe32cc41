"""Signing in with the hospital's own account, and out again."""

from collections.abc import Iterator

import pytest
from browser.conftest import DESKTOP, PHONE
from openid_provider import IdentityProvider, identity_provider
from served_process import Running, free_port

CONFIGURATION = """
[server]
trusted_proxies = ["127.0.0.9"]
certificate_header = "X-Subject"
[[tenant]]
id = "north"
certificate = "CN=north"
[[tenant]]
id = "south"
certificate = "CN=south"
[pages.openid]
issuer = "{issuer}"
client_id = "cobalamin"
tenants_claim = "groups"
"""
PEOPLE = [
    {"sub": "1", "name": "Ada Example", "groups": ["north", "south"]},
    {"sub": "2", "name": "Bea Example", "groups": ["cardiology"]},
]


@pytest.fixture(scope="module")
def hospital(tmp_path_factory) -> Iterator[tuple[Running, IdentityProvider]]:
    port = free_port()
    back = f"http://127.0.0.1:{port}/sign-in/callback"
    with identity_provider("cobalamin", back) as provider:
        provider.people = PEOPLE
        text = CONFIGURATION.format(issuer=provider.issuer)
        running = Running(tmp_path_factory.mktemp("sign-in"), text, port=port).start()
        yield running, provider
        running.end()


@pytest.mark.parametrize(("theme", "screen"), [("light", DESKTOP), ("dark", PHONE)])
def test_a_person_signs_in_chooses_her_hospital_and_leaves(hospital, reading, theme, screen):
    service, provider = hospital
    reader = reading(service.base, theme=theme, screen=screen)
    reader.hosts.add(provider.issuer)
    page = reader.open("/evidence")
    reader.tab_to("a[href^='/sign-in']")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Ada Example").click()
    assert page.url == f"{service.base}/evidence"
    reader.tab_to(".user-menu summary")
    page.keyboard.press("Enter")
    reader.accessible("signed in")
    reader.shoot(f"signed-in-{theme}")
    page.get_by_role("link", name="south", exact=True).click()
    assert "Ada Example · south" in page.locator(".user-menu summary").inner_text()
    page.locator(".user-menu summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="You are signed out").wait_for()
    reader.accessible("signed out")
    reader.shoot(f"signed-out-{theme}")
    page.get_by_role("link", name="End the hospital").click()
    page.get_by_role("link", name="Back").click()
    page.get_by_role("heading", name="You are signed out").wait_for()


def test_a_person_of_no_tenant_is_told_so(hospital, reading):
    service, provider = hospital
    reader = reading(service.base)
    reader.hosts.add(provider.issuer)
    reader.expected.add(403)
    page = reader.open("/sign-in")
    page.get_by_role("link", name="Bea Example").click()
    page.get_by_role("heading", name="Forbidden").wait_for()
    reader.accessible()
    reader.shoot("no-tenant")
    assert [line["reason"] for line in service.lines("auth-refused")] == ["no tenant"]
