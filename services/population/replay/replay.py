"""Replay the would-be calls of a patient: each with the chart as it was then.

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
from services.population.rows import Row

ANSWER_MODES = ("none", "overridden")
PROBLEMS = frozenset(topic.problem for topic in TOPICS)
SILENT_REASONS = frozenset({"off", "silent", "audience"})  # rules that do not speak


class PatientReplay(NamedTuple):
    """Replay of one patient: rows of calls and cards, and the chart at the end."""

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
        hash_id: Callable[[str], str],
        *,
        answers: str = "none",
        hooks: Iterable[str] = DEFAULT_HOOKS,
    ) -> None:
        """`rules` are in force for each service, by its id (hooks.catalog.read_attention_rules).

        `hash_id` gives what stands in the rows for the id of a patient or a visit, or for
        "Practitioner/7". Raises ValueError for answers and hooks that there are not.
        """
        self._hooks = frozenset(hooks)
        if answers not in ANSWER_MODES or not self._hooks <= frozenset(REPLAYED_HOOKS):
            raise ValueError(
                f"answers: {', '.join(ANSWER_MODES)}; hooks: {', '.join(REPLAYED_HOOKS)}"
            )
        self._maker = maker
        self._rules = rules
        self._hash_id = hash_id
        self._overridden = answers == "overridden"
        # What is said of patients of whom nothing is known but age and sex: mostly nothing.
        self._blank_results: dict[tuple[object, ...], Row] = {}

    def replay_patient(
        self, patient_id: str, resources: Iterable[Resource], first: date, last: date
    ) -> PatientReplay:
        """Replay the calls about a patient from `first` to `last`, both included.

        `resources` are all there are of the patient, visits and orders among them, each once, and
        the Medications and Devices that they refer to.
        """
        records = list(resources)
        undated = Counter[str]()
        timeline = list_events(records, first, last, self._hooks, undated)
        history = RecordHistory(patient_id, records, self._maker.knowledge.chart_knowledge)
        patient = self._hash_id(patient_id)
        shown_cards = ShownCards(self._overridden)
        calls: list[Row] = []
        cards: list[Row] = []
        latest: tuple[Chart, Evaluation] | None = None
        for event in timeline:
            chart = history.read_chart_before(AsOf.from_call(event.at), event.orders, event.about)
            call_columns = {"patient": patient, **self._build_call_columns(event)}
            key = make_blank_key(chart, event.hook)
            result = self._blank_results.get(key) if key else None
            if result is not None:
                calls.append({**call_columns, **result})
                continue
            if latest is None or latest[0] is not chart:
                latest = chart, evaluate(chart, self._maker.knowledge, self._maker.topics)
            answer = self._decide_call(event, chart, latest[1], shown_cards)
            for card in answer.cards:
                shown_cards.add(card, event.at, event.encounter)
            card_rows = [{**call_columns, **row} for row in build_card_rows(answer)]
            result = _build_call_result(answer.evaluation, card_rows)
            calls.append({**call_columns, **result})
            cards += card_rows
            if key and not card_rows:
                self._blank_results[key] = result
        last_chart = history.read_chart_on(last)
        return PatientReplay(calls, cards, last_chart, Counter(history.undecided), undated)

    def _decide_call(
        self, event: CallEvent, chart: Chart, evaluation: Evaluation, shown_cards: ShownCards
    ) -> CallAnswer:
        context = CallContext(
            hook=event.hook,
            now=event.at,
            drafts=event.orders,
            encounter=event.encounter,
            history=ReplayCardHistory(shown_cards, event.at, event.encounter),
        )
        rules = self._rules[build_service_id(event.hook)]
        return decide_cards(chart, context, self._maker, rules, evaluation)

    def _build_call_columns(self, event: CallEvent) -> Row:
        """Build the columns that a call and its cards have in common."""
        ids = {"encounter": event.encounter, "practitioner": event.practitioner}
        hashes = {name: value and self._hash_id(value) for name, value in ids.items()}
        return {"at": event.at.isoformat(), "hook": event.hook, **hashes}


def _build_call_result(evaluation: Evaluation, cards: list[Row]) -> Row:
    shown = sum(card["shown"] for card in cards)
    return {
        "b12_category": evaluation.b12.category,
        "muscle_category": evaluation.muscle.category,
        "tier": evaluation.tier,
        "shown": shown,
        "withheld": len(cards) - shown,
    }


def build_card_rows(answer: CallAnswer) -> Iterator[Row]:
    """Build a row for each card there was reason to show, without the columns of the call.

    Of a rule that a site does not let speak no card is made: it has a topic alone. What was not
    worth a card, such as a test that is on its way, has no row.
    """
    for card in answer.cards:
        yield _build_card_row(card, None)
    for withheld in answer.withheld_cards:
        yield _build_card_row(withheld.card, withheld.reason)
    for entry in answer.omissions:
        reason, _, rule = entry.partition(":")
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
    """Key of a chart that holds age and sex alone; None where it holds more."""
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
