"""What-if: the made-up patient is answered as the service answers, and nobody's data is kept."""

import copy
import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from html import unescape
from threading import Event, Semaphore

import pytest
from flask import Response
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from patients import chart as chart_of
from patients import known
from tables import cases
from werkzeug.datastructures import MultiDict

from cds_hooks.config.settings import Settings
from cds_hooks.config.tenants import LOCAL_TENANT
from cds_hooks.telemetry.metrics import Metrics
from services.cli.main import main
from services.hooks.documents import UnusableDocumentError, assess_document
from services.hooks.overrides import VariantOptions, build_variant
from services.hooks.regression_cases import build_case_schema, read_case
from services.knowledge.messages import list_messages
from services.web.unit_text import spell_units
from services.web.what_if.limit_bands import build_bands, find_scope
from services.web.what_if.pages import MAX_CONCURRENT, MAX_FAULT_TRIAL_BYTES, WhatIfPages
from services.web.what_if.prefetch_faults import UNSEEN_TEXTS
from services.web.what_if.prefill import build_form
from services.web.what_if.query import (
    SAMPLE_NAMES,
    OfferedOptions,
    read_pasted,
    read_query,
    read_sample,
)
from services.web.what_if.sweep import find_measurement
from services.web.what_if.view import WhatIfView

DAY = date(2026, 11, 20)
SITE = VariantOptions.from_site(LOCAL_TENANT, known())
OPTIONS = OfferedOptions.from_knowledge(known())
CHOSEN = build_variant(LOCAL_TENANT, SITE, "https://cds.example")


def asked(query, day=DAY):
    pairs = [part.split("=", 1) for part in re.split(r"[&;] ?", query) if part]
    return read_query(
        MultiDict([(name, value) for name, value in pairs]), known(), SITE, OPTIONS, day
    )


def view(query, chosen=CHOSEN):
    question = asked(query)
    assert question.faults == ()
    return WhatIfView.from_document(
        question.build_document(chosen.knowledge), question, chosen, Settings()
    )


@cases("""
    entered                                                                      | b12                  | muscle       | tier
    -----------------------------------------------------------------------------+----------------------+--------------+-----
    sex=female; age=72; total_b12=179                                            | deficient            | not_assessed | T3
    sex=female; age=72; total_b12=180                                            | indeterminate        | not_assessed | T3
    sex=female; age=72; total_b12=350                                            | indeterminate        | not_assessed | T3
    sex=female; age=72; total_b12=351                                            | unlikely             | not_assessed | T5
    sex=female; age=72; total_b12=179; condition=ataxia                          | deficient            | not_assessed | T1
    sex=female; age=72; total_b12=132; total_b12.unit=pmol/L                     | deficient            | not_assessed | T3
    sex=female; age=72; total_b12=133; total_b12.unit=pmol/L                     | indeterminate        | not_assessed | T3
    sex=female; age=72; total_b12=179; total_b12.unit=none                       | insufficient-data    | not_assessed | T4
    sex=female; age=72; total_b12=<150                                           | deficient            | not_assessed | T3
    sex=female; age=72; total_b12=<200                                           | insufficient-data    | not_assessed | T4
    sex=female; age=72; total_b12=179; total_b12.ago=13 mo                       | at-risk-untested     | not_assessed | T4
    sex=female; age=72; total_b12=179; total_b12.ago=11 mo                       | deficient            | not_assessed | T3
    sex=female; age=72; total_b12=212; methylmalonic_acid=0.61; egfr=75          | deficient-functional | not_assessed | T3
    sex=female; age=72; total_b12=212; methylmalonic_acid=0.61; egfr=40          | indeterminate        | not_assessed | T3
    sex=female; age=15; total_b12=179                                            | out-of-scope         | out_of_scope_age | T5
    sex=female; age=72; condition=fatigue; drug1=metformin; drug1.since=2019-01-01 | at-risk-untested   | not_assessed | T4
    sex=female; age=72; total_b12=500; draft=drug:folic_acid                     | unlikely             | not_assessed | T5
    sex=female; age=72; grip_strength=15.9                                       | no-action            | probable     | T3
    sex=female; age=72; grip_strength=15.9; asm_height2=5.4; asm_height2.method=DXA; gait_speed=0.8 | no-action | severe | T3
    sex=unknown; age=72; grip_strength=20                                        | no-action            | indeterminate | T4
    sex=male; born=1950-03-02; grip_strength=26.9                                | no-action            | probable     | T3
""")
def test_a_made_up_patient_is_judged_as_any_other(case):
    found = view(case["entered"]).result.assessment
    got = found["b12"]["category"], found["sarcopenia"]["category"], found["tier"]
    assert got == (case["b12"], case["muscle"], case["tier"])


