"""Launches of the app, from the EHR's link to the patient's page, and all that must not lead there."""

import html
import json
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from smart_ehr import CAPABILITIES, _html
from tables import cases
from token_issuers import Key
from waiting import PATIENCE, wait_until

from cds_hooks.protocol.errors import CallError
from cds_hooks.smart.launch import MAX_WAITING

LOCAL_HEAD = '[fhir]\nservers = ["FHIR"]\n[smart]\nclient_id = "cobalamin-app"\n'


def words(answer):
    """What a page says, without its markup."""
    main = re.search(r"<main.*?</main>", answer.text, re.DOTALL)[0]
    return " ".join(re.sub(r"<[^>]+>", " ", main).split())


def test_an_ehr_launch_ends_at_the_patients_page(at, ehr):
    site = at()
    answer = site.launch(context=json.dumps({"topic": "b12Deficient"}))
    assert answer.status_code == 200
    said = html.unescape(words(answer)).split("; ")
    assert said[:3] == ["sample-1", f"{ehr.fhir}/Practitioner/dr-1", '{"topic": "b12Deficient"}']
    [asked] = ehr.asked
    assert asked["aud"] == ehr.fhir
    assert asked["scope"].split()[:3] == ["launch", "openid", "fhirUser"]
    assert "patient/Observation.rs" in asked["scope"].split()
    assert not [one for one in asked["scope"].split() if "*" in one or "user/" in one]


def test_a_standalone_launch_asks_for_a_patient(at, ehr):
    answer = at().walk("/smart/launch")
    assert answer.status_code == 200
    assert ehr.asked[0]["scope"].startswith("launch/patient openid")
    assert "launch" not in ehr.asked[0]


def test_a_server_of_smart_1_is_asked_in_its_words(at, ehr):
    old = [one for one in CAPABILITIES if one != "permission-v2"]
    ehr.spoil["configuration"] = {"capabilities": [*old, "permission-v1"]}
    assert at().launch().status_code == 200
    assert "patient/Observation.read" in ehr.asked[0]["scope"].split()


def test_a_site_may_ask_for_less_and_what_is_not_granted_stays_unknown(at, ehr):
    scopes = 'scopes = ["patient/Patient.r", "patient/Observation.rs"]\n'
    answer = at(LOCAL_HEAD + scopes).launch()
    assert ehr.asked[0]["scope"] == "launch patient/Patient.r patient/Observation.rs"
    assert answer.status_code == 200
    assert "conditions failed" in words(answer)


def test_a_client_proves_itself_by_its_secret(at, ehr, tmp_path):
    ehr.client.secret = "s3cret"
    file = tmp_path / "secret"
    file.write_text("s3cret\n")
    file.chmod(0o600)
    assert at(LOCAL_HEAD + 'client_secret_file = "secret"\n').launch().status_code == 200


@pytest.mark.parametrize("algorithm", ["ES384", "RS384"])
def test_a_client_proves_itself_by_its_key(at, ehr, tmp_path, algorithm):
    from cryptography.hazmat.primitives import serialization as how

    file = tmp_path / "app.pem"
    file.write_bytes(
        Key(algorithm).private.private_bytes(
            how.Encoding.PEM, how.PrivateFormat.PKCS8, how.NoEncryption()
        )
    )
    file.chmod(0o600)
    site = at(LOCAL_HEAD + 'key_file = "app.pem"\nkey_id = "one"\n')
    shown = site.get("/smart/jwks.json").json
    assert shown["keys"][0].keys() & {"d", "p", "q", "dp", "dq", "qi"} == set()
    ehr.client.keys = lambda: shown
    assert site.launch().status_code == 200


@pytest.mark.parametrize("kind", ["secret", "key"])
def test_who_does_not_prove_to_be_the_client_gets_nothing(at, ehr, kind):
    ehr.client.secret = "s3cret" if kind == "secret" else None
    ehr.client.keys = (lambda: {"keys": []}) if kind == "key" else None
    answer = at().launch()
    assert answer.status_code == 403
    assert "invalid_client" in words(answer)


