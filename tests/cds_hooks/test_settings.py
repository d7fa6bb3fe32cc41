"""Configuration that cannot be relied on stops the start, every fault at once."""

from pathlib import Path

import pytest
from tables import cases

from cds_hooks.settings import ConfigurationFault, load_settings, refuse_exposed

EXAMPLE = Path(__file__).parents[2] / "deploy" / "cobalamin.example.toml"


def written(tmp_path, text):
    path = tmp_path / "cobalamin.toml"
    path.write_text(text)
    return path


def test_without_a_file_only_this_machine_is_served(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    settings = load_settings(None)
    assert settings.host == "127.0.0.1"
    assert settings.fhir_servers == settings.cors_origins == ()
    assert settings.allow_loopback_fhir
    assert settings.allow_loopback_origins
    assert str(tmp_path) in settings.records_url


def test_with_a_file_nothing_is_let_in_that_it_does_not_name(tmp_path):
    settings = load_settings(written(tmp_path, ""))
    assert not settings.allow_loopback_fhir
    assert not settings.allow_loopback_origins


def test_the_example_is_in_order():
    assert load_settings(EXAMPLE).fhir_servers


@cases("""
    text                                                        | key              | reason
    ------------------------------------------------------------+------------------+-----------------
    [server]#port = 0                                           | server.port      | minimum
    [server]#port = "80"                                        | server.port      | integer
    [server]#prot = 80                                          | server           | prot
    [sevrer]#port = 80                                          | file             | sevrer
    [fhir]#servers = ["http://ehr.example.org/fhir"]            | fhir.servers.0   | https
    [fhir]#servers = ["https://u:p@ehr.example.org/fhir"]       | fhir.servers.0   | credentials
    [fhir]#servers = ["ehr"]                                    | fhir.servers.0   | http
    [cors]#origins = ["*"]                                      | cors.origins.0   | match
    [records]#url = "mysql://x"                                 | records.url      | match
    [records]#url = "postgresql://x/y"                          | records.key_file | required
    [policy]#a = "b"                                            | policy.a         | number
    [server                                                     | file             | Expected
""")
def test_faults_name_file_key_and_reason(case, tmp_path):
    path = written(tmp_path, case["text"].replace("#", "\n"))
    with pytest.raises(ConfigurationFault) as fault:
        load_settings(path)
    [(key, reason)] = fault.value.faults
    assert key == case["key"]
    assert case["reason"] in reason
    assert str(path) in str(fault.value)


def test_every_fault_is_reported_at_once(tmp_path):
    with pytest.raises(ConfigurationFault) as fault:
        load_settings(written(tmp_path, "[server]\nport = 0\nworkers = 0\n[log]\nlevel = 'loud'"))
    assert len(fault.value.faults) == 3


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigurationFault, match="No such file"):
        load_settings(tmp_path / "none.toml")


@cases("""
    host         | served
    -------------+-------
    127.0.0.1    | yes
    127.3.2.1    | yes
    localhost    | yes
    ::1          | yes
    0.0.0.0      |
    192.168.1.5  |
    ::           |
    cds.example  |
""")
def test_only_this_machine_is_served_without_a_tenant(case):
    assert (refuse_exposed(case["host"]) is None) == bool(case["served"])


def test_the_base_url_follows_the_command_line():
    moved = load_settings(None).listening_on(None, 8123, None)
    assert moved.base_url == "http://127.0.0.1:8123"
