"""The knowledge as FHIR R4: valid, whole, and the same each time."""

import io
import json
import tarfile
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from mappings.fhir.own_codes import validate
from mappings.fhir.package import packed
from mappings.guideline_file import guideline_ids
from services.cli import main
from services.knowledge import load_knowledge
from services.knowledge_in_fhir import knowledge_in_fhir

BASE = "https://cds.hospital.example/fhir"
KNOWN = load_knowledge({"site": {"canonical": BASE}})
FOUND = knowledge_in_fhir(KNOWN)
KINDS = {"ValueSet", "CodeSystem", "ConceptMap", "Questionnaire", "Library", "PlanDefinition",
         "ActivityDefinition", "ImplementationGuide"}  # fmt: skip


def test_every_kind_is_there_and_every_resource_is_valid():
    assert {resource["resourceType"] for resource in FOUND.values()} == KINDS
    for key, resource in FOUND.items():
        assert key == f"{resource['resourceType']}/{resource['id']}"
        validate(orjson.loads(orjson.dumps(resource)))


def texts(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for value in node.values():
            yield from texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from texts(value)
    elif isinstance(node, str):
        yield node


def test_everything_of_ours_that_is_named_is_there():
    urls = {resource["url"] for resource in FOUND.values()}
    assert len(urls) == len(FOUND)
    kinds = tuple(f"{BASE}/{kind}/" for kind in KINDS)
    named = {
        text.partition("|")[0]
        for r in FOUND.values()
        for text in texts(r)
        if text.startswith(kinds)
    }
    assert named <= urls
    assert "cobalamin.example" not in json.dumps(
        [r for k, r in FOUND.items() if not k.startswith("Library/")]
    )


@pytest.mark.parametrize("id_", [*guideline_ids("b12"), *guideline_ids("sarcopenia")])
def test_every_limit_of_a_guideline_is_cited(id_):
    library = FOUND[f"Library/{id_}"]
    printed = {**KNOWN.guidelines(), **KNOWN.definitions()}[id_]
    cited = [one["display"] for one in library["relatedArtifact"] if one["type"] == "citation"]
    assert len(cited) == len(printed.cutoffs)
    for cutoff, text in zip(printed.cutoffs, cited, strict=True):
        assert cutoff.locator in text
        assert str(cutoff) in text
    plan = FOUND[f"PlanDefinition/{id_}"]
    assert plan["library"] == [library["url"]]
    assert [t["name"] for t in plan["action"][0]["trigger"]] == [
        "patient-view",
        "order-select",
        "order-sign",
    ]
    needs = {need["codeFilter"][0]["valueSet"] for need in library["dataRequirement"]}
    coded = {c.observation for c in printed.cutoffs if KNOWN.index.rows.get(c.observation)}
    assert {f"{BASE}/ValueSet/{name.replace('_', '-')}" for name in coded} <= needs


def test_every_code_of_a_value_set_is_in_it():
    for name, rows in KNOWN.index.rows.items():
        if not rows:
            continue
        includes = FOUND[f"ValueSet/{name.replace('_', '-')}"]["compose"]["include"]
        listed = {(i["system"], c["code"]) for i in includes for c in i.get("concept", ())}
        listed |= {(i["system"], f["value"] + "*") for i in includes for f in i.get("filter", ())}
        assert listed == {(row.system, row.code) for row in rows}, name


def test_the_package_is_what_tools_install_and_always_the_same():
    data = packed(FOUND, BASE, "1.2.3")
    assert data == packed(FOUND, BASE, "1.2.3")
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        held = {m.name: json.load(archive.extractfile(m)) for m in archive.getmembers()}
    about = held.pop("package/package.json")
    assert (about["name"], about["version"], about["fhirVersions"], about["canonical"]) == (
        "cobalamin.knowledge", "1.2.3", ["4.0.1"], BASE,
    )  # fmt: skip
    index = held.pop("package/.index.json")
    assert {f"package/{f['filename']}" for f in index["files"]} == set(held)
    guide = held["package/ImplementationGuide-cobalamin.knowledge.json"]
    assert {
        r["reference"]["reference"] for r in guide["definition"]["resource"]
    } == FOUND.keys() - {"ImplementationGuide/cobalamin.knowledge"}


def test_what_a_site_chose_is_what_is_exported(tmp_path):
    config = tmp_path / "c.toml"
    config.write_text(
        f'[site]\ncanonical = "{BASE}"\n[[local_code]]\nsystem = "urn:oid:1.2.3"\ncode = "B12X"\nvalue_set = "total_b12"\ndisplay = "Our B12"\n'
    )
    done = CliRunner().invoke(
        main, ["export-knowledge", "--config", str(config), str(tmp_path / "out")]
    )
    assert done.exit_code == 0, done.output
    total = orjson.loads((tmp_path / "out" / "ValueSet-total-b12.json").read_bytes())
    assert {
        "system": "urn:oid:1.2.3",
        "concept": [{"code": "B12X", "display": "Our B12"}],
    } in total["compose"]["include"]
    assert (tmp_path / "out" / "package.tgz").exists()