@cases("""
    iss                          | says
    -----------------------------+--------------------------------
    https://evil.example/fhir    | does not know
    http://169.254.169.254/      | does not know
    FHIR/other                   | does not know
    FHIR@evil.example            | does not know
    file:///etc/passwd           | does not know
    FHIR?x=                      | does not know
                                 | does not know
""")
def test_no_server_is_asked_that_is_not_configured(case, at, ehr):
    query = urlencode({"iss": case["iss"].replace("FHIR", ehr.fhir), "launch": "x"})
    answer = at().get(f"/smart/launch?{query}")
    assert answer.status_code == 400
    assert case["says"] in words(answer)
    assert ehr.seen == []


SPOILT = {
    "another nonce": {"id_token": {"nonce": "other"}},
    "no nonce": {"id_token": {"nonce": None}},
    "another audience": {"id_token": {"aud": "other"}},
    "another party": {"id_token": {"azp": "other"}},
    "another issuer": {"id_token": {"iss": "https://evil.example"}},
    "expired": {"id_token": {"exp": 1}},
    "issued tomorrow": {"id_token": {"iat": 1 << 34}},
    "another key": {"key": Key("RS256")},
    "no token": {"token": {"id_token": "a.b.c"}},
    "no key": {"key": Key("ES256")},
    "no patient": {"token": {"patient": None}},
    "no id": {"token": {"patient": "../Patient"}},
    "not bearer": {"token": {"token_type": "mac"}},
    "not ASCII": {"token": {"access_token": "tökén"}},
    "too long": {"token-bytes": 8000},
    "a page": {"token-page": _html("Sign in", "")},
    "huge": {"token": {"x": "x" * 300_000}},
    "other state": {"back": {"state": "other-state-other-state-other"}},
    "denied": {"back": {"error": "access_denied"}},
    "denied oddly": {"back": {"error": "<script>"}},
    "another iss": {"back": {"iss": "https://evil.example"}},
    "no code": {"back": {"code": ""}},
    "other code": {"back": {"code": "other"}},
    "no endpoints": {"configuration": {"token_endpoint": None}},
    "endpoint inside": {"configuration": {"token_endpoint": "http://169.254.169.254/t"}},
    "endpoint a script": {"configuration": {"authorization_endpoint": "javascript:alert(1)"}},
    "plain PKCE": {"configuration": {"code_challenge_methods_supported": ["plain"]}},
    "keys inside": {"configuration": {"jwks_uri": "https://169.254.169.254/keys"}},
}


@cases("""
    spoilt            | status | says
    ------------------+--------+---------------------------
    another nonce     | 403    | could not be verified
    no nonce          | 403    | could not be verified
    another audience  | 403    | could not be verified
    another party     | 403    | could not be verified
    another issuer    | 403    | could not be verified
    expired           | 403    | could not be verified
    issued tomorrow   | 403    | could not be verified
    another key       | 403    | could not be verified
    no token          | 403    | could not be verified
    no key            | 403    | could not be verified
    keys inside       | 502    | keys could not be had
    no patient        | 502    | named no patient
    no id             | 502    | named no patient
    not bearer        | 502    | gave no token
    not ASCII         | 502    | gave no token
    a page            | 502    | gave no token
    huge              | 502    | was no answer
    too long          | 400    | longer than a browser keeps
    other state       | 400    | not begun in this browser
    denied            | 403    | access_denied
    denied oddly      | 403    | Its answer: no.
    another iss       | 400    | Another server answered
    no code           | 400    | sent no code
    other code        | 403    | invalid_grant
    no endpoints      | 502    | no endpoints
    endpoint inside   | 502    | no endpoints
    endpoint a script | 502    | no endpoints
    plain PKCE        | 502    | PKCE
""")
def test_what_is_not_in_order_leads_nowhere(case, at, ehr):
    ehr.spoil |= SPOILT[case["spoilt"]]
    site = at()
    answer = site.launch()
    assert answer.status_code == int(case["status"])
    assert case["says"] in words(answer)
    assert not any("launched" in name for name in cookies(site))
    assert "Content-Security-Policy" in answer.headers


