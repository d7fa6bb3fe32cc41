"""Value sets, and which codes order the same thing, as FHIR R4."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mappings.order_template import OrderTemplate
from mappings.value_set import Row, ValueSet, ValueSetIndex

Resource = dict[str, Any]
LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"
PUBLISHER = "Cobalamin developers"


def fhir_id(name: str) -> str:
    """FHIR allows no underscore in an id."""
    return name.replace("_", "-")


def value_set_url(base: str, name: str) -> str:
    return f"{base}/ValueSet/{fhir_id(name)}"


def value_sets(
    index: ValueSetIndex, version: str, licences: Mapping[str, str]
) -> Iterator[Resource]:
    """A ValueSet for each list of codes that has any; a class of ICD-10-CM by filter."""
    for name, value_set in sorted(index.sets.items()):
        rows = index.rows.get(name, ())
        if not rows:
            continue
        systems = dict.fromkeys(row.system for row in rows)
        yield {
            "resourceType": "ValueSet",
            "id": fhir_id(name),
            "url": value_set_url(index.base, name),
            "version": version,
            "name": "".join(part.capitalize() for part in name.split("_")),
            "title": value_set.title,
            "status": "active",
            "experimental": False,
            "publisher": PUBLISHER,
            "description": _description(value_set, rows),
            "copyright": "; ".join(licences[system] for system in systems if system in licences)
            or "see the code systems",
            "compose": {"include": list(_included(rows, systems))},
        }


def _description(value_set: ValueSet, rows: Iterable[Row]) -> str:
    """What the list is for, and where its codes were found."""
    sources = "; ".join(dict.fromkeys(row.source for row in rows if row.source))
    refused = f" Never read as a value: {value_set.refused}." if value_set.refused else ""
    units = f" Units: {', '.join(value_set.units)}." if value_set.units else ""
    found = f" Codes from: {sources or 'the site'}."
    return f"{value_set.title} ({value_set.kind}).{units}{refused}{found}"


def _included(rows: Iterable[Row], systems: Iterable[str]) -> Iterator[Resource]:
    for system in systems:
        own = [row for row in rows if row.system == system]
        concepts = [
            {"code": row.code, "display": row.listed or row.display}
            for row in own
            if not row.code.endswith("*")
        ]
        if concepts:
            yield {"system": system, "concept": concepts}
        for row in own:
            if row.code.endswith("*"):
                below = {"property": "concept", "op": "is-a", "value": row.code.rstrip("*")}
                yield {"system": system, "filter": [below]}


def order_map(templates: Iterable[OrderTemplate], base: str, version: str) -> Resource | None:
    """Codes that order the same test, LOINC's and SNOMED CT's, where a template has both."""
    pairs: dict[str, tuple[Resource, Resource]] = {}
    for template in templates:
        code = template.resource.get("code", {})
        found = {one["system"]: one for one in code.get("coding", ()) if "system" in one}
        if LOINC in found and SNOMED in found:
            pairs.setdefault(found[LOINC]["code"], (found[LOINC], found[SNOMED]))
    if not pairs:
        return None
    return {
        "resourceType": "ConceptMap",
        "id": "orders-loinc-to-snomed",
        "url": f"{base}/ConceptMap/orders-loinc-to-snomed",
        "version": version,
        "name": "OrdersLoincToSnomed",
        "title": "Tests that are ordered: LOINC and SNOMED CT",
        "status": "active",
        "experimental": False,
        "publisher": PUBLISHER,
        "description": "Both codes stand in one suggested order. A result and the test that is "
        "asked for are not the same concept, so they are related, not equal.",
        "group": [
            {
                "source": LOINC,
                "target": SNOMED,
                "element": [
                    {
                        "code": one["code"],
                        "display": one.get("display", one["code"]),
                        "target": [
                            {
                                "code": other["code"],
                                "display": other.get("display", other["code"]),
                                "equivalence": "relatedto",
                            }
                        ],
                    }
                    for _code, (one, other) in sorted(pairs.items())
                ],
            }
        ],
    }
