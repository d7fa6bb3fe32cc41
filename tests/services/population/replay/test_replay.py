"""What the service would have said along a patient's timeline, with what was known then."""

import re
from datetime import date, datetime, timedelta

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from patients import known, maker
from replay_stories import YEAR, make_replay, make_story, replay_story
from tables import cases

from services.chart.reader import read_chart
from services.hooks.catalog import build_prefetch_templates, read_attention_rules
from services.hooks.documents import assess_document
from services.population.replay.as_of import restore_resource
from services.population.replay.events import REPLAYED_HOOKS, list_events
from services.population.replay.record_history import RecordHistory
from services.population.replay.timestamps import AsOf

METFORMIN = """
    +fatigue @2020-01-01; rx metformin since 2026-03-05T10:10:00Z in e2 by 7;
    b12 150 @2026-06-10T08:00:00Z in e3 like {"issued": "2026-06-12T15:00:00Z"};
    rx hydroxocobalamin since 2026-07-01T10:20:00Z in e4 by 7;
"""


def calls(found):
    return [f"{row['at'][5:16]} {row['hook']}" for row in found.calls]


def cards(found, at=None):
    """Each card in short: "b12Deficient warning" or "b12Deficient warning, repeat"."""
    return [
        f"{row['topic']} {row['indicator']}" + (f", {row['withheld']}" if row["withheld"] else "")
        for row in found.cards
        if at is None or row["at"].startswith(at)
    ]


@cases("""
    when                 | hook         | category         | cards
    ---------------------+--------------+------------------+---------------------------
    2026-02-10T09:00:00Z | patient-view | no-action        |
    2026-03-05T10:10:00Z | order-sign   | no-action        | orderLoweringMedicine info
    2026-03-20T09:00:00Z | patient-view | at-risk-untested | b12AtRiskUntested info
    2026-06-12T14:59:00Z | patient-view | at-risk-untested | b12AtRiskUntested info
    2026-06-12T15:01:00Z | patient-view | deficient        | b12Deficient warning
    2026-06-15T09:00:00Z | patient-view | deficient        | b12Deficient warning
    2026-07-01T10:20:00Z | order-sign   | deficient        | orderRightOrder info
    2026-07-20T09:00:00Z | patient-view | deficient        | b12Deficient info
""")
def test_metformin_in_march_a_low_b12_in_june_treatment_in_july(case):
    """The blood is drawn on the 10th, the result is there on the 12th at three."""
    visit = f"visit @{case['when']} in e9" if case["hook"] == "patient-view" else ""
    found = replay_story(METFORMIN + visit)
    at = case["when"][:16]
    [call] = [row for row in found.calls if row["at"].startswith(at)]
    assert (call["hook"], call["b12_category"]) == (case["hook"], case["category"])
    assert ", ".join(cards(found, at)) == case["cards"]


def test_a_test_was_on_its_way_until_its_result_came():
    """Nobody is told to order what is ordered; today the order is completed and says nothing."""
    found = replay_story("""
        +fatigue @2020-01-01; rx metformin since 2025-03-05;
        pending total_b12 @2026-06-08T10:00:00Z in e1 like {"status": "completed"};
        b12 150 @2026-06-08T10:30:00Z like {"issued": "2026-06-12T15:00:00Z"};
        visit @2026-06-01T09:00:00Z in e0; visit @2026-06-10T09:00:00Z in e1; visit @2026-06-13T09:00:00Z in e2
    """)
    assert [(row["at"][5:10], row["b12_category"], row["shown"]) for row in found.calls] == [
        ("06-01", "at-risk-untested", 1),
        ("06-08", "at-risk-untested", 0),
        ("06-10", "at-risk-untested", 0),
        ("06-13", "deficient", 1),
    ]


def test_an_order_is_not_on_record_while_it_is_signed():
    """Folic acid signed after a low B12: a draft to warn of, not a drug that is taken."""
    found = replay_story("b12 140 @2026-06-01; rx folic_acid since 2026-06-10")
    assert calls(found) == ["06-10T00:00 order-sign"]
    assert cards(found) == ["orderFolicAcid critical"]


