"""A hook is one row: a test adds its own, and every part of the service knows it.

`encounter-discharge` as https://cds-hooks.hl7.org/hooks/ has it: user, patient and encounter are
required, and all three may be tokens of prefetch.
"""

import subprocess
import sys

import pytest
from conformance.serving import today
from order_sessions import hook_call
from pages_app import site
from patients import drug, known, maker

from cds_hooks.config.loader import load_settings
from cds_hooks.protocol.dialects import Oracle
from cds_hooks.protocol.hook_request import HOOKS, Hook
from cds_hooks.telemetry.logs import read_log_line_schema
from services.exports.build_sheet import build_sheet
from services.exports.fhir_package import build_knowledge_resources
from services.hooks.catalog import read_attention_rules
from services.hooks.documents import answer_document
from services.hooks.offered_hooks import OFFERED_HOOKS, OfferedHook, build_service_id
from services.hooks.regression_cases import build_case_schema
from services.web.what_if.fhir_builder import build_context

DISCHARGE = Hook("encounter-discharge", "1.0", ("userId", "encounterId"))
WORDS = OfferedHook(
    DISCHARGE,
    when="before a patient goes home",
    criterion="every discharge of an adult",
    moment="The patient is about to go home.",
    sandbox_screen="discharge-view",
    sandbox_trigger="when Discharge is pressed",
)
RECORD = "b12 112; +paraesthesia; hb 130"


@pytest.fixture
def discharge(monkeypatch):
    """The hook among those that the protocol knows and the service offers."""
    monkeypatch.setitem(HOOKS, DISCHARGE.name, DISCHARGE)
    monkeypatch.setitem(OFFERED_HOOKS, DISCHARGE.name, WORDS)
    return DISCHARGE.name


def discharged(**members):
    call = hook_call(RECORD, [], "patient-view") | {"hook": DISCHARGE.name}
    call["context"] |= {"encounterId": "7"} | members
    return call


def test_a_call_is_answered_and_discovery_lists_it(asked, discharge):
    reply, discovered, lines = asked(None, discharged())
    assert reply.status_code == 200
    assert "Vitamin B12 112 ng/L" in reply.json["cards"][0]["summary"]
    entry = discovered[-1]
    assert entry["id"] == build_service_id(discharge) == "b12-muscle-encounter-discharge"
    assert (entry["hook"], entry["hookVersion"]) == (discharge, "1.0")
    assert "before a patient goes home" in entry["description"]
    assert len(discovered) == len(OFFERED_HOOKS)
    [line] = [line for line in lines if line["event"] == "decision"]
    assert line["hook"] == discharge


@pytest.mark.parametrize("field", DISCHARGE.context)
def test_a_call_without_what_the_hook_requires_is_refused(asked, discharge, field):
    reply, _, _ = asked(None, discharged(**{field: None}))
    assert reply.status_code == 422
    assert reply.json["issue"][0]["expression"] == [f"context.{field}"]


def test_a_finding_is_said_whatever_drafts_are_about(asked, discharge):
    """The hook is about the patient: orders beside it keep no finding from the card."""
    call = discharged()
    bundle = {"resourceType": "Bundle", "entry": [{"resource": drug(50, "draft statin")}]}
    call["context"]["draftOrders"] = bundle
    reply, _, _ = asked(None, call)
    assert reply.json["cards"]


def test_an_ehr_that_asks_at_another_hook_alone_is_not_offered_it(asked, discharge):
    reply, discovered, _ = asked(Oracle(), discharged())
    assert reply.status_code == 404
    assert [service["hook"] for service in discovered] == ["patient-view"]


def test_schemas_name_it(discharge):
    assert discharge in read_log_line_schema()["$defs"]["hook"]["enum"]
    assert discharge in build_case_schema()["properties"]["hook"]["enum"]


def test_the_build_sheet_and_the_published_plans_have_it(discharge):
    settings = load_settings(None)
    sheet = build_sheet(settings, settings.find_tenant(), known())
    assert "| encounter-discharge | every discharge of an adult |" in sheet
    _, resources = build_knowledge_resources(known(), settings.find_tenant())
    plan = resources[f"PlanDefinition/{build_service_id(discharge)}"]
    assert plan["title"].endswith("before a patient goes home")
    [action] = plan["action"]
    assert action["trigger"] == [{"type": "named-event", "name": discharge}]
    assert not [part for part in action["action"] if "definitionCanonical" not in part]


def test_pages_show_it_and_the_made_up_patient_can_be_asked_about_at_it(discharge, tmp_path):
    pages = site(tmp_path)
    start = pages.get("/", headers={"Accept": "text/html"}).get_data(as_text=True)
    assert "<td><code>discharge-view</code></td><td>when Discharge is pressed</td>" in start
    tried = pages.get(
        f"/what-if?age=72&sex=female&total_b12=112&hook={discharge}",
        headers={"Accept": "text/html"},
    )
    assert "Vitamin B12 112" in tried.get_data(as_text=True)
    assert build_context(discharge, "1", []).keys() == {"userId", "patientId", "encounterId"}


def test_a_document_about_it_is_assessed(discharge):
    call = discharged()
    answered = answer_document(call, maker(known()), today(), read_attention_rules(None, known()))
    assert answered.hook == discharge
    assert answered.answer.cards


WITH_A_FOURTH_HOOK = """
import importlib, pkgutil
from cds_hooks.protocol.hook_request import HOOKS, Hook
from services.hooks.offered_hooks import OFFERED_HOOKS, OfferedHook
hook = Hook("encounter-discharge", "1.0")
HOOKS[hook.name] = hook
OFFERED_HOOKS[hook.name] = OfferedHook(hook, "", "", "", "", "")
from services import population
for module in pkgutil.walk_packages(population.__path__, "services.population."):
    importlib.import_module(module.name)
    print(module.name)
"""


def test_every_module_of_the_population_is_imported_with_it():
    script = (sys.executable, "-c", WITH_A_FOURTH_HOOK)
    run = subprocess.run(script, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "services.population.replay.events" in run.stdout.split()
