"""Configuration that cannot be relied on stops the start, every fault at once."""

import re
from pathlib import Path

import pytest
from tables import cases

from cds_hooks.config import loader
from cds_hooks.config.loader import FILE_VARIABLE, find_configuration_file
from cds_hooks.config.settings import (
    ConfigurationError,
    MetricsAddress,
    ServiceTables,
    Settings,
    explain_exposure,
)
from cds_hooks.config.validation import build_configuration_schema
from services.knowledge.configuration import get_clinical_tables, load_settings

EXAMPLE = Path(__file__).parents[3] / "deploy" / "cobalamin.example.toml"


@pytest.fixture
def faults_of(tmp_path):
    """(key, reason) of every fault in a text of TOML, where # stands for a line's end."""

    def faults_of(text):
        path = tmp_path / "cobalamin.toml"
        path.write_text(text.replace("#", "\n"))
        with pytest.raises(ConfigurationError) as caught:
            load_settings(path)
        assert all(fault.file == str(path) for fault in caught.value.problems)
        return [(fault.key, fault.reason) for fault in caught.value.problems]

    return faults_of


def written(tmp_path, text):
    path = tmp_path / "cobalamin.toml"
    path.write_text(text)
    return path


def test_without_a_file_only_this_machine_is_served(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    settings = load_settings(None)
    assert settings == Settings()
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 8000, 2)
    assert settings.find_tenant().fhir.servers == settings.cors_origins == ()
    assert settings.find_tenant().fhir.allow_loopback
    assert settings.allow_loopback_origins
    assert settings.records_url == f"sqlite:///{tmp_path}/cobalamin/records.sqlite3"


def test_metrics_have_an_address_of_their_own_and_on_loopback(tmp_path):
    assert load_settings(None).metrics == MetricsAddress("127.0.0.1", 9464)
    for text, page in (
        ("", MetricsAddress()),
        ("[metrics]\nport = 9500", MetricsAddress(port=9500, is_chosen=True)),
        ('[metrics]\nhost = "10.0.0.5"', MetricsAddress("10.0.0.5", is_chosen=True)),
        ("[metrics]\nenabled = false\nport = 9500", None),
    ):
        assert load_settings(written(tmp_path, text)).metrics == page


def test_log_and_traces_are_whole_unless_a_share_is_named(tmp_path):
    settings = load_settings(written(tmp_path, "[log]\nlevel = 'error'"))
    assert (settings.log_sample, settings.traces_url, settings.traces_sample) == (1.0, None, 1.0)
    text = "[log]\nsample = 0.1\n[tracing]\notlp_endpoint = 'http://otel:4318'\nsample = 0"
    settings = load_settings(written(tmp_path, text))
    assert (settings.log_sample, settings.traces_sample) == (0.1, 0)
    assert settings.traces_url == "http://otel:4318"