ONE_VISIT = """
    b12 112 @2026-06-01; +fatigue @2026-06-01;
    visit @2026-06-10T09:00:00Z in e1 by 7; rx statin since 2026-06-10T09:20:00Z in e1 by 7;
    visit @2026-06-20T09:00:00Z in e2 by 8; visit @2026-07-15T09:00:00Z in e3
"""


@cases("""
    answers    | at               | cards
    -----------+------------------+------------------------------
    none       | 2026-06-10T09:00 | b12Deficient warning
    none       | 2026-06-10T09:20 | b12Deficient warning, repeat
    none       | 2026-06-20       | b12Deficient warning
    none       | 2026-07-15       | b12Deficient warning
    overridden | 2026-06-10T09:00 | b12Deficient warning
    overridden | 2026-06-10T09:20 | b12Deficient warning, repeat
    overridden | 2026-06-20       | b12Deficient warning, snoozed
    overridden | 2026-07-15       | b12Deficient warning
""")
def test_what_was_shown_before_is_not_shown_again(case):
    """Once in a visit; and once in thirty days where everybody set it aside."""
    assert (
        ", ".join(cards(replay_story(ONE_VISIT, answers=case["answers"]), case["at"]))
        == case["cards"]
    )


def test_a_result_of_the_day_is_known_from_its_hour():
    found = replay_story("""
        visit @2026-06-10T08:00:00Z in e1; b12 112 @2026-06-10T09:00:00Z;
        visit @2026-06-10T10:00:00Z in e2
    """)
    assert [row["b12_category"] for row in found.calls] == ["no-action", "deficient"]
    found = replay_story("""
        b12 400 @2026-06-01; visit @2026-06-10T08:00:00Z in e1; b12 112 @2026-06-10T09:00:00Z;
        visit @2026-06-10T10:00:00Z in e2
    """)
    assert [row["b12_category"] for row in found.calls] == ["unlikely", "deficient"]


def test_calls_without_a_visit_are_not_of_the_same_visit():
    found = replay_story("""
        b12 112 @2026-06-01; rx statin since 2026-06-10T09:20:00Z;
        pending height @2026-06-10T09:30:00Z
    """)
    assert cards(found) == ["b12Deficient warning"] * 2


def test_what_was_set_aside_long_ago_is_forgotten():
    """Ninety days are the longest quiet; the thirty of a card set aside are over before."""
    record = "b12 112 @2026-01-01; visit @2026-01-10 in e1; visit @2026-08-10 in e1"
    assert cards(replay_story(record)) == ["b12Deficient warning"] * 2


@cases("""
    orders before the 10th of June                                                                              | cards
    ------------------------------------------------------------------------------------------------------------+-------------------------
    pending methylmalonic_acid @2026-06-01 like {"status": "completed"}                                         | orderDuplicateTest info
    pending methylmalonic_acid @2026-06-01 like {"status": "completed"}; mma 0.2 @2026-05-05                    | orderDuplicateTest info
    pending methylmalonic_acid @2026-06-01 like {"status": "completed"}; mma 0.2 @2026-06-05                    |
    pending methylmalonic_acid @2026-06-01 like {"status": "completed"}; mma 0.2 @2026-06-12                    | orderDuplicateTest info
    pending methylmalonic_acid @2026-06-01 like {"status": "completed"}; mma 0.2 @2026-06-05 like {"status": "preliminary"} | orderDuplicateTest info
    pending height @2026-06-01 like {"status": "completed"}                                                     |
    pending methylmalonic_acid @2026-06-01 like {"status": "revoked"}                                           |
    pending methylmalonic_acid @2026-06-01 like {"status": "completed"}; b12 400 @2026-06-05 like {"basedOn": [{"reference": "ServiceRequest/s0n0"}]} |
""")
def test_which_result_completes_an_order(case):
    """The one that names it; else the first, since it was made, of what it asked for."""
    found = replay_story(
        case["orders before the 10th of June"]
        + "; pending methylmalonic_acid @2026-06-10T10:00:00Z"
    )
    assert ", ".join(cards(found, "2026-06-10")) == case["cards"]