@cases("""
    entered                                        | says
    -----------------------------------------------+------------------------------------------
    sex=female; total_b12=low                      | Vitamin B12: no value such as
    sex=female; total_b12=212; total_b12.unit=mol  | Vitamin B12, unit: none of those
    sex=female; total_b12=212; total_b12.ago=soon  | Vitamin B12, how old: no time such as
    sex=female; total_b12=212; total_b12.ago=9999 y | Vitamin B12, how old: no time such as
    sex=female; age=900                            | age: no number up to 130
    sex=female; born=2026-02-30                    | birth date: no day such as
    sex=robot                                      | sex: none of those
    sex=female; condition=sadness                  | condition: none of those
    sex=female; drug1=water                        | drug 1: none of those
    sex=female; drug1=metformin; drug1.since=soon  | drug 1, since: no day such as
    sex=female; draft=order:rocket                 | draft order: none of those
    sex=female; guideline=none                     | guideline: none of those
    sex=female; hook=phone                         | hook: none of those
    sex=female; day=tomorrow                       | day: no day such as
    sex=female; day=9999-12-31                     | day: too far away
    sex=female; b12=90                             | b12: nothing is entered by that name
    sex=female; total_b12=90; total_b12.units=ng/L | total_b12.units: nothing is entered by that name
    sex=female; drug13=metformin                   | drug13: nothing is entered by that name
""")
def test_what_cannot_be_read_is_said_and_left_out(case, reader):
    [fault] = asked(case["entered"]).faults
    assert case["says"] in fault
    page = reader.get(f"/what-if?{case['entered'].replace('; ', '&')}")
    assert page.status_code == 200
    assert case["says"] in unescape(page.get_data(as_text=True))


@pytest.mark.parametrize("name", SAMPLE_NAMES)
def test_the_form_holds_a_sample_so_well_that_it_is_judged_alike(name):
    shown = view(f"sample={name}").result
    question = asked(f"sample={name}")
    again = read_query(
        MultiDict([*build_form(shown.answered.chart, known()).as_query(), ("hook", question.hook)]),
        known(),
        SITE,
        OPTIONS,
        question.day,
    )
    assert again.faults == ()
    other = WhatIfView.from_document(
        again.build_document(known()), again, CHOSEN, Settings()
    ).result.assessment
    for axis, member in (("b12", "category"), ("sarcopenia", "category"), ("b12", "urgency")):
        assert other[axis][member] == shown.assessment[axis][member]
    assert other["tier"] == shown.assessment["tier"]


@cases("""
    guideline  | locale | orders of | told
    -----------+--------+-----------+-----
    uk-ng239   |        | en-GB     |
    uk-ng239   | en-US  | en-GB     | yes
    us-aafp2025 |       | en-US     |
    us-aafp2025 | en-GB | en-US     | yes
    us-aafp2025 | en-US | en-US     |
    bsh2014    | en-GB  | en-GB     |
    who        |        | en-GB     |
""")
def test_a_guideline_treats_with_orders_of_its_country(case):
    chosen = f"guideline={case['guideline']}" + (
        f"; locale={case['locale']}" if case["locale"] else ""
    )
    question = asked(f"sex=female; age=72; total_b12=120; condition=ataxia; {chosen}")
    assert question.choices.locale == case["orders of"]
    assert len(question.faults) == (case["told"] == "yes")
    made = build_variant(LOCAL_TENANT, question.choices, "https://cds.example")
    found = WhatIfView.from_document(
        question.build_document(made.knowledge), question, made, Settings()
    )
    [card] = found.cards
    assert any("im" in one["uuid"] or "IM" in one["label"] for one in card["suggestions"])


