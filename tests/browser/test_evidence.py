"""The evidence, read as a clinician or informaticist reads it."""

import pytest

PHONE = {"width": 390, "height": 844}
IN_BOTH = ("uk-ng239", "side-by-side", "codes?q=gastrectomy")
ON_A_PHONE = ("ewgsop2-2019", "rules", "orders", "b12-and-muscle", "choices", "codes")


def test_the_evidence_leads_to_every_limit(look):
    reader, name = look
    page = reader.open("/evidence")
    reader.accessible()
    reader.shoot(f"evidence-{name}")
    page.get_by_role("link", name="Vitamin B12 deficiency in over 16s").click()
    assert "180 ng/L" in page.get_by_role("region", name="Limits").inner_text()
    attributes = page.get_by_role("region", name="Source attributes").locator("tbody tr")
    assert attributes.count() == 13
    page.get_by_role("link", name="Vitamin B12", exact=True).first.click()
    assert "2132-9" in page.get_by_role("region", name="Codes").inner_text()


@pytest.mark.parametrize("path", IN_BOTH)
def test_a_page_can_be_read_by_everybody(look, path):
    reader, name = look
    reader.open(f"/evidence/{path}")
    reader.accessible(path)
    reader.shoot(f"{path.replace('?q=', '-')}-{name}")


@pytest.mark.parametrize("path", ON_A_PHONE)
def test_a_long_page_can_be_read_on_a_phone(reading, service, path):
    reader = reading(service.base, theme="dark", screen=PHONE)
    reader.open(f"/evidence/{path}")
    reader.accessible(path)
    reader.shoot(f"{path}-dark-phone")


def test_a_code_is_found_by_the_keyboard_alone(look):
    reader, _ = look
    page = reader.open("/evidence")
    reader.tab_to("#q")
    page.keyboard.type("2132-9")
    page.keyboard.press("Enter")
    page.wait_for_url("**/evidence/codes?q=2132-9")
    assert "1 codes in 1 lists" in page.get_by_role("status").inner_text()
    reader.tab_to("main a[href='/evidence/codes/total_b12']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/evidence/codes/total_b12")
    assert "LOINC licence" in page.content()