def test_a_new_result_wakes_what_sleeps():
    again = "b12 105 @2026-06-18; "
    found = replay_story(again + ONE_VISIT, answers="overridden")
    assert cards(found, "2026-06-20") == ["b12Deficient warning"]


@cases("""
    attention                          | cards of the visit                              | shown
    -----------------------------------+-------------------------------------------------+------
    {}                                 | b12Deficient warning                            | 1
    {"mode": "silent"}                 | b12Deficient warning, silent                    | 0
    {"at_least": "critical"}           | b12Deficient warning, below                     | 0
    {"off": ["b12"]}                   | b12 None, off                                   | 0
    {"silent": ["b12"]}                | b12 None, silent                                | 0
    {"cards": 0}                       | b12Deficient warning, limit                     | 0
    {"mode": "everything"}             | b12Deficient warning                            | 1
""")
def test_what_a_site_withholds_has_a_row_that_says_why(case):
    found = replay_story(ONE_VISIT, orjson.loads(case["attention"]))
    assert ", ".join(cards(found, "2026-06-10T09:00")) == case["cards of the visit"]
    assert found.calls[0]["shown"] == int(case["shown"])
    assert found.calls[0]["shown"] + found.calls[0]["withheld"] == 1


def request(hook, record, drafts=(), encounter=None):
    """What an EHR would send that has `record`, and `drafts` in the session."""
    of_kind = {
        "observations": "Observation",
        "conditions": "Condition",
        "medications": "MedicationRequest",
        "service_requests": "ServiceRequest",
        "procedures": "Procedure",
    }
    prefetch = dict.fromkeys(build_prefetch_templates(known().index))
    for key, kind in of_kind.items():
        entry = [{"resource": r} for r in record if r["resourceType"] == kind]
        prefetch[key] = {"resourceType": "Bundle", "entry": entry}
    prefetch["patient"] = record[0]
    context = {"userId": "Practitioner/7", "patientId": "1", "encounterId": encounter}
    if hook != "patient-view":
        context["draftOrders"] = {"entry": [{"resource": draft} for draft in drafts]}
    instance = "00000000-0000-4000-8000-000000000001"
    return {"hook": hook, "hookInstance": instance, "context": context, "prefetch": prefetch}


@cases("""
    known then                                                                          | ordered                                        | hook
    ------------------------------------------------------------------------------------+------------------------------------------------+-------------
    b12 112 @2026-06-01; +fatigue @2026-05-01                                           |                                                | patient-view
    b12 112 @2026-06-01; +paraesthesia @2026-05-01; grip 14 @2026-06-01                 |                                                | patient-view
    b12 210 @2026-06-01; mma 0.7 @2026-06-02; egfr 80 @2026-06-02                       | draft folic_acid dose 5000                     | order-sign
    +fatigue @2026-05-01; rx metformin since 2020-01-01                                 | draft nitrous_oxide                            | order-sign
    pending total_b12 @2026-06-05                                                       | order total_b12                                | order-sign
    b12 112 @2026-06-01; +leber_optic_neuropathy @2026-05-01                            | draft cyanocobalamin dose 50 route oral        | order-sign
    +falls @2026-05-01; +muscle_weakness @2026-05-01                                    | draft systemic_corticosteroid; draft statin    | order-sign
                                                                                        | draft statin                                   | order-sign
""")
def test_one_call_says_what_assess_says_of_the_same_request(case):
    at = "2026-06-10T09:00:00Z"
    record = make_story(case["known then"])
    drafts = [
        {**one, "id": f"d{place}"}
        for place, one in enumerate(make_story(case["ordered"])[1:], start=1)
    ]
    later = make_story("b12 95 @2026-06-10T09:00:01Z; mma 3 @2026-06-11; +ataxia @2026-06-10")[1:]
    later = [{**one, "id": f"later{one['id']}"} for one in later]
    signed = [{**one, "status": "active", "authoredOn": at} for one in drafts]
    visits = [] if drafts else make_story(f"visit @{at} in e1")[1:]

    found = make_replay().replay_patient("1", [*record, *later, *signed, *visits], *YEAR)
    call = request(case["hook"], record, drafts, None if drafts else "e1")
    rules = read_attention_rules(None, known())
    said = assess_document(call, maker(known()), date(2026, 6, 10), rules)

    [row] = [row for row in found.calls if row["at"].startswith(at[:16])]
    assert row["hook"] == case["hook"]
    assert row["b12_category"] == said["b12"]["category"]
    assert row["muscle_category"] == said["sarcopenia"]["category"]
    assert row["tier"] == said["tier"]
    shown = [one for one in found.cards if one["shown"] and one["at"].startswith(at[:16])]
    assert [
        (one["summary"], one["indicator"], one["topic"], one["suggestions"]) for one in shown
    ] == [
        (
            one["summary"],
            one["indicator"],
            one["source"]["topic"]["code"],
            [suggestion["label"] for suggestion in one.get("suggestions", ())],
        )
        for one in said["cards"]
    ]
    assert row["shown"] == len(said["cards"])