def test_a_guideline_with_the_orders_of_another_country_offers_what_these_have():
    """A site may have set both; what its orders lack is not offered, and nothing breaks."""
    odd = VariantOptions(**{**SITE.as_json(), "guideline": "us-aafp2025", "locale": "en-GB"})
    made = build_variant(LOCAL_TENANT, odd, "https://cds.example")
    for draft in ("", "; draft=drug:cyanocobalamin; draft.route=oral; draft.dose=50"):
        question = asked(f"sex=female; age=72; total_b12=120; condition=ataxia{draft}")
        found = WhatIfView.from_document(
            question.build_document(made.knowledge), question, made, Settings()
        )
        assert found.b12["category"] == "deficient"
        assert found.cards


def test_an_address_asks_the_same_again():
    query = (
        "age=72&sex=female&total_b12=212&total_b12.unit=pmol/L&total_b12.ago=8 mo"
        "&condition=ataxia&drug1=metformin&drug1.since=2019-01-01&draft=drug:folic_acid"
        "&draft.dose=400&hook=order-select&dialect=epic&guideline=bsh2014&sweep=egfr"
    )
    question = asked(query)
    again = read_query(MultiDict(question.as_pairs()), known(), SITE, OPTIONS, DAY)
    assert again == question


@cases("""
    entered                                                   | along              | from | to   | changes at
    ----------------------------------------------------------+--------------------+------+------+-------------------
    sex=female; age=72; total_b12=212                         | total_b12          | 100  | 500  | 180 351
    sex=female; age=72; total_b12=212; total_b12.unit=pmol/L  | total_b12          | 50   | 500  | 133 259
    sex=female; age=72                                        | total_b12          | 100  | 1200 | 180 351 1001
    sex=female; age=72; total_b12=212; egfr=80                | methylmalonic_acid | 0.1  | 1    | 0.29
    sex=female; age=72; total_b12=212; methylmalonic_acid=0.6 | egfr               | 10   | 90   | 60
    sex=female; age=72                                        | grip_strength      | 10   | 30   | 16.0
    sex=male; age=72                                          | grip_strength      | 10   | 30   | 27.0
    sex=female; age=72                                        | sarc_f             | 0    | 10   | 4
""")
def test_a_sweep_finds_where_the_answer_changes(case):
    bounds = f"sweep={case['along']}; from={case['from']}; to={case['to']}"
    found = view(f"{case['entered']}; {bounds}").sweep
    assert [found.format_value(i.begins) for i in found.intervals[1:]] == case["changes at"].split()
    assert found.intervals[0].begins == float(case["from"])
    assert found.intervals[-1].ends == float(case["to"])


@cases("""
    from   | to
    -------+-------
    999999 |
    300    | 200
    0      | 0.0001
    nan    | -1
    1e99   | x
           | 999999
""")
def test_a_sweep_may_begin_and_end_anywhere(case):
    found = view(f"sex=female; age=72; total_b12=212; from={case['from']}; to={case['to']}").sweep
    assert found.intervals[0].begins < found.intervals[-1].ends


@pytest.mark.parametrize("along", ["total_b12", "egfr", "gait_speed", "mcv"])
def test_a_sweep_says_what_the_value_itself_would_be_answered(along):
    start = "sex=female; age=72; methylmalonic_acid=0.6; grip_strength=14; condition=paraesthesia"
    for one in view(f"{start}; sweep={along}").sweep.intervals:
        for value in (one.begins, one.ends):
            entered = view(f"{start}; {along}={value:g}").result.assessment
            assert entered["b12"]["category"] == one.outcome.b12
            assert entered["sarcopenia"]["category"] == one.outcome.muscle
            assert entered["tier"] == one.outcome.tier


def test_bands_cover_the_axis_in_the_words_of_the_guideline():
    chart = view("sex=female; age=72; total_b12=212").result.answered.chart
    found = list(build_bands(find_scope("total_b12", "ng/L", chart, known(), None)))
    assert [(one.says, one.begins, one.ends) for one in found] == [
        ("deficient", None, 180.0),
        ("indeterminate", 180.0, 350.0),
        ("unlikely", 350.0, 1000.0),
        ("high", 1000.0, None),
    ]


