"""The SMART app as a clinician sees it: ten years of a patient, a summary, a leaflet."""

import re

import pytest
from browser.conftest import DESKTOP, PHONE
from smart_launches import DECADE, app_of, launch, serving

from services.knowledge.site import load_knowledge

UNTREATED = "b12 128; mma 0.61; hcy 24; mcv 103; hb 118; +paraesthesia; rx metformin since 2017-02-01; grip 14; gait 0.7; rx systemic_corticosteroid since 2025-01-01"


@pytest.fixture(scope="module")
def apps(tmp_path_factory):
    launches = {"decade": launch(DECADE), "new": launch(UNTREATED, name={})}
    with (
        serving(app_of(launches, tmp_path_factory.mktemp("en"))) as english,
        serving(
            app_of(
                launches,
                tmp_path_factory.mktemp("de"),
                load_knowledge({"language": {"code": "de"}}),
            )
        ) as german,
    ):
        yield english, german


@pytest.fixture(params=[("light", DESKTOP), ("dark", PHONE)], ids=["light desktop", "dark phone"])
def view(request, reading, apps):
    theme, screen = request.param
    name = f"{theme}-{'phone' if screen is PHONE else 'desktop'}"
    return [reading(base, theme=theme, screen=screen) for base in apps], name


def test_a_decade_is_told_and_drawn(view):
    (reader, _german), name = view
    page = reader.open("/smart/p/decade/")
    reader.accessible("overview")
    assert page.locator("figure.plot canvas").count() == 10
    assert page.evaluate("Object.keys(Chart.instances).length") == 10
    reader.shoot(f"smart-overview-{name}")
    if name.startswith("dark"):
        reader.open("/smart/p/new/")
        reader.accessible("new")
        reader.shoot(f"smart-new-{name}")


def test_summary_and_leaflet_by_the_keyboard(view):
    (reader, german), name = view
    page = reader.open("/smart/p/decade/")
    reader.tab_to("a[href$='/summary']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/summary")
    reader.accessible("summary")
    reader.shoot(f"smart-summary-{name}")
    reader.tab_to("a[href$='/leaflet']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/leaflet")
    reader.accessible("leaflet")
    reader.shoot(f"smart-leaflet-{name}")
    page.get_by_role("link", name="Deutsch").click()
    assert "Essen mit Vitamin B12" in page.inner_text("article")
    for path in ("", "summary"):
        german.open(f"/smart/p/decade/{path}")
        german.shoot(f"smart-german-{path or 'overview'}-{name}")
        wide = german.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, path


def test_what_is_printed_is_one_sheet_of_a4(apps, reading):
    reader = reading(apps[0], theme="dark")
    for path in ("decade/summary", "new/summary", "decade/leaflet", "new/leaflet?language=de"):
        page = reader.open(f"/smart/p/{path}")
        pdf = page.pdf(format="A4", prefer_css_page_size=True)
        assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1, path
    german = reading(apps[1]).open("/smart/p/decade/summary")
    assert len(re.findall(rb"/Type\s*/Page\b", german.pdf(prefer_css_page_size=True))) == 1
    page.emulate_media(media="print")
    shown = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert shown == "rgb(255, 255, 255)"


def test_a_launch_that_there_is_not(apps, reading):
    reader = reading(apps[0])
    reader.expected.add(404)
    page = reader.open("/smart/p/nobody/")
    assert "Open the app from the patient's chart" in page.inner_text("main")
    assert page.get_by_role("navigation").count() == 0
    reader.accessible()
