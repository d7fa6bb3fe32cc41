"""Numbers, days and times as the reports word them."""

from datetime import date, datetime


def format_day(day: date) -> str:
    return f"{day:%A} {day.day} {day:%B %Y}"


def format_number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:,.1f}"


def format_time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def make_plural(count: int, word: str) -> str:
    return word if count == 1 else f"{word}s"