@cases("""
    entered                                                  | along         | method | bands
    ---------------------------------------------------------+---------------+--------+------------------------------------------
    sex=female; age=72; grip_strength=14                     | grip_strength |        | low strength to 16; no limit met
    sex=unknown; age=72; grip_strength=14                    | grip_strength |        | low strength to 16; sex not known to 27; no limit met
    sex=unknown; age=72; gait_speed=0.9                      | gait_speed    |        | low performance to 0.8; no limit met
    sex=female; age=72; asm_height2=5.5                      | asm_height2   |        | low mass to 5.4; method not known to 5.7; no limit met
    sex=female; age=72; asm_height2=5.5                      | asm_height2   | BIA    | low mass to 5.7; no limit met
    sex=unknown; age=72; asm_height2=5.5                     | asm_height2   | BIA    | low mass to 5.7; sex not known to 7; no limit met
    sex=unknown; age=72; hemoglobin=125                      | hemoglobin    |        | severe anaemia to 80; anaemia to 120; sex not known to 130; no limit met
""")
def test_what_is_not_known_of_somebody_is_no_band_of_what_is_normal(case):
    knows = known(definition="awgs-2019" if case["along"] == "asm_height2" else "ewgsop2-2019")
    found = view(case["entered"]).result.answered.chart
    unit = found.measurements[case["along"]][0].unit
    lying = build_bands(find_scope(case["along"], unit, found, knows, case["method"] or None))
    told = [band.says + (f" to {band.ends:g}" if band.ends else "") for band in lying]
    assert "; ".join(told) == case["bands"]


@cases("""
    entered                                                  | along         | now
    ---------------------------------------------------------+---------------+----
    sex=female; age=72; total_b12=212                        | total_b12     | 212
    sex=female; age=72; total_b12=<200                       | total_b12     |
    sex=female; age=72; total_b12=212; total_b12.unit=none   | total_b12     |
    sex=female; age=72                                       | total_b12     |
""")
def test_the_sweep_marks_this_patient_only_where_there_is_a_value(case):
    found = view(f"{case['entered']}; sweep={case['along']}").sweep
    assert ("" if found.now is None else f"{found.now:g}") == case["now"]


def test_of_two_hands_the_sweep_begins_at_the_better_one():
    found = chart_of("grip_left 14; grip_right 30")
    assert find_measurement("grip_strength", found, known()).value == 30


@cases("""
    along              | from | to    | begins | ends
    -------------------+------+-------+--------+------
    total_b12          | 0    | 500   | 20     | 500
    total_b12          | 100  | 99999 | 100    | 20000
    methylmalonic_acid | 0    | 1     | 0.03   | 1
    egfr               | 500  | 900   | 1      | 200
""")
def test_nothing_is_swept_that_would_not_be_read(case):
    query = f"sex=female; age=72; sweep={case['along']}; from={case['from']}; to={case['to']}"
    found = view(query).sweep
    ends = found.intervals[0].begins, found.intervals[-1].ends
    assert ends == (float(case["begins"]), float(case["ends"]))


@cases("""
    entered                                            | limit                | outcome
    ---------------------------------------------------+----------------------+------------------------
    sex=female; age=72; total_b12=212                  | below 180 ng/L       | not met
    sex=female; age=72; total_b12=212                  | at most 350 ng/L     | met
    sex=female; age=72; total_b12=150                  | below 180 ng/L       | met
    sex=female; age=72; total_b12=150                  | at most 350 ng/L     | met, but a row above goes first
    sex=female; age=72; total_b12=<200                 | below 180 ng/L       | the bound may lie on either side of a limit
    sex=female; age=72; grip_strength=14               | below 16 kg, female  | met
    sex=female; age=72; grip_strength=14               | below 27 kg, male    | for others
    sex=unknown; age=72; grip_strength=14              | below 27 kg, male    | sex not known
""")
def test_each_printed_limit_is_shown_met_or_not(case):
    [one] = view(case["entered"]).placed
    assert {row.text: row.outcome for row in one.compared}[case["limit"]] == case["outcome"]


