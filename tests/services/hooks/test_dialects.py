"""The same decision as four EHRs are told it; a golden file for each.

`REWRITE_GOLDEN=1 pytest tests/services/hooks/test_dialects.py` writes them anew: read the difference.
"""

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from order_sessions import hook_call
from patients import drug, known, order
from tables import cases

from cds_hooks.config.tenants import LOCAL_TENANT
from cds_hooks.config.validation import build_configuration_schema
from cds_hooks.protocol import dialects
from cds_hooks.protocol.cards import Coding
from cds_hooks.protocol.dialects import (
    EPIC_CONTENT_TYPE,
    Dialect,
    Epic,
    Oracle,
    Sandbox,
    render_plain_text,
)
from mappings.knowledge_file import KnowledgeError
from services.hooks.catalog import find_unmapped_orders
from services.hooks.offered_hooks import OFFERED_HOOKS
from services.hooks.overrides import VariantOptions, build_variant
from services.hooks.regression_cases import build_case_schema
from services.knowledge.configuration import load_settings
from services.web.what_if.query import OfferedOptions

GOLDEN = Path(__file__).parent / "golden"
PREFERENCE = "urn:com.epic.cdshooks.action.code.system.preference-list-item"
CATALOGUE = {
    name: (Coding(code, PREFERENCE, None),)
    for name, code in {
        "order_folate": "1001",
        "order_cbc": "1002",
        "order_creatine_kinase": "1003",
        "order_tsh": "1004",
        "hydroxocobalamin_im_neurological": "2001",
        "hydroxocobalamin_im_standard": "2002",
    }.items()
}
DIALECTS = {
    "standard": Dialect(),
    "epic": Epic(catalogue=CATALOGUE),
    "oracle": Oracle(links=("https://cds.example/",)),
    "sandbox": Sandbox(),
}
HOOKS_OF_CALLS = ("patient-view", "order-select", "order-sign")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
DAY = re.compile(r"\d{1,2} [A-Z][a-z]{2} \d{4}")


def opened():
    return hook_call("b12 112; +paraesthesia; hb 130; grip 14", [], "patient-view")


def signed():
    drafts = [drug(50, "draft cyanocobalamin dose 50 route oral"), order(51, "order height")]
    return hook_call("b12 112; +bariatric_surgery; hb 130; folate 9", drafts, "order-sign")


def replaced():
    drafts = [drug(50, "draft cyanocobalamin dose 1000 route im")]
    return hook_call("+leber_optic_neuropathy; b12 420", drafts, "order-sign")


def steady(node, numbers):
    """`node` with uuids numbered as they come, days and patients' numbers taken out."""
    match node:
        case dict():
            return {key: steady(value, numbers) for key, value in node.items()}
        case list():
            return [steady(value, numbers) for value in node]
        case str():
            text = UUID.sub(lambda m: numbers.setdefault(m[0], f"uuid-{len(numbers) + 1}"), node)
            return DAY.sub("1 Nov 2026", re.sub(r"Patient/order-\d+", "Patient/1", text))
    return node


@pytest.mark.parametrize("name", DIALECTS)
def test_the_same_decision_in_each_dialect(asked, name):
    numbers = {}
    told = {}
    for label, call in (("opened", opened()), ("signed", signed()), ("replaced", replaced())):
        reply, discovered, _ = asked(DIALECTS[name], call)
        hooks = [service["hook"] for service in discovered]
        assert hooks == [hook for hook in OFFERED_HOOKS if DIALECTS[name].supports_hook(hook)]
        told["discovery"] = [hook for hook in hooks if hook in HOOKS_OF_CALLS]
        told[label] = steady(reply.json, numbers) if reply.status_code == 200 else reply.status_code
    file = GOLDEN / f"{name}.json"
    if os.environ.get("REWRITE_GOLDEN"):
        file.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert told == json.loads(file.read_text(encoding="utf-8"))


def test_every_dialect_has_its_golden_file():
    assert {name: type(dialect) for name, dialect in DIALECTS.items()} == dialects.DIALECTS


class Terse(Dialect):
    """An EHR that shows no detail."""

    __slots__ = ()
    name = "terse"

    def _adapt_card(self, card):
        return replace(card, detail=None), ("terse:detail",)