def test_a_relative_state_folder_is_ignored(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Settings().records_url == (
        f"sqlite:///{tmp_path}/.local/state/cobalamin/records.sqlite3"
    )


def test_with_a_file_nothing_is_let_in_that_it_does_not_name(tmp_path):
    settings = load_settings(written(tmp_path, ""))
    assert not settings.find_tenant().fhir.allow_loopback
    assert not settings.allow_loopback_origins


def names_of(schema, definitions):
    """Every key that the schema of the configuration knows."""
    schema = definitions.get(schema.get("$ref", "").rpartition("/")[2], schema)
    for name, inner in schema.get("properties", {}).items():
        yield name
        yield from names_of(inner, definitions)
    if "items" in schema:
        yield from names_of(schema["items"], definitions)


def test_the_example_is_in_order_and_shows_every_key():
    settings = load_settings(EXAMPLE)
    assert settings.find_tenant().fhir.servers
    schema = build_configuration_schema(get_clinical_tables())
    found = re.findall(r"^(?:# )?(?:\[+([\w.-]+)\]+|(\w+) =)", EXAMPLE.read_text(), re.MULTILINE)
    shown = {part for table, key in found for part in (*table.split("."), key)}
    assert set(names_of(schema, schema["$defs"])) - shown == set()


@cases("""
    text                                                  | key                    | reason
    ------------------------------------------------------+------------------------+------------------------
    [server]#port = 0                                     | server.port            | from 1 to 65535
    [server]#port = "80"                                  | server.port            | whole number
    [server]#port = true                                  | server.port            | whole number
    [server]#prot = 80                                    | server.prot            | did you mean port
    [sevrer]#port = 80                                    | sevrer                 | did you mean server
    [server]#base_url = "cds.example"                     | server.base_url        | URL
    [server]#base_url = "https://cds.example/?a=b"        | server.base_url        | URL
    [fhir]#servers = ["http://ehr.example/fhir"]          | fhir.servers[0]        | https
    [fhir]#servers = ["https://u:p@ehr.example/fhir"]     | fhir.servers[0]        | base URL
    [fhir]#servers = ["https://ehr.example:x/fhir"]       | fhir.servers[0]        | base URL
    [fhir]#servers = ["https://a.example/f", "ehr"]       | fhir.servers[1]        | base URL
    [fhir]#servers = "https://ehr.example"                | fhir.servers           | list
    [fhir]#deadline_ms = 0                                | fhir.deadline_ms       | milliseconds
    [cors]#origins = ["*"]                                | cors.origins[0]        | origin
    [cors]#origins = ["https://ehr.example/"]             | cors.origins[0]        | without a path
    [cors]#origins = ["https://EHR.example"]              | cors.origins[0]        | lower case
    [cors]#allow_loopback = "yes"                         | cors.allow_loopback    | true or false
    [records]#url = "mysql://x/y"                         | records.url            | sqlite
    [records]#url = "sqlite://"                           | records.url            | sqlite
    [records]#url = "postgresql://x/y"                    | records.key_file       | required
    [log]#level = "loud"                                  | log.level              | warning
    [bulk_export]#parallel = 2                            | bulk_export.server     | missing
    [bulk_export]#server = "http://ehr.example/fhir"      | bulk_export.server     | https
    [bulk_export]#server = "https://e/f"#client_id = "c"  | bulk_export.key_file   | missing
    [bulk_export]#server = "https://e/f"#parallel = 0     | bulk_export.parallel   | 1 to 32
    [smart]#scopes = ["openid"]                           | smart.client_id        | missing
    [smart]#client_id = "c"#scopes = ["a b"]              | smart.scopes[0]        | scope
    [smart]#client_id = "c"#frame_ancestors = ["*"]       | smart.frame_ancestors[0] | origin
    [smart]#client_id = "c"#frame_ancestors = ["https://e;x"] | smart.frame_ancestors[0] | origin
    [smart]#client_id="c"#key_file="k"#client_secret_file="s" | smart.key_file     | one of them
    [server]#base_url="http://cds.example"#[smart]#client_id="c" | server.base_url | https
    [b12]#locale = "xx"                                   | b12.locale             | en-GB
    [policy]#a = "b"                                      | policy.a               | number
    [policy]#"A B" = 1                                    | policy.A B             | lower case
    [[local_code]]#system = "urn:x"#code = "1"            | local_code[0].value_set | missing
    [[local_code]]#system = "x"#code = "1"#value_set="v"  | local_code[0].system   | absolute URI
""")
def test_faults_name_file_key_and_reason(case, faults_of):
    [(key, reason)] = faults_of(case["text"])
    assert key == case["key"]
    assert case["reason"] in reason


PROXY = '[server]#trusted_proxies = ["10.0.0.7"]#certificate_header = "X-C"#'
IRON = ServiceTables(
    {
        "properties": {"iron": {"$ref": "#/$defs/iron"}, "lab": {"$ref": "#/$defs/iron"}},
        "$defs": {
            "iron": {
                "description": "a table",
                "type": "object",
                "additionalProperties": False,
                "properties": {"days": {"description": "a whole number", "type": "integer"}},
            }
        },
    },
    file_only=frozenset({"lab"}),
)


@cases("""
    text                                 | key           | reason
    -------------------------------------+---------------+---------------------------
    [iron]#days = "7"                    | iron.days     | whole number
    [iron]#dais = 7                      | iron.dais     | did you mean days
    [irom]#days = 7                      | irom          | did you mean iron
    [b12]#locale = "en-GB"               | b12           | not a known key
    TENANT [tenant.iron]#days = "7"      | tenant[0].iron.days | whole number
    TENANT [tenant.lab]#days = 7         | tenant[0].lab | not a known key
""")
def test_services_bring_tables_of_their_own(case, tmp_path):
    text = case["text"].replace("TENANT ", PROXY + '[[tenant]]#id = "a"#certificate = "a"#')
    path = written(tmp_path, text.replace("#", "\n"))
    with pytest.raises(ConfigurationError) as caught:
        loader.load_settings(path, IRON)
    [fault] = caught.value.problems
    assert fault.key == case["key"]
    assert case["reason"] in fault.reason


def test_a_tenant_has_tables_of_services_from_the_file_or_its_own(tmp_path):
    tenants = "".join(f'[[tenant]]#id = "{name}"#certificate = "{name}"#' for name in "ab")
    text = f"{PROXY}[iron]#days = 7#[lab]#days = 1#{tenants}[tenant.iron]#days = 9"
    settings = loader.load_settings(written(tmp_path, text.replace("#", "\n")), IRON)
    assert [tenant.service_tables for tenant in settings.tenants] == [
        {"iron": {"days": 7}, "lab": {"days": 1}},
        {"iron": {"days": 9}, "lab": {"days": 1}},
    ]


TENANT = '[[tenant]]#id = "{0}"#certificate = "{0}"#[tenant.smart]#client_id = "c"#'
SERVER = '[tenant.fhir]#server = "https://e.example/f"#'


@cases("""
    tenants                | key                    | reason
    -----------------------+------------------------+---------------------------------
    a                      | tenant[0].fhir.server  | is missing: the app reads from it
    a SERVER, b SERVER     | tenant[1].fhir.server  | is that of tenant[0]
    a SERVER, smart        | smart                  | each [[tenant]] has its own
""")
def test_a_launch_must_say_whose_it_is(case, faults_of):
    text = '[smart]#client_id = "c"#' if "smart" in case["tenants"] else ""
    text += PROXY
    for tenant in case["tenants"].replace(", smart", "").split(", "):
        name, *server = tenant.split()
        text += TENANT.format(name) + (SERVER if server else "")
    [(key, reason)] = faults_of(text)
    assert key == case["key"]
    assert case["reason"] in reason


def test_each_tenant_has_its_own_client(tmp_path):
    text = PROXY + TENANT.format("a") + SERVER + TENANT.format("b").replace("[tenant.smart]", "[x]")
    text = text.partition("[x]")[0].replace("#", "\n")
    one, other = load_settings(written(tmp_path, text)).tenants
    assert one.smart.client_id == "c"
    assert other.smart is None


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hunter2@db.example/c",
        "postgresql://u@db.example/c?password=hunter2",
        "mysql://u:hunter2@db.example/c",
    ],
)
def test_a_password_in_the_file_is_refused_and_not_repeated(faults_of, url):
    [(key, reason)] = faults_of(f'[records]#url = "{url}"#key_file = "k"')
    assert key == "records.url"
    assert "without a password" in reason
    assert "hunter2" not in reason


