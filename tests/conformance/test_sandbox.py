"""The public CDS Hooks Sandbox at work on our service: the requests that it was seen to send.

sandbox.json holds its calls and the chart of its patient; what it does between them (preflights,
prefetch, headers, how it reads a card) is done here in its way.
"""

import json
import sys
import uuid
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl

import jwt
import pytest
from answer_schemas import CHECKED
from cryptography.hazmat.primitives.asymmetric import ec

sys.path.insert(0, str(Path(__file__).parent))

from serving import rolled, serving, today

RECORDED = json.loads(Path(__file__).with_name("sandbox.json").read_text())
ORIGIN = "http://127.0.0.1:8080"
MIMETYPES = {"Accept": "application/json", "Content-Type": "application/json"}
KEY = ec.generate_private_key(ec.SECP384R1())
ISSUER = "https://sandbox.cds-hooks.org"
CONFIGURATION = """
[cors]
allow_loopback = true
[fhir]
allow_loopback = true
[dialect]
name = "sandbox"
[attention]
snooze_days = 0
urgent_snooze_days = 0
repeat_guard = false
[smart]
client_id = "cobalamin"
"""
FOLIC_ACID = {
    "text": "Folic acid 5 MG Oral Tablet",
    "coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "199318"}],
}


class Sandbox:
    """One user of the sandbox, and what she sees of each service."""

    def __init__(self, service):
        self.service = service
        self.services = {}
        self.chart = [as_of_today(resource) for resource in RECORDED["chart"]]

    def connect(self):
        """Adds the service by its discovery address."""
        self.asked_before("/cds-services", "GET", "authorization")
        answer = self.service.get("/cds-services", headers=self._headers("/cds-services"))
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        self.services = {one["hook"]: one for one in answer.json()["services"]}
        return self

    def asked_before(self, path, method, headers):
        """The browser's own question, before each call."""
        answer = self.service.session.options(
            f"{self.service.base}{path}",
            headers={
                "Origin": ORIGIN,
                "Access-Control-Request-Method": method,
                "Access-Control-Request-Headers": headers,
            },
            timeout=10,
        )
        assert answer.ok
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert method in answer.headers["Access-Control-Allow-Methods"]
        allowed = answer.headers["Access-Control-Allow-Headers"].lower()
        assert all(name in allowed for name in headers.split(","))

    def call(self, name, **draft):
        """What the panel shows after one of its recorded calls; `draft` replaces the drug."""
        body = as_of_today(RECORDED["calls"][name])
        body["hookInstance"] = str(uuid.uuid4())
        if draft:
            body["context"]["draftOrders"]["entry"][0]["resource"] |= draft
        found = self.services[body["hook"]]
        body["prefetch"] = dict(self._prefetched(found["prefetch"], body["context"]))
        path = f"/cds-services/{found['id']}"
        self.asked_before(path, "POST", "authorization,content-type")
        answer = self.service.post(path, body, headers=self._headers(path))
        assert answer.status_code == 200, answer.text
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        CHECKED["Cards"].validate(answer.json())
        return answer.json()["cards"]

    def answer(self, hook, item):
        """Sends one item of feedback, as a click on a card does."""
        moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        path = f"/cds-services/{self.services[hook]['id']}/feedback"
        self.asked_before(path, "POST", "authorization,content-type")
        body = {"feedback": [{**item, "outcomeTimestamp": moment}]}
        reply = self.service.post(path, body, headers=self._headers(path))
        assert reply.ok
        assert reply.headers["Access-Control-Allow-Origin"] == ORIGIN
        return self.service.lines()[-1]

    def _prefetched(self, templates, context):
        """Reads and searches its FHIR server."""
        for key, template in templates.items():
            kind, _, query = template.partition("?")
            if not query:
                reference = template.replace("{{context.patientId}}", context["patientId"])
                found = [r for r in self.chart if f"{r['resourceType']}/{r['id']}" == reference]
                if found:
                    yield key, found[0]
                continue
            codes = dict(parse_qsl(query)).get("code", "")
            wanted = [one.split("|")[-1] for one in codes.split(",")] if codes else None
            entries = [
                {"resource": one, "search": {"mode": "match"}}
                for one in self.chart
                if one["resourceType"] == kind
                and (wanted is None or one["code"]["coding"][0]["code"] in wanted)
            ]
            bundle = {"resourceType": "Bundle", "type": "searchset"}
            yield key, bundle | ({"entry": entries} if entries else {})

    def _headers(self, path):
        """A token whose audience is the very address; on this machine nobody asks for one."""
        now = datetime.now(UTC)
        claims = {
            "iss": ISSUER,
            "aud": f"{self.service.base}{path}",
            "iat": now,
            "exp": now + timedelta(seconds=300),
            "jti": str(uuid.uuid4()),
        }
        header = {"kid": "sandbox", "jku": f"{ISSUER}/.well-known/jwks.json"}
        token = jwt.encode(claims, KEY, "ES384", header)
        return {**MIMETYPES, "Authorization": f"Bearer {token}", "Origin": ORIGIN}