def test_rows_name_nobody():
    [row] = replay_story("visit @2026-06-10T09:00:00Z in e1 by 7").calls
    assert row == {
        "patient": "#1",
        "at": "2026-06-10T09:00:00+00:00",
        "hook": "patient-view",
        "encounter": "#e1",
        "practitioner": "#Practitioner/7",
        "b12_category": "no-action",
        "muscle_category": "not_assessed",
        "tier": "T5",
        "shown": 0,
        "withheld": 0,
    }


def test_somebody_dead_nobody_knows_since_when_was_alive_when_seen():
    record = make_story(
        "b12 112 @2026-06-01; visit @2026-06-10T09:00:00Z in e1", deceasedBoolean=True
    )
    found = make_replay().replay_patient("1", record, *YEAR)
    assert cards(found) == ["b12Deficient warning"]
    assert found.last_chart.deceased
    assert found.undecided == {"death-undated": 1}


def test_what_cannot_be_decided_or_placed_is_counted_once():
    record = """
        +fatigue; was metformin since 2026-01-05; rx statin; visit @2026 in e1;
        visit @2026-06-10 in e2; visit @2026-06-11 in e3; visit @2026-06-12 in e4
    """
    found = replay_story(record)
    assert found.undecided == {"undated": 2, "end-unknown": 1}
    assert found.undated == {"visit-undated": 1, "order-undated": 1}


@pytest.mark.parametrize("options", [{"answers": "accepted"}, {"hooks": ["order-dispatch"]}])
def test_what_there_is_not_cannot_be_asked_for(options):
    with pytest.raises(ValueError, match="answers: none, overridden; hooks: patient-view"):
        make_replay(**options)


FIRST = date(2026, 6, 1)
DAYS = some.integers(0, 9).map(lambda day: (FIRST + timedelta(day)).isoformat())
HOURS = some.sampled_from(["", "T08:00:00Z", "T09:00:00+02:00", "T23:30:00-05:00", "T09:00:00.5Z"])
MOMENTS = some.builds("".join, some.tuples(DAYS, HOURS))
PARTS = some.one_of(
    some.builds("b12 {} @{}".format, some.sampled_from([95, 210, 400]), MOMENTS),
    some.builds('b12 150 @{} like {{"issued": "{}"}}'.format, DAYS, MOMENTS),
    some.builds("mma {} @{}".format, some.sampled_from([0.2, 0.9]), MOMENTS),
    some.builds("{} @{}".format, some.sampled_from(["egfr 80", "mcv 104", "grip 14"]), MOMENTS),
    some.builds("+{} @{}".format, some.sampled_from(["fatigue", "ataxia", "falls"]), MOMENTS),
    some.builds('-fatigue @{} like {{"abatementDateTime": "{}"}}'.format, DAYS, MOMENTS),
    some.builds("rx {} since {}".format, some.sampled_from(["metformin", "statin"]), MOMENTS),
    some.builds("rx {} since {}".format, some.sampled_from(["folic_acid", "nitrous_oxide"]), MOMENTS),
    some.builds("was hydroxocobalamin since {} until {}".format, MOMENTS, DAYS),
    some.builds('pending total_b12 @{} like {{"status": "{}"}}'.format, MOMENTS,
                some.sampled_from(["active", "completed", "revoked"])),
)  # fmt: skip
VISITS = some.builds("visit @{} in e{}".format, MOMENTS, some.integers(1, 9))
STORIES = some.builds(
    lambda parts, visits: "; ".join((*parts, *visits)),
    some.lists(PARTS, min_size=1, max_size=8),
    some.lists(VISITS, min_size=1, max_size=6),
)