def test_every_fault_is_reported_at_once(faults_of):
    text = """
        stray = 1#[server]#port = 0#prot = 1#[fhir]#servers = ["ehr"]#[records]
        url = "postgresql://x/y"#[[local_code]]#system = "urn:x"
    """
    assert {key for key, _ in faults_of(text)} == {
        "stray",
        "server.port",
        "server.prot",
        "fhir.servers[0]",
        "records.key_file",
        "local_code[0].code",
        "local_code[0].value_set",
    }


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"[server", "is not TOML"), (b"\xff", "is not UTF-8"), (None, "No such file")],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, content, reason):
    path = tmp_path / "cobalamin.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=reason) as caught:
        load_settings(path)
    assert str(path) in str(caught.value)


def test_relative_paths_start_at_the_folder_of_the_file(tmp_path):
    text = '[records]\nurl = "sqlite:///r.db"\nkey_file = "k"\n[b12]\nlaboratory = "lab.toml"'
    settings = load_settings(written(tmp_path, text))
    assert settings.records_url == f"sqlite:///{tmp_path}/r.db"
    assert settings.records_key_file == tmp_path / "k"
    assert settings.find_tenant().service_tables["b12"]["laboratory"] == str(tmp_path / "lab.toml")


def test_urls_lose_the_slash_at_their_end(tmp_path):
    text = '[server]\nbase_url = "https://a.example/"\n[fhir]\nservers = ["https://b.example/f/"]'
    settings = load_settings(written(tmp_path, text))
    assert settings.base_url == "https://a.example"
    assert settings.find_tenant().fhir.servers == ("https://b.example/f",)


def test_the_command_line_goes_before_the_environment(monkeypatch):
    monkeypatch.delenv(FILE_VARIABLE, raising=False)
    assert find_configuration_file(None) is None
    monkeypatch.setenv(FILE_VARIABLE, "/etc/site.toml")
    assert find_configuration_file(None) == Path("/etc/site.toml")
    assert find_configuration_file(Path("mine.toml")) == Path("mine.toml")


@cases("""
    host             | served
    -----------------+-------
    127.0.0.1        | yes
    127.3.2.1        | yes
    localhost        | yes
    ::1              | yes
    0.0.0.0          |
    192.168.1.5      |
    ::               |
    ::ffff:10.0.0.1  |
    cds.example      |
    localhost.evil   |
""")
def test_only_this_machine_is_served_without_a_tenant(case):
    refused = explain_exposure(Settings(host=case["host"]))
    assert (refused is None) == bool(case["served"])
    assert refused is None or "tenant" in refused


def test_the_base_url_follows_the_command_line():
    assert Settings().override_address(None, 8123, None).base_url == "http://127.0.0.1:8123"
    assert Settings().override_address("::1", None, None).base_url == "http://[::1]:8000"


def test_a_base_url_of_the_file_stays():
    settings = Settings(base_url="https://cds.example").override_address(None, 8123, 4)
    assert (settings.base_url, settings.port, settings.workers) == ("https://cds.example", 8123, 4)