def as_of_today(document):
    """What was recorded, as if that had been today; births stay where they are."""
    made = rolled(document, today() - date.fromisoformat(RECORDED["day"]))
    return made | {name: document[name] for name in ("birthDate",) if name in document}


@pytest.fixture(scope="module")
def configured(tmp_path_factory):
    """The service as its README says it is set up for the sandbox."""
    with serving(tmp_path_factory.mktemp("sandbox"), CONFIGURATION) as running:
        yield running


@pytest.fixture
def sandbox(configured):
    return Sandbox(configured).connect()


def shown_right(card):
    """What the sandbox needs to draw a card and to send what is clicked on it."""
    assert isinstance(card["summary"], str)
    assert card["indicator"] in ("info", "warning", "critical")
    assert uuid.UUID(card["uuid"])
    assert card["source"]["label"]
    assert "<" not in card["detail"].replace("<br>", "").replace("&lt;", "")
    for suggestion in card["suggestions"]:
        assert suggestion["label"]
        assert uuid.UUID(suggestion["uuid"])
        assert all(action["type"] and action["description"] for action in suggestion["actions"])
    for link in card["links"]:
        assert link["type"] in ("absolute", "smart")
        assert link["url"].startswith("http")
    for reason in card["overrideReasons"]:
        assert reason["code"]
        assert reason["system"]
        assert reason["display"]


def drug_taken(suggestion):
    """The drug that a click puts into the prescription; None where it takes none."""
    for action in suggestion["actions"]:
        if action["type"] == "delete":
            return None
        concept = action.get("resource", {}).get("medicationCodeableConcept", {})
        if concept.get("text") and concept.get("coding", [{}])[0].get("code"):
            return concept
    return None


def test_the_chart_is_opened(sandbox):
    [card] = sandbox.call("patient-view")
    shown_right(card)
    assert "B12" in card["summary"]
    assert "212 ng/L" in card["summary"]
    assert "0.61 µmol/L" in card["detail"]


def test_the_app_can_be_launched_from_a_card(sandbox):
    """A button that hands over a launch; what the app is told names no patient."""
    [card] = sandbox.call("patient-view")
    [link] = [one for one in card["links"] if one["type"] == "smart"]
    assert link["label"] == "Trends and details"
    assert link["url"] == f"{sandbox.service.base}/smart/launch"
    told = json.loads(link["appContext"])
    assert told == {"topic": card["source"]["topic"]["code"], "hook": "patient-view"}
    assert "b12-pat-1" not in link["url"] + link["appContext"]


def test_a_drug_is_chosen_step_by_step(sandbox):
    """Nothing is said before a drug is chosen; metformin is what speaks of B12."""
    assert sandbox.call("tab opened") == []
    assert sandbox.call("condition chosen") == []
    for name in ("medication chosen", "another drug chosen"):
        for card in sandbox.call(name):
            shown_right(card)


def test_a_suggestion_replaces_the_drug_and_its_card_goes(sandbox):
    """Folic acid for somebody who lacks B12: the sandbox takes name and code, nothing else."""
    for resource in sandbox.chart:
        if resource["id"] == "obs-b12-1":
            resource["valueQuantity"]["value"] = 128
    cards = sandbox.call("medication chosen", medicationCodeableConcept=FOLIC_ACID)
    [card] = cards
    shown_right(card)
    assert "folic acid" in card["summary"].lower()
    chosen = next(one for one in card["suggestions"] if drug_taken(one))
    accepted = {"card": card["uuid"], "outcome": "accepted"}
    accepted["acceptedSuggestions"] = [{"id": chosen["uuid"]}]
    assert sandbox.answer("order-select", accepted)["accepted"] == 1
    after = sandbox.call("medication chosen", medicationCodeableConcept=drug_taken(chosen))
    assert card["source"]["topic"] not in [other["source"]["topic"] for other in after]


def test_the_order_is_signed(sandbox):
    for card in sandbox.call("order signed"):
        shown_right(card)


def test_a_card_is_dismissed_with_a_reason_of_its_menu(sandbox):
    [card] = sandbox.call("patient-view")
    reason = card["overrideReasons"][0]
    line = sandbox.answer(
        "patient-view",
        {
            "card": card["uuid"],
            "outcome": "overridden",
            "overrideReason": {"reason": {"code": reason["code"], "system": reason["system"]}},
        },
    )
    assert (line["event"], line["overridden"]) == ("feedback", 1)
    assert line["outcomes"][0]["reason"] == reason["code"]
