"""Value sets: which codes mean the same thing, matched as (system, code), never by text."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mappings.knowledge_file import CANONICAL


@dataclass(frozen=True, slots=True)
class CodeRow:
    """One code of a value set."""

    system: str
    code: str
    display: str
    route: str | None = None  # a product's route of administration
    strength_ug: float | None = None  # micrograms in one tablet or ampoule
    expects: str | None = None  # "mass" or "molar": what the code says of the unit
    only_units: frozenset[str] = frozenset()  # the code may be read in these units only
    rank: int = 0  # of results of one moment, the lowest goes first
    side: str | None = None  # "left" or "right"
    distance_m: float | None = None  # the course of a timed walk
    method: str | None = None  # "DXA" or "BIA", where the code says it
    listed: str = field(default="", compare=False)  # its name as the code system has it
    source: str = field(default="", compare=False)  # where it was found
    notes: str = field(default="", compare=False)
    confidence: str = field(default="", compare=False)  # "high" or "medium"; a site says none


@dataclass(frozen=True, slots=True)
class ValueSet:
    """A list of codes with one meaning."""

    name: str
    kind: str  # "observation", "condition", "medication", "procedure", "order", "route", "answer"
    title: str
    units: tuple[str, ...] = ()  # UCUM; what results are rescaled to, the first that fits
    qualitative: bool = False  # present or absent rather than an amount
    medication: bool = False  # drugs are looked up in it
    topic: str | None = None  # "muscle": asked for in a query of its own
    read_as: Mapping[str, str] = field(default_factory=dict)  # unit -> the unit it stands for
    of_one_day: str | None = None  # "highest": the best of one day's trials counts
    refused: str | None = None  # why results under these codes are never read as a value
    integer: bool = False  # whole numbers only
    has_method: bool = False  # DXA or BIA is read from the result
    note: str | None = None  # what has to be known of it besides


@dataclass(frozen=True, slots=True)
class SiteCodes:
    """A file of a site's own: codes for one value set, which is ours or new."""

    file: str
    value_set: str
    kind: str | None  # of a new set
    title: str | None
    sources: tuple[Mapping[str, Any], ...]  # as the file has them, without their codes
    rows: tuple[CodeRow, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """A code, and one of the value sets it is in."""

    value_set: ValueSet
    row: CodeRow


@dataclass(frozen=True, slots=True)
class ValueSetIndex:
    """Every code of every value set, compiled for look-up."""

    sets: Mapping[str, ValueSet]
    rows: Mapping[str, tuple[CodeRow, ...]]  # by value set
    exact: Mapping[tuple[str, str], tuple[Match, ...]]
    prefixes: Mapping[tuple[str, str], tuple[Match, ...]]
    prefix_lengths: Mapping[str, tuple[int, ...]]  # by system, the longest first
    aliases: Mapping[str, str]
    base: str = CANONICAL  # of the project's own code systems
    site_codes: tuple[SiteCodes, ...] = ()
    also_sent_as: Mapping[str, str] = field(default_factory=dict)  # the same codes, elsewhere

    def look_up(self, system: str, code: str) -> tuple[Match, ...]:
        """The value sets that the code is in; empty for an unknown one."""
        row = self.exact.get((system, code))
        if row is not None:
            return row
        lengths = self.prefix_lengths.get(system)
        if lengths is not None:
            for length in lengths:
                row = self.prefixes.get((system, code[:length]))
                if row is not None and len(code) >= length:
                    return row
        alias = self.aliases.get(system)
        return () if alias is None else self.look_up(alias, code)

    def match_codes(self, codes: Iterable[tuple[str, str]]) -> Sequence[Match]:
        """For each value set that any of the (system, code) is in, the first match."""
        matches: Sequence[Match] = ()
        for system, code in codes:
            matched = self.look_up(system, code)
            if not matches:
                matches = matched
            elif matched:
                matches = (*matches, *matched)
        if len(matches) < 2:
            return matches
        by_set: dict[str, Match] = {}
        for match in matches:
            by_set.setdefault(match.value_set.name, match)
        return tuple(by_set.values())


def index_measures(
    rows: Mapping[str, Iterable[CodeRow]], sets: Mapping[str, ValueSet]
) -> Mapping[tuple[str, str], str]:
    """By (system, code) the measure that a result under it is."""
    return {
        (row.system, row.code): name
        for name, of_set in rows.items()
        for row in of_set
        if sets[name].kind == "observation"
    }
