"""`cobalamin doctor` explains what the service would do, and gives nothing away."""

import ast
import copy
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tables import cases
from token_issuers import Issuer, Key

from cds_hooks.security import authentication, token_checks
from cds_hooks.security.token_report import EXPLANATIONS
from services.hooks.offered_hooks import OFFERED_HOOKS

SERVICES = "https://cds.example.org/cds-services"
CONFIGURATION = """
[server]
base_url = "https://cds.example.org"
trusted_proxies = ["127.0.0.1"]
certificate_header = "X-Client-Subject"
[cors]
origins = ["https://ehr.north.example"]
[[tenant]]
id = "north"
issuer = "https://ehr.north.example/fhir"
jwks_file = "north.jwks.json"
[tenant.fhir]
server = "https://ehr.north.example/fhir"
[[tenant]]
id = "south"
issuer = "https://ehr.south.example/fhir"
jwks_url = "https://ehr.south.example/jwks"
certificate = "CN=ehr.south.example"
"""
NORTH = Issuer("https://ehr.north.example/fhir", Key("ES384", "north-1"))
SOUTH = Issuer("https://ehr.south.example/fhir", Key("RS384", "south-1"))
STRANGER = Issuer("https://ehr.north.example/fhir", Key("ES384", "north-1"))
TOKENS = {
    "good": lambda: NORTH.token(f"{SERVICES}/b12-muscle-order-sign"),
    "several aud": lambda: NORTH.token(["https://x.example", SERVICES]),
    "other scheme": lambda: NORTH.token(SERVICES.replace("https", "http")),
    "slash": lambda: NORTH.token(f"{SERVICES}/"),
    "other aud": lambda: NORTH.token("https://elsewhere.example"),
    "list of numbers": lambda: NORTH.token([1]),
    "yesterday": lambda: NORTH.token(SERVICES, now=datetime.now(UTC).timestamp() - 86400),
    "tomorrow": lambda: NORTH.token(SERVICES, now=datetime.now(UTC).timestamp() + 86400),
    "a year": lambda: NORTH.token(
        SERVICES, claims={"exp": int((datetime.now(UTC) + timedelta(365)).timestamp())}
    ),
    "no jti": lambda: NORTH.token(SERVICES, without=("jti",)),
    "no kid": lambda: NORTH.token(SERVICES, without=("kid",)),
    "typ": lambda: NORTH.token(SERVICES, header={"typ": "at+jwt"}),
    "crit": lambda: NORTH.token(SERVICES, header={"crit": ["exp"]}),
    "none": lambda: NORTH.token(SERVICES, header={"alg": "none"}),
    "issuer slash": lambda: Issuer("https://ehr.north.example/fhir/").token(SERVICES),
    "claim": lambda: NORTH.token(SERVICES, claims={"tenant": "n"}),
    "other key": lambda: STRANGER.token(SERVICES),
    "kid": lambda: NORTH.token(SERVICES, header={"kid": "north-2"}),
    "jku": lambda: SOUTH.token(SERVICES, header={"jku": "https://evil.example"}),
    "south": lambda: SOUTH.token(SERVICES),
    "rubbish": lambda: "abc.def",
    "nothing": lambda: "",
}


@pytest.fixture
def configuration(tmp_path):
    (tmp_path / "north.jwks.json").write_text(json.dumps(NORTH.jwks))
    (tmp_path / "south.json").write_text(json.dumps(SOUTH.jwks))
    file = tmp_path / "cobalamin.toml"
    file.write_text(CONFIGURATION)
    return file


def marked(run):
    """Name of each step -> its mark."""
    lines = [line.split() for line in run.stdout.splitlines()[1:] if line.strip()[:1] in "✓✗?"]
    names = [line.strip()[2:].split("  ")[0].strip() for line in run.stdout.splitlines()[1:]]
    return dict(zip(names, (line[0] for line in lines), strict=True))


