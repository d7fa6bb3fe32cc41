"""Records as the log lines that they would have been, so that one reader serves both."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    FromClause,
    Table,
    column,
    func,
    inspect,
    literal,
    select,
    table,
    union_all,
)
from sqlalchemy.exc import SQLAlchemyError

from cds_hooks.records.database import RecordsUnavailableError, get_sqlite_file, make_engine
from cds_hooks.records.tables import card, decision, feedback, finding
from services.reports.log_reader import ProgressCallback, ReportWindow

BATCH_SIZE = 2000  # decisions, and then what belongs to them
# Columns of the table `decision`, by topic, in a database that is not migrated to version 0004.
OLD_CATEGORY_COLUMNS = {"b12": "b12_category", "sarcopenia": "sarcopenia_category"}


def write_lines(url: str, window: ReportWindow, file: Path, progress: ProgressCallback) -> None:
    """Write the records at `url` within `window` to `file` as log lines.

    Nothing is migrated and no key is needed: hashes of patients stay where they are. Raises
    RecordsUnavailableError.
    """
    database = get_sqlite_file(url)
    if database is not None and not database.is_file():
        raise RecordsUnavailableError("there is no such file yet")
    engine = make_engine(url)
    try:
        with file.open("wb") as out:
            for line in _read_lines(engine, window, progress):
                out.write(orjson.dumps(line) + b"\n")
    except SQLAlchemyError as error:
        kind = type(getattr(error, "orig", None) or error).__name__
        raise RecordsUnavailableError(kind) from None
    finally:
        engine.dispose()


def _read_lines(
    engine: Engine, window: ReportWindow, progress: ProgressCallback
) -> Iterator[dict[str, Any]]:
    of_window = _build_conditions(window, decision, decision.c.at)
    # Answers may come after their card's day.
    answers = _build_conditions(window, feedback)
    with engine.connect() as connection:
        count_rows = _make_counter(connection, progress, of_window, answers)
        query = select(decision).where(*of_window).order_by(decision.c.at)
        options = {"yield_per": BATCH_SIZE}
        with engine.connect() as second:
            source = _find_findings_table(second)
            for rows in connection.execute(query, execution_options=options).partitions():
                ids = [row.id for row in rows]
                cards, findings = _read_cards(second, ids), _read_findings(second, source, ids)
                for row in rows:
                    yield _build_decision(row, cards.get(row.id, []), findings.get(row.id, {}))
                count_rows(len(rows))
        feedback_query = (
            select(feedback).where(*answers).order_by(feedback.c.received_at, feedback.c.id)
        )
        for rows in connection.execute(feedback_query, execution_options=options).partitions():
            yield from map(_build_feedback, rows)
            count_rows(len(rows))


def _build_conditions(
    window: ReportWindow, of: Table, at: ColumnElement[datetime] | None = None
) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if window.tenant is not None:
        conditions.append(of.c.tenant == window.tenant)
    if window.service is not None:
        conditions.append(of.c.service == window.service)
    if at is not None and window.since is not None:
        conditions.append(at >= datetime.combine(window.since, time(), UTC))
    if at is not None and window.until is not None:
        conditions.append(at < datetime.combine(window.until + timedelta(days=1), time(), UTC))
    return conditions


def _make_counter(
    connection: Connection, progress: ProgressCallback, of_window: Any, answers: Any
) -> Callable[[int], None]:
    counts = (
        select(func.count()).select_from(decision).where(*of_window),
        select(func.count()).select_from(feedback).where(*answers),
    )
    total = max(sum(connection.execute(count).scalar_one() for count in counts), 1)
    counted = 0

    def count_rows(rows: int) -> None:
        nonlocal counted
        counted += rows
        progress(counted / total)

    return count_rows


def _read_cards(connection: Connection, ids: list[str]) -> dict[str, list[dict[str, Any]]]:
    query = select(card.c.decision, card.c.uuid, card.c.topic, card.c.indicator)
    cards: dict[str, list[dict[str, Any]]] = {}
    for row in connection.execute(query.where(card.c.decision.in_(ids))):
        shown = {"uuid": row.uuid, "topic": row.topic or "", "indicator": row.indicator}
        cards.setdefault(row.decision, []).append(shown)
    return cards


def _find_findings_table(connection: Connection) -> FromClause:
    """Where decision, topic and category are read."""
    if inspect(connection).has_table(finding.name):
        return finding
    old = table("decision", column("id"), *map(column, OLD_CATEGORY_COLUMNS.values()))
    columns = (
        select(
            old.c.id.label("decision"), literal(topic).label("topic"), old.c[name].label("category")
        )
        for topic, name in OLD_CATEGORY_COLUMNS.items()
    )
    return union_all(*columns).subquery()


def _read_findings(
    connection: Connection, source: FromClause, ids: list[str]
) -> dict[str, dict[str, str | None]]:
    """The category by topic, for each of these decisions."""
    query = select(source.c.decision, source.c.topic, source.c.category)
    findings: dict[str, dict[str, str | None]] = {}
    for row in connection.execute(query.where(source.c.decision.in_(ids))):
        findings.setdefault(row.decision, {})[row.topic] = row.category
    return findings


def _build_decision(
    row: Any, cards: list[dict[str, Any]], findings: dict[str, str | None]
) -> dict[str, Any]:
    return {
        "event": "decision",
        "schema": 2,
        "time": row.at,
        "version": row.version,
        "tenant": row.tenant,
        "service": row.service,
        "hook": row.hook,
        "status": row.status,
        "durationMs": row.duration_ms,
        "prefetch": row.prefetch,
        "findings": findings,
        "tier": row.tier,
        "suppressed": row.record.get("suppressed", ()),
        "knowledge": row.record.get("knowledge"),
        "cards": cards,
    }


def _build_feedback(row: Any) -> dict[str, Any]:
    answer = {"card": row.card, "outcome": row.outcome, "reason": row.reason_code}
    return {
        "event": "feedback",
        "time": row.received_at,
        "tenant": row.tenant,
        "service": row.service,
        "outcomes": [answer if row.outcome == "overridden" else {**answer, "reason": ""}],
    }