@cases("""
    decided by       | entered
    -----------------+----------------------------------------------------------------
    first-line-band  | sex=female; age=72; total_b12=179
    unit-safety      | sex=female; age=72; total_b12=179; total_b12.unit=none
    unit-safety      | sex=female; age=72; total_b12=300; total_b12.unit=pmol/L; guideline=us-aafp2017
    methylmalonic-acid | sex=female; age=72; total_b12=212; methylmalonic_acid=0.5; egfr=60
    kidney-function  | sex=female; age=72; total_b12=212; methylmalonic_acid=0.5; egfr=59
    pregnancy        | sex=female; age=30; total_b12=120; condition=pregnancy
    nitrous-oxide    | sex=female; age=30; total_b12=500; condition=nitrous_oxide
    supplement       | sex=female; age=72; total_b12=300; drug1=cyanocobalamin; drug1.route=oral
    supplement       | sex=female; age=72; total_b12=1001; drug1=cyanocobalamin; drug1.route=oral
    replacement      | sex=female; age=72; total_b12=90; drug1=hydroxocobalamin; drug1.since=2024-01-01
    high-b12         | sex=female; age=72; total_b12=1001; condition=chronic_liver_disease
    transcobalamin   | sex=female; age=72; total_b12=500; condition=transcobalamin_deficiency
    lifelong-need    | sex=female; age=72; condition=pernicious_anaemia
    age              | sex=female; age=15; total_b12=90
""")
def test_the_path_shows_what_decided(case):
    question = asked(case["entered"])
    made = build_variant(LOCAL_TENANT, question.choices, "https://cds.example")
    found = WhatIfView.from_document(
        question.build_document(made.knowledge), question, made, Settings()
    )
    assert case["decided by"] in [one.rule for one in found.evidence]


@cases("""
    entered                                               | what                | why
    ------------------------------------------------------+---------------------+----------------
    sex=female; age=72; total_b12=212; total_b12.unit=none | Vitamin B12 (212)  | not normal
    sex=female; age=72; total_b12=7                       | Vitamin B12 (7 ng/L) | not normal
    sex=unknown; age=72; total_b12=212                    | Sex                 | not known
    sex=female; total_b12=212                             | Birth date          | not known
""")
def test_what_no_rule_could_use_is_named(case):
    found = {gap.what: gap.why for gap in view(case["entered"]).gaps}
    [what] = [what for what in found if what.startswith(case["what"].split(" (")[0])]
    assert case["why"] in found[what]


def test_what_attention_withholds_is_named_with_why():
    quiet = build_variant(
        LOCAL_TENANT,
        VariantOptions(**{**SITE.as_json(), "attention": "configured"}),
        "https://cds.example",
    )
    draft = "sex=female; age=72; total_b12=212; draft=test:egfr; hook=order-select"
    shown = view(draft, quiet)
    assert not shown.cards
    [one] = shown.withheld
    assert one.what == "B12"


def bundle(name="neuropathy"):
    document, _ = read_sample(name)
    entries = [{"resource": document["prefetch"]["patient"]}]
    for value in document["prefetch"].values():
        entries += (value or {}).get("entry", [])
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def test_a_pasted_bundle_is_judged_as_the_command_line_judges_it(reader):
    page = reader.paste(bundle(), day="2026-11-20")
    text = unescape(page.get_data(as_text=True))
    assert "128 ng/L" in text
    found = WhatIfView.from_document(
        bundle(), asked("sex=unknown"), CHOSEN, Settings()
    ).result.assessment
    assert found == assess_document(bundle(), CHOSEN.maker, DAY, CHOSEN.attention)


def test_what_is_pasted_is_answered_on_the_day_that_is_asked_for(reader):
    page = reader.paste(bundle(), "/what-if?sample=untested", day="2029-01-01", hook="order-sign")
    text = unescape(page.get_data(as_text=True))
    assert "too old to decide" in text
    assert "order-sign" in text


def test_a_pasted_order_is_the_draft_of_the_made_up_patient(reader):
    order = {
        "resourceType": "MedicationRequest",
        "id": "mine",
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/somebody"},
        "medicationCodeableConcept": {
            "coding": [{"system": "http://www.whocc.no/atc", "code": "B03BB01"}]
        },
    }
    page = reader.paste(order, "/what-if?age=72&sex=female&total_b12=112")
    assert "About the order" in page.get_data(as_text=True)