def cookies(site):
    return {cookie.key: cookie for cookie in site.browser._cookies.values()}


def test_a_callback_is_good_once(at):
    site = at()
    back = site.until_back()
    assert site.get(back).status_code == 303
    answer = site.get(back)
    assert answer.status_code == 400
    assert "not begun in this browser" in words(answer)


def test_a_code_is_good_once_even_where_the_browser_forgets_nothing(at):
    site = at()
    back = site.until_back()
    kept = dict(site.browser._cookies)
    assert site.get(back).status_code == 303
    site.browser._cookies.update(kept)
    answer = site.get(back)
    assert answer.status_code == 403
    assert "invalid_grant" in words(answer)


def test_a_callback_in_another_browser_is_refused(at):
    site = at()
    back = site.until_back()
    site.browser = site.app.test_client()
    assert site.get(back).status_code == 400


def test_a_callback_that_took_too_long_is_refused(at):
    site = at()
    back = site.until_back()
    site.later = 601
    assert site.get(back).status_code == 400


def test_the_state_of_one_launch_is_none_of_another(at):
    site = at()
    first, second = (urlsplit(site.until_back()) for _ in range(2))
    mixed = {**parse_qs(first.query), "state": parse_qs(second.query)["state"]}
    answer = site.get(f"/smart/callback?{urlencode(mixed, doseq=True)}")
    assert answer.status_code == 403  # the verifier is the other's


def test_two_patients_in_two_tabs_do_not_mix(at, ehr):
    other = [{**r, "id": "p-2"} for r in ehr.resources if r["resourceType"] == "Patient"]
    ehr.resources += other
    site = at()
    assert "observations found 3" in words(site.launch())
    first = site.path
    assert "observations none 0" in words(site.launch(patient="p-2"))
    second = site.path
    assert first != second
    assert "observations found 3" in words(site.get(first))
    assert "observations none 0" in words(site.get(second))


def test_the_cookie_of_one_launch_opens_no_other(at):
    site = at()
    site.launch()
    mine = [c for name, c in cookies(site).items() if name.endswith(".0")]
    [cookie] = mine
    other = "A" * 12
    path = f"/smart/p/{other}/"
    site.browser.set_cookie(
        f"cobalamin-launched-{other}.0", cookie.value, path=path, domain="127.0.0.1"
    )
    assert site.get(path).status_code == 401


@cases("""
    seconds | status | why
    --------+--------+------------------------------
    0       | 200    | just now
    1700    | 200    | half an hour is not over
    1900    | 401    | nobody did anything
""")
def test_a_launch_ends_where_nobody_uses_it(case, at):
    site = at()
    site.launch()
    site.later = int(case["seconds"])
    assert site.get(site.path).status_code == int(case["status"])


def test_a_launch_that_is_used_ends_with_its_access(at, ehr):
    ehr.spoil["token"] = {"expires_in": 4000}
    site = at()
    site.launch()
    for site.later in (1500, 3000, 3990):
        assert site.get(site.path).status_code == 200
    site.later = 4001
    answer = site.get(site.path)
    assert answer.status_code == 401
    assert "Open the app again" in words(answer)


@cases("""
    fhir | status | says
    -----+--------+------------------------
    401  | 401    | This launch has ended.
    500  | 412    | did not give
""")
def test_nothing_to_be_read_is_said(case, at, ehr):
    site = at()
    site.launch()
    ehr.spoil["fhir"] = int(case["fhir"])
    answer = site.get(site.path)
    assert answer.status_code == int(case["status"])
    assert case["says"] in words(answer)


@pytest.mark.parametrize("path", ["/smart/p/AAAAAAAAAAAA/", "/smart/p/x/", "/smart/p/..%2f/"])
def test_a_launch_that_there_is_not_is_not_found(at, path):
    assert at().get(path).status_code == 404


