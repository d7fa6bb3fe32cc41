"""Summary of a population report: what was run, a few sentences, and its limitations."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.population.report import labels
from services.population.report.categories import INDICATORS, TOPICS, ReportTopic
from services.population.report.dataset import RunDataset
from services.population.report.layout import format_percent
from services.reports.figures import ComputedFigure
from services.reports.text_format import format_number, make_plural

Figures = Mapping[str, ComputedFigure]
MAX_INPUTS = 8
ANY_INDICATOR = frozenset(INDICATORS)


@dataclass(frozen=True, slots=True)
class PatientShare:
    """Some of a whole; None where that is hidden."""

    n: int | None
    of: int | None
    weighted: float | None = None

    @property
    def share(self) -> float | None:
        """Percent, weighted where there are weights."""
        if self.weighted is not None or self.n is None or not self.of:
            return self.weighted
        return 100 * self.n / self.of

    def __str__(self) -> str:
        return self.as_text()

    def as_text(self, what: str = "") -> str:
        """ "12 of 345 people (3.5 %)" """
        if self.n is None or self.of is None:
            return "a number that is hidden"
        share = format_percent(100 * self.n / self.of) if self.of else "none"
        added = f"; weighted {format_percent(self.weighted)}" if self.weighted is not None else ""
        of = f"{format_number(self.of)} {what}".strip()
        return f"{format_number(self.n)} of {of} ({share}{added})"


def list_facts(dataset: RunDataset) -> Iterator[tuple[str, str]]:
    """What was run, for the top of the page."""
    run, counts = dataset.run, dataset.run["counts"]
    if dataset.replayed:
        yield "Period", f"{run['replay']['from']} to {run['replay']['to']}, as it went by"
    else:
        yield "As of", run["asOf"]
    yield "People", _describe_people(dataset)
    if dataset.where is not None:
        yield "Only those with", dataset.where
    if dataset.weighted:
        yield "Weights", _describe_weights(dataset)
    for topic in TOPICS.values():
        first, *others = dataset.list_publications(topic.id)
        yield topic.title, first + (f"; compared with {', '.join(others)}" if others else "")
    names = [str(name) for name in run["inputs"]]
    more = len(names) - MAX_INPUTS
    yield "Input", ", ".join(names[:MAX_INPUTS]) + (f" and {more} more" if more > 0 else "")
    yield "Read", _describe_input(counts)
    finished = datetime.fromisoformat(run["finished"])
    yield (
        "Made",
        f"{finished:%Y-%m-%d %H:%M} (UTC) by version {run['version']}, engine: {run['engine']}",
    )


def _describe_people(dataset: RunDataset) -> str:
    counts = dataset.run["counts"]
    assessed = counts.get("assessed")
    text = f"{format_number(dataset.people)} in this report"
    if assessed is not None and assessed != dataset.people:
        text += f"; {format_number(assessed)} assessed"
    if "patients" in counts:
        text += f"; {format_number(counts['patients'])} in the input"
    return text


def _describe_weights(dataset: RunDataset) -> str:
    without_weight = (
        f"; {format_number(dataset.without_weight)} without a weight are left out"
        if dataset.without_weight
        else ""
    )
    undivided = (
        f"; not divided by {', '.join(dataset.undivided)}, which have too many values"
        if dataset.undivided
        else ""
    )
    return f"of a survey, intervals by its strata and sampling units{without_weight}{undivided}"


def _describe_input(counts: Mapping[str, Any]) -> str:
    text = ", ".join(
        f"{format_number(counts[name])} {make_plural(counts[name], name[:-1])}"
        for name in ("files", "lines")
        if name in counts
    )
    complaints = sum(counts.get("complaints", {}).values())
    return f"{text}; {format_number(complaints)} {make_plural(complaints, 'complaint')}"


def list_tiles(dataset: RunDataset, figures: Figures) -> Iterator[tuple[str, str]]:
    """The few numbers to begin with; one that is hidden is left out."""
    yield "people", format_number(dataset.people)
    if dataset.replayed:
        every = figures["visits"].as_dicts()[-1]
        rates = [("cards for 100 visits", every["cards per 100 visits"])]
        rates += [
            ("cards a clinician and day", row["cards a day"])
            for row in figures["clinician_days"].as_dicts()
        ]
        yield from ((name, f"{rate:.1f}") for name, rate in rates if rate is not None)
    else:
        yield from _make_tile(
            "would have a card", _count_rows(figures["worst_card"], "indicator", ANY_INDICATOR)
        )
    for name, part in (
        *((topic.tile, _count_measured(figures, topic)[1]) for topic in TOPICS.values()),
        ("positive on both axes (T2)", _count_rows(figures["tier"], "tier", {"T2"})),
    ):
        yield from _make_tile(name, part)


def _make_tile(name: str, part: PatientShare) -> Iterator[tuple[str, str]]:
    if part.share is not None:
        yield name, format_percent(part.share)


def write_summary(dataset: RunDataset, figures: Figures) -> Iterator[str]:
    """The answer to a committee's first questions, each number with what it is of."""
    yield from _describe_cards(dataset, figures)
    for topic in TOPICS.values():
        measured, positive = _count_measured(figures, topic)
        yield topic.summary.format(
            measured=measured.as_text("people"),
            found=positive,
            publication=dataset.list_publications(topic.id)[0],
        )
    first, both = (_count_rows(figures["tier"], "tier", {tier}) for tier in ("T1", "T2"))
    yield (
        f"B12 deficiency with a neurological finding: {first}. Both axes positive without one: "
        f"{both}."
    )
    missing = figures["missing"].as_dicts()
    if missing:
        what = labels.get_data_label(missing[0]["missing"])
        part = _count_rows(figures["missing"], "missing", {missing[0]["missing"]})
        yield f"Most often missing: {what}, in {part}."
    if dataset.compared:
        yield from _describe_agreement(dataset, figures)


