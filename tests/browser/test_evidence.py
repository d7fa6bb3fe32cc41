"""The evidence, read as a clinician or informaticist reads it."""


def test_the_evidence_leads_to_every_limit(look):
    reader, name = look
    page = reader.open("/evidence")
    reader.accessible()
    reader.shoot(f"evidence-{name}")
    page.get_by_role("link", name="Vitamin B12 deficiency in over 16s").click()
    assert "180 ng/L" in page.get_by_role("table").first.inner_text()
    reader.accessible()
    reader.shoot(f"guideline-{name}")
