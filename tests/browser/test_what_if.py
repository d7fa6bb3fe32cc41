"""What-if, as an informaticist walks through it."""

import json

from services.web.what_if.query import read_sample

PATIENT = (
    "/what-if?age=72&sex=female&total_b12=212&methylmalonic_acid=0.41&egfr=52&mcv=103"
    "&grip_strength=14&gait_speed=0.7&asm_height2=5.2&asm_height2.method=DXA"
    "&condition=paraesthesia&condition=falls&drug1=metformin&drug1.since=2019-01-01"
)


def test_a_patient_is_made_up_and_seen_at_once(look):
    reader, name = look
    page = reader.open(PATIENT)
    page.wait_for_function(
        "Chart.getChart(document.querySelector('#along ~ * canvas')) !== undefined"
    )
    reader.shoot(f"what-if-{name}")
    assert page.get_by_role("article").count() == 1
    why = page.get_by_role("region", name="Why").inner_text()
    assert "180 to 350 ng/L" in why
    assert "recommendation 1.3.9" in why
    page.locator("#slide").fill("150")
    assert page.locator("#slid").inner_text().startswith("150 ng/L: B12 deficient")
    page.get_by_role("link", name="Send it in every way").click()
    assert "Only a part was available" in page.locator("#ways").inner_text()
    reader.accessible("awkward")
    reader.shoot(f"what-if-awkward-{name}")


def test_the_form_alone_leads_to_another_answer_by_the_keyboard(look):
    reader, _ = look
    page = reader.open("/what-if?sex=female&age=72&total_b12=500")
    assert page.get_by_role("article").count() == 0
    if not page.locator("#age").is_visible():
        reader.tab_to("details.made-up > summary")
        page.keyboard.press("Enter")
    reader.tab_to("#m-total_b12")
    page.keyboard.press("Control+A")
    page.keyboard.type("112")
    page.keyboard.press("Enter")
    page.get_by_role("article").wait_for()
    assert "total_b12=112" in page.url
    assert "egfr" not in page.url
    assert "112 ng/L: deficient" in page.get_by_role("article").inner_text()


def test_conditions_are_searched(look):
    reader, _ = look
    page = reader.open("/what-if?sex=female&age=72&total_b12=112")
    if not page.locator("#age").is_visible():
        page.locator("details.made-up > summary").click()
    page.get_by_text("On record", exact=True).click()
    page.get_by_label("Search conditions").fill("ataxia")
    assert page.locator(".conditions label:visible").count() == 1
    page.get_by_label("Ataxia", exact=True).check()
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**condition=ataxia**")
    assert "T1" in page.locator(".verdicts").inner_text()


def test_what_is_pasted_is_answered_and_has_no_address(look):
    reader, name = look
    page = reader.open("/what-if")
    page.get_by_text("Paste a Bundle, a call or an order").click()
    page.locator("#document").fill('{"hook": "patient-view"}')
    page.get_by_role("button", name="Answer it").click()
    assert "is required" in page.get_by_role("alert").inner_text()
    page.locator("#document").fill(json.dumps(read_sample("muscle-loss")[0]))
    page.get_by_role("button", name="Answer it").click()
    assert "severe" in page.locator(".verdicts").inner_text()
    assert page.locator("#share").count() == 0
    reader.accessible("pasted")
    reader.shoot(f"what-if-pasted-{name}")
    page.locator("#sweep-name").select_option("egfr")
    page.get_by_role("button", name="Sweep").click()
    assert page.locator("#sweep-name").input_value() == "egfr"
    with page.expect_download() as file:
        page.get_by_role("button", name="Save as a regression case").click()
    assert json.loads(file.value.path().read_text())["expected"]["sarcopeniaCategory"] == "severe"
