"""The image: its Dockerfile linted, its steps done, its entry point run as a container would."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import requests
from conformance.serving import free_port
from container_image import Stage, built_image
from dockerfile_parse import DockerfileParser
from token_issuers import Issuer

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
START_SECONDS = 120
NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="mounts and other users need root")


def steps() -> list[tuple[str, str]]:
    parsed = DockerfileParser(str(DOCKERFILE), env_replace=False).structure
    return [(step["instruction"], step["value"]) for step in parsed]


def test_the_linter_has_nothing_to_say() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    run = subprocess.run([linter, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "")


def test_the_process_is_nobody_of_the_host_and_its_number_is_fixed() -> None:
    users = [value for name, value in steps() if name == "USER"]
    assert re.fullmatch(r"[1-9]\d{4,}:[1-9]\d{4,}", users[-1])


def test_nothing_is_installed_that_no_lock_names() -> None:
    installs = [
        words
        for name, value in steps()
        if name == "RUN"
        for words in value.split("&&")
        if re.search(r"\bpip\b.* (install|wheel) ", words)
    ]
    assert len(installs) == 4
    for words in installs:
        assert "--require-hashes" in words or "--no-index" in words


def test_the_base_image_is_named_once_with_its_version() -> None:
    arguments = dict(v.split("=", 1) for n, v in steps() if n == "ARG" and "=" in v)
    assert re.fullmatch(r"python:3\.\d+-slim-[a-z]+", arguments["PYTHON"])
    assert {v.split()[0] for n, v in steps() if n == "FROM"} == {"${PYTHON}"}


def test_what_is_copied_is_let_in(context: Path) -> None:
    for name, value in steps():
        if name == "COPY" and not value.startswith("--from"):
            for source in value.split()[:-1]:
                assert (context / source).exists(), source


@pytest.fixture(scope="module")
def image(context: Path) -> Iterator[Stage]:
    # Not pytest's tmp_path: the user of the image has to get there.
    with tempfile.TemporaryDirectory(prefix="image-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        with built_image(DOCKERFILE, context, folder) as stage:
            yield stage


@contextmanager
def container(
    image: Stage, configuration: str, issuer: Issuer, state: Path
) -> Iterator[list[Path]]:
    """Its entry point on a root that nobody can write to, but for /tmp and the volume."""
    inside = image.namespace
    with tempfile.TemporaryDirectory(prefix="configuration-") as made:
        settings = Path(made)
        settings.chmod(0o755)
        (settings / "cobalamin.toml").write_text(configuration)
        (settings / "keys.json").write_text(json.dumps(issuer.jwks))
        mounted = image.root / "etc" / "cobalamin"
        inside.run("mkdir", "-p", mounted)
        inside.run("mount", "-o", "bind,ro", settings, mounted)
        inside.run("mount", "-t", "tmpfs", "tmpfs", image.root / "tmp")
        [volume] = image.volumes
        inside.run("mount", "--bind", state, image.root / volume.lstrip("/"))
        inside.run("mount", "-o", "remount,ro", image.root)
        words = [*image.words["ENTRYPOINT"], *image.words["CMD"]]
        with (settings / "out").open("wb") as out, (settings / "err").open("wb") as err:
            process = subprocess.Popen(image.command(words), stdout=out, stderr=err)
            try:
                yield [settings / "out", settings / "err"]
            finally:
                process.terminate()
                assert process.wait(START_SECONDS) == 0
                for place in (image.root / volume.lstrip("/"), image.root / "tmp", mounted):
                    inside.run("umount", place)
                inside.run("mount", "-o", "remount,rw", image.root)


def sample_of_today() -> dict[str, object]:
    text = (ROOT / "services" / "hooks" / "samples" / "neuropathy.json").read_text()
    by = datetime.now(UTC).date() - date.fromisoformat(json.loads(text)["sampleDay"])
    moved = re.sub(r"\b\d{4}-\d\d-\d\d\b", lambda day: str(date.fromisoformat(day[0]) + by), text)
    document: dict[str, object] = json.loads(moved)
    del document["sampleDay"]
    return document


def wait_for(image: Stage, words: list[str], files: list[Path]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if subprocess.run(image.command(words), capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.2)
    raise AssertionError("".join(file.read_text() for file in files))


@NEEDS_ROOT
@pytest.mark.slow
def test_a_card_from_a_root_that_is_read_only(image: Stage) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    issuer = Issuer("https://ehr.example.org/")
    configuration = f"""
        [server]
        host = "127.0.0.1"
        port = {port}
        base_url = "{base}"
        [[tenant]]
        id = "first"
        issuer = "{issuer.iss}"
        jwks_file = "keys.json"
    """
    healthy = [word.replace("8000", str(port)) for word in image.words["HEALTHCHECK"]]
    unwell = subprocess.run(image.command(healthy), capture_output=True, check=False)
    assert unwell.returncode != 0
    with tempfile.TemporaryDirectory(prefix="state-") as made:
        state = Path(made)
        uid, gid = map(int, image.user.split(":"))
        os.chown(state, uid, gid)
        with container(image, configuration, issuer, state) as files:
            wait_for(image, healthy, files)
            for place in ("/opt/cobalamin", "/etc/cobalamin", "/usr", "/"):
                with pytest.raises(RuntimeError, match="Read-only"):
                    image.in_root("touch", f"{place}/written")  # not even root
            endpoint = f"{base}/cds-services/b12-muscle-patient-view"
            assert requests.post(endpoint, json=sample_of_today(), timeout=60).status_code == 401
            bearer = {"Authorization": f"Bearer {issuer.token(endpoint)}"}
            answer = requests.post(endpoint, json=sample_of_today(), headers=bearer, timeout=60)
            assert answer.status_code == 200, answer.text
            [card] = answer.json()["cards"]
            assert "deficient" in card["summary"]
            lines = map(json.loads, files[0].read_text().splitlines())
            assert {"start", "auth-refused", "decision"} == {line["event"] for line in lines}
        kept = {file.name: file.stat() for file in state.iterdir()}
        assert {"records.sqlite3", "patient-hash.key"} <= kept.keys()
        assert {(stat.st_uid, stat.st_gid) for stat in kept.values()} == {(uid, gid)}


@NEEDS_ROOT
@pytest.mark.slow
def test_the_image_holds_no_tool_to_install_with(image: Stage) -> None:
    for name in ("pip", "setuptools", "hatchling"):
        with pytest.raises(RuntimeError, match="No module named"):
            image.run(["python", "-c", f"import {name}"])
