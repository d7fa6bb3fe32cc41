"""Who sees the pages: by a real provider of identities, and everything that is refused."""

import io
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from openid_provider import identity_provider
from pages_app import site
from tables import cases
from waiting import PATIENCE, wait_until

from cds_hooks.config.pages import OpenID, PageAccess
from cds_hooks.config.settings import ConfigurationError, Settings
from cds_hooks.config.tenants import LOCAL_TENANT, Tenant
from cds_hooks.records.store import RecordsUnavailableError
from cds_hooks.records.tokens import UsedTokens
from services.knowledge.configuration import load_settings
from services.web.access import Access, choose_redirect
from services.web.frame import Frame
from services.web.openid import MAX_WAITING, _BoundedSession, find_claim, list_texts

TENANTS = tuple(Tenant(id_, certificate=f"CN={id_}") for id_ in ("north", "south"))
GROUPS = {"north": ("cds-north", "cds-all"), "south": ("cds-south", "cds-all")}
PAGE = {"governance": "/page"}  # stands for any page that is not for everybody
SECRET = "secret-of-a-test"


@pytest.fixture(scope="module")
def providing():
    with identity_provider("cobalamin", "http://localhost/sign-in/callback", SECRET) as provider:
        yield provider


@pytest.fixture
def provider(providing):
    """In order, whatever the test before did to it."""
    providing.__dict__.update(
        person={"sub": "1", "name": "Ada Example", "groups": ["cds-north"]},
        changed=lambda claims: claims,
        signed=providing._signed,
        only_in_userinfo=(),
        described={},
        error=None,
        by_post=False,
        keys=None,
    )
    yield providing
    providing.answering.set()


@pytest.fixture
def openid(providing, tmp_path):
    return openid_of(providing, tmp_path)


def openid_of(provider, folder):
    secret = folder / "secret"
    secret.write_text(f"{SECRET}\n")
    secret.chmod(0o600)
    return OpenID(provider.issuer, "cobalamin", secret, tenants_claim="groups", tenants=GROUPS)


@pytest.fixture(scope="module")
def served(providing, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hospital")
    return site(folder, openid=openid_of(providing, folder), tenants=TENANTS, areas=PAGE)


@pytest.fixture
def hospital(served, provider):
    """The same service for each test, and a browser that was never there."""
    return served.anew()


def test_a_person_signs_in_and_comes_back_to_where_she_wanted(hospital):
    gone = hospital.get("/page?since=2026-11-01")
    assert gone.location == "/sign-in?next=/page%3Fsince%3D2026-11-01"
    back = hospital.signed_in(gone.location)
    assert (back.status_code, back.location) == (302, "/page?since=2026-11-01")
    shown = hospital.get("/page")
    assert (shown.status_code, shown.text) == (200, "north")
    assert shown.headers["Cache-Control"] == "no-store"
    evidence = hospital.get("/evidence")
    assert "Ada Example" in evidence.text
    assert evidence.headers["Cache-Control"] == "no-store"  # it has her name
    assert hospital.refusals() == []


def test_the_public_pages_are_the_same_for_all(hospital):
    shown = hospital.get("/evidence")
    assert "max-age" in shown.headers["Cache-Control"]
    assert "Set-Cookie" not in shown.headers
    assert "Sign in" in shown.text


def test_who_asks_for_json_is_refused_in_json(hospital):
    refused = hospital.client.get("/page")
    assert (refused.status_code, refused.mimetype) == (401, "application/json")
    assert hospital.post("/page").status_code == 401
    assert hospital.refusals() == ["not signed in", "not signed in"]


def test_the_session_before_the_sign_in_is_not_the_one_after(hospital):
    hospital.get("/sign-in")
    before = hospital.client.get_cookie("cobalamin").value
    with hospital.client.session_transaction() as kept:
        kept["laid"] = "there by a stranger"
    hospital.signed_in()
    assert hospital.client.get_cookie("cobalamin").value != before
    with hospital.client.session_transaction() as kept:
        assert set(kept) == {"_permanent", "id", "user", "began", "seen"}


def test_cookies_are_for_this_service_alone(hospital):
    [cookie] = hospital.get("/sign-in").headers.getlist("Set-Cookie")
    assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))


