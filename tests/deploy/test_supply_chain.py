"""What is installed, what it is made of, and what is known against it."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import requires, version
from pathlib import Path

import pytest

pytest.importorskip("cyclonedx", reason="needs the extra `supply`, in an environment of its own")

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from locked import LockFault, read_lock
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tables import cases

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
LOCK = read_lock(DEPLOY / "requirements.txt")
BUILD = read_lock(DEPLOY / "build-requirements.txt")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
HASH = f"--hash=sha256:{'0' * 64}"


def run(*words: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, check=False, **options
    )


def needed(roots: list[str]) -> dict[str, set[str]]:
    """What `roots` lead to by the packages that are installed here, with the extras asked of it."""
    found: dict[str, set[str]] = {}
    waiting = [Requirement(text) for text in roots]
    while waiting:
        one = waiting.pop()
        name = canonicalize_name(one.name)
        known = name in found
        extras = found.setdefault(name, set())
        if known and one.extras <= extras:
            continue
        extras |= one.extras
        for text in requires(name) or ():
            inner = Requirement(text)
            if inner.marker is None or any(
                inner.marker.evaluate({"extra": extra}) for extra in (*extras, "")
            ):
                waiting.append(inner)
    return found


@pytest.mark.parametrize(
    ("lock", "roots"),
    [
        (LOCK, PROJECT["project"]["dependencies"]),
        (BUILD, PROJECT["build-system"]["requires"]),
    ],
    ids=["runtime", "build"],
)
def test_the_lock_holds_what_the_project_needs_and_nothing_else(lock, roots):
    here = {name for name, one in lock.items() if one.marker is None or one.marker.evaluate()}
    assert here == needed(roots).keys()
    assert {name: str(lock[name].version) for name in here} == {n: version(n) for n in here}


def test_each_locked_version_is_one_that_the_tests_ran_with():
    lines = (DEPLOY / "constraints.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    pinned = {canonicalize_name(name): number for name, number in pinned.items()}
    for name, one in {**LOCK, **BUILD}.items():
        assert pinned[name] == str(one.version)


def test_each_requirement_of_the_project_is_met_by_the_lock():
    for text in PROJECT["project"]["dependencies"]:
        asked = Requirement(text)
        assert LOCK[canonicalize_name(asked.name)].version in asked.specifier


def test_every_file_that_names_the_version_names_this_one():
    number = PROJECT["project"]["version"]
    places = {
        "Dockerfile": f"ARG VERSION={number}\n",
        "compose.yaml": f"image: cobalamin:{number}\n",
        "kubernetes/overlays/single-site/kustomization.yaml": f"newTag: {number}\n",
        "kubernetes/overlays/replicated/kustomization.yaml": f"newTag: {number}\n",
        "README.md": f"--tag cobalamin:{number} ",
    }
    for file, text in places.items():
        assert text in (DEPLOY / file).read_text(), file


@cases("""
    line                                                    | reason
    flask==3.1.3                                            | flask: has no hash
    flask>=3.1.3 HASH                                       | flask: is not pinned
    flask==3.* HASH                                         | flask: is not pinned
    flask HASH                                              | flask: is not pinned
    flask==3.1.3 --hash=md5:d41d8cd98f00b204e9800998ecf8427e | flask: has a hash that is not SHA-256
    https://example.org/flask-3.1.3-py3-none-any.whl HASH   | is not a package of an index
    --find-links=/srv/wheels                                | line 1: is an option
    jinja2==3.1.6 HASH                                      | Jinja2: is named twice
                                                            | names no package
