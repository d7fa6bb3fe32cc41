"""Find weight loss from the weights on record."""

from services.chart.model import Chart, Measurement, subtract_months
from services.sarcopenia.knowledge import SarcopeniaKnowledge


def get_recent(name: str, chart: Chart, knowledge: SarcopeniaKnowledge) -> Measurement | None:
    """The newest result, where it is recent enough for a laboratory result to decide."""
    result = chart.get_latest(name)
    months = int(knowledge.policy["result_max_age_months"])
    return result if result and result.day >= subtract_months(chart.today, months) else None


def find_weight_loss(chart: Chart, knowledge: SarcopeniaKnowledge) -> tuple[Measurement, ...]:
    """The newest weight and the highest of the months before, where the loss passes the limit.

    Months and percent are the site's policy. Empty where there is no such loss.
    """
    weights = chart.measurements.get("weight", ())
    newest = get_recent("weight", chart, knowledge) if len(weights) > 1 else None
    if newest is None:
        return ()
    since = subtract_months(newest.day, int(knowledge.policy["weight_loss_months"]))
    earlier = [w for w in weights if since <= w.day < newest.day]
    if not earlier:
        return ()
    highest = max(earlier, key=lambda weight: weight.value)
    lost = (highest.value - newest.value) / highest.value
    return (newest, highest) if lost > knowledge.policy["weight_loss_percent"] / 100 else ()