REFUSED = {
    "nonce": lambda claims: {**claims, "nonce": "of another sign-in"},
    "no nonce": lambda claims: {n: v for n, v in claims.items() if n != "nonce"},
    "aud": lambda claims: {**claims, "aud": "another-client"},
    "aud with our azp": lambda claims: {**claims, "aud": "another", "azp": "cobalamin"},
    "azp": lambda claims: {**claims, "aud": ["cobalamin", "another"], "azp": "another"},
    "iss": lambda claims: {**claims, "iss": "https://login.elsewhere.example"},
    "expired": lambda claims: {**claims, "exp": int(time.time()) - 60},
    "no exp": lambda claims: {n: v for n, v in claims.items() if n != "exp"},
    "no sub": lambda claims: {n: v for n, v in claims.items() if n != "sub"},
    "from tomorrow": lambda claims: {**claims, "nbf": int(time.time()) + 86400},
}


@cases("""
    the token has    | log
    -----------------+----------------
    nonce            | sign-in: nonce
    no nonce         | sign-in: nonce
    aud              | sign-in: aud
    aud with our azp | sign-in: aud
    azp              | sign-in: azp
    iss              | sign-in: iss
    expired          | sign-in: expired
    no exp           | sign-in: exp
    no sub           | sign-in: sub
    from tomorrow    | sign-in: nbf
""")
def test_a_token_that_is_not_in_order_opens_nothing(case, hospital, provider):
    provider.changed = REFUSED[case["the token has"]]
    assert hospital.signed_in().status_code == 401
    assert hospital.refusals() == [case["log"]]
    assert hospital.get("/page").status_code == 302


def test_a_token_that_the_provider_did_not_sign_opens_nothing(hospital, provider):
    import jwt
    from token_issuers import Key, signed

    other = Key("RS256", provider.key.kid)
    provider.signed = provider.unsigned
    assert hospital.signed_in().status_code == 401
    provider.signed = lambda claims: signed(other, {"alg": "RS256", "kid": other.kid}, claims)
    assert hospital.signed_in().status_code == 401
    provider.signed = lambda claims: jwt.encode(claims, SECRET * 8, "HS256")
    assert hospital.signed_in().status_code == 401
    assert hospital.refusals() == ["sign-in: signature"] * 3


def test_only_the_browser_that_went_comes_back_and_once(hospital, provider):
    stranger = hospital.app.test_client()
    back = hospital.at_provider()
    assert stranger.get(back).status_code == 401  # a code laid under somebody
    assert hospital.get(back).status_code == 302
    assert hospital.get(back).status_code == 401
    kept = hospital.at_provider()
    cookie = hospital.client.get_cookie("cobalamin").value
    assert hospital.get(kept).status_code == 302
    hospital.client.set_cookie("cobalamin", cookie)  # with the state of before
    assert hospital.get(kept).status_code == 401
    assert hospital.refusals() == [
        "sign-in: state",
        "sign-in: state",
        "sign-in: refused by the provider",
    ]


def test_what_else_goes_wrong_at_the_provider(hospital, provider, openid, tmp_path):
    provider.error = "access_denied"
    assert hospital.signed_in().status_code == 401
    provider.error = None
    openid.client_secret_file.write_text("another")
    (tmp_path / "b").mkdir()
    wrong = site(tmp_path / "b", openid=openid, tenants=TENANTS)
    assert wrong.signed_in().status_code == 401
    assert wrong.refusals() == hospital.refusals() == ["sign-in: refused by the provider"]


@pytest.mark.parametrize(
    "said",
    [
        {"issuer": "https://login.elsewhere.example"},
        {"token_endpoint": "http://login.elsewhere.example/token"},
        {"jwks_uri": None},
    ],
)
def test_a_provider_that_is_not_the_one_named_is_not_gone_to(provider, openid, tmp_path, said):
    hospital = site(tmp_path, openid=openid, tenants=TENANTS)
    provider.described = said
    assert hospital.get("/sign-in").status_code == 503
    provider.described = {}
    assert hospital.get("/sign-in").status_code == 302  # and it is asked again


def test_the_secret_goes_where_the_provider_takes_it(provider, openid, tmp_path):
    provider.described = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    provider.by_post = True
    assert site(tmp_path, openid=openid, tenants=TENANTS).signed_in().status_code == 302


