"""Parts that the details of both axes are made of: GFM without HTML, in the site's language."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date

from mappings.text import Text, make_text
from services.chart.model import Chart
from services.knowledge.language import Language


def escape_cell(text: str) -> str:
    """`text` inside a table, with nothing that Markdown or HTML would read as syntax."""
    return text.replace("|", "/").replace("<", "&lt;").replace(">", "&gt;")


def format_day(day: date | None, said: Language) -> str:
    return said.day(day) if day else said("undated")


def write_bullets(title: str, sentences: Iterable[str | None], most: int, said: Language) -> str:
    """At most `most` of the sentences under their title; empty where there is none."""
    kept = [said(sentence) for sentence in sentences if sentence][:most]
    return f"**{said(title)}**\n\n" + "\n".join(f"- {s}" for s in kept) if kept else ""


def write_gaps(chart: Chart, keys: Mapping[str, str], said: Language) -> Iterator[str]:
    """What of `keys` could not be looked up; never taken for nothing being there."""
    missing = tuple(name for key, name in keys.items() if key in chart.unknown)
    partly = tuple(name for key, name in keys.items() if key in chart.incomplete - chart.unknown)
    yield from map(said, describe_gaps(missing, partly))


def describe_gaps(missing: tuple[str, ...], partly: tuple[str, ...]) -> Iterator[Text]:
    """The sentences about data that could not be had, or had in part alone."""
    if missing:
        yield make_text("Could not be checked: {missing}.", missing=missing)
    if partly:
        yield make_text("Only a part was available: {partly}.", partly=partly)
