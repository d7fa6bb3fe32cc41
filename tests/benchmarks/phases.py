"""Where the time of one call goes, in one process without HTTP or contention.

    cd tests; python -m benchmarks.phases [--calls N]

Medians of CPU time for two bundled samples: `neuropathy` has no measures of muscle, `muscle-loss`
has both axes.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

from conformance.serving import sample

from cds_hooks.protocol import prefetch
from cds_hooks.protocol.hook_request import read_request
from cds_hooks.protocol.service import Call
from cds_hooks.records.store import Records, StoredCard, StoredDecision
from services.cards.composer import CardComposer
from services.evaluation.combination import combine_assessments
from services.evaluation.evaluate import evaluate
from services.evaluation.order_session import OrderSession
from services.hooks.catalog import build_prefetch_templates, read_call_chart
from services.hooks.topics import TOPICS
from services.knowledge.site import load_knowledge
from services.sarcopenia.assess import assess as assess_muscle
from services.vitamin_b12.assess import assess as assess_b12

NUMBERS = count()


def milliseconds(work: Callable[[], Any], calls: int) -> float:
    taken = []
    for _ in range(calls):
        began = time.process_time_ns()
        work()
        taken.append((time.process_time_ns() - began) / 1e6)
    return statistics.median(taken)


def decision(now: datetime, patient: str) -> StoredDecision:
    shown = StoredCard(str(uuid4()), "b12Deficient", "warning", (), rests_on=frozenset("abcdef"))
    return StoredDecision(
        id=str(uuid4()),
        at=now,
        tenant="local",
        service="s",
        hook="patient-view",
        hook_instance="",
        patient_id=patient,
        encounter_id="e",
        version="1",
        duration_ms=1.0,
        record={"findings": {"b12": "deficient", "sarcopenia": "probable"}, "rules": ["r"] * 8},
        cards=(shown,),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=400)
    calls = parser.parse_args().calls
    known = load_knowledge()
    maker = CardComposer.from_site(known, TOPICS, "https://cds.example")
    templates, now = build_prefetch_templates(known.index), datetime.now(UTC)
    for name in ("neuropathy", "muscle-loss"):
        request = read_request(sample(name), "patient-view")
        call = Call(request, prefetch.read_prefetch(request, templates), now.date(), now)
        chart = read_call_chart(call, known)
        b12, muscle = assess_b12(chart, known.b12), assess_muscle(chart, known.muscle)
        session = OrderSession(chart, evaluate(chart, known, TOPICS), known, {}, request.hook)
        phases: dict[str, Callable[[], Any]] = {
            "chart": lambda call=call: read_call_chart(call, known),
            "b12": lambda chart=chart: assess_b12(chart, known.b12),
            "muscle": lambda chart=chart: assess_muscle(chart, known.muscle),
            "together": lambda c=chart, b=b12, m=muscle: combine_assessments(
                c, {"b12": b, "sarcopenia": m}, known.muscle
            ),
            "cards": lambda session=session: maker.draft_candidates(session, {}),
        }
        told = {phase: round(milliseconds(work, calls), 3) for phase, work in phases.items()}
        print(f"{name}: {told} ms")
    with tempfile.TemporaryDirectory() as folder:
        records = Records.open(f"sqlite:///{Path(folder) / 'records.sqlite3'}")
        store = milliseconds(
            lambda: records.store_decision(decision(now, f"p{next(NUMBERS)}")), calls
        )
        memory = records.memory("local", "p7", "e", now + timedelta(minutes=1))
        past = milliseconds(lambda: memory.find_cards(90, ("b12Deficient", "")), calls)
        records.close()
    print(f"records: store {store:.3f} ms, what was shown before {past:.3f} ms")


if __name__ == "__main__":
    main()
