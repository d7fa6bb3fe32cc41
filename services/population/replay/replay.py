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
from services.cards.composer import CardComposer
from services.cards.order_cards import build_order_topic
from services.chart.fhir_values import Resource
from services.chart.model import Chart, calculate_age
from services.evaluation.combination import Evaluation
from services.evaluation.evaluate import evaluate
from services.hooks.decide import CallAnswer, CallContext, decide_cards
from services.hooks.offered_hooks import build_service_id
from services.hooks.topics import TOPICS
from services.population.replay.events import DEFAULT_HOOKS, REPLAYED_HOOKS, CallEvent, list_events
from services.population.replay.record_history import RecordHistory
from services.population.replay.shown_cards import ReplayCardHistory, ShownCards, get_topic
from services.population.replay.timestamps import AsOf
from services.population.run.rows import Row

ANSWER_MODES = ("none", "overridden")
PROBLEMS = frozenset(topic.problem for topic in TOPICS)
SILENT_REASONS = frozenset({"off", "silent", "audience"})  # rules that do not speak


class PatientReplay(NamedTuple):
    """What the timeline of one patient came to: rows of calls and cards, and how it ended."""

    calls: list[Row]
    cards: list[Row]
    last_chart: Chart  # at the end of the last day
    undecided: Counter[str]  # resources of which hindsight cannot say how they read, by why
    undated: Counter[str]  # visits and orders without a day, of which no call is made


class Replay:
    """Replays patients one after another; one for each process."""

    def __init__(
        self,
        maker: CardComposer,
        rules: Mapping[str, AttentionRules],
        hashed: Callable[[str], str],
        *,
        answers: str = "none",
        hooks: Iterable[str] = DEFAULT_HOOKS,
    ) -> None:
        """`rules` are in force for each service, by its id (services.hooks.catalog.attention_of).

        `hashed` gives what stands in the rows for the id of a patient or a visit, or for
        "Practitioner/7". Raises ValueError for answers and hooks that there are not.
        """
        self._hooks = frozenset(hooks)
        if answers not in ANSWER_MODES or not self._hooks <= frozenset(REPLAYED_HOOKS):
            raise ValueError(
                f"answers: {', '.join(ANSWER_MODES)}; hooks: {', '.join(REPLAYED_HOOKS)}"
            )
        self._maker = maker
        self._rules = rules
        self._hash_id = hashed
        self._overridden = answers == "overridden"
        # What is said of patients of whom nothing is known but age and sex: mostly nothing.
        self._blank_results: dict[tuple[object, ...], Row] = {}

    def replay_patient(
        self, patient_id: str, resources: Iterable[Resource], first: date, last: date
    ) -> PatientReplay:
        """The calls about a patient from `first` to `last`, both included.

        `resources` are all there are of the patient, visits and orders among them, each once, and
        the Medications and Devices that they refer to.
        """
        given = list(resources)
        unplaced = Counter[str]()
        timeline = list_events(given, first, last, self._hooks, unplaced)
        history = RecordHistory(patient_id, given, self._maker.knowledge.chart_knowledge)
        patient = self._hash_id(patient_id)
        shown = ShownCards(self._overridden)
        calls: list[Row] = []
        cards: list[Row] = []
        before: tuple[Chart, Evaluation] | None = None
        for event in timeline:
            chart = history.read_chart_before(AsOf.from_call(event.at), event.orders, event.about)
            of_call = {"patient": patient, **self._build_call_columns(event)}
            key = make_blank_key(chart, event.hook)
            said = self._blank_results.get(key) if key else None
            if said is not None:
                calls.append({**of_call, **said})
                continue
            if before is None or before[0] is not chart:
                before = chart, evaluate(chart, self._maker.knowledge, self._maker.topics)
            answered = self._decide_call(event, chart, before[1], shown)
            for card in answered.cards:
                shown.add(card, event.at, event.encounter)
            found = [{**of_call, **row} for row in build_card_rows(answered)]
            said = _build_call_result(answered.evaluation, found)
            calls.append({**of_call, **said})
            cards += found
            if key and not found:
                self._blank_results[key] = said
        last_chart = history.read_chart_on(last)
        return PatientReplay(calls, cards, last_chart, Counter(history.undecided), unplaced)

    def _decide_call(
        self, event: CallEvent, chart: Chart, found: Evaluation, shown: ShownCards
    ) -> CallAnswer:
        context = CallContext(
            hook=event.hook,
            now=event.at,
            drafts=event.orders,
            encounter=event.encounter,
            history=ReplayCardHistory(shown, event.at, event.encounter),
        )
        rules = self._rules[build_service_id(event.hook)]
        return decide_cards(chart, context, self._maker, rules, found)

    def _build_call_columns(self, event: CallEvent) -> Row:
        """Those that a call and its cards have in common."""
        named = {"encounter": event.encounter, "practitioner": event.practitioner}
        hashes = {name: value and self._hash_id(value) for name, value in named.items()}
        return {"at": event.at.isoformat(), "hook": event.hook, **hashes}


def _build_call_result(found: Evaluation, cards: list[Row]) -> Row:
    shown = sum(card["shown"] for card in cards)
    return {
        "b12_category": found.b12.category,
        "muscle_category": found.muscle.category,
        "tier": found.tier,
        "shown": shown,
        "withheld": len(cards) - shown,
    }


def build_card_rows(answered: CallAnswer) -> Iterator[Row]:
    """A row for each card there was reason to show, without the columns of the call.

    Of a rule that a site does not let speak no card is made: it has a topic alone. What was not
    worth a card, such as a test that is on its way, has no row.
    """
    for card in answered.cards:
        yield _build_card_row(card, None)
    for held in answered.withheld_cards:
        yield _build_card_row(held.card, held.reason)
    for why in answered.omissions:
        reason, _, rule = why.partition(":")
        if reason in SILENT_REASONS:
            topic = rule if rule in PROBLEMS else build_order_topic(rule)
            yield {**_EMPTY_CARD, "topic": topic, "shown": False, "withheld": reason}


_EMPTY_CARD: Row = {"topic": None, "indicator": None, "summary": None, "suggestions": []}


def _build_card_row(card: Card, withheld: str | None) -> Row:
    return {
        "topic": get_topic(card),
        "indicator": card.indicator.value,
        "summary": card.summary,
        "suggestions": [suggestion.label for suggestion in card.suggestions],
        "shown": withheld is None,
        "withheld": withheld,
    }


def make_blank_key(chart: Chart, hook: str) -> tuple[object, ...] | None:
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
    ages = chart.born and tuple(calculate_age(day, chart.today) for day in chart.born)
    return hook, chart.sex, ages, chart.deceased