@cases("""
    pasted                                            | says
    --------------------------------------------------+-------------------------------
    {"hook":                                          | not JSON at line 1, column
    []                                                | $: neither a FHIR Bundle
    {"resourceType": "Patient"}                       | resourceType: neither a Bundle
    {"hook": "phone-call"}                            | hook: none of the hooks
    {"hook": "patient-view"}                          | is required
    {"hook": "patient-view", "hookInstance": "1", "context": {"patientId": "1", "userId": "Practitioner/1"}} | prefetch does not hold
    {"resourceType": "Bundle"}                        | this one has 0
    {"resourceType": "Bundle", "resourceType": "Bundle"} | a key stands twice
""")
@pytest.mark.parametrize("path", ["/what-if", "/what-if/case"])
def test_what_cannot_be_answered_is_said_with_its_place(case, path, reader):
    page = reader.paste(case["pasted"], path)
    assert page.status_code == 200
    text = unescape(page.get_data(as_text=True))
    assert case["says"] in text
    assert "This cannot be answered" in text


def test_nothing_that_is_pasted_is_kept_or_logged_or_put_into_an_address(reader):
    document = json.loads(json.dumps(bundle()).replace("sample-1", "CANARY-17"))
    for entry in document["entry"]:
        if (
            "valueQuantity" in entry["resource"]
            and entry["resource"]["valueQuantity"]["value"] == 128
        ):
            entry["resource"]["valueQuantity"]["value"] = 127.4321
    reader.lines.clear()
    page = reader.paste(document, awkward="1", sweep="total_b12")
    text = page.get_data(as_text=True)
    assert page.headers["Cache-Control"] == "no-store"
    assert "127.4321" in text
    assert 'id="share"' not in text
    addresses = re.findall(r'(?:href|action|formaction)="([^"]*)"', text)
    assert not [one for one in addresses if "CANARY" in one or "127.4" in one]
    assert reader.lines == []


def test_a_form_from_elsewhere_is_refused(reader):
    assert reader.client.post("/what-if", data={"document": "{}"}).status_code == 400


def test_what_was_left_empty_does_not_stay_in_the_address(reader):
    answer = reader.get("/what-if?sex=female&age=72&total_b12=212&egfr=&drug1=")
    assert answer.status_code == 302
    assert "egfr" not in answer.headers["Location"]
    assert "total_b12=212" in answer.headers["Location"]


@cases("""
    key                 | way                | status | says
    --------------------+--------------------+--------+----------------------------
    patient             | null               | 200    |
    patient             | another patient's  | 412    |
    observations        | left out           | 412    |
    observations        | OperationOutcome   | 412    |
    observations        | null               | 200    |
    observations        | paged              | 200    | Only a part was available
    observations        | wrong unit         | 200    |
    conditions          | left out           | 200    | Could not be checked
    conditions          | OperationOutcome   | 200    | Could not be checked
    medications         | OperationOutcome   | 200    | Could not be checked
""")
def test_awkward_calls_are_answered_beside_the_full_one(case, simulated):
    [one] = [s for s in simulated.sent if (s.key, s.way) == (case["key"], case["way"])]
    assert one.reply.status == int(case["status"])
    assert one.differs
    assert one.list_changes(simulated.full)
    if case["says"]:
        assert any(case["says"] in text for text in one.added)


@pytest.fixture(scope="module")
def simulated():
    found = view("sample=neuropathy; awkward=1").simulated
    assert found
    return found


def test_what_was_not_seen_is_known_by_its_words_in_every_language():
    assert {*UNSEEN_TEXTS} <= {*list_messages()}


def test_no_awkward_way_makes_a_deficiency_normal(simulated):
    assert simulated.full.category == "deficient"
    for one in simulated.sent:
        assert one.reply.category not in ("unlikely", "high-b12"), (one.key, one.way)


def test_awkward_calls_are_not_counted_among_those_of_ehrs():
    counted = Metrics(counts=False)
    counted.requests["local", "b12-muscle-patient-view", "call", "200"].inc()
    counted.calls["local", "b12-muscle-patient-view"].observe(0.1)
    assert list(counted.registry.collect()) == []


def test_a_bundle_can_be_sent_awkwardly_too():
    question = asked("sex=unknown; awkward=1")
    found = WhatIfView.from_document(bundle("muscle-loss"), question, CHOSEN, Settings()).simulated
    assert found
    assert found.full.stage == "severe"


