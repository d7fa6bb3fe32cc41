"""The sheet for an EHR's analysts says what is in force, and nothing that is not."""

import csv
import io

import pytest
from patients import known

from services.hooks.catalog import build_services
from services.hooks.offered_hooks import OFFERED_HOOKS

CONFIGURATION = """
[server]
base_url = "https://cds.example.org"
[[tenant]]
id = "north"
issuer = "https://ehr.example.org/fhir"
jwks_url = "https://ehr.example.org/jwks"
audience = "https://cds.north.example.org"
[tenant.fhir]
server = "https://ehr.example.org/fhir"
[tenant.dialect]
name = "epic"
[[tenant.dialect.catalogue]]
template = "order_mma"
system = "urn:com.epic.cdshooks.action.code.system.preference-list-item"
code = "4711"
[[tenant]]
id = "south"
issuer = "https://south.example.org/fhir"
jwks_url = "https://south.example.org/jwks"
[tenant.dialect]
name = "oracle"
"""


@pytest.fixture
def sheet(cobalamin, tmp_path):
    (tmp_path / "c.toml").write_text(CONFIGURATION)

    def made(*options):
        run = cobalamin("build-sheet", "--config", "c.toml", *options)
        assert run.exit_code == 0, run.output
        return run.stdout

    return made


def rows(text, heading):
    """The cells of the first table of a section."""
    section = text.split(f"\n## {heading}")[1].split("\n## ")[0].replace("\\|", "¦")
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_endpoints_are_those_that_tokens_must_name(sheet):
    found = rows(sheet(), "1. Endpoints")
    assert found[2][:2] == [
        "patient-view",
        "https://cds.north.example.org/cds-services/b12-muscle-patient-view",
    ]
    assert len(found) == 2 + len(OFFERED_HOOKS)
    assert len(rows(sheet("--tenant", "south"), "1. Endpoints")) == 2 + 1  # patient-view alone


def test_the_queries_are_those_of_discovery(sheet):
    found = {row[0]: row[2].strip("`") for row in rows(sheet(), "4. Prefetch")[2:]}
    [service, *_others] = build_services(known(), "https://cds.example.org")
    assert found == {key: query.replace("|", "¦") for key, query in service.prefetch.items()}


def test_orders_are_mapped_or_named_as_not(sheet):
    found = {row[0]: row[3] for row in rows(sheet(), "6. Orders")[2:]}
    assert found["order_mma"].endswith("preference-list-item 4711")
    assert found["order_folate"] == "not mapped"
    assert set(found) == set(known().templates.by_id)


def test_every_criterion_has_its_codes(sheet):
    codes = list(csv.DictReader(io.StringIO(sheet("--codes"))))
    listed = [row for row in rows(sheet(), "3. When to call") if row[-1].isdecimal()]
    assert sum(int(row[-1]) for row in listed) == len(codes)
    assert {"total_b12", "metformin", "paraesthesia", "grip_strength"} <= {
        row["criterion"] for row in codes
    }
    assert not {"fatigue", "depression", "weight"} & {row["criterion"] for row in codes}


def test_a_page_needs_nothing_from_elsewhere(sheet):
    page = sheet("--html")
    assert page.count("<table>") == 9
    assert "<script" not in page
    assert "src=" not in page


def test_an_open_service_says_that_nobody_is_named(cobalamin):
    assert "Name the EHR in a `[[tenant]]` first" in cobalamin("build-sheet").stdout
