"""Guidelines as PlanDefinition resources: each action with its condition, in words for people.

The conditions are words, and say so (`text/plain`): they are evaluated by this service, not by
whoever reads the resource.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mappings.export.libraries import build_citations, build_requirements, describe_condition
from mappings.export.orders import build_activity_name
from mappings.export.resource import ExportContext, build_citation, describe_review, drop_empty
from mappings.publications.cutoffs import Cutoff
from mappings.publications.definition import Definition
from mappings.publications.guideline import Guideline, describe_duration
from mappings.terminology.value_set import ValueSetIndex

PLAN_TYPE = "http://terminology.hl7.org/CodeSystem/plan-definition-type"
UCUM = "http://unitsofmeasure.org"
TESTING_RULES = {
    "symptom_and_risk": "at least one symptom or sign and at least one risk factor",
    "risk": "a risk group alone",
    "clinical_picture": "a symptom or sign suffices; the clinical picture decides",
}

Action = dict[str, Any]


def build_triggers(hooks: Iterable[str]) -> list[dict[str, str]]:
    return [{"type": "named-event", "name": hook} for hook in hooks]


def build_condition(words: str) -> list[dict[str, Any]]:
    """A condition in words."""
    expression = {"language": "text/plain", "expression": words}
    return [{"kind": "applicability", "expression": expression}]


def build_plan(
    context: ExportContext, name: str, title: str, type_: str, **rest: Any
) -> dict[str, Any]:
    return context.build_resource(
        "PlanDefinition",
        name,
        title,
        type={"coding": [{"system": PLAN_TYPE, "code": type_}]},
        **rest,
    )


def build_guideline_plan(
    context: ExportContext,
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
                _plan_limits(context, guideline, index),
                _plan_testing(context, guideline, index, steps),
                _plan_treatment(context, guideline),
                _plan_review(guideline),
            ]
            about, age = "vitamin B12", f"people of {guideline.minimum_age} years and over"
        case Definition():
            actions = [
                _plan_limits(context, guideline, index),
                {
                    "title": "Combine the findings",
                    "description": guideline.algorithm_locator,
                    "documentation": [
                        build_citation(guideline.citation, guideline.algorithm_locator)
                    ],
                },
            ]
            about, age = "muscle", f"people of {guideline.minimum_age} years and over"
    return build_plan(
        context,
        guideline.id,
        guideline.title,
        "clinical-protocol",
        **describe_review(guideline, own=own),
        description="In words: conditions are not executable from here. "
        f"Not for {', '.join(guideline.not_for)}. Review: {guideline.reviewer}.",
        relatedArtifact=[
            {"type": "derived-from", "citation": guideline.citation, "url": guideline.url},
            *build_citations(context, guideline),
        ],
        library=[
            context.build_url("Library", guideline.id),
            context.build_url("Library", "shared-knowledge"),
        ],
        action=[
            {
                "title": f"Evaluate {about}",
                "trigger": build_triggers(hooks),
                "condition": build_condition(age),
                "action": actions,
            }
        ],
    )


def _plan_limits(
    context: ExportContext, guideline: Guideline | Definition, index: ValueSetIndex
) -> Action:
    by_measure: dict[str, list[Cutoff]] = {}
    for row in guideline.cutoffs:
        by_measure.setdefault(row.observation, []).append(row)
    return {
        "title": "Say what results mean",
        "action": [
            drop_empty(
                {
                    "title": context.get_title(name),
                    "input": [*build_requirements(context, index, [name])],
                    "selectionBehavior": "at-most-one",
                    "action": [
                        {
                            "title": row.means.replace("_", " ").capitalize(),
                            "condition": build_condition(describe_condition(context, row)),
                            "documentation": [
                                build_citation(row.source or guideline.citation, row.locator)
                            ],
                        }
                        for row in rows
                    ],
                }
            )
            for name, rows in by_measure.items()
        ],
    }


def _plan_testing(
    context: ExportContext,
    guideline: Guideline,
    index: ValueSetIndex,
    steps: Mapping[str, str],
) -> Action:
    testing, locale = guideline.testing, guideline.locale
    reasons = (*testing.symptoms, *testing.risk_factors, *testing.further_risk_factors)
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
        "input": [*build_requirements(context, index, reasons)],
        "action": [
            {
                "title": "First test",
                "textEquivalent": steps[testing.offer_step],
                "condition": build_condition(TESTING_RULES[testing.rule]),
                "documentation": [build_citation(guideline.citation, testing.rule_locator)],
                "action": [*_plan_orders(context, locale, testing.first_test)],
            },
            {
                "title": "Second test",
                "textEquivalent": steps[testing.second_test_step],
                "condition": build_condition(
                    "an indeterminate first test, with a symptom or sign"
                    if testing.second_test_needs_symptom
                    else "an indeterminate first test"
                ),
                "documentation": [build_citation(guideline.citation, testing.second_test_locator)],
            },
            *(
                {
                    "title": f"In {when}" if when == "pregnancy" else f"After {when}",
                    "textEquivalent": steps[step],
                    "condition": build_condition(when),
                    "documentation": [build_citation(guideline.citation, locator)],
                    "action": [*_plan_orders(context, locale, tests)],
                }
                for when, step, tests, locator in special
            ),
            *(
                {
                    "title": context.get_title(row.subject).capitalize(),
                    "textEquivalent": steps[row.step],
                    "condition": build_condition(
                        f"{context.get_title(row.subject)}: "
                        + describe_duration(row.comparison, row.limit, row.unit)
                    ),
                    "documentation": [build_citation(row.source, row.locator)],
                }
                for row in testing.durations
            ),
        ],
    }


def _plan_treatment(context: ExportContext, guideline: Guideline) -> Action:
    return {
        "title": "Treat",
        "action": [
            {
                "title": context.get_title(treatment.situation).capitalize(),
                "textEquivalent": treatment.says,
                "condition": build_condition(
                    f"deficient, and the situation is {context.get_title(treatment.situation)}"
                ),
                "documentation": [build_citation(guideline.citation, treatment.locator)],
                "selectionBehavior": "at-most-one",
                "action": [*_plan_orders(context, guideline.locale, treatment.templates)],
            }
            for treatment in guideline.treatments.values()
        ],
    }


def _plan_orders(context: ExportContext, locale: str, templates: Iterable[str]) -> Iterator[Action]:
    for name in templates:
        place = context.build_url("ActivityDefinition", build_activity_name(locale, name))
        yield {"title": context.get_title(name).capitalize(), "definitionCanonical": place}


def _plan_review(guideline: Guideline) -> Action:
    after = guideline.follow_up
    times = (("Review", after.months, None), ("In pregnancy", after.pregnancy_months, "pregnancy"))
    return {
        "title": "Review after treatment began",
        "documentation": [build_citation(guideline.citation, after.locator)],
        "action": [
            {
                "title": title,
                "timingDuration": {
                    "value": months,
                    "unit": "months",
                    "system": UCUM,
                    "code": "mo",
                },
                **({"condition": build_condition(when)} if when else {}),
            }
            for title, months, when in times
        ],
    }
