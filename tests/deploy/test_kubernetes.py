"""The manifests: built by kustomize, held against the schemas of Kubernetes, and each other."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from token_issuers import Issuer

from services.knowledge.configuration import load_settings

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
OVERLAYS = ("single-site", "replicated")
VERSIONS = ("1.30", "1.33", "1.36")  # the oldest that is promised, and what came since
KUBECTL = shutil.which("kubectl")
Manifest = dict[str, Any]

pytestmark = pytest.mark.skipif(KUBECTL is None, reason="kubectl builds the overlays")


def built(folder: Path) -> list[Manifest]:
    run = subprocess.run(
        [str(KUBECTL), "kustomize", folder], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    return list(yaml.safe_load_all(run.stdout))


@pytest.fixture(scope="module", params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    return built(FOLDER / "overlays" / request.param)


@pytest.fixture(scope="module")
def replicated() -> list[Manifest]:
    return built(FOLDER / "overlays" / "replicated")


def of_kind(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    return [one for one in manifests if one["kind"] in kinds]


def pods(manifests: list[Manifest]) -> list[Manifest]:
    return [one["spec"]["template"] for one in of_kind(manifests, "Deployment", "Job")]


def service_pod(manifests: list[Manifest]) -> Manifest:
    [deployment] = of_kind(manifests, "Deployment")
    template: Manifest = deployment["spec"]["template"]
    return template


@pytest.mark.parametrize("version", VERSIONS)
def test_the_schemas_of_kubernetes(manifests, version):
    for one in manifests:
        if one["kind"] != "ServiceMonitor":  # not Kubernetes' own; see below
            kubernetes_validate.validate(one, version, strict=True)


def test_the_schemas_refuse_what_they_do_not_know(replicated):
    [deployment] = of_kind(replicated, "Deployment")
    broken = json.loads(json.dumps(deployment))
    broken["spec"]["template"]["spec"]["terminationGracePeriod"] = 30
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, VERSIONS[0], strict=True)


def test_every_pod_meets_the_restricted_standard(manifests):
    [namespace] = of_kind(manifests, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for pod in pods(manifests):
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 9999
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        for container in (*spec["containers"], *spec.get("initContainers", ())):
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert "memory" in container["resources"]["limits"]


def test_every_selector_finds_the_pods_of_the_service_and_no_job(manifests):
    labels = service_pod(manifests)["metadata"]["labels"]
    selectors = [
        *(one["spec"]["selector"] for one in of_kind(manifests, "Service")),
        *(
            one["spec"]["selector"]["matchLabels"]
            for one in of_kind(manifests, "Deployment", "PodDisruptionBudget")
        ),
    ]
    assert len(selectors) >= 2
    for selector in selectors:
        assert selector.items() <= labels.items()
        for job in of_kind(manifests, "Job"):
            assert not selector.items() <= job["spec"]["template"]["metadata"]["labels"].items()


def test_the_network_policy_holds_every_pod(manifests):
    [policy] = of_kind(manifests, "NetworkPolicy")
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    chosen = policy["spec"]["podSelector"].get("matchLabels", {})
    for pod in pods(manifests):
        assert chosen.items() <= pod["metadata"]["labels"].items()
    for rule in policy["spec"]["egress"]:
        assert rule["to"]
        assert rule["ports"]
        for peer in rule["to"]:
            # Networks for documentation: an overlay that nobody filled in reaches nothing.
            assert peer.get("ipBlock", {"cidr": "192.0.2.0/24"})["cidr"] in (
                "192.0.2.0/24",
                "198.51.100.0/24",
            )


def test_ports_are_known_by_the_names_that_are_asked_for(manifests):
    [container] = service_pod(manifests)["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http": 8000, "metrics": 9464}
    [service] = of_kind(manifests, "Service")
    named = {port["name"]: port["targetPort"] for port in service["spec"]["ports"]}
    assert set(named.values()) <= ports.keys()
    [ingress] = of_kind(manifests, "Ingress")
    for rule in ingress["spec"]["rules"]:
        for path in rule["http"]["paths"]:
            assert path["backend"]["service"]["name"] == service["metadata"]["name"]
            assert path["backend"]["service"]["port"]["name"] in named
            assert not path["path"].startswith("/health")


def test_the_service_monitor_finds_the_service(manifests):
    [monitor] = of_kind(manifests, "ServiceMonitor")
    [service] = of_kind(manifests, "Service")
    assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
    assert monitor["spec"].keys() == {"selector", "endpoints"}
    labels = service["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    [endpoint] = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert endpoint["path"] == "/metrics"


def test_volumes_are_there_and_no_secret_has_a_value(manifests):
    assert not of_kind(manifests, "Secret")
    made = {(one["kind"], one["metadata"]["name"]) for one in manifests}
    for pod in pods(manifests):
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        for container in (*pod["spec"]["containers"], *pod["spec"].get("initContainers", ())):
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes.keys()
        for volume in volumes.values():
            match volume:
                case {"configMap": {"name": name}}:
                    assert ("ConfigMap", name) in made
                case {"persistentVolumeClaim": {"claimName": name}}:
                    assert ("PersistentVolumeClaim", name) in made
                case {"secret": {"secretName": name}}:
                    assert name == "cobalamin"
                case _:
                    assert "emptyDir" in volume


def test_there_is_time_to_finish_calls(manifests):
    pod = service_pod(manifests)["spec"]
    [container] = pod["containers"]
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pause + 10 < pod["terminationGracePeriodSeconds"]  # 10: workers_kill_timeout


def test_probes_ask_for_different_things(manifests):
    [container] = service_pod(manifests)["spec"]["containers"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert container["startupProbe"]["httpGet"]["path"] == "/health/live"


def test_sqlite_has_one_replica_and_never_two_at_a_time():
    manifests = built(FOLDER / "overlays" / "single-site")
    [deployment] = of_kind(manifests, "Deployment")
    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    assert not of_kind(manifests, "HorizontalPodAutoscaler", "PodDisruptionBudget")
    [state] = [v for v in deployment["spec"]["template"]["spec"]["volumes"] if v["name"] == "state"]
    assert state["persistentVolumeClaim"] == {"claimName": "cobalamin-state"}


def test_replicas_are_the_autoscalers_and_go_one_by_one(replicated):
    [deployment] = of_kind(replicated, "Deployment")
    assert "replicas" not in deployment["spec"]
    [scaler] = of_kind(replicated, "HorizontalPodAutoscaler")
    target = scaler["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", deployment["metadata"]["name"])
    [budget] = of_kind(replicated, "PodDisruptionBudget")
    assert scaler["spec"]["minReplicas"] > budget["spec"]["maxUnavailable"]
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_configuration_is_one_that_a_start_would_take(overlay, tmp_path):
    [configuration] = of_kind(built(FOLDER / "overlays" / overlay), "ConfigMap")
    for name, text in configuration["data"].items():
        (tmp_path / name).write_text(text)
    (tmp_path / "keys.json").write_text(json.dumps(Issuer("https://ehr.example.org").jwks))
    settings = load_settings(tmp_path / "cobalamin.toml")
    assert not settings.is_open
    assert (settings.host, settings.port) == ("0.0.0.0", 8000)
    assert settings.metrics is not None
    assert (settings.metrics.host, settings.metrics.port) == ("0.0.0.0", 9464)
    writable = "/var/lib/cobalamin/"
    if overlay == "replicated":
        [inits] = [
            pod["spec"]["initContainers"]
            for pod in pods(built(FOLDER / "overlays" / overlay))
            if pod["metadata"]["labels"]["app.kubernetes.io/component"] == "service"
        ]
        [*_, key, place] = inits[0]["command"]
        assert settings.records_key_file == Path(place) / Path(key).name
    else:
        assert writable in settings.records_url
