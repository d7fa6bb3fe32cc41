"""The tables that figures are computed from, and how a line becomes a row of one of them.

Members that a line lacks, or has in another shape than ours, are null.
"""

from services.hooks.topics import TOPICS

# Members of log lines that figures use; everything else is left where it is.
LINE_SHAPE = """
    event VARCHAR, time VARCHAR, version VARCHAR, tenant VARCHAR, service VARCHAR, hook VARCHAR,
    status INTEGER, durationMs DOUBLE,
    prefetch STRUCT(supplied INTEGER, fetched INTEGER, failed INTEGER),
    findings MAP(VARCHAR, VARCHAR), b12Category VARCHAR, sarcopeniaCategory VARCHAR,
    tier VARCHAR, suppressed VARCHAR[], knowledge MAP(VARCHAR, VARCHAR),
    cards STRUCT(uuid VARCHAR, topic VARCHAR, indicator VARCHAR)[],
    outcomes STRUCT(card VARCHAR, outcome VARCHAR, reason VARCHAR)[],
    accepted INTEGER, overridden INTEGER,
    "key" VARCHAR, state VARCHAR, reason VARCHAR, path VARCHAR
"""
_JSON_SHAPE = """{
    "event": "VARCHAR", "time": "VARCHAR", "version": "VARCHAR", "tenant": "VARCHAR",
    "service": "VARCHAR", "hook": "VARCHAR", "status": "INTEGER", "durationMs": "DOUBLE",
    "prefetch": {"supplied": "INTEGER", "fetched": "INTEGER", "failed": "INTEGER"},
    "findings": "MAP(VARCHAR, VARCHAR)", "b12Category": "VARCHAR", "sarcopeniaCategory": "VARCHAR",
    "tier": "VARCHAR", "suppressed": ["VARCHAR"], "knowledge": "MAP(VARCHAR, VARCHAR)",
    "cards": [{"uuid": "VARCHAR", "topic": "VARCHAR", "indicator": "VARCHAR"}],
    "outcomes": [{"card": "VARCHAR", "outcome": "VARCHAR", "reason": "VARCHAR"}],
    "accepted": "INTEGER", "overridden": "INTEGER",
    "key": "VARCHAR", "state": "VARCHAR", "reason": "VARCHAR", "path": "VARCHAR"
}""".replace("{", "{{").replace("}", "}}")

# Container runtimes put lines into envelopes of their own: Kubernetes' a prefix, Docker's a member.
UNWRAP_QUERY = f"""
    SELECT read, try_cast(read.time AS TIMESTAMPTZ) AT TIME ZONE 'UTC' AS moment FROM (
        SELECT try(json_transform(bare, '{_JSON_SHAPE}')) AS read
        FROM (
            SELECT CASE
                WHEN starts_with(line, '{{{{"event"') THEN line
                WHEN starts_with(line, '{{{{"log":') AND json_valid(line)
                    THEN json_extract_string(line, '$.log')
                ELSE regexp_replace(line, '^[0-9TZ:.+-]+ (stdout|stderr) F ', '')
            END AS bare
            FROM {{lines}}
            WHERE trim(coalesce(line, '')) <> ''
        )
    )
"""

EVENTS = ("decision", "feedback", "fetch", "auth-refused", "error", "start", "stop")
_PROBLEMS = ", ".join(f"'{topic.problem}'" for topic in TOPICS)
_EVENTS = ", ".join(f"'{event}'" for event in EVENTS)


def _build_topic_table(table: str, column: str, values: str) -> str:
    """A table of what decisions have for each topic: `values` is a map from topics."""
    return f"""CREATE TABLE {table} AS
        SELECT moment, tenant, CASE entry.key WHEN 'b12' THEN 'B12' ELSE entry.key END AS axis,
            entry.value AS {column}
        FROM (SELECT moment, tenant, unnest(map_entries({values})) AS entry
              FROM inside WHERE event = 'decision')
        WHERE entry.value IS NOT NULL"""


