"""Dates and times of FHIR, and whether they are before a call or the end of a day."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple

from services.chart.fhir_values import parse_date_span

END_OF_DAY = "T24"  # behind every hour of a day, before every hour of the next


class FhirTime(NamedTuple):
    """A date or a timestamp of a resource."""

    day: date  # as written; the last day that a month or a year may mean
    key: str  # sorts with others; what has no hour sorts behind every hour of its day
    moment: datetime | None  # in UTC; a day alone at its start, a month or a year not at all

    @property
    def is_whole_day(self) -> bool:
        """Whether it says no hour."""
        return self.key.endswith(END_OF_DAY)


@lru_cache(32768)
def parse_fhir_time(text: str) -> FhirTime | None:
    """Parse a FHIR date, dateTime or instant; None where it is none.

    A time without an offset, which FHIR does not allow, counts as UTC.
    """
    span = parse_date_span(text)
    if span is None:
        return None
    first, last = span
    if len(text) > 10:
        try:
            parsed = datetime.fromisoformat(text)
            moment = (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
            return FhirTime(last, moment.isoformat(), moment)
        except (ValueError, OverflowError):
            pass  # an hour that cannot be read: the day is known all the same
    start = datetime.combine(first, time(), UTC) if first == last else None
    return FhirTime(last, f"{last.isoformat()}{END_OF_DAY}", start)


class AsOf(NamedTuple):
    """The end of a day, or the moment just before a call."""

    today: date
    certain_before: str  # a day written before this one is past, wherever it was written
    key: str | None  # None: the end of `today`, whatever hours and offsets say

    @classmethod
    def from_day(cls, day: date) -> "AsOf":
        """All that bears this day, or an earlier one, where it was written."""
        return cls(day, (day + timedelta(days=1)).isoformat(), None)

    @classmethod
    def from_call(cls, moment: datetime) -> "AsOf":
        """All that was before `moment`.

        What bears the day of the moment and no hour is not: nobody can say that it was before.
        """
        utc = moment.astimezone(UTC)
        # An offset moves a day by one at the most.
        surely = utc.date() - timedelta(days=1)
        return cls(utc.date(), surely.isoformat(), utc.isoformat())

    @property
    def sort_key(self) -> tuple[date, bool, str]:
        """Sorts moments of one day before its end."""
        return self.today, self.key is None, self.key or ""

    def is_past(self, text: object) -> bool | None:
        """Whether `text`, a date of a resource, was over by then; None where it is no date."""
        if not isinstance(text, str):
            return None
        if len(text) >= 10 and text[:10] < self.certain_before and text[4] == "-":
            return True
        fhir_time = parse_fhir_time(text)
        if fhir_time is None:
            return None
        return fhir_time.day <= self.today if self.key is None else fhir_time.key < self.key
