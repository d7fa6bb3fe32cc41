"""Compare two guidelines, or two definitions of sarcopenia, line by line, in words."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mappings.publications.cutoffs import Cutoff
from mappings.publications.definition import Definition
from mappings.publications.guideline import Duration, Guideline, Treatment, describe_duration

LIMITS, PLACES, TESTS, TREATMENT = "limits", "where limits stand", "who is tested", "treatment"
ABOUT, ATTRIBUTES, COMBINED = "about", "source attributes", "how findings combine"
HEAD = {
    "title": "title",
    "publisher": "publisher",
    "citation": "citation",
    "published": "published",
    "url": "address",
    "reviewed": "reviewed",
    "reviewer": "reviewer",
    "strength": "strength of evidence",
}
SEX_WORDS = {"male": "men", "female": "women"}
PREGNANCY_WORDS = {True: "in pregnancy", False: "outside pregnancy", None: None}


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that one says otherwise than the other; None where it says nothing of it."""

    part: str
    what: str
    a: str | None
    b: str | None


def find_differences(
    a: Guideline | Definition, b: Guideline | Definition, titles: Mapping[str, str]
) -> tuple[Difference, ...]:
    """Everything in which `a` and `b` differ; `titles` are those of value sets.

    Raises ValueError where one is about B12 and the other about muscle.
    """
    differences = [*_compare_limits(a, b, titles)]
    match a, b:
        case Guideline(), Guideline():
            differences += [
                *_compare_texts(TESTS, _describe_testing(a, titles), _describe_testing(b, titles))
            ]
            differences += [
                *_compare_texts(TREATMENT, _describe_treatments(a), _describe_treatments(b))
            ]
        case Definition(), Definition():
            differences += [
                *_compare_texts(
                    COMBINED, _describe_combination(a, titles), _describe_combination(b, titles)
                )
            ]
        case _:
            raise ValueError("one is about vitamin B12, the other about muscle")
    differences += _compare_texts(ABOUT, _describe_head(a), _describe_head(b))
    differences += _compare_texts(ATTRIBUTES, _describe_attributes(a), _describe_attributes(b))
    return tuple(differences)


def _compare_texts(
    part: str, a: Mapping[str, str | None], b: Mapping[str, str | None]
) -> Iterator[Difference]:
    for what in dict.fromkeys((*a, *b)):
        if a.get(what) != b.get(what):
            yield Difference(part, what, a.get(what), b.get(what))


def _compare_limits(
    a: Guideline | Definition, b: Guideline | Definition, titles: Mapping[str, str]
) -> Iterator[Difference]:
    rows_a, rows_b = _group_rows(a.cutoffs, titles), _group_rows(b.cutoffs, titles)
    yield from _compare_texts(LIMITS, _join_limits(rows_a), _join_limits(rows_b))
    yield from _find_reordered(_list_meanings(a.cutoffs, titles), _list_meanings(b.cutoffs, titles))
    both = rows_a.keys() & rows_b.keys()
    places_a = {what: _describe_place(rows, a) for what, rows in rows_a.items() if what in both}
    places_b = {what: _describe_place(rows, b) for what, rows in rows_b.items() if what in both}
    yield from _compare_texts(PLACES, places_a, places_b)


def _group_rows(cutoffs: Iterable[Cutoff], titles: Mapping[str, str]) -> dict[str, list[Cutoff]]:
    """The rows by what they are about: "Grip strength in kg, men: low strength"."""
    groups: dict[str, list[Cutoff]] = {}
    for row in cutoffs:
        groups.setdefault(f"{_describe_subject(row, titles)}: {_make_plain(row.means)}", []).append(
            row
        )
    return groups


def _describe_subject(row: Cutoff, titles: Mapping[str, str]) -> str:
    measured = f"{titles.get(row.observation, row.observation)} in {row.unit}"
    narrower = (SEX_WORDS.get(row.sex or ""), row.method, PREGNANCY_WORDS[row.pregnant])
    return ", ".join((measured, *(text for text in narrower if text)))


def _join_limits(rows: Mapping[str, list[Cutoff]]) -> dict[str, str | None]:
    return {what: " or ".join(str(row) for row in cutoffs) for what, cutoffs in rows.items()}


def _find_reordered(a: Mapping[str, list[str]], b: Mapping[str, list[str]]) -> Iterator[Difference]:
    """The first row that a value meets counts, so that the same rows in another order differ."""
    for what in a.keys() & b.keys():
        if a[what] != b[what] and sorted(a[what]) == sorted(b[what]):
            yield Difference(LIMITS, f"{what}, order", ", ".join(a[what]), ", ".join(b[what]))


def _list_meanings(cutoffs: Iterable[Cutoff], titles: Mapping[str, str]) -> dict[str, list[str]]:
    """The meanings of the rows of each measure, in the order in which they are asked."""
    meanings: dict[str, list[str]] = {}
    for row in cutoffs:
        meanings.setdefault(_describe_subject(row, titles), []).append(_make_plain(row.means))
    return meanings