def test_an_ehr_that_never_calls_a_hook_is_not_answered_for_it(reader):
    page = reader.get("/what-if?sex=female&age=72&draft=drug:folic_acid&dialect=oracle")
    assert "never call it" in page.get_data(as_text=True)


def test_a_choice_changes_what_the_card_says(reader):
    page = reader.get("/what-if?sex=female&age=72&total_b12=112&language=de&guideline=bsh2014")
    assert "Vitamin-B12" in page.get_data(as_text=True)


def test_units_are_spelled_as_people_write_them():
    assert spell_units("52 mL/min/{1.73_m2}") == "52 mL/min/1.73 m²"


def saved(reader, tmp_path, query):
    answer = reader.get(f"/what-if/case?{query}")
    assert "attachment" in answer.headers["Content-Disposition"]
    document = answer.get_json()
    Draft202012Validator(build_case_schema()).validate(document)
    path = tmp_path / "case.json"
    path.write_text(json.dumps(document))
    return path, document


def checked(*paths):
    with pytest.raises(SystemExit) as end:
        main(["check-cases", *map(str, paths)], standalone_mode=False)
    return end.value.code


@cases("""
    query
    -----
    sex=female&age=72&total_b12=112&condition=ataxia
    sex=female&age=72&total_b12=112&draft=drug:folic_acid&dialect=epic&locale=en-US&guideline=us-aafp2025
    sample=muscle-loss&language=de&definition=sdoc-2020
    sample=untested&attention=configured
""")
def test_a_saved_case_is_answered_the_same_again(case, reader, tmp_path, capsys):
    path, document = saved(reader, tmp_path, case["query"])
    assert read_case(document).name
    assert checked(tmp_path) == 0
    assert capsys.readouterr().out.startswith(f"same {path}")


def test_a_case_that_is_answered_otherwise_is_named(reader, tmp_path, capsys):
    path, document = saved(reader, tmp_path, "sex=female&age=72&total_b12=112")
    document["expected"] |= {"tier": "T5", "b12Category": "unlikely"}
    document["expected"]["cards"][0]["indicator"] = "info"
    path.write_text(json.dumps(document))
    assert checked(path) == 1
    out = capsys.readouterr().out
    assert f"differs {path}" in out
    assert "tier: expected T5, found T3" in out
    assert "cards[0].indicator: expected info, found" in out


@cases("""
    change                                        | says
    ----------------------------------------------+-----------------------------
    {"day": "2026-02-30"}                         | day: there is no such day
    {"document": {"resourceType": "Patient"}}     | neither a FHIR Bundle
    {"expected": {}}                              | expected: does not meet
    {"hook": "phone"}                             | hook: does not meet
    {"choices": {"guideline": "x"}}               | choices: does not meet
""")
def test_a_case_that_cannot_be_answered_says_why(case, reader, tmp_path, capsys):
    path, document = saved(reader, tmp_path, "sex=female&age=72&total_b12=112")
    path.write_text(json.dumps(document | json.loads(case["change"])))
    assert checked(path) == 2
    assert case["says"] in capsys.readouterr().err


def test_a_case_by_a_guideline_that_is_not_there_is_unusable(reader, tmp_path, capsys):
    path, document = saved(reader, tmp_path, "sex=female&age=72&total_b12=112")
    document["choices"]["guideline"] = "atlantis-2030"
    path.write_text(json.dumps(document))
    assert checked(path, tmp_path / "absent.json") == 2
    assert "atlantis-2030" in capsys.readouterr().err


ODD = st.sampled_from([None, [], {}, "", "x", -1, 1e300, True, [None], {"entry": 5}])


def places(node, path=()):
    yield path
    members = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    for key, value in members:
        yield from places(value, (*path, key))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.sampled_from(SAMPLE_NAMES), st.booleans(), st.integers(0, 10_000), ODD)