def test_a_dialect_is_one_class_in_one_table(asked, monkeypatch):
    monkeypatch.setitem(dialects.DIALECTS, Terse.name, Terse)
    of_file = build_configuration_schema()["$defs"]["dialect"]["properties"]["name"]
    assert of_file["enum"][-1] == "terse"
    assert of_file["description"].endswith(', "terse"')
    of_case = build_case_schema()["properties"]["choices"]["properties"]["dialect"]
    assert (
        of_case["enum"] == [*DIALECTS, "terse"] == [*OfferedOptions.from_knowledge(known()).dialect]
    )
    choices = replace(VariantOptions.from_site(LOCAL_TENANT, known()), dialect="terse")
    chosen = build_variant(LOCAL_TENANT, choices, "https://cds.example").tenant.dialect
    reply, discovered, lines = asked(chosen, opened())
    assert "detail" not in reply.json["cards"][0]
    assert len(discovered) == len(OFFERED_HOOKS)
    [line] = [x for x in lines if x["event"] == "decision"]
    assert "terse:detail" in line["suppressed"]


def test_epic_gets_one_action_for_each_suggestion_with_its_meaning_in_the_description(asked):
    reply, _, lines = asked(DIALECTS["epic"], opened())
    [card] = reply.json["cards"]
    assert card["selectionBehavior"] == "any"
    assert re.fullmatch(r"[A-Za-z0-9]{1,100}", card["source"]["topic"]["code"])
    for suggestion in card["suggestions"]:
        [action] = suggestion["actions"]
        assert action["description"]
        assert action["resource"]["resourceType"] in ("MedicationRequest", "ServiceRequest")
        concept = action["resource"].get("code") or action["resource"]["medicationCodeableConcept"]
        assert concept["coding"][0]["system"] == PREFERENCE
    [line] = [x for x in lines if x["event"] == "decision"]
    assert "unmapped:refer_physiotherapy" in line["suppressed"]


def test_epic_exchanges_a_draft_by_removing_and_creating(asked):
    mapped = Epic(catalogue={"cyanocobalamin_oral_high_dose": (Coding("7", PREFERENCE),)})
    reply, _, _ = asked(mapped, signed())
    first, second = reply.json["cards"][0]["suggestions"][:2]
    assert first["actions"][0]["type"] == "delete"
    assert second["actions"][0]["type"] == "create"
    assert "id" not in second["actions"][0]["resource"]
    assert first["uuid"] != second["uuid"]


def test_epic_is_not_offered_half_an_exchange(asked):
    """Without a code for what comes, the draft is not taken away either."""
    reply, _, _ = asked(Epic(), replaced())
    [card] = reply.json["cards"]
    assert card["indicator"] == "critical"
    assert "suggestions" not in card
    assert "selectionBehavior" not in card


def test_what_epic_says_of_the_call_is_logged_and_nothing_else_of_it(asked):
    call = opened() | {
        "extension": {
            "com.epic.cdshooks.request.bpa-trigger-action": "18",
            "com.epic.cdshooks.request.cds-hooks-su": "1.1",
            "com.epic.cdshooks.request.note": "Mrs Smith is worse",
            "com.vendor": {"x": 1},
        }
    }
    _, _, lines = asked(DIALECTS["epic"], call)
    [line] = [x for x in lines if x["event"] == "decision"]
    assert line["epic"] == {"bpa-trigger-action": "18", "cds-hooks-su": "1.1"}


def test_an_empty_search_as_epic_answers_it_and_absolute_references(asked):
    """A Bundle with an OperationOutcome is no result; a Patient by its whole address is the same."""
    call = opened()
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "x"}]}
    empty = {"total": 0, "entry": [{"resource": outcome, "search": {"mode": "outcome"}}]}
    call["prefetch"]["procedures"] = {"resourceType": "Bundle", **empty}
    number = call["context"]["patientId"]
    text = json.dumps(call["prefetch"]["observations"])
    absolute = text.replace(f'"Patient/{number}"', f'"https://ehr.example/fhir/Patient/{number}"')
    call["prefetch"]["observations"] = json.loads(absolute)
    reply, _, _ = asked(DIALECTS["epic"], call)
    [card] = reply.json["cards"]
    assert "Vitamin B12 112 ng/L" in card["summary"]
    assert "procedures" not in card["detail"]


