"""What clients were told beside what the records say."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from waiting import PATIENCE, wait_until

from cds_hooks.records.audit_verification import verify_chain
from cds_hooks.records.store import Records
from cds_hooks.records.tables import audit, card, decision
from faults.load import Tally


@dataclass(frozen=True, slots=True)
class Figures:
    """`lost` and `twice` must be 0; what is recorded beyond the answered was cut off on its way."""

    sent: int
    answered: int
    refused: int
    unanswered: int
    recorded: int
    lost: int
    twice: int
    incomplete: int  # answered with other cards than are on record
    faults: tuple[str, ...]  # of the chain

    @property
    def is_sound(self) -> bool:
        return not (self.lost or self.twice or self.incomplete or self.faults)


def figures(url: str, tally: Tally, key: Path | None = None, tenant: str = "local") -> Figures:
    """Reads every record of a tenant; a service may go on meanwhile."""
    records = Records.open(url, key)
    try:
        with records.engine.connect() as connection:
            ids = list(
                connection.execute(select(decision.c.id).where(decision.c.tenant == tenant))
                .scalars()
                .all()
            )
            bound = Counter(
                connection.execute(
                    select(audit.c.subject).where(
                        audit.c.tenant == tenant, audit.c.kind == "decision"
                    )
                ).scalars()
            )
            shown: dict[str, set[str]] = {}
            for uuid, of in connection.execute(select(card.c.uuid, card.c.decision)):
                shown.setdefault(of, set()).add(uuid)
        verified = verify_chain(records, tenant)
    finally:
        records.close()
    kept = Counter(ids)
    answered = Counter(answer.id for answer in tally.answered)
    assert max(answered.values(), default=1) == 1, "two calls were answered with one id"
    return Figures(
        sent=tally.sent,
        answered=len(tally.answered),
        refused=sum(tally.refused.values()),
        unanswered=sum(tally.unanswered.values()),
        recorded=len(kept),
        lost=sum(kept[one] == 0 or bound[one] == 0 for one in answered),
        twice=sum(number > 1 for number in (kept | bound).values()),
        incomplete=sum(
            answer.id in kept and shown.get(answer.id, set()) != answer.cards
            for answer in tally.answered
        ),
        faults=verified.faults,
    )


def drained(spool: Path, seconds: float = PATIENCE) -> None:
    """Waits until nothing waits in the spool."""
    wait_until(lambda: not list(spool.glob("*.json")), seconds, lambda: "records still wait")