""")
def test_a_line_that_lets_in_anything_else_is_refused(case, tmp_path):
    text = case["line"].replace("HASH", HASH)
    extra = f"Jinja2==3.1.6 {HASH}\n" if text else ""
    file = tmp_path / "requirements.txt"
    file.write_text(f"{text}\n{extra}")
    with pytest.raises(LockFault, match=case["reason"]):
        read_lock(file)


def test_nothing_that_is_deployed_names_an_index():
    for file in DEPLOY.rglob("[!.]*.*"):
        if file.is_file() and not {"__pycache__", ".mypy_cache"} & set(file.parts):
            text = file.read_bytes()  # pictures among them
            assert b"index-url" not in text.replace(b"no-emit-index-url", b""), file
            assert b"find-links" not in text.replace(b"no-emit-find-links", b""), file


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The interpreter of an environment with what the lock names, by its hashes."""
    folder = tmp_path_factory.mktemp("environment")
    assert run("-m", "venv", "--without-pip", folder).returncode == 0
    python = folder / "bin" / "python"
    install = ["-m", "uv", "pip", "install", "--python", python, "--only-binary=:all:"]
    done = run(*install, "--require-hashes", "--requirement", DEPLOY / "requirements.txt")
    assert done.returncode == 0, done.stderr
    return python


def test_the_bill_of_materials_lists_every_package_with_hashes_and_licence(environment, tmp_path):
    files = [tmp_path / "first.json", tmp_path / "second.json"]
    for file in files:
        done = run(DEPLOY / "sbom.py", environment, "--output", file)
        assert done.returncode == 0, done.stderr
    text = files[0].read_text()
    assert text == files[1].read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    assert bill["metadata"]["component"]["name"] == "cobalamin-cds"
    listed = {canonicalize_name(one["name"]): one for one in bill["components"]}
    here = {name: one for name, one in LOCK.items() if one.marker is None or one.marker.evaluate()}
    assert listed.keys() == here.keys()
    for name, one in here.items():
        component = listed[name]
        assert component["version"] == str(one.version)
        [files_of] = [
            reference
            for reference in component["externalReferences"]
            if reference["url"] == component["purl"]
        ]
        assert {each["content"] for each in files_of["hashes"]} == set(one.hashes)
    # Its metadata names no licence in a field that says so; its file LICENSE is the MIT licence.
    assert {name for name, one in listed.items() if not one.get("licenses")} == {"rich-click"}


def test_no_bill_is_made_of_another_version_than_is_locked(environment, tmp_path):
    [metadata] = environment.parents[1].rglob("flask-*.dist-info/METADATA")
    kept = metadata.read_text()
    metadata.write_text(kept.replace(f"\nVersion: {LOCK['flask'].version}", "\nVersion: 3.1.2"))
    try:
        done = run(DEPLOY / "sbom.py", environment, "--output", tmp_path / "bill.json")
    finally:
        metadata.write_text(kept)
    assert done.returncode == 1
    assert "flask: another version is installed" in done.stderr
    assert not (tmp_path / "bill.json").exists()


def advisory(
    package="Flask", versions=(), events=None, kind="ECOSYSTEM", ecosystem="PyPI", **more
) -> dict[str, object]:
    ranges = [{"type": kind, "events": events}] if events else []
    affected = {"package": {"ecosystem": ecosystem, "name": package}, "ranges": ranges}
    return {
        "id": "EXAMPLE-1",
        "aliases": ["CVE-2026-0001"],
        "modified": "2026-11-20T00:00:00Z",
        "summary": "Something that is wrong",
        "affected": [{**affected, "versions": list(versions)}],
        **more,
    }


def audited(folder, *advisories):
    for number, one in enumerate(advisories):
        (folder / f"{number}.json").write_text(json.dumps(one))
    lock = folder / "lock.txt"
    lock.write_text(f"flask==3.1.3 {HASH}\n")
    return run(DEPLOY / "audit_dependencies.py", folder, "--lock", lock)


@cases("""
events                                         | affected
introduced 0, fixed 3.1.4                      | yes
introduced 0, fixed 3.1.3                      | no
introduced 0, fixed 3.1.3rc1                   | no
introduced 0, last_affected 3.1.3              | yes
introduced 0, last_affected 3.1.2              | no
introduced 3.1.3                               | yes
introduced 3.1.3.post1                         | no
introduced 3.2, fixed 3.2.1                    | no
introduced 0, fixed 2.0, introduced 3.0        | yes
introduced 3.0, fixed 3.1, introduced 0, fixed 2.0 | no
introduced 0, fixed what-is-this               | yes
""")
def test_a_range_of_versions(case, tmp_path):
    events = [dict([event.split(" ")]) for event in case["events"].split(", ")]
    done = audited(tmp_path, advisory(events=events))
    assert done.returncode == (1 if case["affected"] == "yes" else 0), done.stdout + done.stderr