def test_a_provider_may_change_its_keys(hospital, provider):
    from token_issuers import Key

    assert hospital.signed_in().status_code == 302
    provider.key = Key("RS256")
    assert hospital.signed_in().status_code == 302


def test_a_provider_that_drips_is_not_waited_for(provider, openid, tmp_path, monkeypatch):
    monkeypatch.setattr("services.web.openid.TOTAL_SECONDS", 0.2)
    provider.answering.clear()  # and it does not answer before the test is over
    assert site(tmp_path, openid=openid, tenants=TENANTS).get("/sign-in").status_code == 503


def test_addresses_inside_the_network_are_reached_where_that_is_said(openid, tmp_path, monkeypatch):
    from urllib3.connection import HTTPSConnection

    tried = []

    def connect(made):
        tried.append(made.host)
        raise OSError

    monkeypatch.setattr(HTTPSConnection, "connect", connect)
    inside = replace(openid, issuer="https://10.0.0.7")
    for allowed in (False, True):
        (tmp_path / str(allowed)).mkdir()
        chosen = replace(inside, private_addresses=allowed)
        hospital = site(tmp_path / str(allowed), openid=chosen, tenants=TENANTS)
        assert hospital.get("/sign-in").status_code == 503
        assert bool(tried) == allowed


def test_without_its_provider_the_service_says_so(openid, tmp_path):
    gone = replace(openid, issuer="http://127.0.0.1:9")
    hospital = site(tmp_path, openid=gone, tenants=TENANTS)
    refused = hospital.get("/sign-in")
    assert refused.status_code == 503
    assert "does not answer" in refused.text


@cases("""
    next                          | goes to
    ------------------------------+---------------
    /page                         | /page
    /page?from=2026-11-01         | /page?from=2026-11-01
    https://evil.example          | /
    //evil.example                | /
    /\\evil.example               | /
    /%09/evil.example             | /%09/evil.example
    javascript:alert(1)           | /
    page                          | /
                                  | /
""")
def test_the_way_back_is_a_path_of_ours(case, hospital):
    assert choose_redirect(case["next"]) == case["goes to"]
    back = hospital.signed_in(f"/sign-in?next={case['next'].replace('?', '%3F')}")
    assert back.status_code == 302
    assert not back.location.startswith(("//", "http"))
    assert choose_redirect("/\t/evil.example") == choose_redirect("/" + "a" * 600) == "/"


def test_a_person_without_a_tenant_is_told_so(hospital, provider):
    provider.person = {"sub": "2", "name": "Bea", "groups": ["other"]}
    refused = hospital.signed_in()
    assert refused.status_code == 403
    assert "not yours to see" in refused.text
    assert hospital.refusals() == ["no tenant"]
    assert hospital.get("/page").status_code == 302


def test_a_person_sees_her_tenants_and_no_other(hospital, provider):
    provider.person["groups"] = ["cds-all"]
    hospital.signed_in()
    assert hospital.get("/page").text == "north"
    assert hospital.get("/page?tenant=south").text == "south"
    assert hospital.get("/page").text == "south"  # until she chooses again
    assert "?tenant=north" in hospital.get("/evidence").text
    provider.person["groups"] = ["cds-north"]
    hospital.signed_in()
    assert hospital.get("/page").text == "north"
    for other in ("south", "nobody"):
        assert hospital.get(f"/page?tenant={other}").status_code == 403
    assert hospital.get("/page").text == "north"
    assert hospital.refusals() == ["another tenant"] * 2


def test_tenants_may_stand_in_userinfo_alone(hospital, provider):
    provider.only_in_userinfo = ("groups",)
    assert hospital.signed_in().status_code == 302
    assert hospital.get("/page").text == "north"


def test_without_a_table_the_claim_lists_tenants(openid, provider, tmp_path):
    nested = replace(openid, tenants={}, tenants_claim="realm.roles")
    provider.person = {"sub": "1", "realm": {"roles": ["south", "staff"]}}
    hospital = site(tmp_path, openid=nested, tenants=TENANTS, areas=PAGE)
    hospital.signed_in()
    assert hospital.get("/page").text == "south"


