"""The start page: what this is, a sample patient's card, and the way into the sandbox."""

from urllib.parse import parse_qs, urlsplit

import pytest
from patients import known
from site_knowledge import site
from tables import cases

from cds_hooks.config.tenants import LOCAL_TENANT, Tenant
from services.web.sample_patients import assess_samples
from services.web.start import SANDBOX_ORIGIN, build_sandbox_url

PAGE = {"Accept": "text/html"}
SAMPLES = assess_samples(known(), "https://cds.example", LOCAL_TENANT)


@cases("""
    sample      | who             | fact                         | card
    ------------+-----------------+------------------------------+--------------------------------
    neuropathy  | Woman, 78 years | Abnormal gait                | 128 ng/L: deficient
    functional  | Man, 82 years   | Methylmalonic acid           | Functional B12 deficiency
    untested    | Woman, 65 years | Numbness                     | a test is due
    folic-acid  | Woman, 71 years | Folic Acid 1 MG Oral Tablet  | Do not give folic acid without
    muscle-loss | Woman, 80 years | Repeated falls               | severe sarcopenia
""")
def test_a_sample_patient_has_a_chart_and_a_card(case):
    one = SAMPLES[case["sample"]]
    assert one.who == case["who"]
    assert case["fact"] in [fact.says for fact in one.facts]
    assert case["card"] in one.cards[0]["summary"]


def test_the_first_is_the_one_of_the_readme():
    assert next(iter(SAMPLES)) == "neuropathy"


@pytest.mark.parametrize("name", SAMPLES)
def test_each_sample_can_be_chosen(here, name):
    page = here.get(f"/?sample={name}", headers=PAGE)
    assert page.status_code == 200
    assert SAMPLES[name].cards[0]["indicator"] in page.get_data(as_text=True)


def test_what_is_no_sample_is_not_found(here):
    assert here.get("/?sample=none", headers=PAGE).status_code == 404


def test_services_health_and_versions_are_those_of_discovery_and_probe(here):
    page = here.get("/", headers=PAGE).get_data(as_text=True)
    for service in here.get("/cds-services").json["services"]:
        assert service["id"] in page
        assert all(key in page for key in service["prefetch"])
    assert here.get("/health/ready").json["status"] in page
    assert "uk-ng239@1.0.0" in page
    assert "CDS Hooks 3.0.0" in page


@cases("""
    hook         | screen
    -------------+-------------
    patient-view | patient-view
    order-select | rx-view
    order-sign   | rx-sign
""")
def test_the_sandbox_is_told_hook_and_screen(case):
    told = urlsplit(build_sandbox_url(case["hook"], "https://cds.example"))
    assert f"{told.scheme}://{told.netloc}" == SANDBOX_ORIGIN
    assert parse_qs(told.query, strict_parsing=True) == {
        "serviceDiscoveryURL": ["https://cds.example/cds-services"],
        "hook": [case["hook"]],
        "screen": [case["screen"]],
    }
    assert "%3A%2F%2F" in told.query


def test_the_form_may_go_to_the_sandbox_and_nothing_else_may(here):
    policy = here.get("/", headers=PAGE).headers["Content-Security-Policy"]
    assert f"form-action 'self' {SANDBOX_ORIGIN}" in policy
    assert policy.count("sandbox.cds-hooks.org") == 1
    elsewhere = here.get("/evidence", headers=PAGE).headers["Content-Security-Policy"]
    assert "form-action 'self';" in elsewhere


def test_the_configuration_is_told_only_where_the_sandbox_is_not_let_in(here, tmp_path):
    assert "among those that this service lets in" in here.get("/", headers=PAGE).text
    let_in = site(tmp_path, cors_origins=(SANDBOX_ORIGIN,))
    assert "among those that this service lets in" not in let_in.get("/", headers=PAGE).text


def test_a_site_opens_its_start_page_or_does_not(tmp_path):
    tenant = Tenant("first", certificate="CN=first")
    closed = site(tmp_path, tenant, public=("evidence",))
    assert closed.get("/", headers=PAGE).status_code == 404
    assert closed.get("/evidence", headers=PAGE).status_code == 200


def test_a_site_sees_its_own_services_and_language(tmp_path):
    clinical = {"language": {"code": "de"}, "b12": {"guideline": "us-aafp2025"}}
    own = site(tmp_path, Tenant("own", certificate="CN=own", service_tables=clinical))
    page = own.get("/", headers=PAGE).text
    assert "us-aafp2025@1.0.1" in page
    assert "niedrig" in page or "Mangel" in page or "Befund" in page
    assert "Callers have to prove who they are here" in page
