"""The charts of the governance page, each of one table of the report."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from services.web.chart_data import Axis, Plot, Series, Tone
from services.web.report_process import Figure

MAX_BARS = 14
BAR_HEIGHT = 26  # pixels of a bar with its room
AXES_HEIGHT = 84  # pixels of the axis and the legend
DAY_AXIS = Axis("", "time")
OUTCOME_TONES: Mapping[str, Tone] = {"accepted": "good", "overridden": "bad", "unanswered": "plain"}
INDICATOR_TONES: Mapping[str, Tone] = {"info": "plain", "warning": "watch", "critical": "bad"}


def build_plots(figures: Mapping[str, Figure]) -> dict[str, Plot]:
    """By the figure that each belongs to; none where there is nothing to draw."""
    plots = {
        "by_day": _plot_calls(figures["by_day"].as_dicts()),
        "cards_by_day": _plot_cards(figures["cards_by_day"].as_dicts()),
        "latency_by_day": _plot_latency(figures["latency_by_day"].as_dicts()),
        "answers": _plot_answers(figures["answers"].as_dicts()),
        "override_reasons": _plot_counts(
            figures["override_reasons"].as_dicts(), "reason", "answers", "overrides", "bad"
        ),
        "withheld": _plot_counts(
            figures["withheld"].as_dicts(), "reason", "times", "times", "plain"
        ),
        "silent": _plot_counts(figures["silent"].as_dicts(), "topic", "times", "cards", "watch"),
    }
    return {name: plot for name, plot in plots.items() if plot is not None}


def _plot_calls(rows: Sequence[Mapping[str, Any]]) -> Plot | None:
    if len(rows) < 2:
        return None
    busiest = max(rows, key=lambda row: row["answered"])
    says = f"Calls answered on each day. Most on {busiest['day']}: {busiest['answered']}."
    points = [(row["day"], row["answered"]) for row in rows]
    return Plot(says, DAY_AXIS, Axis("calls", least=0), [Series("answered", points, "bar")])


def _plot_cards(rows: Sequence[Mapping[str, Any]]) -> Plot | None:
    if len({row["day"] for row in rows}) < 2:
        return None
    series = [
        Series(
            name,
            [
                (row["day"], row["per 100 calls"], f"{row['cards']} cards")
                for row in rows
                if row["indicator"] == name
            ],
            "bar",
            tone,
        )
        for name, tone in INDICATOR_TONES.items()
    ]
    says = "Cards for each 100 calls on each day, by indicator."
    drawn = [line for line in series if line.points]
    return Plot(says, DAY_AXIS, Axis("cards per 100 calls", least=0), drawn, stacked=True)


def _plot_latency(rows: Sequence[Mapping[str, Any]]) -> Plot | None:
    if len(rows) < 2:
        return None
    slowest = max(rows, key=lambda row: row["p95"])
    says = (
        "Half of the calls of each day took less than p50, 95 of 100 less than p95. "
        f"p95 is highest on {slowest['day']}: {slowest['p95']:g} ms."
    )
    marks: Mapping[str, Tone] = {"p50": "plain", "p95": "bad"}
    series = [
        Series(mark, [(row["day"], row[mark]) for row in rows], tone=tone)
        for mark, tone in marks.items()
    ]
    return Plot(says, DAY_AXIS, Axis("milliseconds", least=0), series)


def _plot_answers(rows: Sequence[Mapping[str, Any]]) -> Plot | None:
    drawn = rows[:MAX_BARS]
    if not drawn:
        return None
    series = [
        Series(outcome, [(row[outcome], row["topic"]) for row in drawn], "bar", tone)
        for outcome, tone in OUTCOME_TONES.items()
    ]
    return Plot(
        "What became of the cards of each rule: accepted, overridden or unanswered. "
        f"The most frequent is {drawn[0]['topic']}, shown {drawn[0]['shown']} times.",
        Axis("cards", least=0),
        Axis("", "category", names=[row["topic"] for row in drawn]),
        series,
        height=AXES_HEIGHT + BAR_HEIGHT * len(drawn),
        stacked=True,
    )


def _plot_counts(
    rows: Sequence[Mapping[str, Any]], name: str, amount: str, unit: str, tone: Tone
) -> Plot | None:
    """A bar for each `name`, the longest first."""
    counts: Counter[str] = Counter()
    for row in rows:
        counts[row[name]] += row[amount]
    most = counts.most_common(MAX_BARS)
    if not most:
        return None
    return Plot(
        f"How often, by {name}. The most frequent is {most[0][0]}: {most[0][1]}.",
        Axis(unit, least=0),
        Axis("", "category", names=[value for value, _ in most]),
        [Series(unit, [(count, value) for value, count in most], "bar", tone)],
        height=AXES_HEIGHT - 24 + BAR_HEIGHT * len(most),
    )