@cases("""
    minutes since | the last request | the sign-in | shown
    --------------+------------------+-------------+------
    in order      | 29               | 29          | yes
    idle          | 31               | 31          |
    long          | 1                | 479         | yes
    too long      | 1                | 481         |
""")
def test_sessions_end(case, hospital):
    hospital.signed_in()
    with hospital.client.session_transaction() as kept:
        kept["seen"] -= 60 * int(case["the last request"])
        kept["began"] -= 60 * int(case["the sign-in"])
    assert (hospital.get("/page").status_code == 200) == bool(case["shown"])
    if not case["shown"]:
        assert not hospital.client.get_cookie("cobalamin")


def test_a_session_that_somebody_else_wrote_is_none(hospital, openid, tmp_path):
    (tmp_path / "b").mkdir()
    other = site(tmp_path / "b", openid=openid, tenants=TENANTS, areas=PAGE)
    hospital.signed_in()
    other.client.set_cookie("cobalamin", hospital.client.get_cookie("cobalamin").value)
    assert other.get("/page").status_code == 302


def test_a_tenant_that_is_gone_is_nobodys(hospital):
    hospital.signed_in()
    with hospital.client.session_transaction() as kept:
        kept["user"] = {**kept["user"], "tenants": ["east"]}
    assert hospital.get("/page").status_code == 403


def test_many_sign_ins_that_nobody_ended_fit_into_a_cookie(hospital):
    for _ in range(20):
        hospital.get("/sign-in?next=/" + "a" * 500)
    assert len(hospital.client.get_cookie("cobalamin").value) < 3000
    assert hospital.signed_in().status_code == 302


def test_forms_are_ours(hospital):
    hospital.signed_in()
    assert hospital.post("/page").status_code == 400
    assert hospital.post("/sign-out").status_code == 400
    token = hospital.get("/sign-out").text.partition('csrf_token" value="')[2].partition('"')[0]
    assert hospital.post("/page", csrf_token=token).text == "north"
    out = hospital.post("/sign-out", csrf_token=token)
    assert (out.status_code, out.location) == (303, "/sign-out")
    assert hospital.get("/page").status_code == 302
    assert "End the hospital" in hospital.get("/sign-out").text


def test_with_tenants_and_without_a_provider_only_what_is_public_is_there(tmp_path):
    hospital = site(tmp_path, tenants=TENANTS, areas=PAGE)
    assert hospital.get("/evidence").status_code == 200
    for path in ("/page", "/sign-in", "/sign-out", "/sign-in/callback"):
        assert hospital.get(path).status_code == 404, path


@cases("""
    host                    | shown
    ------------------------+------
    127.0.0.1:8000          | yes
    127.3.2.1               | yes
    localhost:8000          | yes
    [::1]:8000              | yes
    cds.localhost           | yes
    rebound.example:8000    |
    127.0.0.1.evil.example  |
    10.0.0.5                |
    [                       |
""")
def test_pages_of_this_machine_are_for_its_own_names(case, tmp_path):
    here = site(tmp_path, tenants=(LOCAL_TENANT,), areas=PAGE)
    for path, status in (("/page", 200 if case["shown"] else 421), ("/evidence", 200)):
        assert here.get(path, headers={"Host": case["host"]}).status_code == status
    # Hooks and probes are not pages: whoever calls them is who connects.
    assert here.client.get("/health/live", headers={"Host": case["host"]}).status_code == 200


def test_who_is_not_told_from_strangers_needs_no_sign_in(tmp_path):
    here = site(tmp_path, areas=PAGE)
    assert here.get("/page").text == "local"
    assert here.get("/sign-in").status_code == 404


TENANT = '[[tenant]]#id = "north"#certificate = "CN=north"#'
SERVER = '[server]#trusted_proxies = ["127.0.0.1"]#certificate_header = "X-S"#'
OPENID = '[pages.openid]#issuer = "https://l.example"#client_id = "c"#tenants_claim = "groups"#'