@cases("""
    token           | exit | at fault        | says
    ----------------+------+-----------------+------------------------------------------------------
    good            | 0    |                 | for https://cds.example.org/cds-services/b12-muscle-order-sign
    several aud     | 0    |                 | for https://cds.example.org/cds-services
    other scheme    | 1    | audience        | (only http and https differ)
    slash           | 1    | audience        | (only the slash at the end differs)
    other aud       | 1    | audience        | came https://elsewhere.example
    list of numbers | 1    | audience        | `aud` must be a text, or a list of 1 to 16 texts
    yesterday       | 1    | expiry          | the token is over; it is 861
    tomorrow        | 1    | time of issue   | one of the clocks is wrong; it is 86
    a year          | 1    | lifetime        | at most 600 s are accepted
    no jti          | 1    | token id        | another one in each token
    no kid          | 1    | key id          | it names the key
    typ             | 1    | type            | must be JWT
    crit            | 1    | header extensions | not supported
    none            | 1    | algorithm       | accepted: ES384, RS384
    issuer slash    | 1    | issuer          | (only the slash at the end differs)
    claim           | 1    | issuer          | with tenant n; configured: https://ehr.north.example/fhir
    other key       | 1    | signature       | not made with the key that `kid` names
    kid             | 1    | signature       | usable keys: north-1 (ES384)
    jku             | 1    | key set URL     | accepted: https://ehr.south.example/jwks
    south           | 0    |                 | its keys are at https://ehr.south.example/jwks
    rubbish         | 1    | token           | three parts in base64url
    nothing         | 1    | token           | three parts in base64url
""")
def test_a_token_is_explained(cobalamin, configuration, case):
    text = TOKENS[case["token"]]()
    run = cobalamin("doctor", "token", "--config", configuration, given=f"Bearer {text}\n")
    assert run.exit_code == int(case["exit"]), run.stderr
    assert case["says"] in run.stdout
    marks = marked(run)
    wrong = {name for name, mark in marks.items() if mark == "✗"}
    assert case["at fault"] in wrong if case["at fault"] else not wrong
    for part in text.split("."):
        assert not part or part not in run.stdout + run.stderr


def test_keys_behind_a_url_can_be_given(cobalamin, configuration, tmp_path):
    options = ["doctor", "token", "--config", configuration, "--keys", tmp_path / "south.json"]
    assert marked(cobalamin(*options, given=TOKENS["south"]()))["signature"] == "✓"
    other = Issuer("https://ehr.south.example/fhir", Key("RS384", "south-1"))
    assert marked(cobalamin(*options, given=other.token(SERVICES)))["signature"] == "✗"


def test_an_old_token_is_looked_at_as_of_its_time(cobalamin, configuration):
    text = TOKENS["yesterday"]()
    then = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    run = cobalamin("doctor", "token", "--config", configuration, "--at", then, given=text)
    assert run.exit_code == 0, run.stdout


def test_every_reason_to_refuse_a_caller_is_explained():
    trees = [ast.parse(Path(m.__file__).read_text()) for m in (authentication, token_checks)]
    given = {
        node.args[0].value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "AuthenticationError"
        and isinstance(node.args[0], ast.Constant)
    }
    assert given | {"exp", "iat", "nbf"} == set(EXPLANATIONS)


@cases("""
    origin                         | exit | says
    -------------------------------+------+--------------------------------------------
    https://ehr.north.example      | 0    | GET, POST, OPTIONS with Authorization, Content-Type
    https://ehr.north.example/     | 1    | an origin has no slash at its end
    https://EHR.north.example      | 1    | browsers write an origin in lower case
    https://evil.example           | 1    | is not in cors.origins (https://ehr.north.example)
""")
def test_a_preflight_is_explained(cobalamin, configuration, case):
    run = cobalamin("doctor", "preflight", "--config", configuration, case["origin"])
    assert run.exit_code == int(case["exit"]), run.stderr
    # Discovery, and a call and its feedback of each service.
    assert run.stdout.count(case["says"]) == 1 + 2 * len(OFFERED_HOOKS)