def test_launches_are_bounded(at):
    site = at()
    paths = []
    for _ in range(10):
        site.launch()
        paths.append(site.path)
    statuses = [site.get(path).status_code for path in paths]
    assert statuses == [404] * 2 + [200] * 8
    for _ in range(10):
        site.until_back()
    assert sum("launching" in name for name in cookies(site)) == 4


def test_nothing_of_a_launch_is_in_the_log_or_readable_in_the_browser(at, ehr):
    site = at()
    answer = site.launch(context=json.dumps({"topic": "canary-context"}))
    ehr.spoil["fhir"] = 500
    site.get(site.path)
    [token] = ehr.tokens
    kept = json.dumps(site.lines) + str([cookie.value for cookie in cookies(site).values()])
    for secret in (token, "sample-1", "canary-context", "dr-1", site.path.split("/")[3]):
        assert secret not in kept
    assert "sample-1" not in site.path
    assert answer.headers["Cache-Control"] == "no-store"


@cases("""
    smart                                          | attributes                     | ancestors
    -----------------------------------------------+--------------------------------+---------------------
                                                   | Secure HttpOnly SameSite=Lax   | 'none'
    frame_ancestors = ["https://ehr.example"]      | Secure HttpOnly SameSite=None Partitioned | https://ehr.example
""")
def test_cookies_go_to_frames_only_where_a_site_has_frames(case, at):
    head = '[server]\nbase_url = "https://cds.example"\n'
    site = at(f"{head}{LOCAL_HEAD}{case['smart']}\n")
    back = site.get(site.until_back())
    kept = [c for c in back.headers.getlist("Set-Cookie") if "launched-" in c]
    assert kept
    for cookie in kept:
        assert cookie.startswith("__Secure-")
        assert all(word in cookie for word in case["attributes"].split())
        assert ("Partitioned" in cookie) == ("Partitioned" in case["attributes"])
        assert re.search(r"Path=/smart/p/[\w-]{12}/", cookie)
    page = site.get(back.headers["Location"])
    assert page.status_code == 200
    for answer in (page, site.get("/smart/callback?state=x"), site.get("/smart/p/x/")):
        policy = answer.headers["Content-Security-Policy"]
        assert f"frame-ancestors {case['ancestors']}" in policy


def test_a_server_that_drips_is_given_up(at, monkeypatch):
    from cds_hooks.smart import authorization_server

    limits = authorization_server.ResponseLimits(0.3, 1000, (0.2, 0.2))
    monkeypatch.setattr(authorization_server, "LIMITS", limits)
    monkeypatch.setattr(authorization_server, "PAUSE_SECONDS", 3600)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        base = f"http://127.0.0.1:{silent.getsockname()[1]}/fhir"
        site = at(LOCAL_HEAD.replace("FHIR", base))
        url = f"/smart/launch?iss={base}&launch=x"
        assert site.get(url).status_code == 502
        assert connections(silent) > 0
        for _ in range(10):  # nobody waits again for what just did not answer
            assert site.get(url).status_code == 502
        assert connections(silent) == 0


def connections(listening):
    """How many came since this was last asked."""
    listening.setblocking(False)
    count = 0
    with suppress(BlockingIOError):
        while True:
            listening.accept()[0].close()
            count += 1
    return count


def test_without_a_client_there_is_no_app(tmp_path, monkeypatch):
    from patients import known

    from cds_hooks.config.settings import Settings
    from services.web.site import make_pages

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    found = make_pages(Settings(), {"local": known()}, "test")
    assert "smart" not in {one.name for one in found}


TENANTS = """
[server]
base_url = "https://cds.example"
trusted_proxies = ["127.0.0.1"]
certificate_header = "X-Client"
[[tenant]]
id = "north"
certificate = "CN=north"
[tenant.fhir]
server = "FHIR"
[tenant.smart]
client_id = "cobalamin-app"
[[tenant]]
id = "south"
certificate = "CN=south"
[tenant.fhir]
server = "https://south.example/fhir"
[tenant.smart]
client_id = "other-app"
"""


