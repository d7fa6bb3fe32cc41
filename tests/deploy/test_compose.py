"""The compose file, read by Compose itself; no engine is asked."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.knowledge.configuration import load_settings

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE = Path(sys.executable).with_name("docker-compose")


def read(file: Path, *profiles: str) -> subprocess.CompletedProcess[str]:
    chosen = [word for profile in profiles for word in ("--profile", profile)]
    words = [COMPOSE, "--file", file, *chosen, "config", "--format", "json"]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    run = read(DEPLOY / "compose.yaml", "trial")
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    project: dict[str, Any] = json.loads(run.stdout)
    return project


def test_compose_refuses_what_it_does_not_know(tmp_path):
    file = tmp_path / "compose.yaml"
    text = (DEPLOY / "compose.yaml").read_text()
    file.write_text(text.replace("    shm_size:", "    shm_sise:"))
    run = read(file)
    assert run.returncode != 0
    assert "shm_sise" in run.stderr


def test_each_container_has_no_rights_that_it_does_not_need(project):
    for name, service in project["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name
        assert not any("docker.sock" in str(one) for one in service.get("volumes", ())), name
    for name in ("cobalamin", "migrate", "proxy", "prometheus"):
        assert project["services"][name]["read_only"], name


def test_each_image_has_a_version(project):
    for name, service in project["services"].items():
        assert re.search(r":v?\d+(\.\d+)*", service["image"]), name


def test_the_outside_reaches_the_proxy_alone(project):
    for name, service in project["services"].items():
        for port in service.get("ports", ()):
            assert name == "proxy" or port["host_ip"] == "127.0.0.1", name
    assert project["networks"]["back"]["internal"]
    assert set(project["services"]["database"]["networks"]) == {"back"}


def test_secrets_are_files_and_none_is_in_the_repository(project):
    ignored = (DEPLOY.parent / ".gitignore").read_text().splitlines()
    for secret in project["secrets"].values():
        folder = Path(secret["file"]).parent.relative_to(DEPLOY.parent)
        assert f"/{folder}/" in ignored
    for service in project["services"].values():
        for name, value in (service.get("environment") or {}).items():
            assert not re.search("PASSWORD|SECRET|KEY|TOKEN", name) or value.startswith("/run/")


def test_the_proxy_is_where_the_service_believes_it_to_be(project):
    settings = load_settings(DEPLOY / "compose" / "cobalamin.toml")
    services = project["services"]
    proxy = services["proxy"]["networks"]["front"]["ipv4_address"]
    assert settings.trusted_proxies == (proxy,)
    upstream = project["configs"]["upstream"]["content"]
    service = services["cobalamin"]["networks"]["front"]["ipv4_address"]
    assert f"server {service}:{settings.port};" in upstream
    assert not settings.is_open
    secrets = {secret["target"] for secret in services["cobalamin"]["secrets"]}
    assert str(settings.records_key_file) in secrets
    assert settings.records_url.partition("passfile=")[2].replace("%2F", "/") in secrets


def test_what_is_mounted_is_here_or_made_by_the_operator(project):
    for service in project["services"].values():
        for volume in service.get("volumes", ()):
            place = Path(volume["source"])
            if volume["type"] == "bind" and place != DEPLOY / "compose" / "tls":
                assert place.exists(), place
    for configuration in project["configs"].values():
        assert "content" in configuration or Path(configuration["file"]).exists()


def test_prometheus_and_grafana_find_what_they_show(project):
    configs, services = project["configs"], project["services"]
    settings = load_settings(DEPLOY / "compose" / "cobalamin.toml")
    here = yaml.safe_load(configs["prometheus"]["content"])
    shipped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    [job], [usual] = here["scrape_configs"], shipped["scrape_configs"]
    assert job["job_name"] == usual["job_name"]  # the alerts ask for it by name
    assert job["static_configs"] == [{"targets": [f"cobalamin:{settings.metrics.port}"]}]
    assert settings.metrics.host == "0.0.0.0"
    assert set(services["prometheus"]["networks"]) & set(services["cobalamin"]["networks"])
    [source] = yaml.safe_load(configs["data-source"]["content"])["datasources"]
    provisioning = DEPLOY / "grafana" / "provisioning"
    file = provisioning / "datasources" / "prometheus.yml"
    [same] = yaml.safe_load(file.read_text())["datasources"]
    assert {**same, "url": source["url"]} == source  # dashboards name it by its uid
    assert source["url"] == "http://prometheus:9090"
    [provider] = yaml.safe_load((provisioning / "dashboards" / "cobalamin.yml").read_text())[
        "providers"
    ]
    targets = {volume["target"] for volume in services["grafana"]["volumes"]}
    assert provider["options"]["path"] in targets