def test_discovery_is_shown_as_analysts_enter_it(cobalamin, configuration):
    run = cobalamin("doctor", "discovery", "--config", configuration, "--tenant", "south")
    assert run.exit_code == 0, run.stderr
    lines = [line.strip() for line in run.stdout.splitlines()]
    for hook in OFFERED_HOOKS:
        assert f"{SERVICES}/b12-muscle-{hook}  ({hook} 1.0)" in lines
    assert lines.count("Patient/{{context.patientId}}") == len(OFFERED_HOOKS)
    assert lines.count("observations (needed)") == len(OFFERED_HOOKS)


def calls(sample):
    """Captured calls, as they went wrong."""
    whole = {**sample, "fhirServer": "https://ehr.north.example/fhir"}
    token = {
        "access_token": "sekret-8841",
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "patient/Observation.rs",
        "subject": "us",
    }
    stranger = copy.deepcopy(whole)
    for entry in stranger["prefetch"]["observations"]["entry"]:
        entry["resource"]["subject"] = {"reference": "Patient/somebody-8841"}

    def without(*keys, **members):
        kept = {key: value for key, value in whole["prefetch"].items() if key not in keys}
        return {**whole, "prefetch": {**kept, **members}}

    return {
        "whole": whole,
        "no labs": without("observations"),
        "no labs, no server": {**without("observations"), "fhirServer": None},
        "other server": {**without("observations"), "fhirServer": "https://evil.example/fhir"},
        "scope": {**without("conditions"), "fhirAuthorization": token},
        "failed": without(observations={"resourceType": "OperationOutcome"}),
        "stripped": {name: whole[name] for name in ("hook", "hookInstance", "context")},
        "no instance": {name: value for name, value in whole.items() if name != "hookInstance"},
        "unknown hook": {**whole, "hook": "order-dispatch"},
        "other key": without(patientToGreet={"resourceType": "Patient"}),
        "stranger": stranger,
        "a list": [],
    }


@cases("""
    call               | exit | step                   | mark | says
    -------------------+------+------------------------+------+---------------------------------------
    whole              | 0    | answer                 | ✓    | 200 with 1 card
    no labs            | 0    | prefetch observations  | ?    | left out; would be fetched
    no labs            | 0    | answer                 | ?    | with nothing fetched: 412
    no labs, no server | 1    | prefetch observations  | ✗    | there is no server to ask; without it the answer is 412
    other server       | 1    | FHIR server            | ✗    | configured: https://ehr.north.example/fhir
    scope              | 0    | prefetch conditions    | ?    | the token does not allow the query (scope)
    failed             | 1    | prefetch observations  | ✗    | the client failed to get it
    stripped           | 0    | prefetch patient       | ?    | left out; would be fetched
    no instance        | 1    | envelope               | ✗    | 422 at hookInstance: is required
    unknown hook       | 1    | hook                   | ✗    | there is one for each of patient-view
    other key          | 0    | other keys             | ?    | patientToGreet
    stranger           | 1    | resources not used     | ✗    | other-patient
    a list             | 1    | hook                   | ✗    | no service for it
""")
def test_a_captured_call_is_explained(cobalamin, configuration, tmp_path, sample, case):
    found = calls(sample)[case["call"]]
    if case["call"] == "stripped":
        found = {**found, "fhirServer": "https://ehr.north.example/fhir"}
    (tmp_path / "call.json").write_text(json.dumps(found))
    options = ["--config", configuration, "--at", "2026-11-20T10:00:00Z", "call.json"]
    run = cobalamin("doctor", "call", *options)
    assert run.exit_code == int(case["exit"]), run.stdout + run.stderr
    assert marked(run)[case["step"]] == case["mark"]
    assert case["says"] in run.stdout
    assert "8841" not in run.stdout + run.stderr


def test_a_call_stripped_of_all_data_gets_a_hint(cobalamin, configuration, sample):
    body = json.dumps({name: sample[name] for name in ("hook", "hookInstance", "context")})
    run = cobalamin("doctor", "call", "--config", configuration, given=body)
    assert run.exit_code == 1
    assert "the one that is registered for this service" in run.stdout


def test_what_is_no_json_is_named_by_its_place(cobalamin, configuration):
    run = cobalamin("doctor", "call", "--config", configuration, given='{"hook": }')
    assert (run.exit_code, "400: not JSON at line 1, column 10" in run.stdout) == (1, True)