def test_what_is_said_of_an_advisory(tmp_path):
    events = [{"introduced": "0"}, {"fixed": "3.1.4"}]
    done = audited(tmp_path, advisory(events=events))
    assert done.stdout == (
        "flask 3.1.3: EXAMPLE-1 CVE-2026-0001: Something that is wrong (mended in: 3.1.4)\n"
    )
    assert "1 packages, 1 advisories, the newest of 2026-11-20T00:00:00Z: 1 to" in done.stderr


@pytest.mark.parametrize(
    ("other", "status"),
    [
        (advisory(versions=["3.1.2", "3.1.3"]), 1),
        (advisory(versions=["3.1.2", "not a version"]), 0),
        (advisory("jinja2", ["3.1.3"]), 0),
        (advisory(versions=["3.1.3"], withdrawn="2026-11-21T00:00:00Z"), 2),
        (advisory(versions=["3.1.3"], ecosystem="npm"), 2),
        (advisory(events=[{"introduced": "0"}], kind="GIT"), 0),
        ({"affected": [{"package": {"ecosystem": "PyPI", "name": "flask"}}]}, 2),
        (["no advisory"], 2),
    ],
    ids=["listed", "other", "package", "withdrawn", "ecosystem", "commits", "no id", "no object"],
)
def test_which_advisories_count(other, status, tmp_path):
    assert audited(tmp_path, other).returncode == status


def test_an_empty_folder_is_no_clean_bill(tmp_path):
    done = audited(tmp_path)
    assert done.returncode == 2
    assert "holds no advisory" in done.stderr


def test_the_export_is_read_without_unpacking(tmp_path):
    file = tmp_path / "all.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("EXAMPLE-1.json", json.dumps(advisory(versions=["3.1.3"])))
        archive.writestr("EXAMPLE-2.json", json.dumps(advisory("none-such", ["1.0"])))
    done = run(DEPLOY / "audit_dependencies.py", file)
    locked = LOCK["flask"].version
    assert done.returncode == (1 if str(locked) == "3.1.3" else 0)
    assert f"{len(LOCK)} packages, 2 advisories" in done.stderr
    (tmp_path / "broken.zip").write_text("no archive")
    assert run(DEPLOY / "audit_dependencies.py", tmp_path / "broken.zip").returncode == 2


@pytest.mark.parametrize("moment", [None, "1790000000"], ids=["fixed date", "date of the release"])
def test_two_builds_give_the_same_wheel(context, tmp_path, moment):
    made = []
    for name, mask in (("here", 0o022), ("and/elsewhere", 0o077)):
        source = tmp_path / name
        shutil.copytree(context, source)
        for number, file in enumerate(sorted(source.rglob("*"))):
            file.chmod((0o777 if file.is_dir() else 0o666) & ~mask)
            os.utime(file, (mask * 1e6 + number, mask * 1e6 + number))
        build = ["-m", "pip", "wheel", "--no-index", "--no-deps", "--no-build-isolation"]
        dated = {} if moment is None else {"SOURCE_DATE_EPOCH": moment}
        base = {key: value for key, value in os.environ.items() if key != "SOURCE_DATE_EPOCH"}
        done = run(
            *build, "--wheel-dir", source / "wheel", source, env={**base, **dated}, umask=mask
        )
        assert done.returncode == 0, done.stderr
        made += (source / "wheel").glob("*.whl")
    first, second = (file.read_bytes() for file in made)
    assert first == second
    year = 2020 if moment is None else 2026
    with zipfile.ZipFile(made[0]) as wheel:
        assert {entry.date_time[0] for entry in wheel.infolist()} == {year}