def test_a_launch_belongs_to_the_tenant_whose_server_it_names(at, ehr):
    site = at(TENANTS)
    assert site.launch().status_code == 200
    assert {line["tenant"] for line in site.lines} == {"north"}
    assert {line["event"] for line in site.lines} == {"fetch"}
    answer = site.get("/smart/launch")  # whose would it be?
    assert answer.status_code == 400
    assert "does not say which EHR" in words(answer)


@cases("""
    iss                                | status
    -----------------------------------+-------
    FHIR                               | 303
    FHIR/                              | 303
    https://127.0.0.1.evil.example/f   | 400
    http://10.0.0.1/fhir               | 400
    http://127.0.0.1@evil.example/f    | 400
""")
def test_where_any_local_server_may_launch_no_other_does(case, at, ehr):
    text = '[fhir]\nallow_loopback = true\n[smart]\nclient_id = "cobalamin-app"\n'
    query = urlencode({"iss": case["iss"].replace("FHIR", ehr.fhir), "launch": ehr.launch()})
    assert at(text).get(f"/smart/launch?{query}").status_code == int(case["status"])


def test_a_launch_has_three_paths_besides_the_pages(at):
    site = at()
    served = {rule.rule for rule in site.app.url_map.iter_rules() if rule.rule.startswith("/smart")}
    assert served - {"/smart/p/<launch>/"} == {
        *("/smart/launch", "/smart/callback", "/smart/jwks.json")
    }


def test_every_worker_knows_what_another_let_in(at):
    one, other = at(TENANTS), at(TENANTS)
    one.launch()
    other.browser._cookies.update(one.browser._cookies)
    assert other.get(one.path).status_code == 200


def test_a_state_of_other_letters_is_another_state(at):
    site = at()
    parts = urlsplit(site.until_back())
    state = parse_qs(parts.query)["state"][0]
    answer = site.get(f"/smart/callback?{urlencode({'code': 'x', 'state': state[:-1] + 'é'})}")
    assert answer.status_code == 400
    assert "not begun in this browser" in words(answer)


def test_a_server_that_names_itself_in_its_answer_is_believed(at, ehr):
    ehr.spoil["back"] = {"iss": ehr.fhir}
    assert at().launch().status_code == 200


def test_an_ehr_that_hangs_leaves_threads_to_hooks(at, ehr, monkeypatch):
    from cds_hooks.smart import authorization_server

    limits = authorization_server.ResponseLimits(
        PATIENCE, authorization_server.LIMITS.bytes, (PATIENCE, PATIENCE)
    )
    monkeypatch.setattr(authorization_server, "LIMITS", limits)
    site = at()
    found, answering = ehr.configuration, threading.Event()

    def slow():
        assert answering.wait(PATIENCE)
        return found()

    ehr.configuration = slow
    base = site.settings.base_url

    def begun():
        query = {"iss": ehr.fhir, "launch": "x"}
        answer = site.app.test_client().get("/smart/launch", query_string=query, base_url=base)
        return answer.status_code

    with ThreadPoolExecutor(24) as threads:
        asked = [threads.submit(begun) for _ in range(24)]
        wait_until(lambda: sum(one.done() for one in asked) == 24 - MAX_WAITING)
        refused = [one.result() for one in asked if one.done()]  # while the others still wait
        answering.set()
        answers = [one.result() for one in asked]
    assert refused == [502] * (24 - MAX_WAITING)
    assert sorted(answers) == [303] * MAX_WAITING + refused


@cases("""
    error                    | in log lines
    -------------------------+--------------
    LaunchError              | LaunchRefused
    LaunchEndedError         | LaunchOver
    AuthorizationServerError | ServerUnfit
    AccessDeniedError        | NotGranted
""")
def test_log_lines_keep_the_codes_of_errors(case):
    [error] = [c for c in CallError.__subclasses__() if c.__name__ == case["error"]]
    assert error.code == case["in log lines"]
