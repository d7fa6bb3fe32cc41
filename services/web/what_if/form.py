"""A made-up patient as entered: the query of the page's address, read and written.

Parameters of a result begin with its value set's name: `total_b12=212`, `total_b12.unit=pmol/L`,
`total_b12.ago=8 mo`. Drugs are numbered: `drug1=metformin`, `drug1.since=2019-01-01`.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from werkzeug.datastructures import MultiDict

from services.chart.model import subtract_months
from services.knowledge.site import SiteKnowledge
from services.web.what_if.form_fields import (
    METHODS,
    NO_UNIT,
    ROUTES,
    SEXES,
    Measure,
    list_drafts,
    list_measures,
    list_value_sets,
)

MAX_DRUGS = 12
MAX_AGE = 130  # years that a person may be entered with
VALUE_PATTERN = re.compile(r"(<=?|>=?)?\s*(\d{1,9}(?:[.,]\d{1,6})?)")
AGO_PATTERN = re.compile(r"(\d{1,3})\s*(d|w|mo|y)?")
POSITIVE, NEGATIVE = "positive", "negative"


@dataclass(frozen=True, slots=True)
class EnteredResult:
    """One result: "<150" or "212", its UCUM unit ("none": without one), and its day."""

    name: str
    text: str
    unit: str
    day: date
    ago: str = ""  # as entered: "8 mo", a day, or empty for the day of the call
    method: str = ""

    @property
    def comparator(self) -> str | None:
        match = VALUE_PATTERN.fullmatch(self.text)
        return match[1] if match else None

    @property
    def value(self) -> float:
        match = VALUE_PATTERN.fullmatch(self.text)
        return float(match[2].replace(",", ".")) if match else 0.0


@dataclass(frozen=True, slots=True)
class EnteredDrug:
    name: str
    since: str = ""  # a day, or empty for not known
    dose: str = ""  # micrograms a day
    route: str = ""


@dataclass(frozen=True, slots=True)
class PatientForm:
    """Everything of one patient. `age` in years, or `born` where a day was entered."""

    age: str = ""
    born: str = ""
    sex: str = "unknown"
    results: Mapping[str, EnteredResult] = field(default_factory=dict)
    conditions: tuple[str, ...] = ()
    drugs: tuple[EnteredDrug, ...] = ()
    draft: str = ""
    draft_dose: str = ""
    draft_route: str = ""

    def as_query(self) -> list[tuple[str, str]]:
        """The parameters, those with nothing in them left out."""
        plain = [("age", self.age), ("born", self.born), ("sex", self.sex)]
        for result in self.results.values():
            plain += [
                (result.name, result.text),
                (f"{result.name}.unit", result.unit),
                (f"{result.name}.ago", result.ago),
                (f"{result.name}.method", result.method),
            ]
        plain += [("condition", name) for name in self.conditions]
        for number, drug in enumerate(self.drugs, start=1):
            plain += [
                (f"drug{number}", drug.name),
                (f"drug{number}.since", drug.since),
                (f"drug{number}.dose", drug.dose),
                (f"drug{number}.route", drug.route),
            ]
        plain += [
            ("draft", self.draft),
            ("draft.dose", self.draft_dose),
            ("draft.route", self.draft_route),
        ]
        return [(name, value) for name, value in plain if value]


class FormReader:
    """Reads the parameters; what cannot be read is a fault, and left out."""

    def __init__(
        self, parameters: "MultiDict[str, str]", knowledge: SiteKnowledge, today: date
    ) -> None:
        self._given = parameters
        self._known = knowledge
        self._today = today
        self.faults: list[str] = []

    def read_form(self) -> PatientForm:
        measures = list_measures(self._known)
        results = [self._read_result(result) for result in measures.values()]
        conditions = list_value_sets(self._known, "condition", "procedure")
        drafts = {name for group in list_drafts(self._known).values() for name in group}
        return PatientForm(
            age=self._read_number("age", "age", MAX_AGE),
            born=self._read_day("born", "birth date"),
            sex=self._read_option("sex", "sex", SEXES) or "unknown",
            results={result.name: result for result in results if result is not None},
            conditions=tuple(
                name
                for name in dict.fromkeys(self._given.getlist("condition"))
                if self._check_value(name, "condition", conditions)
            ),
            drugs=tuple(self._read_drugs()),
            draft=self._read_option("draft", "draft order", drafts),
            draft_dose=self._read_number("draft.dose", "dose of the draft"),
            draft_route=self._read_option("draft.route", "route of the draft", ROUTES),
        )

    def list_unknown(self, others: Collection[str]) -> list[str]:
        """Parameters that are nothing of a patient, nor one of `others`: no value gets lost."""
        plain = {"age", "born", "sex", "condition", "draft", "draft.dose", "draft.route", *others}
        results = list_measures(self._known)
        for stem, parts in (
            *((name, ("unit", "ago", "method")) for name in results),
            *((f"drug{n}", ("since", "dose", "route")) for n in range(1, MAX_DRUGS + 1)),
        ):
            plain |= {stem, *(f"{stem}.{part}" for part in parts)}
        names = (name for name in dict.fromkeys(self._given) if name not in plain)
        return [f"{name[:40]}: nothing is entered by that name" for name in names]

    def _get_text(self, name: str) -> str:
        return self._given.get(name, "").strip()

    def _check_value(self, value: str, what: str, allowed: object) -> bool:
        is_known = value in allowed  # type: ignore[operator]  # any collection of names
        if not is_known:
            self.faults.append(f"{what}: none of those that there are")
        return is_known

    def _read_option(self, name: str, what: str, allowed: object) -> str:
        value = self._get_text(name)
        return value if value and self._check_value(value, what, allowed) else ""

    def _read_number(self, name: str, what: str, most: float | None = None) -> str:
        value = self._get_text(name).replace(",", ".")
        if not value:
            return ""
        if not re.fullmatch(r"\d{1,7}(\.\d{1,3})?", value) or (most and float(value) > most):
            self.faults.append(f"{what}: no number" + (f" up to {most:g}" if most else ""))
            return ""
        return value

    def _read_day(self, name: str, what: str) -> str:
        value = self._get_text(name)
        if not value:
            return ""
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError:
            self.faults.append(f"{what}: no day such as {self._today.isoformat()}")
            return ""

    def _read_result(self, measure: Measure) -> EnteredResult | None:
        name, text = measure.name, self._get_text(measure.name)
        if not text:
            return None
        ago = self._get_text(f"{name}.ago")
        day = self._parse_day(ago, measure.title)
        if day is None:
            return None
        if measure.is_qualitative:
            if self._check_value(text, measure.title, (POSITIVE, NEGATIVE)):
                return EnteredResult(name, text, "", day, ago)
            return None
        if not VALUE_PATTERN.fullmatch(text):
            self.faults.append(f"{measure.title}: no value such as 212, 0.42 or <150")
            return None
        unit = self._get_text(f"{name}.unit") or measure.units[0]
        if not self._check_value(unit, f"{measure.title}, unit", (*measure.units, NO_UNIT)):
            return None
        method = self._read_option(f"{name}.method", f"{measure.title}, method", METHODS)
        return EnteredResult(name, text, unit, day, ago, method)

    def _parse_day(self, text: str, title: str) -> date | None:
        """The day that "8 mo" or "2026-03-01" means; None where it means none."""
        if not text:
            return self._today
        match = AGO_PATTERN.fullmatch(text)
        try:
            if match is None:
                return date.fromisoformat(text)
            many, unit = int(match[1]), match[2]
            if unit in ("mo", "y"):
                return subtract_months(self._today, many * (12 if unit == "y" else 1))
            return self._today - timedelta(days=many * (7 if unit == "w" else 1))
        except (ValueError, OverflowError):
            self.faults.append(f"{title}, how old: no time such as 10 d, 3 w, 8 mo, 2 y or a day")
            return None

    def _read_drugs(self) -> Iterator[EnteredDrug]:
        drugs = list_value_sets(self._known, "medication")
        for number in range(1, MAX_DRUGS + 1):
            key, what = f"drug{number}", f"drug {number}"
            name = self._read_option(key, what, drugs)
            if name:
                yield EnteredDrug(
                    name,
                    self._read_day(f"{key}.since", f"{what}, since"),
                    self._read_number(f"{key}.dose", f"{what}, dose"),
                    self._read_option(f"{key}.route", f"{what}, route", ROUTES),
                )