@cases("""
    written                                              | key                        | reason
    -----------------------------------------------------+----------------------------+------------------
    {S}base_url = "http://cds.example"#{T}{O}            | server.base_url            | must be https
    {S}host = "0.0.0.0"#{T}{O}                           | server.base_url            | must be https
    {S}{O}                                               | pages.openid               | needs a [[tenant]]
    {S}{T}{O}[pages.openid.tenants]#west = ["w"]         | pages.openid.tenants.west  | no tenant
    {S}{T}{O}[pages.openid.tenants]#north = []           | pages.openid.tenants.north | list of values
    {S}{T}{O}scope = "profile"                           | pages.openid.scope         | openid
    {S}{T}[pages.openid]#client_id="c"#tenants_claim="g" | pages.openid.issuer        | missing
    {S}{T}{O}{P}                                         | pages.key_file             | required with PostgreSQL
""")
def test_faults_of_the_configuration_stop_the_start(case, tmp_path):
    records = '[records]#url = "postgresql://d/c"#key_file = "k"#'
    text = case["written"].format(S=SERVER, T=TENANT, O=OPENID, P=records)
    path = tmp_path / "cobalamin.toml"
    path.write_text(text.replace("#", "\n"))
    with pytest.raises(ConfigurationError) as caught:
        load_settings(path)
    [fault] = caught.value.problems
    assert (fault.file, fault.key) == (str(path), case["key"])
    assert case["reason"] in fault.reason


def test_check_config_shows_who_may_sign_in(tmp_path):
    from click.testing import CliRunner

    from services.cli.main import main

    path = tmp_path / "cobalamin.toml"
    more = 'client_secret_file = "s"#[pages.openid.tenants]#north = ["cds-north"]#'
    path.write_text((SERVER + TENANT + OPENID + more).replace("#", "\n"))
    missing = CliRunner().invoke(main, ["check-config", str(path)])
    assert missing.exit_code == 1
    assert "pages.openid.client_secret_file: cannot be read" in missing.output
    (tmp_path / "s").write_text("secret-of-a-test")
    (tmp_path / "s").chmod(0o600)
    shown = CliRunner().invoke(main, ["check-config", str(path)], env={"COLUMNS": "300"})
    assert shown.exit_code == 0, shown.output
    for text in (
        "https://l.example as c, with its secret",
        "/sign-in/callback",
        "north: cds-north",
    ):
        assert text in shown.output
    assert "secret-of-a-test" not in shown.output


@pytest.mark.parametrize(("mode", "text"), [(0o644, "secret"), (0o600, " \n")])
def test_a_secret_that_cannot_be_used_stops_the_start(openid, tmp_path, mode, text):
    openid.client_secret_file.write_text(text)
    openid.client_secret_file.chmod(mode)
    with pytest.raises(ConfigurationError, match="client_secret_file"):
        site(tmp_path, openid=openid, tenants=TENANTS)


def test_every_worker_knows_the_sessions_of_the_others(openid, tmp_path):
    settings = Settings(
        records_url=f"sqlite:///{tmp_path}/records.sqlite3",
        pages=PageAccess(openid=openid),
        tenants=TENANTS,
    )
    keys = {Frame(settings, {}, "test", Access(settings)).load_session_key() for _ in range(2)}
    assert keys == {(tmp_path / "pages.key").read_bytes()}


def test_claims_are_found_by_name_and_by_path():
    claims = {"https://h.example/groups": "a", "realm_access": {"roles": ["b", 3]}}
    assert list_texts(find_claim(claims, "https://h.example/groups")) == ("a",)
    assert list_texts(find_claim(claims, "realm_access.roles")) == ("b",)
    assert list_texts(find_claim(claims, "realm_access.roles.none")) == ()
    assert list_texts(find_claim(claims, "groups")) == ()


def signed_out(hospital):
    token = hospital.get("/sign-out").text.partition('csrf_token" value="')[2].partition('"')[0]
    return hospital.post("/sign-out", csrf_token=token)


def test_who_signed_out_is_out_in_every_copy_of_the_cookie(hospital):
    """A stolen one, and one that an answer brought which was still on its way."""
    hospital.signed_in()
    taken = hospital.client.get_cookie("cobalamin").value
    assert signed_out(hospital).status_code == 303
    hospital.client.set_cookie("cobalamin", taken)
    assert hospital.get("/page").status_code == 302
    assert not hospital.client.get_cookie("cobalamin")
    hospital.signed_in()
    assert hospital.get("/page").status_code == 200


def test_a_session_that_cannot_be_looked_up_is_not_taken_for_a_good_one(hospital, monkeypatch):
    hospital.signed_in()

    def down(_records, _tenant, _digest):
        raise RecordsUnavailableError("down")

    monkeypatch.setattr(UsedTokens, "is_used", down)
    assert hospital.get("/page").status_code == 503
    assert hospital.get("/evidence").status_code == 200  # what anybody may read


