"""Guidelines as PlanDefinition: what is done when, in words that people read.

The conditions are words, and say so (`text/plain`): they are evaluated by this service, not by
whoever reads the resource.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mappings.export.libraries import citations, condition_said, requirements
from mappings.export.orders import activity_name
from mappings.export.resource import Publication, cited, filled, reviewed
from mappings.publications.definition import Definition
from mappings.publications.guideline import Cutoff, Guideline, duration_said
from mappings.terminology.value_set import ValueSetIndex

PLAN_TYPE = "http://terminology.hl7.org/CodeSystem/plan-definition-type"
UCUM = "http://unitsofmeasure.org"
RULES = {
    "symptom_and_risk": "at least one symptom or sign and at least one risk factor",
    "risk": "a risk group alone",
    "clinical_picture": "a symptom or sign suffices; the clinical picture decides",
}

Action = dict[str, Any]


def triggers(hooks: Iterable[str]) -> list[dict[str, str]]:
    return [{"type": "named-event", "name": hook} for hook in hooks]


def applies(words: str) -> list[dict[str, Any]]:
    """A condition in words."""
    expression = {"language": "text/plain", "expression": words}
    return [{"kind": "applicability", "expression": expression}]


def plan(
    publication: Publication, name: str, title: str, type_: str, **rest: Any
) -> dict[str, Any]:
    return publication.resource(
        "PlanDefinition",
        name,
        title,
        type={"coding": [{"system": PLAN_TYPE, "code": type_}]},
        **rest,
    )


def guideline_plan(
    publication: Publication,
    guideline: Guideline | Definition,
    index: ValueSetIndex,
    hooks: Iterable[str],
    steps: Mapping[str, str],
    *,
    own: bool,
) -> dict[str, Any]:
    """The plan of one guideline or definition; `steps` are the sentences of the next steps."""
    match guideline:
        case Guideline():
            actions = [
                _limits(publication, guideline, index),
                _testing(publication, guideline, index, steps),
                _treatment(publication, guideline),
                _review(guideline),
            ]
            about, age = "vitamin B12", f"people of {guideline.minimum_age} years and over"
        case Definition():
            actions = [
                _limits(publication, guideline, index),
                {
                    "title": "Combine the findings",
                    "description": guideline.algorithm_locator,
                    "documentation": [cited(guideline.citation, guideline.algorithm_locator)],
                },
            ]
            about, age = "muscle", f"people of {guideline.minimum_age} years and over"
    return plan(
        publication,
        guideline.id,
        guideline.title,
        "clinical-protocol",
        **reviewed(guideline, own=own),
        description="In words: conditions are not executable from here. "
        f"Not for {', '.join(guideline.not_for)}. Review: {guideline.reviewer}.",
        relatedArtifact=[
            {"type": "derived-from", "citation": guideline.citation, "url": guideline.url},
            *citations(publication, guideline),
        ],
        library=[
            publication.canonical("Library", guideline.id),
            publication.canonical("Library", "shared-knowledge"),
        ],
        action=[
            {
                "title": f"Evaluate {about}",
                "trigger": triggers(hooks),
                "condition": applies(age),
                "action": actions,
            }
        ],
    )


def _limits(
    publication: Publication, guideline: Guideline | Definition, index: ValueSetIndex
) -> Action:
    by_measure: dict[str, list[Cutoff]] = {}
    for row in guideline.cutoffs:
        by_measure.setdefault(row.observation, []).append(row)
    return {
        "title": "Say what results mean",
        "action": [
            filled(
                {
                    "title": publication.title(name),
                    "input": [*requirements(publication, index, [name])],
                    "selectionBehavior": "at-most-one",
                    "action": [
                        {
                            "title": row.means.replace("_", " ").capitalize(),
                            "condition": applies(condition_said(publication, row)),
                            "documentation": [cited(row.source or guideline.citation, row.locator)],
                        }
                        for row in rows
                    ],
                }
            )
            for name, rows in by_measure.items()
        ],
    }


def _testing(
    publication: Publication,
    guideline: Guideline,
    index: ValueSetIndex,
    steps: Mapping[str, str],
) -> Action:
    testing, locale = guideline.testing, guideline.locale
    named = (*testing.symptoms, *testing.risk_factors, *testing.further_risk_factors)
    special = (
        ("pregnancy", testing.pregnancy_step, testing.pregnancy_test, testing.pregnancy_locator),
        (
            "exposure to nitrous oxide",
            testing.nitrous_oxide_step,
            testing.nitrous_oxide_test,
            testing.nitrous_oxide_locator,
        ),
    )
    return {
        "title": "Offer a test",
        "input": [*requirements(publication, index, named)],
        "action": [
            {
                "title": "First test",
                "textEquivalent": steps[testing.offer_step],
                "condition": applies(RULES[testing.rule]),
                "documentation": [cited(guideline.citation, testing.rule_locator)],
                "action": [*_ordered(publication, locale, testing.first_test)],
            },
            {
                "title": "Second test",
                "textEquivalent": steps[testing.second_test_step],
                "condition": applies(
                    "an indeterminate first test, with a symptom or sign"
                    if testing.second_test_needs_symptom
                    else "an indeterminate first test"
                ),
                "documentation": [cited(guideline.citation, testing.second_test_locator)],
            },
            *(
                {
                    "title": f"In {when}" if when == "pregnancy" else f"After {when}",
                    "textEquivalent": steps[step],
                    "condition": applies(when),
                    "documentation": [cited(guideline.citation, locator)],
                    "action": [*_ordered(publication, locale, tests)],
                }
                for when, step, tests, locator in special
            ),
            *(
                {
                    "title": publication.title(row.subject).capitalize(),
                    "textEquivalent": steps[row.step],
                    "condition": applies(
                        f"{publication.title(row.subject)}: "
                        + duration_said(row.comparison, row.limit, row.unit)
                    ),
                    "documentation": [cited(row.source, row.locator)],
                }
                for row in testing.durations
            ),
        ],
    }


def _treatment(publication: Publication, guideline: Guideline) -> Action:
    return {
        "title": "Treat",
        "action": [
            {
                "title": publication.title(treatment.situation).capitalize(),
                "textEquivalent": treatment.says,
                "condition": applies(
                    f"deficient, and the situation is {publication.title(treatment.situation)}"
                ),
                "documentation": [cited(guideline.citation, treatment.locator)],
                "selectionBehavior": "at-most-one",
                "action": [*_ordered(publication, guideline.locale, treatment.templates)],
            }
            for treatment in guideline.treatments.values()
        ],
    }


def _ordered(publication: Publication, locale: str, templates: Iterable[str]) -> Iterator[Action]:
    for name in templates:
        place = publication.canonical("ActivityDefinition", activity_name(locale, name))
        yield {"title": publication.title(name).capitalize(), "definitionCanonical": place}


def _review(guideline: Guideline) -> Action:
    after = guideline.follow_up
    times = (("Review", after.months, None), ("In pregnancy", after.pregnancy_months, "pregnancy"))
    return {
        "title": "Review after treatment began",
        "documentation": [cited(guideline.citation, after.locator)],
        "action": [
            {
                "title": title,
                "timingDuration": {
                    "value": months,
                    "unit": "months",
                    "system": UCUM,
                    "code": "mo",
                },
                **({"condition": applies(when)} if when else {}),
            }
            for title, months, when in times
        ],
    }
