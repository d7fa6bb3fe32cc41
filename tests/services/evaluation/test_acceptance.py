"""Whoever accepts a suggestion is not offered it again."""

from datetime import UTC, datetime
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from patients import TODAY, drug, known, maker, order, patient, resources

from services.chart.reader import read_chart
from services.hooks.catalog import read_attention_rules
from services.hooks.decide import CallContext, decide_cards

RECORD = st.lists(
    st.sampled_from(
        [
            "b12 112", "b12 212", "b12 420", "b12 212 none", "b12 1200", "active 20", "mma 0.61",
            "mma 0.2", "egfr 80", "egfr 40", "hb 70", "mcv 104", "folate 2", "k 3.1", "grip 14",
            "asmi 5.2 by DXA", "gait 0.6", "sarcf 6", "ck 2400 range 170", "+paraesthesia",
            "+myelopathy", "+fatigue", "+muscle_weakness", "+falls", "+vegan_diet", "+pregnancy",
            "+pernicious_anaemia", "+bariatric_surgery", "+coeliac_disease", "+nitrous_oxide",
            "+leber_optic_neuropathy", "rx metformin since 2019-01-01", "rx statin",
            "rx hydroxocobalamin since 2026-01-01", "rx cyanocobalamin dose 50 route oral",
            "pending total_b12", "pending methylmalonic_acid",
        ]
    ),
    max_size=6,
    unique=True,
)  # fmt: skip
SESSION = st.lists(
    st.sampled_from(
        [
            "draft folic_acid dose 5000", "draft nitrous_oxide", "draft metformin",
            "draft cyanocobalamin dose 50 route oral", "draft cyanocobalamin dose 1000 route im",
            "draft hydroxocobalamin dose 16 route im", "draft statin", "draft chloramphenicol",
            "draft systemic_corticosteroid", "order total_b12", "order order_cbc",
            "order methylmalonic_acid", "order total_b12",
        ]
    ),
    max_size=3,
)  # fmt: skip
NUMBERS = count(900)
NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


def cards(record, drafts, hook, knows):
    chart = read_chart([patient(), *record], "1", knows.chart_knowledge, today=TODAY, drafts=drafts)
    rules = read_attention_rules({"mode": "everything"}, knows)[f"b12-muscle-{hook}"]
    found = decide_cards(chart, CallContext(hook, NOW, drafts), maker(knows), rules)
    return found.cards


def accepted(suggestion, record, drafts, hook):
    """The record and the session after the EHR did what the suggestion says."""
    record, drafts = list(record), list(drafts)
    for action in suggestion.actions:
        if action.type == "delete":
            drafts = [d for d in drafts if f"{d['resourceType']}/{d['id']}" != action.resource_id]
            continue
        made = dict(action.resource)
        if action.type == "update":
            drafts = [d for d in drafts if d["id"] != made["id"]]
        else:
            made["id"] = f"n{next(NUMBERS)}"
        if made["resourceType"] == "Condition":
            record.append(made)
        elif hook == "patient-view":
            record.append(
                {**made, "status": "active", "intent": "order", "authoredOn": "2026-11-20"}
            )
        else:
            drafts.append(made)
    return record, drafts


def does(suggestion):
    """What a suggestion does: the orders it makes, the drafts it changes or removes."""
    return tuple(
        (a.type, a.template, a.resource_id or (a.resource or {}).get("id"))
        for a in suggestion.actions
    )


@pytest.mark.parametrize("guideline", ["uk-ng239", "us-aafp2025"])
@pytest.mark.parametrize("hook", ["patient-view", "order-select", "order-sign"])
def test_accepting_a_suggestion_never_yields_it_again(hook, guideline):
    knows = known(guideline)

    @settings(max_examples=150, deadline=None, derandomize=True)
    @given(RECORD, SESSION)
    def holds(on_record, session):
        record, _ = resources("; ".join(on_record))
        drafts = [
            (drug if text.startswith("draft") else order)(50 + place, text)
            for place, text in enumerate(session if hook != "patient-view" else ())
        ]
        for card in cards(record, drafts, hook, knows):
            for suggestion in card.suggestions:
                after = cards(*accepted(suggestion, record, drafts, hook), hook, knows)
                again = {does(s) for one in after for s in one.suggestions}
                assert does(suggestion) not in again, (on_record, session, suggestion.label)

    holds()


def test_taking_what_is_suggested_comes_to_an_end():
    """Whoever takes the first suggestion each time is done after a few."""
    record, _ = resources("b12 112; +paraesthesia; grip 14; hb 70")
    drafts = [drug(50, "draft folic_acid dose 5000"), drug(51, "draft statin")]
    for _step in range(12):
        offered = [
            s for card in cards(record, drafts, "order-sign", known()) for s in card.suggestions
        ]
        if not offered:
            return
        record, drafts = accepted(offered[0], record, drafts, "order-sign")
    pytest.fail("there is always one more suggestion")