def test_whatever_is_pasted_is_answered_or_refused_in_words(name, as_bundle, at, odd):
    document = copy.deepcopy(bundle(name) if as_bundle else read_sample(name)[0])
    there = [path for path in places(document) if path]
    *parents, last = there[at % len(there)]
    node = document
    for key in parents:
        node = node[key]
    node[last] = odd
    question = asked("sex=unknown; sweep=egfr")
    try:
        found = WhatIfView.from_document(
            read_pasted(json.dumps(document), question, known()), question, CHOSEN, Settings()
        )
    except UnusableDocumentError:
        return
    assert found.sweep.intervals
    assert found.build_case()["expected"]
    assert (found.evidence, found.gaps, found.withheld, found.placed) is not None


@cases("""
    sweep                                  | from   | to
    ---------------------------------------+--------+------
    from=0; to=1e-320                      | 20     | 20000
    from=1e-300; to=2e-300                 | 20     | 20000
    from=nan; to=inf                       | 45     | 1500
""")
def test_a_sweep_ends_whatever_is_asked(case):
    along = view(f"sex=female; age=72; total_b12=200; {case['sweep']}").sweep
    ends = along.intervals[0].begins, along.intervals[-1].ends
    assert [round(end) for end in ends] == [int(case["from"]), int(case["to"])]


def sent(code, unit, value):
    coding = [{"system": "http://loinc.org", "code": code}]
    quantity = {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": coding},
        "effectiveDateTime": "2026-11-01",
        "subject": {"reference": "Patient/1"},
        "valueQuantity": quantity,
    }


@pytest.mark.parametrize("value", [0, -0.0, 5e-324, 1e-310, 1e-12, 1e17, 1e300, 1.7e308])
@cases("""
    measure       | code    | unit
    --------------+---------+-------
    total_b12     | 2132-9  | ng/L
    potassium     | 2823-3  | mmol/L
    ferritin      | 2276-4  | ug/L
    grip_strength | 83174-3 | kg
""")
def test_no_value_is_so_odd_that_the_page_fails(case, value):
    person = {"resourceType": "Patient", "id": "1", "gender": "female", "birthDate": "1950-01-01"}
    both = [person, sent(case["code"], case["unit"], value)]
    document = {"resourceType": "Bundle", "entry": [{"resource": one} for one in both]}
    question = asked(f"sex=unknown; sweep={case['measure']}")
    found = WhatIfView.from_document(document, question, CHOSEN, Settings())
    assert found.sweep.intervals
    assert found.placed is not None


@pytest.mark.parametrize("levels", [200, 230, 240, 245, 250, 254, 300, 100_000])
@pytest.mark.parametrize("path", ["/what-if", "/what-if/case"])
@pytest.mark.parametrize("kind", ["call", "order", "bundle"])
def test_however_deep_it_is_it_is_answered_or_refused(kind, path, levels, reader):
    order = {"resourceType": "ServiceRequest", "x": "DEEP"}
    document = {"call": read_sample("neuropathy")[0] | {"extension": {"x": "DEEP"}}, "order": order}
    document["bundle"] = bundle() | {"x": "DEEP"}
    text = json.dumps(document[kind]).replace('"DEEP"', "[" * levels + "]" * levels)
    assert reader.paste(text, path, awkward="1" if levels < 254 else "").status_code == 200


def test_what_is_too_large_to_be_sent_in_every_way_is_said(reader):
    text = json.dumps(bundle()) + " " * MAX_FAULT_TRIAL_BYTES
    assert "at most 1 MiB" in reader.paste(text, awkward="1").get_data(as_text=True)
    assert "This cannot be answered" not in reader.paste(text).get_data(as_text=True)


def test_a_few_are_answered_at_once_and_hooks_keep_their_threads(reader, monkeypatch):
    answering, gone_on = Semaphore(0), Event()

    def slow(desk, _text):
        answering.release()
        assert gone_on.wait(60)
        return Response()

    monkeypatch.setattr(WhatIfPages, "render_page", slow)
    with ThreadPoolExecutor(MAX_CONCURRENT) as threads:
        client = reader.client.application.test_client
        asked = [
            threads.submit(lambda: client().get("/what-if?sex=male").status_code)
            for _ in range(MAX_CONCURRENT)
        ]
        assert all(answering.acquire(timeout=60) for _ in asked)
        assert reader.get("/what-if?sex=male").status_code == 503
        gone_on.set()
        assert {one.result() for one in asked} == {200}
    assert reader.get("/what-if?sex=male").status_code == 200
