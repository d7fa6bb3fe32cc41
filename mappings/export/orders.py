"""Order templates as ActivityDefinition resources, one for each template of a country."""

from collections.abc import Iterator
from typing import Any

from mappings.actions.order_template import FILES, OrderTemplate, OrderTemplates, build_order_uri
from mappings.export.resource import ExportContext, build_citation

COUNTRIES = {locale: file.removesuffix(".toml") for locale, file in FILES.items()}
URI = "urn:ietf:rfc:3986"


def build_activity_name(locale: str, template: str) -> str:
    """ "uk-order_mma": the templates of each country have their own."""
    return f"{COUNTRIES[locale]}-{template}"


def build_activity_definitions(
    context: ExportContext, templates: OrderTemplates
) -> Iterator[dict[str, Any]]:
    """The templates that order something; an entry of the problem list is no activity."""
    for template in templates.by_id.values():
        if template.resource["resourceType"] != "Condition":
            yield _build_activity(context, templates.locale, template)


def _build_activity(context: ExportContext, locale: str, template: OrderTemplate) -> dict[str, Any]:
    resource = template.resource
    forms = [
        {"type": "depends-on", "resource": entry["valueCanonical"]}
        for entry in resource.get("input", ())
        if "valueCanonical" in entry
    ]
    return context.build_resource(
        "ActivityDefinition",
        build_activity_name(locale, template.id),
        template.label,
        status="draft",
        # What a suggested order says in `instantiatesUri`.
        identifier=[{"system": URI, "value": build_order_uri(template.concept, context.base)}],
        description=template.description,
        relatedArtifact=[build_citation(template.source, template.locator), *forms],
        kind=resource["resourceType"],
        intent=resource["intent"],
        code=resource.get("code"),
        productCodeableConcept=resource.get("medicationCodeableConcept"),
        dosage=resource.get("dosageInstruction"),
    )