# The report's days, tenant, service and topic, and the override reasons that may be named, are
# variables; null is no limit.
CREATE_TABLES = (
    f"""CREATE TABLE source AS
        SELECT CASE
            WHEN read IS NULL THEN 'not JSON'
            WHEN read.event IS NULL OR read.event NOT IN ({_EVENTS}) THEN 'no event of this service'
            WHEN moment IS NULL THEN 'event without a time'
            WHEN read.event = 'feedback' AND read.outcomes IS NULL
                THEN 'feedback that names no card'
            ELSE 'read' END AS kind, count(*)::BIGINT AS lines
        FROM line GROUP BY kind
        UNION ALL SELECT 'not text, or too long', sum(lines)::BIGINT FROM unread
        HAVING sum(lines) > 0""",
    f"""CREATE VIEW usable AS
        SELECT * FROM (SELECT moment, unnest(read) FROM line WHERE moment IS NOT NULL)
        WHERE event IN ({_EVENTS})""",
    """CREATE VIEW inside AS
        SELECT * FROM usable
        WHERE (getvariable('since') IS NULL OR moment >= getvariable('since'))
            AND (getvariable('before') IS NULL OR moment < getvariable('before'))
            AND (getvariable('tenant') IS NULL OR tenant = getvariable('tenant'))
            AND (getvariable('service') IS NULL OR service = getvariable('service'))""",
    """CREATE TABLE decision AS
        SELECT moment, tenant, service, hook, version, status, durationMs AS ms,
            prefetch.supplied AS supplied, prefetch.fetched AS fetched, prefetch.failed AS failed,
            tier, suppressed,
            coalesce(len(list_filter(cards, lambda one: getvariable('topic') IS NULL
                OR one.topic IS NOT DISTINCT FROM getvariable('topic'))), 0) AS cards
        FROM inside WHERE event = 'decision'""",
    # Lines of version 1 have a member for each category in place of `findings`.
    _build_topic_table(
        "finding",
        "category",
        "coalesce(findings, MAP {'b12': b12Category, 'sarcopenia': sarcopeniaCategory})",
    ),
    _build_topic_table("knowledge", "label", "knowledge"),
    """CREATE TABLE card AS
        SELECT moment, tenant, service, card.uuid AS uuid, coalesce(card.topic, '') AS topic,
            card.indicator AS indicator
        FROM (SELECT moment, tenant, service, unnest(cards) AS card
              FROM inside WHERE event = 'decision' AND len(cards) > 0)
        WHERE getvariable('topic') IS NULL OR card.topic = getvariable('topic')""",
    # Answers may come days after their card: they are joined to the cards of the window.
    """CREATE TABLE feedback AS
        SELECT moment, tenant, service, place, answer.card AS card, answer.outcome AS outcome,
            CASE WHEN answer.reason = '' THEN NULL
                WHEN getvariable('reasons') IS NULL THEN answer.reason
                WHEN list_contains(getvariable('reasons'), answer.reason) THEN answer.reason
                WHEN answer.reason IS NOT NULL THEN 'other' END AS reason
        FROM (SELECT moment, tenant, service, unnest(outcomes) AS answer,
                  generate_subscripts(outcomes, 1) AS place
              FROM usable WHERE event = 'feedback')""",
    """CREATE TABLE search AS
        SELECT moment, tenant, service, "key", state, reason, durationMs AS ms,
            coalesce(state IN ('found', 'none'), reason = 'ok', false) AS succeeded
        FROM inside WHERE event = 'fetch'""",
    """CREATE TABLE error AS
        SELECT moment, tenant, service, status, coalesce(reason, 'not said') AS reason, path
        FROM inside WHERE event = 'error'""",
    """CREATE TABLE auth_refused AS
        SELECT moment, tenant, coalesce(reason, 'not said') AS reason
        FROM inside WHERE event = 'auth-refused'""",
    """CREATE TABLE start AS
        SELECT moment, event, tenant, version FROM inside WHERE event IN ('start', 'stop')""",
    # The last answer to a card is the one that counts.
    """CREATE TABLE shown AS
        SELECT card.*, answer.outcome, answer.reason
        FROM card LEFT JOIN (
            SELECT tenant, card, last(outcome ORDER BY moment, place) AS outcome,
                last(reason ORDER BY moment, place) AS reason
            FROM feedback GROUP BY tenant, card
        ) answer ON answer.card = card.uuid AND answer.tenant IS NOT DISTINCT FROM card.tenant""",
    # Before the colon stands a reason, or the topic that has nothing to say and then why.
    f"""CREATE TABLE withheld AS
        SELECT moment, tenant, service,
            CASE WHEN axis THEN second ELSE first END AS reason,
            CASE WHEN axis THEN first ELSE second END AS topic
        FROM (SELECT moment, tenant, service, split_part(one, ':', 1) AS first,
                  split_part(one, ':', 2) AS second, first IN ({_PROBLEMS}) AS axis
              FROM (SELECT moment, tenant, service, unnest(suppressed) AS one FROM decision))
        WHERE getvariable('topic') IS NULL OR topic = getvariable('topic')""",
)

DROP_TABLES = ("DROP VIEW inside", "DROP VIEW usable", "DROP TABLE line", "DROP TABLE unread")
