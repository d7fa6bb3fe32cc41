"""People of a synthetic hospital: who has what, how often, and when.

Frequencies are those of an ordinary hospital in round figures, meant for timing. Nothing about
medicine can be learnt from them. About half of the results are such as no rule reads.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from statistics import NormalDist

from benchmarks import fhir_lines as lines
from benchmarks.synthetic_records import (
    CONDITIONS,
    DRUGS,
    ORDERS,
    PROCEDURES,
    RESULTS,
    VISITS,
    Held,
    Result,
    blood_pressure,
)

AS_OF = date(2026, 11, 1)
DAYS = tuple((AS_OF - timedelta(days=n)).isoformat() for n in range(3 * 365))
TIMES = tuple(f"T{8 + n // 12:02}:{n % 12 * 5:02}:00-05:00" for n in range(108))
NORMALS = tuple(NormalDist().inv_cdf((n + 0.5) / 4096) for n in range(4096))
HOW_OFTEN = (1,) * 45 + (2,) * 28 + (3,) * 15 + (4,) * 8 + (5,) * 4
PATIENT = lines.patient()
KINDS = (
    "Patient",
    "Observation",
    "Condition",
    "MedicationRequest",
    "Encounter",
    "Procedure",
    "ServiceRequest",
)
VITAL_SIGNS = (
    (0.4, ("temperature",)),
    (0.4, ("spo2",)),
    (0.55, ("weight",)),
    (0.25, ("height", "bmi")),
)
BLOOD = (
    (1, ("hemoglobin", "mcv")),
    (0.5, ("leukocytes", "platelets")),
    (0.9, ("creatinine", "egfr", "potassium", "sodium", "glucose")),
)
FOLLOWED = ((0.08, ("hba1c",)), (0.07, ("cholesterol",)), (0.07, ("tsh",)))
BORN = tuple(range(20)) + tuple(range(18, 100)) * 2 + tuple(range(45, 90)) * 3  # ages, weighted


@dataclass(frozen=True, slots=True)
class Visit:
    id: str
    day: str
    at: str
    practitioner: str


@dataclass(frozen=True, slots=True)
class Person:
    id: str
    age: int
    sex: str
    si: bool  # the laboratory reports moles
    risk: float  # how many times more likely B12 is looked for, and low


class Writer:
    """Writes people, one after the other, from one source of chance."""

    def __init__(self, chance: Random, practitioners: int) -> None:
        self._chance = chance
        self._practitioners = practitioners
        self.lines: dict[str, list[str]] = {kind: [] for kind in KINDS}

    def write(self, number: int) -> None:
        chance = self._chance
        age, sex = chance.choice(BORN), "female" if chance.random() < 0.53 else "male"
        held = [one for one in CONDITIONS if self._has(one, age, sex)]
        risk = 1 + sum(one.risk for one in held)
        person = Person(self._id(), age, sex, chance.random() < 0.15, risk)
        visits = [self._visit(person) for _ in range(chance.choice(HOW_OFTEN))]
        self._write_patient(person, number, visits[0])
        for visit in visits:
            self._write_results(person, visit)
        self._write_blood_tests(person, visits)
        for one in held:
            visit = visits[0]
            status = "active" if chance.random() < 0.9 else "resolved"
            since = DAYS[chance.randrange(len(DAYS))]
            self._add("Condition", one.template, visit, status, person.id, visit.id, since, visit.day)  # fmt: skip
        self._write_orders(person, visits)

    def _has(self, one: Held, age: int, sex: str) -> bool:
        if not one.ages[0] <= age <= one.ages[1] or one.sex not in (None, sex):
            return False
        return self._chance.random() < one.share

    def _id(self) -> str:
        return f"{self._chance.getrandbits(96):024x}"

    def _add(self, kind: str, template: str, visit: Visit, *slots: object) -> None:
        self.lines[kind].append(template % (self._id(), visit.day + "T23:10:00.000Z", *slots))

    def _visit(self, person: Person) -> Visit:
        chance = self._chance
        day = DAYS[chance.randrange(len(DAYS))]
        time = chance.randrange(len(TIMES) - 6)
        visit = Visit(
            self._id(),
            day,
            day + TIMES[time],
            f"practitioner-{chance.randrange(self._practitioners)}",
        )
        start, end = visit.at, day + TIMES[time + 6]
        self.lines["Encounter"].append(
            chance.choice(VISITS)
            % (visit.id, day + "T23:10:00.000Z", person.id, visit.practitioner, start, end)
        )
        return visit

    def _write_patient(self, person: Person, number: int, visit: Visit) -> None:
        chance = self._chance
        born = AS_OF - timedelta(days=person.age * 365.25 + chance.randrange(365))
        more = ""
        if chance.random() < 0.03:
            more = f',"deceasedDateTime":"{AS_OF - timedelta(days=chance.randrange(900))}"'
        elif chance.random() < 0.01:
            more = ',"maritalStatus":{"text":"unknown"}'
        self.lines["Patient"].append(
            PATIENT
            % (
                person.id,
                visit.day + "T23:10:00.000Z",
                f"{number:08}",
                f"Family{number % 9973}",
                f"Given{number % 997}",
                person.sex,
                born.isoformat(),
                more,
            )
        )

    def _write_results(self, person: Person, visit: Visit) -> None:
        """Vital signs, blood count and chemistry of one visit."""
        random = self._chance.random
        if random() < 0.65:
            self._write_pressure(person, visit)
            self._measure(RESULTS["heart_rate"], person, visit)
            self._measure_some(VITAL_SIGNS, person, visit)
        if random() < 0.3:
            self._measure_some(BLOOD, person, visit)
        self._measure_some(FOLLOWED, person, visit)

    def _measure_some(
        self, panels: Iterable[tuple[float, tuple[str, ...]]], person: Person, visit: Visit
    ) -> None:
        """Each of `panels` is (how often it is done, what it consists of)."""
        for share, names in panels:
            if self._chance.random() < share:
                for name in names:
                    self._measure(RESULTS[name], person, visit)

    def _write_pressure(self, person: Person, visit: Visit) -> None:
        bits = self._chance.getrandbits
        systolic = 126 + person.age // 5 + 14 * NORMALS[bits(12)]
        diastolic = 76 + 9 * NORMALS[bits(12)]
        values = (f"{systolic:.0f}", f"{diastolic:.0f}")
        self._add(
            "Observation", blood_pressure(), visit, person.id, visit.id, visit.at, visit.at, *values
        )

    def _measure(self, result: Result, person: Person, visit: Visit, shift: float = 0.0) -> None:
        """`shift` in standard deviations."""
        mean, deviation = result.by_sex[person.sex == "male"]
        mean += result.a_year * (person.age - 50)
        value = mean + deviation * (NORMALS[self._chance.getrandbits(12)] + shift)
        if value < result.least:
            value = result.least
        si = person.si and result.si_template
        written = f"{value * result.si_factor:.0f}" if si else f"{value:.{result.decimals}f}"
        self._add(
            "Observation",
            result.si_template if si else result.template,
            visit, person.id, visit.id, visit.at, visit.at, written,
        )  # fmt: skip

    def _write_blood_tests(self, person: Person, visits: Sequence[Visit]) -> None:
        """What is looked for in few: vitamins, their markers, and muscle in the old."""
        random = self._chance.random
        likely = (0.042 if person.age < 50 else 0.085 if person.age < 65 else 0.14) * person.risk
        shift = -0.4 * (person.risk - 1)
        if random() < likely:
            for visit in visits[: 1 + (random() < 0.3)]:
                result = RESULTS["active_b12" if random() < 0.02 else "total_b12"]
                before = len(self.lines["Observation"])
                self._measure(result, person, visit, shift)
                if random() < 0.02:
                    self._spoil(before)
            for name, share in (("folate", 0.45), ("mma", 0.09), ("homocysteine", 0.06)):
                if random() < share:
                    up = -shift if name != "folate" else 0.0
                    self._measure(RESULTS[name], person, visits[0], up)
        if person.age >= 65 and random() < 0.05:
            for name in ("grip_right", "grip_left", "gait_speed", "sarc_f"):
                if random() < 0.7:
                    self._measure(RESULTS[name], person, visits[0])

    def _spoil(self, position: int) -> None:
        """The faults that results have: no unit, an error, a bound."""
        written = self.lines["Observation"]
        line = written[position]
        match self._chance.randrange(3):
            case 0:
                line = line.replace('"status":"final"', '"status":"entered-in-error"')
            case 1:
                start = line.index('"valueQuantity"')
                end = line.index(',"unit"', start)
                line = line[:end] + "}" + line[line.index("}", end) + 1 :]
            case _:
                line = line.replace('"valueQuantity":{', '"valueQuantity":{"comparator":"<",')
        written[position] = line

    def _write_orders(self, person: Person, visits: Sequence[Visit]) -> None:
        chance = self._chance
        for kind, orders, in_use, over in (
            ("MedicationRequest", DRUGS, "active", "stopped"),
            ("ServiceRequest", ORDERS, "active", "completed"),
        ):
            for one in orders:
                if self._has(one, person.age, person.sex):
                    visit = chance.choice(visits)
                    template = one.template
                    if one.by_reference and chance.random() < 0.1:
                        template = one.by_reference
                    status = in_use if chance.random() < one.still else over
                    said = (status, person.id, visit.id, visit.day, visit.practitioner)
                    self._add(kind, template, visit, *said)
        for one in PROCEDURES:
            if self._has(one, person.age, person.sex):
                visit = chance.choice(visits)
                self._add("Procedure", one.template, visit, person.id, visit.id, visit.day)
