"""Real people's results in two unit systems: the same answer, or a printed limit that explains.

    python tests/support/nhanes_people.py US_FOLDER SI_FOLDER [--as-of DAY] [--guideline ID] [--http URL]

Each folder holds the same people as FHIR NDJSON (Patient, Observation, Condition,
MedicationRequest) and as hook requests (`cds-hooks/*.json`), one in pg/mL, umol/L and kg, the other
in pmol/L, nmol/L and pounds-force. Every person is assessed by `cobalamin assess`'s own function from the Bundle,
and through HTTP where a URL is given. A difference between the systems counts as explained where
the two printed limits put the two numbers on different sides.
"""

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import requests

from mappings.actions.attention import AttentionRules
from services.cards.composer import CardComposer
from services.hooks.catalog import read_attention_rules
from services.hooks.documents import assess_document
from services.hooks.topics import TOPICS
from services.knowledge.site import SiteKnowledge, load_knowledge


def read_people(folder: Path) -> dict[str, dict[str, Any]]:
    """A Bundle for each person."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for file in sorted(folder.glob("*.ndjson")):
        for line in file.read_bytes().splitlines():
            resource = orjson.loads(line)
            subject = resource.get("subject", {}).get("reference", f"Patient/{resource['id']}")
            found[subject].append(resource)
    return {
        subject: {"resourceType": "Bundle", "entry": [{"resource": r} for r in resources]}
        for subject, resources in found.items()
    }


def find_first_line(result: dict[str, Any]) -> tuple[float, str] | None:
    for evidence in result["b12"]["evidence"]:
        if evidence["rule"] == "first-line-band":
            return evidence["value"], evidence["unit"]
    return None


def explain_difference(us: dict[str, Any], si: dict[str, Any], known: SiteKnowledge) -> str | None:
    """The printed limits that put one person on two sides; None where they do not."""
    one, other = find_first_line(us), find_first_line(si)
    if one is None or other is None:
        return None
    rows = [
        known.b12.guideline.find_first_met("total_b12", value, unit) for value, unit in (one, other)
    ]
    if rows[0] is None or rows[1] is None:
        return "no limit printed in one of the units"
    if rows[0].means == rows[1].means:
        return None
    return f"{rows[0].means} ({rows[0]}) / {rows[1].means} ({rows[1]})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("us", type=Path)
    parser.add_argument("si", type=Path)
    parser.add_argument("--as-of", default="2026-11-01")
    parser.add_argument("--guideline", default="uk-ng239")
    parser.add_argument("--http", help="base URL of a running service, on its own day")
    options = parser.parse_args()
    known = load_knowledge({"b12": {"guideline": options.guideline}})
    maker = CardComposer.from_site(known, TOPICS, "http://127.0.0.1:8000")
    attention = read_attention_rules(None, known)
    today = date.fromisoformat(options.as_of)
    us, si = read_people(options.us), read_people(options.si)
    categories: Counter[str] = Counter()
    explained: Counter[str] = Counter()
    stages: Counter[str] = Counter()
    unexplained, muscle = [], []
    for subject, bundle in us.items():
        one = assess_document(bundle, maker, today, attention)
        other = assess_document(si[subject], maker, today, attention)
        categories[one["b12"]["category"]] += 1
        stages[one["sarcopenia"]["category"]] += 1
        if one["sarcopenia"]["category"] != other["sarcopenia"]["category"]:
            muscle.append(subject)
        if one["b12"]["category"] != other["b12"]["category"]:
            why = explain_difference(one, other, known)
            if why is None:
                unexplained.append(subject)
            else:
                explained[why] += 1
    print(f"{len(us)} people by {known.b12.guideline.label}: {dict(categories.most_common())}")
    print(f"differ between unit systems: {sum(explained.values())} explained {dict(explained)}")
    print(f"unexplained: {unexplained or 'none'}")
    print(f"by {known.muscle.definition.label}: {dict(stages.most_common())}")
    print(f"differ between units of grip: {muscle or 'none'}")
    if options.http:
        compare_http(options.us, options.http, us, known, maker, today, attention)


def compare_http(
    folder: Path,
    base: str,
    bundles: dict[str, dict[str, Any]],
    known: SiteKnowledge,
    maker: CardComposer,
    today: date,
    attention: Mapping[str, AttentionRules],
) -> None:
    """The same people through the running service: the same card, or none."""
    session = requests.Session()
    differ, cards = [], 0
    for file in sorted((folder / "cds-hooks").glob("*.json")):
        call = json.loads(file.read_text())
        answer = session.post(f"{base}/cds-services/b12-muscle-patient-view", json=call, timeout=5)
        shown = [card["summary"] for card in answer.json()["cards"]]
        bundle = assess_document(call, maker, today, attention)
        expected = [card["summary"] for card in bundle["cards"]]
        by_bundle = assess_document(
            bundles[f"Patient/{call['context']['patientId']}"], maker, today, attention
        )
        cards += len(shown)
        if shown != expected or any(
            by_bundle[axis] != bundle[axis] for axis in ("b12", "sarcopenia", "tier")
        ):
            differ.append(file.stem)
    print(f"through HTTP: {cards} cards; different from the command line: {differ or 'none'}")


if __name__ == "__main__":
    main()