def stamped(resource):
    """The days that a resource bears."""
    text = orjson.dumps(resource).decode()
    return re.findall(r"2026-\d\d-\d\d", text)


@settings(max_examples=120, deadline=None)
@given(told=STORIES, day=some.integers(1, 9), seed=some.randoms(use_true_random=False))
def test_nothing_that_came_later_changes_a_call(told, day, seed):
    """What bears a later day alone may be there or not: every earlier call says the same."""
    cut = FIRST + timedelta(day)
    record = make_story(told)
    later = [r for r in record[1:] if all(d > cut.isoformat() for d in stamped(r))]
    kept = [r for r in record if r not in later or seed.random() < 0.5]
    before = (cut - timedelta(1)).isoformat()
    for options in ({}, {"answers": "overridden", "hooks": ("patient-view", "order-select")}):
        whole, part = (
            make_replay(**options).replay_patient("1", rs, *YEAR) for rs in (record, kept)
        )
        for table in ("calls", "cards"):
            rows = [
                [r for r in getattr(found, table) if r["at"][:10] <= before]
                for found in (whole, part)
            ]
            assert rows[0] == rows[1]


@settings(max_examples=60, deadline=None)
@given(told=STORIES)
def test_a_history_reads_what_reading_afresh_reads(told):
    """Nothing is read again that did not change; the chart is the same as if it were."""
    record = make_story(told)
    history = RecordHistory("1", record, known().chart_knowledge)
    beside = history.context
    for event in list_events(record, *YEAR, REPLAYED_HOOKS):
        then = AsOf.from_call(event.at)
        chart = history.read_chart_before(then, event.orders, event.about)
        afresh = read_chart(
            [r for one in record if (r := restore_resource(one, then, beside)) is not None],
            "1",
            known().chart_knowledge,
            today=then.today,
            last=then.today + timedelta(1),
            drafts=event.orders,
            about=event.about,
        )
        for name in ("sex", "born", "deceased", "today", "measurements", "findings"):
            assert getattr(chart, name) == getattr(afresh, name)
        for name in ("medications", "orders", "unusable", "unable", "qualitative"):
            assert getattr(chart, name) == getattr(afresh, name)
    end = history.read_chart_on(date(2026, 12, 31))
    assert end.today == date(2026, 12, 31)


LONG = make_replay()


@settings(max_examples=60, deadline=None)
@given(
    born=some.sampled_from(["1930-06-15", "1951-06", "2010-06-10", "1951", None]),
    sex=some.sampled_from(["male", "female", "unknown"]),
    told=some.lists(
        some.one_of(
            VISITS,
            some.builds(
                'order height like {{"status": "active", "authoredOn": "{}"}}'.format, MOMENTS
            ),
        ),
        max_size=6,
    ).map("; ".join),
)
def test_who_is_known_by_age_and_sex_alone_is_answered_like_anybody(born, sex, told):
    """What was said of another of that age and sex stands for an evaluation."""
    record = make_story(told, birthDate=born, gender=sex)
    assert (
        LONG.replay_patient("1", record, *YEAR)[:2]
        == make_replay().replay_patient("1", record, *YEAR)[:2]
    )


def test_a_history_is_read_forward():
    history = RecordHistory("1", make_story("b12 112 @2026-06-01"), known().chart_knowledge)
    history.read_chart_on(date(2026, 6, 10))
    with pytest.raises(ValueError, match="forward"):
        history.read_chart_before(AsOf.from_call(datetime.fromisoformat("2026-06-10T09:00:00Z")))