@pytest.mark.parametrize(
    "said",
    [
        {"verify": False},
        {"private_addresses": True, "loopback": True},
        {"proxies": {"http": "http://127.0.0.1:9"}},
        {"code_challenge_method": None},
        {"client_id": "another"},
        {"scope": "openid everything"},
        {"hooks": {}},
        {"jwks": {"keys": []}},
    ],
    ids=str,
)
def test_a_description_changes_nothing_of_how_the_provider_is_asked(
    said, provider, openid, tmp_path, monkeypatch
):
    made = []
    known = _BoundedSession.__init__

    def init(session, *args, **options):
        made.append(options)
        known(session, *args, **options)

    monkeypatch.setattr(_BoundedSession, "__init__", init)
    provider.described = said
    hospital = site(tmp_path, openid=openid, tenants=TENANTS, areas=PAGE)
    assert hospital.signed_in().status_code == 302
    for options in made:
        assert options["private_addresses"] is False
        assert options["scope"] == "openid profile"
        assert options["code_challenge_method"] == "S256"
        assert not {"verify", "proxies", "hooks"} & set(options)


@cases("""
    what is odd  | status
    -------------+-------
    a list       | 503
    no keys      | 503
    keys in text | 503
    keys of text | 503
    a bomb       | 503
""")
def test_an_odd_answer_of_the_provider_is_no_fault_of_ours(case, provider, openid, tmp_path):
    hospital = site(tmp_path, openid=openid, tenants=TENANTS)
    back = hospital.at_provider()
    odd = {
        "a list": [],
        "no keys": {},
        "keys in text": {"keys": "none"},
        "keys of text": {"keys": ["none"]},
        "a bomb": {"keys": [], "x": "x" * 4_000_000},
    }
    provider.keys = odd[case["what is odd"]]
    assert hospital.get(back).status_code == int(case["status"])
    provider.keys = None
    assert hospital.signed_in().status_code == 302


def test_a_provider_that_hangs_leaves_threads_to_hooks(provider, openid, tmp_path, monkeypatch):
    monkeypatch.setattr("services.web.openid.TOTAL_SECONDS", PATIENCE)
    monkeypatch.setattr("services.web.openid.TIMEOUT", (PATIENCE, PATIENCE))
    hospital = site(tmp_path, openid=openid, tenants=TENANTS)
    provider.answering.clear()
    with ThreadPoolExecutor(24) as threads:
        asked = [
            threads.submit(lambda: hospital.anew().get("/sign-in").status_code) for _ in range(24)
        ]
        wait_until(lambda: sum(one.done() for one in asked) == 24 - MAX_WAITING)
        refused = [one.result() for one in asked if one.done()]  # while the others still wait
        provider.answering.set()
        answers = [one.result() for one in asked]
    assert refused == [503] * (24 - MAX_WAITING)
    assert sorted(answers) == [302] * MAX_WAITING + refused


def test_a_provider_that_did_not_answer_is_left_alone_for_a_while(
    provider, openid, tmp_path, monkeypatch
):
    monkeypatch.setattr("services.web.openid.RETRY_SECONDS", 3600)
    monkeypatch.setattr("services.web.openid.TOTAL_SECONDS", 0.2)
    hospital = site(tmp_path, openid=openid, tenants=TENANTS)
    provider.answering.clear()
    assert hospital.get("/sign-in").status_code == 503
    monkeypatch.setattr("services.web.openid.TOTAL_SECONDS", PATIENCE)
    provider.answering.set()
    asked = len(provider.asked)
    assert hospital.get("/sign-in").status_code == 503
    assert len(provider.asked) == asked
    monkeypatch.setattr("services.web.openid.RETRY_SECONDS", 0)
    assert hospital.get("/sign-in").status_code == 302


def test_a_strangers_form_is_refused_before_it_is_read(hospital):
    form = io.BytesIO("&".join(f"a{place}=" for place in range(500_000)).encode())
    refused = hospital.client.post(
        "/sign-out",
        input_stream=form,
        content_length=len(form.getbuffer()),
        content_type="application/x-www-form-urlencoded",
    )
    assert refused.status_code == 400
    assert form.tell() == 0