def _describe_cards(dataset: RunDataset, figures: Figures) -> Iterator[str]:
    worst = figures["worst_card"]
    with_card = _count_rows(worst, "indicator", ANY_INDICATOR)
    critical = _count_rows(worst, "indicator", {"critical"})
    if not dataset.replayed:
        yield (
            f"On {dataset.run['asOf']}, {with_card.as_text('people')} would have a card when their chart "
            f"is opened; a critical one, {critical}."
        )
        return
    every = figures["visits"].as_dicts()[-1]
    rates = figures["clinician_days"].as_dicts()
    if isinstance(every["cards"], int):
        a_day = rates[0]["cards a day"] if rates else None
        yield (
            f"{format_number(every['calls'])} calls would have shown {format_number(every['cards'])} cards"
            + (
                f": {every['cards per 100 visits']:.1f} for each 100 visits"
                if every["cards per 100 visits"] is not None
                else ""
            )
            + (f", {a_day:.2f} for each clinician and day" if a_day is not None else "")
            + "."
        )
    yield f"People with at least one card: {with_card}; with a critical one: {critical}."


def _count_measured(figures: Figures, topic: ReportTopic) -> tuple[PatientShare, PatientShare]:
    """Who was measured, and who of them has the finding of the topic."""
    name = f"{topic.prefix}_category"
    everybody, measured_rows = figures[name].as_dicts(), figures[f"{name}_measured"].as_dicts()
    all_of = everybody[0]["of"] if everybody else 0
    measured = measured_rows[0]["of"] if measured_rows else 0
    of = [count if isinstance(count, int) else None for count in (measured, all_of)]
    return PatientShare(of[0], of[1]), _count_rows(
        figures[f"{name}_measured"], "category", topic.positive
    )


def _count_rows(computed: ComputedFigure, column: str, values: Iterable[str]) -> PatientShare:
    """The rows whose `column` is one of `values`, together; they have nobody in common."""
    rows = computed.as_dicts()
    selected = [row for row in rows if row[column] in set(values)]
    if any(not isinstance(row["patients"], int) for row in selected):
        return PatientShare(None, None)
    of = rows[0]["of"] if rows else 0
    weighted = (
        sum(row["weighted %"] for row in selected) if rows and "weighted %" in rows[0] else None
    )
    return PatientShare(
        sum(row["patients"] for row in selected), of if isinstance(of, int) else None, weighted
    )


def _describe_agreement(dataset: RunDataset, figures: Figures) -> Iterator[str]:
    for row in figures["agreement"].as_dicts():
        topic = TOPICS[row["axis"]]
        is_first_question = row["question"] == next(iter(topic.questions))
        if not is_first_question or row["kappa"] is None or not isinstance(row["alike"], int):
            continue
        first = dataset.list_publications(topic.id)[0]
        yield (
            f"{first} and {row['other']} agree on “{row['question']}” in {format_percent(row['alike %'])} "
            f"of {format_number(row['patients'])} people (kappa {row['kappa']:.2f})."
        )


def list_limitations(dataset: RunDataset) -> Iterator[str]:
    yield (
        "Nobody saw these cards. Whether a clinician would have agreed, and whether a patient "
        "would have been better off, no record of the past can tell."
    )
    yield (
        "Only what is on record counts. A symptom that nobody coded, a test done elsewhere and a "
        "medicine bought without a prescription are not here; a missing result is not a normal one."
    )
    yield (
        "Who was tested was chosen by somebody. Shares of those with a result say nothing of those "
        "without."
    )
    if dataset.replayed:
        yield (
            "The replay knows what stood in the record before each moment by the dates in it. What "
            "was entered later under an earlier date is known too early, and clinicians would have "
            "done other things after a card."
        )
    else:
        yield (
            "This is one day seen at once, not a period of visits: cards per 100 patients are no "
            "cards per 100 visits, and nothing was snoozed or shown before."
        )
    if dataset.weighted:
        yield (
            "Weighted shares speak for the survey's population as far as its weights do. Intervals "
            "of few sampling units are rough."
        )
    else:
        yield (
            "These are the patients of one organisation, not a sample of a population. The "
            "intervals are of chance alone."
        )
    yield (
        "That low B12 and weak muscle meet in a person does not say that one causes the other; the "
        "evidence that B12 deficiency causes sarcopenia is weak."
    )
    yield "Limits are those of the guidelines, unless the site has set its laboratory's own."
