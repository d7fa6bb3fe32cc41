"""`cobalamin export-knowledge`: valid FHIR R4 that hangs together, and one package of it."""

import base64
import json
import tarfile
from collections.abc import Iterator

import pytest
from fhirclient.models.fhirelementfactory import FHIRElementFactory

from mappings.actions.order_template import read_order_templates
from mappings.fhir_validation import validate_resource
from mappings.knowledge_file import CLINICAL
from mappings.publications.definition import read_definition
from mappings.publications.guideline_file import GUIDELINES, list_guideline_ids, read_guideline
from mappings.terminology.value_set_file import load_value_sets, read_code_systems
from services.exports.fhir_package import build_knowledge_resources
from services.hooks.offered_hooks import OFFERED_HOOKS
from services.knowledge.site import load_knowledge

BASE = "https://cobalamin.example/fhir"
INDEX = load_value_sets()
# Code systems of HL7 that resources are described with.
HL7 = {
    "http://terminology.hl7.org/CodeSystem/library-type",
    "http://terminology.hl7.org/CodeSystem/plan-definition-type",
    "http://terminology.hl7.org/CodeSystem/non-adherence-reason-codes",
    "http://unitsofmeasure.org",
    "urn:ietf:rfc:3986",
}
SITE = """
[site]
canonical = "https://cds.hospital.example/fhir"
[b12]
guideline = "us-aafp2025"
laboratory = "our-laboratory.toml"
[policy]
result_max_age_months = 6
[[local_code]]
system = "https://physio.hospital.example/tests"
code = "SPPB"
value_set = "sppb"
[[dialect.catalogue]]
template = "order_mma"
system = "https://ehr.hospital.example/orders"
code = "4711"
"""
LABORATORY = """
id = "our-laboratory"
title = "Example Hospital, clinical chemistry"
version = "1.0.0"
reviewed = 2026-11-22
reviewer = "A. Chemist"
cutoffs = [
  { observation = "total_b12", below = 145, unit = "pmol/L", means = "deficient", locator = "table 2", confidence = "high" },
  { observation = "total_b12", at_least = 145, unit = "pmol/L", means = "unlikely", locator = "table 2", confidence = "high" },
]
"""


def read(folder):
    found = (json.loads(path.read_text()) for path in sorted(folder.glob("*.json")))
    return {f"{one['resourceType']}/{one['id']}": one for one in found}


@pytest.fixture(scope="module")
def exported():
    from cds_hooks.config.tenants import LOCAL_TENANT

    _publication, resources = build_knowledge_resources(load_knowledge(), LOCAL_TENANT)
    return resources


@pytest.fixture
def of_a_site(cobalamin, tmp_path):
    (tmp_path / "cobalamin.toml").write_text(SITE)
    (tmp_path / "our-laboratory.toml").write_text(LABORATORY)
    run = cobalamin("export-knowledge", "--config", "cobalamin.toml", "out")
    assert run.exit_code == 0, run.output
    return read(tmp_path / "out")


def texts(node: object, key: str = "") -> Iterator[tuple[str, str]]:
    match node:
        case str():
            yield key, node
        case dict():
            for name, value in node.items():
                yield from texts(value, name)
        case list():
            for value in node:
                yield from texts(value, key)


def test_every_kind_of_resource_is_there(exported):
    kinds = {name.partition("/")[0] for name in exported}
    assert kinds == {
        "ActivityDefinition", "CodeSystem", "ConceptMap", "ImplementationGuide",
        "Library", "PlanDefinition", "Questionnaire", "ValueSet",
    }  # fmt: skip


def test_every_resource_is_r4_by_two_sets_of_models(exported):
    for resource in exported.values():
        validate_resource(resource)
        # R4B has members that R4 has not; these models are R4's own, and refuse what they lack.
        FHIRElementFactory.instantiate(resource["resourceType"], json.loads(json.dumps(resource)))


