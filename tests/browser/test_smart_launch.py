"""The app as a clinician comes to it: from a card, from the chart, by herself, in the EHR's frame."""

import json
from collections.abc import Iterator

import pytest
import requests
from conformance.serving import sample
from playwright.sync_api import Page
from served_process import Running, free_port, running
from smart_ehr import Ehr, resources_of_sample
from tls_proxy import behind_tls, certificate
from token_issuers import serving

from .conftest import CHROMIUM, DESKTOP, FLAGS, PHONE

CONFIGURATION = """
[cors]
allow_loopback = true
[fhir]
servers = ["FHIR"]
[smart]
client_id = "cobalamin-app"
frame_ancestors = ["EHR"]
"""
OTHER = "sample-2"


@pytest.fixture(scope="module")
def ehr() -> Iterator[Ehr]:
    found = resources_of_sample("neuropathy")
    patient = next(one for one in found if one["resourceType"] == "Patient")
    made = Ehr([*found, {**patient, "id": OTHER}])
    made.patients, made.asks = ["sample-1", OTHER], True
    with serving(made):
        yield made


@pytest.fixture(scope="module")
def app(tmp_path_factory, ehr) -> Iterator[Running]:
    text = CONFIGURATION.replace("FHIR", ehr.fhir).replace("EHR", ehr.base)
    with running(tmp_path_factory.mktemp("app"), text, workers=2) as service:
        ehr.client.redirect_uri = f"{service.base}/smart/callback"
        yield service


@pytest.fixture(params=[("light", DESKTOP), ("dark", PHONE)], ids=["light desktop", "dark phone"])
def clinician(request, reading, app, ehr):
    theme, screen = request.param
    reader = reading(app.base, theme=theme, screen=screen)
    reader.hosts.add(ehr.base)
    return reader, f"{theme}-{'phone' if screen is PHONE else 'desktop'}"


def inside(page):
    """Waits for the app; its text."""
    page.wait_for_url("**/smart/p/*/")
    return page.locator("main").inner_text()


def test_from_a_card_to_the_patient_and_onto_paper(clinician, app, ehr):
    reader, name = clinician
    call = sample("neuropathy")
    answer = requests.post(
        f"{app.base}/cds-services/b12-muscle-patient-view", json=call, timeout=60
    )
    [link] = [one for one in answer.json()["cards"][0]["links"] if one["type"] == "smart"]
    launch = ehr.launch("sample-1", link["appContext"])
    page = reader.open(f"{link['url']}?iss={ehr.fhir}&launch={launch}")
    page.get_by_role("link", name="Let it in").click()
    assert inside(page)
    assert "sample-1" not in page.url
    reader.accessible("app")
    reader.shoot(f"smart-app-{name}")
    page.emulate_media(media="print")
    reader.shoot(f"smart-app-print-{name}")
    assert json.loads(link["appContext"])["topic"]


def test_by_herself_choosing_the_patient_there(clinician):
    reader, _name = clinician
    page = reader.open("/smart/launch")
    page.get_by_role("link", name=OTHER).click()
    assert inside(page)


def test_two_charts_in_two_tabs(clinician, app, ehr):
    reader, _name = clinician
    page = reader.page
    tabs = [page, page.context.new_page()]
    for tab, patient in zip(tabs, ehr.patients, strict=True):
        tab.goto(f"{ehr.base}/chart/{patient}?app={app.base}/smart/launch")
        tab.get_by_role("link", name="Trends and details").click()
        tab.get_by_role("link", name="Let it in").click()
    texts = [inside(tab) for tab in tabs]
    assert texts[0] != texts[1]
    for tab, text in zip(tabs, texts, strict=True):
        tab.reload()
        assert inside(tab) == text


def test_in_the_frame_of_the_ehr_that_is_named(clinician, app, ehr):
    reader, _name = clinician
    page = reader.open(f"{ehr.base}/chart/sample-1?frame=1&app={app.base}/smart/launch")
    frame = page.frame_locator("iframe")
    frame.get_by_role("link", name="Let it in").click()
    assert frame.locator("main").inner_text()


@pytest.fixture(scope="module")
def secure_app(tmp_path_factory, ehr) -> Iterator[str]:
    """The app at an address of its own, and over TLS; its base URL."""
    folder = tmp_path_factory.mktemp("secure")
    port, base = free_port(), "https://app.localhost"
    head = f'[server]\nbase_url = "{base}:{port}"\n'
    text = head + CONFIGURATION.replace("FHIR", ehr.fhir).replace("EHR", ehr.base)
    with running(folder, text) as one, behind_tls(port, one.port, certificate("app", folder)):
        yield f"{base}:{port}"


@pytest.fixture
def third_party(chromium, secure_app, ehr) -> Iterator[Page]:
    """A browser in which no site sets cookies inside another, unless they are that site's alone."""
    flags = [*FLAGS, "--test-third-party-cookie-phaseout"]
    browser = chromium.browser_type.launch(executable_path=CHROMIUM, args=flags)
    context = browser.new_context(ignore_https_errors=True)
    yield context.new_page()
    browser.close()


def test_in_the_frame_of_an_ehr_on_another_site(third_party, secure_app, ehr):
    before, ehr.client.redirect_uri = ehr.client.redirect_uri, f"{secure_app}/smart/callback"
    try:
        third_party.goto(f"{ehr.base}/chart/sample-1?frame=1&app={secure_app}/smart/launch")
        frame = third_party.frame_locator("iframe")
        frame.get_by_role("link", name="Let it in").click()
        frame.get_by_role("heading", level=1, name="Vitamin B12").wait_for()
        kept = [one for one in third_party.context.cookies() if "launched-" in one["name"]]
        assert [one["sameSite"] for one in kept] == ["None"]
        frame.get_by_role("link", name="Summary").click()
        frame.get_by_role("heading", level=1, name="Vitamin B12").wait_for()
    finally:
        ehr.client.redirect_uri = before


def test_a_launch_that_is_refused_says_why_and_what_to_do(clinician):
    reader, name = clinician
    reader.expected = {400, 404}
    page = reader.open("/smart/launch?iss=https://elsewhere.example/fhir&launch=x")
    assert "does not know" in page.locator("main").inner_text()
    reader.accessible("refused")
    reader.shoot(f"smart-refused-{name}")
    page = reader.open("/smart/p/AAAAAAAAAAAA/")
    assert "Open the app" in page.locator("main").inner_text()
    reader.accessible("ended")
