"""When a card is worth an interruption: limits, snooze, repeat guard, silence; nothing lost."""

from datetime import UTC, datetime, timedelta

import pytest
from patients import known
from tables import cases

from cds_hooks.protocol.card_history import PastCard
from cds_hooks.protocol.cards import Card, Coding, Indicator, Source
from mappings.actions.attention import read_attention
from mappings.knowledge_file import KnowledgeError
from services.cards.attention import CardCandidate, select_cards
from services.hooks.catalog import read_attention_rules

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
SERVICE = "b12-muscle-order-select"


class Remembered:
    """A past that a test writes, with marks sealed by turning them around."""

    def __init__(self, *cards):
        self.cards = cards

    def find_cards(self, days, topics):
        since = NOW - timedelta(days=days)
        return tuple(c for c in self.cards if c.shown_at > since and c.topic in topics)

    def make_seals(self, mark):
        return frozenset({mark[::-1]})


def candidate(topic="b12Indeterminate", indicator="info", *, urgent=False, rests_on=("one",)):
    source = Source("s", topic=Coding(topic, "https://cds.example"))
    card = Card("A card.", Indicator(indicator), source, rests_on=frozenset(rests_on))
    return CardCandidate(card, topic, urgent, (f"{topic}AndMuscle",))


def rules(service=SERVICE, **chosen):
    return read_attention_rules(chosen, known())[service]


def past(text):
    """`topic, days ago, indicator[, same encounter][, accepted | overridden by reason][, on marks]`"""
    topic, days, indicator, *more = (part.strip() for part in text.split(","))
    at = NOW - timedelta(days=float(days))
    answer = next((m for m in more if m.startswith(("accepted", "overridden"))), None)
    marks = next((m.removeprefix("on ").split() for m in more if m.startswith("on ")), ["one"])
    return PastCard(
        topic=topic,
        indicator=indicator,
        shown_at=at,
        same_encounter="same encounter" in more,
        rests_on=frozenset(mark[::-1] for mark in marks),
        answered_at=at if answer else None,
        outcome=answer.split()[0] if answer else None,
        reason=answer.partition(" by ")[2] or None if answer else None,
    )


@cases("""
    shown before                                                               | now                       | says
    ---------------------------------------------------------------------------+---------------------------+---------
                                                                               | info                      | shown
    b12Indeterminate, 1, info                                                  | info                      | shown
    b12Indeterminate, 0.01, info, same encounter                               | info                      | repeat
    b12Indeterminate, 0.01, info, same encounter                               | warning                   | shown
    b12Indeterminate, 0.01, warning, same encounter                            | info                      | repeat
    b12Indeterminate, 0.01, info, same encounter                               | info one two              | shown
    b12Indeterminate, 0.01, info, same encounter, on one two                   | info one                  | repeat
    b12Indeterminate, 0.01, critical, same encounter                           | critical                  | shown
    b12Deficient, 0.01, warning, same encounter                                | info                      | shown
    b12IndeterminateAndMuscle, 0.01, info, same encounter, on one two          | info                      | repeat
    b12Indeterminate, 1, info, accepted                                        | info                      | snoozed
    b12Indeterminate, 29, info, accepted                                       | info                      | snoozed
    b12Indeterminate, 31, info, accepted                                       | info                      | shown
    b12Indeterminate, 29, info, overridden                                     | info                      | snoozed
    b12Indeterminate, 31, info, overridden                                     | info                      | shown
    b12Indeterminate, 6, info, overridden by not-convenient-feasible           | info                      | snoozed
    b12Indeterminate, 8, info, overridden by not-convenient-feasible           | info                      | shown
    b12Indeterminate, 89, info, overridden by action-completed                 | info                      | snoozed
    b12Indeterminate, 91, info, overridden by action-completed                 | info                      | shown
    b12Indeterminate, 29, info, overridden by a-reason-of-the-site             | info                      | snoozed
    b12Indeterminate, 1, info, overridden                                      | info one two              | shown
    b12Indeterminate, 1, info, overridden                                      | warning                   | shown
    b12Indeterminate, 0.5, warning, overridden by action-completed             | warning urgent            | snoozed
    b12Indeterminate, 2, warning, overridden by action-completed               | warning urgent            | shown
    b12Indeterminate, 1, critical, overridden                                  | critical                  | shown
    b12Deficient, 1, warning, overridden                                       | info                      | shown
""")
def test_what_was_shown_and_answered_before(case):
    memory = Remembered(*([past(case["shown before"])] if case["shown before"] else []))
    indicator, *marks = case["now"].replace(" urgent", "").split()
    one = candidate(indicator=indicator, urgent="urgent" in case["now"], rests_on=marks or ("one",))
    found = select_cards([one], rules(), memory, NOW)
    expected = () if case["says"] == "shown" else (f"{case['says']}:b12Indeterminate",)
    assert found.withheld == expected
    assert len(found.cards) == (case["says"] == "shown")


def test_the_most_urgent_go_first_and_two_are_enough():
    found = select_cards(
        [
            candidate("a", "info"),
            candidate("b", "warning"),
            candidate("c", "warning", urgent=True),
            candidate("d", "info"),
        ],
        rules(),
        Remembered(),
        NOW,
    )
    assert [card.source.topic.code for card in found.cards] == ["c", "b"]
    assert found.withheld == ("limit:a", "limit:d")


def test_a_critical_card_is_shown_beyond_any_limit():
    found = select_cards(
        [candidate("a", "critical"), candidate("b", "critical")], rules(cards=1), Remembered(), NOW
    )
    assert len(found.cards) == 2


def test_an_opened_chart_gets_one_card():
    found = select_cards(
        [candidate("a"), candidate("b")], rules("b12-muscle-patient-view"), Remembered(), NOW
    )
    assert len(found.cards) == 1


def test_silent_mode_shows_nothing_and_names_everything():
    found = select_cards(
        [candidate("a", "critical"), candidate("b")], rules(mode="silent"), Remembered(), NOW
    )
    assert found.cards == ()
    assert found.withheld == ("silent:a", "silent:b")


def test_below_what_a_site_wants_to_see():
    found = select_cards(
        [candidate("a"), candidate("b", "warning")], rules(at_least="warning"), Remembered(), NOW
    )
    assert found.withheld == ("below:a",)


def test_a_critical_card_asks_no_memory():
    class Unreachable:
        def find_cards(self, days, topics):
            pytest.fail("was asked")

    assert select_cards([candidate("a", "critical")], rules(), Unreachable(), NOW).cards


def test_a_service_of_its_own_goes_before_the_site_and_the_site_before_what_is_shipped():
    chosen = {"cards": 3, "services": {SERVICE: {"cards": 0}}}
    found = read_attention_rules(chosen, known())
    assert found[SERVICE].cards == 0
    assert found["b12-muscle-order-sign"].cards == 3
    assert found["b12-muscle-patient-view"].cards == 3
    assert read_attention_rules(None, known())["b12-muscle-patient-view"].cards == 1


@pytest.mark.parametrize(
    ("chosen", "reason"),
    [
        ({"off": ["folic-acids"]}, "attention: folic-acids: no such rule"),
        ({"services": {"b12": {}}}, "attention: services.b12: no such service"),
        ({"audience": [{"rule": "x", "specialties": ["s|c"]}]}, "attention: x: no such rule"),
    ],
)
def test_what_does_not_exist_stops_the_start(chosen, reason):
    with pytest.raises(KnowledgeError, match=reason):
        read_attention(chosen, [SERVICE], ["folic-acid", "b12", "muscle"])
