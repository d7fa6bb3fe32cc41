"""What every page has in common: its doors, its headers, how faults are told."""

from contextlib import closing

import pytest
import structlog
from patients import known
from tables import cases

from cds_hooks.config.pages import PageAccess
from cds_hooks.config.secrets import make_key
from cds_hooks.config.settings import ConfigurationError, Settings
from cds_hooks.config.tenants import LOCAL_TENANT, Tenant
from cds_hooks.records.store import Records
from cds_hooks.web.app import create_app
from cds_hooks.web.context import Telemetry, make_context
from services.hooks.catalog import build_services
from services.web.site import make_pages

BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8"
NORTH = Tenant("north", certificate="CN=ehr.example")


def application(folder, *, tenant=LOCAL_TENANT, base_url="http://127.0.0.1:8000", **access):
    settings = Settings(
        base_url=base_url,
        records_url=f"sqlite:///{folder / 'records.sqlite3'}",
        tenants=(tenant,),
        cors_origins=("https://sandbox.example",),
        allow_loopback_origins=True,
        pages=PageAccess(**access),
    )
    return create_app(
        make_context(
            {tenant.id: build_services(known(), base_url)},
            settings,
            Records.open(settings.records_url),
            Telemetry(structlog.wrap_logger(None, processors=[drop]), "test"),
        ),
        pages=make_pages(settings, {tenant.id: known()}, "test"),
    )


def drop(*_event):
    raise structlog.DropEvent


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    return application(tmp_path_factory.mktemp("pages")).test_client()


@cases("""
    header                       | holds
    -----------------------------+------------------------
    Content-Security-Policy      | default-src 'none'
    Content-Security-Policy      | script-src 'self';
    Content-Security-Policy      | style-src 'self';
    Content-Security-Policy      | form-action 'self'
    Content-Security-Policy      | frame-ancestors 'none'
    Referrer-Policy              | same-origin
    Cross-Origin-Opener-Policy   | same-origin
    X-Content-Type-Options       | nosniff
    Permissions-Policy           | camera=()
""")
def test_each_page_says_what_a_browser_may_do_with_it(client, case):
    assert case["holds"] in client.get("/evidence").headers[case["header"]]


def test_nothing_inline_and_nothing_from_elsewhere(client):
    page = client.get("/evidence/uk-ng239").text
    assert "style=" not in page
    assert "<style" not in page
    assert 'src="http' not in page
    assert "unsafe" not in client.get("/evidence").headers["Content-Security-Policy"]


@cases("""
    who asks  | path             | status | gets
    ----------+------------------+--------+-----------------
    browser   | /evidence/who    | 200    | text/html
    browser   | /evidence/nobody | 404    | text/html
    anything  | /evidence/nobody | 404    | application/json
    browser   | /nobody          | 404    | application/json
""")
def test_faults_are_pages_to_people_and_outcomes_to_programs(client, case):
    accept = BROWSER if case["who asks"] == "browser" else "*/*"
    answer = client.get(case["path"], headers={"Accept": accept})
    assert (answer.status_code, answer.mimetype) == (int(case["status"]), case["gets"])
    if case["gets"] == "application/json":
        assert answer.json["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    "path",
    [
        "/bootstrap/pages/css/bootstrap.min.css",
        "/pages/pages.css",
        "/pages/theme.js",
        "/pages/plots.js",
        "/pages/charts/Chart.bundle.js",
    ],
)
def test_styles_and_scripts_come_from_here_and_are_kept(client, path):
    with closing(client.get(path)) as answer:
        assert answer.status_code == 200
        assert answer.cache_control.max_age > 0


@cases("""
    area      | public         | status
    ----------+----------------+-------
    /evidence | evidence       | 200
    /evidence | start          | 404
    /evidence |                | 404
""")
def test_what_is_public_is_what_the_site_says(tmp_path, case):
    app = application(tmp_path, tenant=NORTH, public=frozenset(case["public"].split()))
    assert app.test_client().get(case["area"]).status_code == int(case["status"])


@cases("""
    reached at               | cookie             | secure
    -------------------------+--------------------+-------
    http://127.0.0.1:8000    | cobalamin          | no
    https://cds.example.org  | __Host-cobalamin   | yes
""")
def test_cookies_are_for_this_host_alone(tmp_path, case):
    config = application(tmp_path, base_url=case["reached at"]).config
    assert config["SESSION_COOKIE_NAME"] == case["cookie"]
    assert config["SESSION_COOKIE_SECURE"] == (case["secure"] == "yes")
    assert config["SESSION_COOKIE_HTTPONLY"]
    assert config["SESSION_COOKIE_SAMESITE"] == "Lax"


def test_the_key_of_sessions_is_made_once_beside_the_records(tmp_path):
    first = application(tmp_path).secret_key
    assert (tmp_path / "pages.key").stat().st_mode & 0o777 == 0o600
    assert application(tmp_path).secret_key == first


def test_where_nobody_signs_in_no_key_is_kept(tmp_path):
    application(tmp_path, tenant=NORTH)
    assert not (tmp_path / "pages.key").exists()


def test_a_key_that_everybody_can_read_stops_the_start(tmp_path):
    key = tmp_path / "sessions.key"
    make_key(key, "pages.key_file")
    key.chmod(0o644)
    with pytest.raises(ConfigurationError, match=r"pages\.key_file.*open to every user"):
        application(tmp_path, key_file=key)


def test_hooks_are_answered_without_a_session(client):
    answer = client.get("/cds-services")
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers


@cases("""
    path               | read by scripts of other origins
    -------------------+---------------------------------
    /cds-services      | yes
    /health/live       | yes
    /nobody            | yes
    /                  |
    /what-if           |
    /governance        |
    /evidence          |
    /evidence/nobody   |
    /governance/no.csv |
""")
def test_pages_are_not_for_scripts_of_other_origins(case, client):
    for origin in ("https://sandbox.example", "http://localhost:5173"):
        shown = client.get(case["path"], headers={"Origin": origin})
        allowed = shown.headers.get("Access-Control-Allow-Origin")
        assert allowed == (origin if case["read by scripts of other origins"] else None)
