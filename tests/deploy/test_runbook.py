"""What the runbook names is there, and what is there is named."""

import re
from pathlib import Path

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
TEXT = (DEPLOY / "README.md").read_text()
PROSE = re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)


def anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")


def test_links_lead_somewhere():
    headings = {anchor(text) for text in re.findall(r"^#+ (.+)$", PROSE, re.MULTILINE)}
    links = re.findall(r"\]\(([^)]+)\)", PROSE)
    assert links
    for link in links:
        assert link[1:] in headings if link.startswith("#") else (DEPLOY / link).exists(), link


def test_every_alert_has_its_place_in_the_runbook():
    headings = {anchor(text) for text in re.findall(r"^#+ (.+)$", PROSE, re.MULTILINE)}
    rules = [
        rule
        for name in ("alerts.yml", "no_calls.yml")
        for group in yaml.safe_load((DEPLOY / "prometheus" / name).read_text())["groups"]
        for rule in group["rules"]
    ]
    assert len(rules) > 10
    for rule in rules:
        file, _, place = rule["annotations"]["runbook_url"].partition("#")
        assert file == "deploy/README.md"
        assert place in headings, place
        assert f"`{rule['alert']}`" in PROSE


def test_every_file_has_its_place_in_the_runbook():
    for file in DEPLOY.iterdir():
        if not file.name.startswith((".", "__")) and file.name != "README.md":
            name = file.stem if file.suffix in {".service", ".timer"} else file.name
            assert name in TEXT, file.name


def test_paths_in_the_blocks_are_there():
    blocks = "".join(re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL))
    paths = set(re.findall(r"(?<![\w/.-])((?:deploy|services)/[\w./-]+)", blocks))
    assert len(paths) > 8
    for path in paths - {"deploy/compose"}:
        assert (DEPLOY.parent / path).exists(), path