@pytest.mark.parametrize("whose", ["exported", "of_a_site"])
def test_what_is_referred_to_is_there_or_a_code_system_of_others(whose, request):
    resources = request.getfixturevalue(whose)
    base = next(r["url"] for n, r in resources.items() if n.startswith("Imp")).partition("/Imp")[0]
    urls = {resource["url"]: resource for resource in resources.values()}
    assert len(urls) == len(resources)
    for name, resource in resources.items():
        assert resource["url"] == f"{base}/{name}"
        for key, text in texts({k: v for k, v in resource.items() if k != "url"}):
            if text.startswith(base) and not text.startswith(f"{base}/order/"):
                url, _, version = text.partition("|")
                assert url in urls, f"{name}: {text}"
                assert version in ("", urls[url]["version"])
            elif key in ("system", "source", "target") and not text.startswith(base):
                ours = {*read_code_systems(), *HL7} | (
                    SITE_SYSTEMS if whose == "of_a_site" else set()
                )
                assert text in ours, f"{name}: {text}"


SITE_SYSTEMS = {"https://physio.hospital.example/tests", "https://ehr.hospital.example/orders"}


def test_value_sets_hold_every_code_that_is_read(exported):
    for name, rows in INDEX.rows.items():
        if not rows:
            assert f"ValueSet/{name.replace('_', '-')}" not in exported
            continue
        compose = exported[f"ValueSet/{name.replace('_', '-')}"]["compose"]
        found = []
        for part in compose["include"]:
            found += [(part["system"], one["code"]) for one in part.get("concept", ())]
            found += [(part["system"], f"{one['value']}*") for one in part.get("filter", ())]
        assert sorted(found) == sorted((row.system, row.code) for row in rows)


def test_names_in_our_own_words_are_no_displays(exported):
    parts = [
        part
        for name, resource in exported.items()
        if name.startswith("ValueSet/")
        for part in resource["compose"]["include"]
        if part["system"] == "http://www.ama-assn.org/go/cpt"
    ]
    concepts = [concept for part in parts for concept in part["concept"]]
    assert concepts
    assert all("display" not in one and one["designation"] for one in concepts)


def test_limits_stand_in_plan_and_library_with_their_places(exported):
    guidelines = [read_guideline(id_, INDEX) for id_ in list_guideline_ids()]
    definitions = [read_definition(id_, INDEX) for id_ in list_guideline_ids("sarcopenia")]
    for one in [*guidelines, *definitions]:
        library, plan = exported[f"Library/{one.id}"], exported[f"PlanDefinition/{one.id}"]
        [attached] = library["content"]
        file = GUIDELINES / f"{one.id.replace('-', '_')}.toml"
        assert base64.b64decode(attached["data"]) == file.read_bytes()
        cited = " ".join(artefact["citation"] for artefact in library["relatedArtifact"][:-1])
        said = json.dumps(plan, ensure_ascii=False)
        for row in one.cutoffs:
            assert row.locator in cited
            assert f"{row.text}" in said
        [action] = plan["action"]
        assert [t["name"] for t in action["trigger"]] == [*OFFERED_HOOKS]
        assert {e["language"] for e in expressions(plan)} == {"text/plain"}


def expressions(node: object) -> Iterator[dict[str, str]]:
    match node:
        case {"expression": {"language": _} as expression}:
            yield expression
        case dict():
            for value in node.values():
                yield from expressions(value)
        case list():
            for value in node:
                yield from expressions(value)


@pytest.mark.parametrize(("locale", "country"), [("en-GB", "uk"), ("en-US", "us")])
def test_what_may_be_ordered_is_an_activity(exported, locale, country):
    for template in read_order_templates(locale, INDEX).by_id.values():
        id_ = f"ActivityDefinition/{country}-{template.id.replace('_', '-')}"
        if template.resource["resourceType"] == "Condition":
            assert id_ not in exported
            continue
        found, resource = exported[id_], template.resource
        assert found["kind"] == resource["resourceType"]
        assert found.get("code") == resource.get("code")
        assert found.get("dosage") == resource.get("dosageInstruction")
        assert found["identifier"][0]["value"] in json.dumps(
            resource.get("instantiatesUri", "")
        ) or (found["kind"] == "MedicationRequest")


def test_a_service_is_a_plan_of_its_hook_with_what_is_in_force(exported):
    for hook in ("patient-view", "order-select", "order-sign"):
        [action] = exported[f"PlanDefinition/b12-muscle-{hook}"]["action"]
        assert action["trigger"] == [{"type": "named-event", "name": hook}]
        plans = [one.get("definitionCanonical") for one in action["action"]]
        assert plans[:2] == [f"{BASE}/PlanDefinition/{id_}" for id_ in ("uk-ng239", "ewgsop2-2019")]
        assert (len(plans) > 2) == (hook != "patient-view")


