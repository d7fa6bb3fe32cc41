"""A patient's year replayed: each call says what could be known then, and no more."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from patients import known, maker
from stories import YEAR, replay, replayed, story

from services.catalog import attention_of
from services.documents import assessment_of

TREATED = (
    "visit @2026-02-10T09:00:00Z in e1 by 7; rx metformin since 2026-03-05;"
    " visit @2026-06-09T09:00:00Z in e2; b12 140 ng/L @2026-06-10;"
    " visit @2026-06-15T09:00:00Z in e3; rx hydroxocobalamin route im since 2026-07-01;"
    " visit @2026-07-20T09:00:00Z in e4"
)
# Each call: day, hook, what was found of B12, and the cards shown. The low result is of 10 June.
SAID = [
    ("2026-02-10", "patient-view", "no-action", ()),
    ("2026-03-05", "order-sign", "no-action", ()),
    ("2026-06-09", "patient-view", "no-action", ()),
    ("2026-06-15", "patient-view", "deficient", (("b12Deficient", "warning"),)),
    ("2026-07-01", "order-sign", "deficient", (("orderRightOrder", "info"),)),
    ("2026-07-20", "patient-view", "deficient", (("b12Deficient", "info"),)),
]


def said(found) -> list[tuple]:
    return [
        (
            call["at"][:10],
            call["hook"],
            call["b12_category"],
            tuple((c["topic"], c["indicator"]) for c in found.cards if c["at"] == call["at"] and c["shown"]),
        )
        for call in found.calls
    ]  # fmt: skip


def test_each_call_says_what_was_known_then():
    assert said(replayed(TREATED)) == SAID


@pytest.mark.parametrize(
    ("answers", "withheld"),
    [
        ("none", [None, "repeat", None]),
        ("overridden", [None, "repeat", "snoozed"]),
    ],
)
def test_a_card_is_not_repeated_in_a_visit_and_snoozed_once_set_aside(answers, withheld):
    found = replayed(
        "b12 140 ng/L @2026-06-01; visit @2026-06-15T09:00:00Z in e3;"
        " visit @2026-06-15T10:00:00Z in e3; visit @2026-06-20T10:00:00Z in e4",
        answers=answers,
    )
    assert [card["withheld"] for card in found.cards] == withheld
    assert [call["shown"] for call in found.calls] == [w is None for w in withheld]
    assert {card["topic"] for card in found.cards} == {"b12Deficient"}


@pytest.mark.parametrize(
    ("part", "calls"),
    [
        ("visit @2026-06-15T09:00:00Z in e3", 1),
        ('visit @2026-06-15T09:00:00Z in e3 like {"status": "cancelled"}', 0),
        ('visit @2026-06-15T09:00:00Z in e3 like {"status": "entered-in-error"}', 0),
        ("visit @2025-06-15T09:00:00Z in e3", 0),  # before the year that is replayed
        ("b12 140 ng/L @2026-06-10", 0),  # a result alone calls nobody
        ("rx metformin since 2026-03-05", 1),
        ("rx metformin since 2026-03-05; rx proton_pump_inhibitor since 2026-03-05", 1),  # one session
        ("rx metformin since 2026-03-05; rx proton_pump_inhibitor since 2026-03-06", 2),
    ],
)  # fmt: skip
def test_what_makes_a_call(part, calls):
    assert len(replayed(part).calls) == calls


def test_an_order_is_not_on_record_while_it_is_signed():
    """Folic acid signed after a low B12: a draft to warn of, not a drug that is taken."""
    found = replayed("b12 140 ng/L @2026-06-01; rx folic_acid since 2026-06-10")
    [call] = found.calls
    assert call["hook"] == "order-sign"
    assert [card["topic"] for card in found.cards if card["shown"]] == ["orderFolicAcid"]


def test_rows_name_nobody():
    secret = "Practitioner/7"
    found = replay().of("1", story(TREATED), *YEAR)
    hashed = {"#1", *(f"#e{n}" for n in range(1, 5)), f"#{secret}"}
    for row in (*found.calls, *found.cards):
        assert {row["patient"], row["encounter"], row["practitioner"]} - {None} <= hashed


VALUES = (
    "b12 140 ng/L",
    "b12 600 ng/L",
    "mma 0.9 umol/L",
    "hb 90 g/L",
    "+paraesthesia",
    "+vegan_diet",
)
LATER = ("@2026-07-01", "@2026-09-15", "@2026-12-30")


@settings(max_examples=60, deadline=None)
@given(
    before=st.lists(
        st.sampled_from([f"{v} @2026-0{m}-03" for v in VALUES for m in (2, 4)]), max_size=4
    ),
    after=st.lists(st.sampled_from([f"{v} {d}" for v in VALUES for d in LATER]), max_size=4),
)
def test_what_came_later_changes_no_earlier_call(before, after):
    visits = "visit @2026-03-01T09:00:00Z in e1; visit @2026-06-15T09:00:00Z in e2"
    parts = [visits, "rx metformin since 2026-05-01"]
    plain, hindered = (
        replayed("; ".join([*parts, *before, *more])) for more in ([], after)
    )  # fmt: skip
    assert plain.calls == hindered.calls
    assert plain.cards == hindered.cards


def test_a_view_says_what_the_service_would_have_said():
    """The same record, asked as a hook call of that day."""
    record = "b12 140 ng/L @2026-06-01; +paraesthesia @2026-05-01; rx metformin since 2024-03-05"
    found = replayed(f"{record}; visit @2026-06-15T09:00:00Z in e1")
    resources = story(record)
    request = {
        "hook": "patient-view",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {"userId": "Practitioner/7", "patientId": "1"},
        "prefetch": {
            "patient": resources[0],
            **{
                key: {"resourceType": "Bundle", "type": "searchset",
                      "entry": [{"resource": r} for r in resources if r["resourceType"] == kind]}
                for key, kind in (
                    ("observations", "Observation"), ("conditions", "Condition"),
                    ("medications", "MedicationRequest"), ("procedures", "Procedure"),
                )
            },
        },
    }  # fmt: skip
    asked = assessment_of(request, maker(known()), date(2026, 6, 15), attention_of(None, known()))
    [call] = found.calls
    assert call["b12_category"] == asked["b12"]["category"]
    assert call["tier"] == asked["tier"]
    assert [card["summary"] for card in found.cards] == [card["summary"] for card in asked["cards"]]