@pytest.mark.parametrize(("detail", "kind"), [("html", "text/html"), ("plain", "text/plain")])
def test_epic_is_told_what_kind_of_text_the_detail_is(asked, detail, kind):
    reply, _, _ = asked(Epic(detail=detail), opened())
    [card] = reply.json["cards"]
    assert card["extension"] == {EPIC_CONTENT_TYPE: kind}
    assert ("<table>" in card["detail"]) is (detail == "html")
    assert "**" not in card["detail"]
    assert "Vitamin B12" in card["detail"]


def test_oracle_asks_when_a_chart_is_opened_and_at_no_other_moment(asked):
    reply, discovered, _ = asked(DIALECTS["oracle"], signed())
    assert reply.status_code == 404
    assert [service["hook"] for service in discovered] == ["patient-view"]
    reply, _, _ = asked(DIALECTS["oracle"], opened())
    links = reply.json["cards"][0]["links"]
    assert {link["type"] for link in links} == {"absolute"}
    assert all(link["url"].startswith("https://cds.example/") for link in links)


def test_oracle_without_an_allow_list_gets_no_link(asked):
    reply, _, _ = asked(Oracle(), opened())
    assert "links" not in reply.json["cards"][0]


@cases("""
    dialect  | type  | context
    ---------+-------+--------
    standard | smart | yes
    epic     | smart | yes
    sandbox  | smart | yes
    oracle   | smart |
""")
def test_where_the_ehr_has_the_app_each_card_links_to_it(case, asked):
    reply, _, _ = asked(DIALECTS[case["dialect"]], opened(), app=True)
    for card in reply.json["cards"]:
        [link] = [one for one in card["links"] if one["url"].endswith("/smart/launch")]
        assert (link["label"], link["type"]) == ("Trends and details", case["type"])
        assert ("appContext" in link) == bool(case["context"])
        if case["context"]:
            about = json.loads(link["appContext"])
            assert about["hook"] == "patient-view"
            assert card["source"]["topic"]["code"].lower() == about.pop("topic").lower()
            assert about.keys() == {"hook"}  # and nothing of the patient


def test_the_sandbox_finds_the_drug_first_with_code_and_text(asked):
    reply, _, _ = asked(DIALECTS["sandbox"], replaced())
    create, remove = reply.json["cards"][0]["suggestions"][0]["actions"]
    assert (create["type"], remove["type"]) == ("create", "delete")
    concept = create["resource"]["medicationCodeableConcept"]
    assert concept["text"]
    assert concept["coding"][0]["code"]


def test_split_suggestions_can_be_accepted(asked, tmp_path):
    """Feedback names the uuids that were sent: those of the records."""
    reply, _, _ = asked(DIALECTS["epic"], opened())
    [card] = reply.json["cards"]
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("records.sqlite3*"))
    for suggestion in card["suggestions"]:
        assert suggestion["uuid"].encode() in kept


def test_plain_text_keeps_every_word():
    text = "**Bold** and _not_\n\n- one\n- two\n\n| A | B |\n|---|---|\n| 1 | 2 |\n"
    assert render_plain_text(text) == "Bold and not\none\ntwo\nA, B\n1, 2"


def test_the_site_is_told_which_orders_its_catalogue_lacks():
    missing = find_unmapped_orders(DIALECTS["epic"], known())
    assert "order_mma" in missing
    assert "order_folate" not in missing


def test_a_catalogue_entry_for_no_template_stops_the_start():
    wrong = Epic(catalogue={"order_everything": (Coding("1", "s"),)})
    with pytest.raises(KnowledgeError, match="order_everything: no such order template"):
        find_unmapped_orders(wrong, known())


def test_a_dialect_from_a_configuration_file(tmp_path):
    file = tmp_path / "cobalamin.toml"
    file.write_text(
        f"""
        [dialect]
        name = "epic"
        detail = "html"
        [[dialect.catalogue]]
        template = "order_mma"
        system = "{PREFERENCE}"
        code = "4711"
        """
    )
    dialect = load_settings(file).find_tenant().dialect
    assert (dialect.name, dialect.detail) == ("epic", "html")
    assert dialect.catalogue == {"order_mma": (Coding("4711", PREFERENCE),)}