def test_nothing_is_mapped_that_is_not(exported):
    relations = {}
    for name, resource in exported.items():
        if name.startswith("ConceptMap/"):
            for group in resource["group"]:
                for element in group["element"]:
                    relations.setdefault(name, set()).add(element["target"][0]["equivalence"])
    assert relations == {
        "ConceptMap/dmd-to-snomed": {"equal"},
        "ConceptMap/order-codes": {"relatedto"},
        "ConceptMap/result-codes": {"relatedto", "wider"},
    }


def test_the_package_is_the_same_bytes_and_holds_the_same_resources(cobalamin, tmp_path):
    for folder in ("one", "two"):
        run = cobalamin("export-knowledge", folder)
        assert run.exit_code == 0, run.output
    package = tmp_path / "one" / "package.tgz"
    assert package.read_bytes() == (tmp_path / "two" / "package.tgz").read_bytes()
    value_sets = [*package.parent.glob("ValueSet-*.json")]
    assert f"{len(value_sets)} ValueSet" in run.output
    with tarfile.open(package) as archive:
        held = {m.name: archive.extractfile(m).read() for m in archive.getmembers()}
        assert {(m.mtime, m.uid, m.mode) for m in archive.getmembers()} == {(0, 0, 0o644)}
    manifest = json.loads(held.pop("package/package.json"))
    index = json.loads(held.pop("package/.index.json"))
    assert manifest["name"] == "example.cobalamin.b12-muscle"
    assert manifest["fhirVersions"] == ["4.0.1"]
    assert manifest["dependencies"] == {"hl7.fhir.r4.core": "4.0.1"}
    assert manifest["canonical"] == BASE
    assert {f"package/{one['filename']}" for one in index["files"]} == set(held)
    loose = {
        f"package/{path.name}": path.read_bytes() for path in (tmp_path / "one").glob("*.json")
    }
    assert loose == held
    guide = json.loads(held["package/ImplementationGuide-example.cobalamin.b12-muscle.json"])
    listed = {one["reference"]["reference"] for one in guide["definition"]["resource"]}
    assert len(listed) == len(held) - 1
    assert (guide["packageId"], guide["version"]) == (manifest["name"], manifest["version"])


def test_a_site_sees_its_own_choices(of_a_site):
    base = "https://cds.hospital.example/fhir"
    library = of_a_site["Library/us-aafp2025.our-laboratory"]
    assert [one["title"] for one in library["content"]] == [
        "us_aafp2025.toml",
        "our-laboratory.toml",
    ]
    [action] = of_a_site["PlanDefinition/b12-muscle-patient-view"]["action"]
    plan = f"{base}/PlanDefinition/us-aafp2025.our-laboratory"
    assert action["action"][0]["definitionCanonical"] == plan
    in_force = of_a_site["Library/shared-knowledge"]["content"][-1]
    chosen = json.loads(base64.b64decode(in_force["data"]))
    assert chosen["policy"]["result_max_age_months"] == 6
    assert chosen["laboratory"] == "Example Hospital, clinical chemistry"
    [order] = of_a_site["ConceptMap/site-orders"]["group"]
    assert order["element"][0]["target"][0]["code"] == "4711"
    [measure] = of_a_site["ConceptMap/site-measures"]["group"]
    assert measure["element"] == [
        {
            "code": "SPPB",
            "display": "SPPB",
            "target": [{"code": "sppb-total", "equivalence": "equivalent"}],
        }
    ]
    guide = of_a_site["ImplementationGuide/example.hospital.cds.b12-muscle"]
    assert "-site.h" in guide["version"]
    assert of_a_site["CodeSystem/muscle-measure"]["url"] == f"{base}/CodeSystem/muscle-measure"
    assert "cobalamin.example" not in json.dumps(
        [r for n, r in of_a_site.items() if not n.startswith("Library/")]
    )


def test_the_shared_files_are_all_attached(exported):
    attached = {one["title"] for one in exported["Library/shared-knowledge"]["content"]}
    files = {path.name for path in CLINICAL.glob("*.toml")}
    assert attached == {*files, "in-force.json"}


def test_a_folder_that_cannot_be_written_is_said(cobalamin, tmp_path):
    (tmp_path / "taken").write_text("")
    run = cobalamin("export-knowledge", "taken/fhir")
    assert run.exit_code == 1
