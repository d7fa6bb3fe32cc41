"""A patient's timeline as the service would have met it: each call with what was known then.

What is shown at one call is remembered at the next, as the service's own records would have it.
How clinicians would have answered nobody knows. "none": nobody ever did, and the repeat guard alone
keeps a card from coming twice in a visit. "overridden": every card was set aside without a reason
as soon as it was shown, and stays away for as long as that means. What would have been done because
of a card is in neither.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from typing import NamedTuple

from cds_hooks.protocol.cards import Card
from mappings.actions.attention import AttentionRules
from services.cards.composer import CardMaker, order_topic
from services.chart.fhir_values import Resource
from services.chart.model import Chart, completed_years
from services.evaluation.combination import Together
from services.evaluation.evaluate import evaluate
from services.hooks.decide import Answer, answer
from services.hooks.offered_hooks import service_id
from services.population.replay.events import REPLAYED, USUAL, Event, events
from services.population.replay.record_history import History
from services.population.replay.shown_cards import Recollection, Shown, topic_of
from services.population.replay.timestamps import Then
from services.population.run.rows import Row

ANSWERS = ("none", "overridden")
AXES = ("b12", "muscle")
UNHEARD = frozenset({"off", "silent", "audience"})  # rules that do not speak


class Replayed(NamedTuple):
    """What the timeline of one patient came to: rows of calls and cards, and how it ended."""

    calls: list[Row]
    cards: list[Row]
    last: Chart  # at the end of the last day
    undecided: Counter[str]  # resources of which hindsight cannot say how they read, by why
    unplaced: Counter[str]  # visits and orders without a day, of which no call is made


class Replay:
    """Replays patients one after another; one for each process."""

    def __init__(
        self,
        maker: CardMaker,
        rules: Mapping[str, AttentionRules],
        hashed: Callable[[str], str],
        *,
        answers: str = "none",
        hooks: Iterable[str] = USUAL,
    ) -> None:
        """`rules` are in force for each service, by its id (services.hooks.catalog.attention_of).

        `hashed` gives what stands in the rows for the id of a patient or a visit, or for
        "Practitioner/7". Raises ValueError for answers and hooks that there are not.
        """
        self._hooks = frozenset(hooks)
        if answers not in ANSWERS or not self._hooks <= frozenset(REPLAYED):
            raise ValueError(f"answers: {', '.join(ANSWERS)}; hooks: {', '.join(REPLAYED)}")
        self._maker = maker
        self._rules = rules
        self._hashed = hashed
        self._overridden = answers == "overridden"
        # What is said of patients of whom nothing is known but age and sex: mostly nothing.
        self._blank: dict[tuple[object, ...], Row] = {}

    def of(
        self, patient_id: str, resources: Iterable[Resource], first: date, last: date
    ) -> Replayed:
        """The calls about a patient from `first` to `last`, both included.

        `resources` are all there are of the patient, visits and orders among them, each once, and
        the Medications and Devices that they refer to.
        """
        given = list(resources)
        unplaced = Counter[str]()
        timeline = events(given, first, last, self._hooks, unplaced)
        history = History(patient_id, given, self._maker.known.readable)
        patient = self._hashed(patient_id)
        shown = Shown(self._overridden)
        calls: list[Row] = []
        cards: list[Row] = []
        before: tuple[Chart, Together] | None = None
        for event in timeline:
            chart = history.before(Then.just_before(event.at), event.orders, event.about)
            of_call = {"patient": patient, **self._columns(event)}
            key = blank_key(chart, event.hook)
            said = self._blank.get(key) if key else None
            if said is not None:
                calls.append({**of_call, **said})
                continue
            if before is None or before[0] is not chart:
                before = chart, evaluate(chart, self._maker.known)
            answered = self._answer(event, chart, before[1], shown)
            for card in answered.cards:
                shown.add(card, event.at, event.encounter)
            found = [{**of_call, **row} for row in card_rows(answered)]
            said = _of_call(answered.found, found)
            calls.append({**of_call, **said})
            cards += found
            if key and not found:
                self._blank[key] = said
        last_chart = history.at_end_of(last)
        return Replayed(calls, cards, last_chart, Counter(history.undecided), unplaced)

    def _answer(self, event: Event, chart: Chart, found: Together, shown: Shown) -> Answer:
        return answer(
            chart,
            event.orders,
            self._maker,
            self._rules[service_id(event.hook)],
            hook=event.hook,
            encounter=event.encounter,
            memory=Recollection(shown, event.at, event.encounter),
            now=event.at,
            found=found,
        )

    def _columns(self, event: Event) -> Row:
        """Those that a call and its cards have in common."""
        named = {"encounter": event.encounter, "practitioner": event.practitioner}
        hashes = {name: value and self._hashed(value) for name, value in named.items()}
        return {"at": event.at.isoformat(), "hook": event.hook, **hashes}


def _of_call(found: Together, cards: list[Row]) -> Row:
    shown = sum(card["shown"] for card in cards)
    return {
        "b12_category": found.b12.category,
        "muscle_category": found.muscle.category,
        "tier": found.tier,
        "shown": shown,
        "withheld": len(cards) - shown,
    }


def card_rows(answered: Answer) -> Iterator[Row]:
    """A row for each card there was reason to show, without the columns of the call.

    Of a rule that a site does not let speak no card is made: it has a topic alone. What was not
    worth a card, such as a test that is on its way, has no row.
    """
    for card in answered.cards:
        yield _card_row(card, None)
    for held in answered.held_back:
        yield _card_row(held.card, held.reason)
    for why in answered.set_aside:
        reason, _, rule = why.partition(":")
        if reason in UNHEARD:
            topic = rule if rule in AXES else order_topic(rule)
            yield {**_NOTHING, "topic": topic, "shown": False, "withheld": reason}


_NOTHING: Row = {"topic": None, "indicator": None, "summary": None, "suggestions": []}


def _card_row(card: Card, withheld: str | None) -> Row:
    return {
        "topic": topic_of(card),
        "indicator": card.indicator.value,
        "summary": card.summary,
        "suggestions": [suggestion.label for suggestion in card.suggestions],
        "shown": withheld is None,
        "withheld": withheld,
    }


def blank_key(chart: Chart, hook: str) -> tuple[object, ...] | None:
    """All that a call about somebody of whom nothing is on record depends on; None: there is."""
    if (
        chart.measurements
        or chart.unusable
        or chart.unable
        or chart.qualitative
        or chart.findings
        or chart.medications
        or chart.orders
    ):
        return None
    ages = chart.born and tuple(completed_years(day, chart.today) for day in chart.born)
    return hook, chart.sex, ages, chart.deceased