def _describe_place(rows: Iterable[Cutoff], publication: Guideline | Definition) -> str:
    """The publication and the place in it; a row without a source stands in the guideline's own."""
    own = publication.citation.rstrip(".")
    return "; ".join(
        f"{row.source or own}: {row.locator} ({row.confidence} confidence)" for row in rows
    )


def _make_plain(name: str) -> str:
    return name.replace("_", " ")


def _describe_testing(guideline: Guideline, titles: Mapping[str, str]) -> dict[str, str | None]:
    testing = guideline.testing

    def join_titles(names: Iterable[str]) -> str | None:
        return ", ".join(sorted(titles.get(name, _make_plain(name)) for name in names)) or None

    plain = {
        "rule": _make_plain(testing.rule),
        "rule, where it stands": testing.rule_locator,
        "first test": ", ".join(testing.first_test),
        "first test, next step": testing.offer_step,
        "second test": testing.second_test_step,
        "second test needs a symptom": "yes" if testing.second_test_needs_symptom else "no",
        "second test, where it stands": testing.second_test_locator,
        "in pregnancy": ", ".join((testing.pregnancy_step, *testing.pregnancy_test)),
        "in pregnancy, where it stands": testing.pregnancy_locator,
        "after nitrous oxide": ", ".join((testing.nitrous_oxide_step, *testing.nitrous_oxide_test)),
        "after nitrous oxide, where it stands": testing.nitrous_oxide_locator,
        "risk factors, where they stand": testing.risk_locator,
        "symptoms, where they stand": testing.symptom_locator,
        "without symptoms on": join_titles(testing.asymptomatic_drugs),
        "without symptoms, next step": testing.asymptomatic_drug_step,
        "without symptoms, where it stands": testing.asymptomatic_drug_locator,
    }
    listed = (
        ("risk factor", testing.risk_factors),
        ("further risk factor", testing.further_risk_factors),
        ("symptom or sign", testing.symptoms),
    )
    each = {
        f"{kind}: {titles.get(name, _make_plain(name))}": "counts"
        for kind, of in listed
        for name in of
    }
    lasting: dict[str, list[Duration]] = {}
    for row in testing.durations:
        lasting.setdefault(titles.get(row.subject, _make_plain(row.subject)), []).append(row)
    long = {f"{what}, for how long": _describe_durations(rows) for what, rows in lasting.items()}
    return {**plain, **each, **long}


def _describe_durations(rows: Iterable[Duration]) -> str:
    return "; ".join(
        f"{describe_duration(row.comparison, row.limit, row.unit)}: {row.step} "
        f"({row.source}: {row.locator})"
        for row in rows
    )


def _describe_treatments(guideline: Guideline) -> dict[str, str | None]:
    each: dict[str, str | None] = {}
    for situation, treatment in guideline.treatments.items():
        each |= {
            f"{_make_plain(situation)}, {key}": text
            for key, text in _describe_treatment(treatment).items()
        }
    after = guideline.follow_up
    return {
        **each,
        "orders of": guideline.locale,
        "review": f"after {after.months} months, {after.pregnancy_months} in pregnancy",
        "review, where it stands": after.locator,
    }


def _describe_treatment(treatment: Treatment) -> dict[str, str]:
    return {
        "what": treatment.says,
        "orders": ", ".join(treatment.templates) or "none",
        "next steps": ", ".join(treatment.steps),
        "where it stands": f"{treatment.locator} ({treatment.confidence} confidence)",
    }


def _describe_combination(
    definition: Definition, titles: Mapping[str, str]
) -> dict[str, str | None]:
    unable = {
        f"{titles.get(row.observation, row.observation)} not done": f"{_make_plain(row.means)} "
        f"({row.locator}; {row.confidence} confidence)"
        for row in definition.unable
    }
    points = definition.calf_score
    return {
        "algorithm": definition.algorithm,
        "algorithm, where it stands": definition.algorithm_locator,
        "measure of mass, the preferred first": ", ".join(definition.mass_order) or None,
        "small calf in SARC-CalF": None if points is None else f"{points} points",
        "age, where it stands": definition.minimum_age_locator,
        **unable,
    }


def _describe_head(publication: Guideline | Definition) -> dict[str, str | None]:
    head: dict[str, Any] = {says: str(getattr(publication, key)) for key, says in HEAD.items()}
    head["lowest age"] = f"{publication.minimum_age} years"
    head["not for"] = ", ".join(publication.not_for) or None
    if isinstance(publication, Guideline):
        head["cautions for every result"] = ", ".join(publication.flags) or None
        head["limits of a laboratory"] = publication.laboratory
    return head


def _describe_attributes(publication: Guideline | Definition) -> dict[str, str | None]:
    return {_make_plain(name): text for name, text in publication.source_attributes.items()}
