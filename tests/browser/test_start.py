"""The front door: what this is, a sample patient's card, and the way into the sandbox."""

from urllib.parse import parse_qs, urlsplit

import pytest

SANDBOX = "https://sandbox.cds-hooks.org"


def test_the_start_page_shows_a_card_and_is_open_to_everybody(look):
    reader, name = look
    page = reader.open("/")
    card = page.get_by_role("article")
    assert "128 ng/L: deficient" in card.get_by_role("heading").inner_text()
    assert "Metformin" in page.get_by_role("region", name="Chart").inner_text()
    assert page.get_by_text("ready", exact=True).first.is_visible()
    reader.accessible()
    reader.shoot(f"start-{name}")


def test_another_patient_is_chosen_by_the_keyboard_alone(look):
    reader, name = look
    page = reader.open("/")
    reader.tab_to("a[href='?sample=muscle-loss#sample']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?sample=muscle-loss*")
    assert "sarcopenia" in page.get_by_role("article").inner_text().lower()
    reader.accessible("muscle loss")
    reader.shoot(f"start-muscle-{name}")
    reader.tab_to("article summary")
    page.keyboard.press("Enter")
    assert page.locator("article .badge").first.is_visible()


@pytest.mark.parametrize(
    ("hook", "screen"),
    [("patient-view", "patient-view"), ("order-select", "rx-view"), ("order-sign", "rx-sign")],
)
def test_the_sandbox_is_told_hook_and_screen_and_asked_only_when_pressed(
    reading, service, hook, screen
):
    reader = reading(service.base)
    reader.hosts.add(SANDBOX)
    page = reader.open("/")
    asked = []

    def stand_in(route):
        asked.append(route.request)
        route.fulfill(body="<title>The sandbox</title>", content_type="text/html")

    page.route(f"{SANDBOX}/**", stand_in)
    expected = {
        "serviceDiscoveryURL": [f"{service.base}/cds-services"],
        "hook": [hook],
        "screen": [screen],
    }
    box = page.get_by_role("region", name=hook)
    assert asked == []
    box.get_by_role("link", name="Open in the CDS Hooks Sandbox").click()
    page.wait_for_url(f"{SANDBOX}/**")
    assert parse_qs(urlsplit(page.url).query) == expected
    assert "referer" not in asked[0].headers
    page.go_back()
    box.get_by_text("With a FHIR server and patient of your own").click()
    box.get_by_label("FHIR server").fill("https://fhir.example.org/r4")
    box.get_by_label("Patient id").fill("made-up-1")
    box.get_by_role("button", name="Open").click()
    page.wait_for_url(f"{SANDBOX}/**")
    own = {"fhirServiceUrl": ["https://fhir.example.org/r4"], "patientId": ["made-up-1"]}
    assert parse_qs(urlsplit(page.url).query) == expected | own


def test_a_setting_is_copied_by_one_press(reading, service):
    reader = reading(service.base, permissions=["clipboard-read", "clipboard-write"])
    page = reader.open("/")
    page.get_by_role("button", name="Copy: Discovery URL").click()
    assert page.evaluate("navigator.clipboard.readText()") == f"{service.base}/cds-services"
    assert page.get_by_text("Copied", exact=True).is_visible()
