"""What a population run cannot say."""

from collections.abc import Iterator

from services.population.report.gathered import Gathered


def cautions(run: Gathered) -> Iterator[str]:
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
    if run.replayed:
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
    if run.weighted:
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
