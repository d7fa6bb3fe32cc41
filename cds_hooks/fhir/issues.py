"""What a server says went wrong, without anything of a patient.

An OperationOutcome's free text may quote names and values. Only its codes are read.
"""

import re
from collections import Counter
from typing import Any

import orjson

CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


class ExportError(Exception):
    """It cannot go on, and would not if it were tried again as it is."""


class ExportInterruptedError(Exception):
    """It broke off, and goes on from there when it is tried again."""


def read_code(text: object) -> str:
    """`text` where it is one word of a code system, else nothing."""
    return text if isinstance(text, str) and CODE.fullmatch(text) else ""


def count_issues(document: Any) -> Counter[str]:
    """The issues of an OperationOutcome as "severity/code", and how many of each."""
    counts: Counter[str] = Counter()
    match document:
        case {"resourceType": "OperationOutcome", "issue": list(issues)}:
            for issue in issues:
                if isinstance(issue, dict):
                    words = (read_code(issue.get(key)) for key in ("severity", "code"))
                    counts["/".join(word or "unknown" for word in words)] += 1
    return counts


def read_issues(body: bytes) -> Counter[str]:
    """The same of an answer's body; empty where that is no OperationOutcome."""
    try:
        return count_issues(orjson.loads(body))
    except orjson.JSONDecodeError:
        return Counter()


def format_issues(issues: Counter[str]) -> str:
    """ "error/processing (2), warning/informational"; empty for none."""
    return ", ".join(
        name if count == 1 else f"{name} ({count:,})" for name, count in sorted(issues.items())
    )
