"""Errors of a bulk export, and the issue codes of an OperationOutcome.

An OperationOutcome's free text may quote names and values. Only its codes are read.
"""

import re
from collections import Counter
from typing import Any

import orjson

CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


class ExportError(Exception):
    """The export cannot go on; trying again as it is would not help."""


class ExportInterruptedError(Exception):
    """The export broke off, and resumes there when it is tried again."""


def read_code(text: object) -> str:
    """`text` where it looks like a code, else ""."""
    return text if isinstance(text, str) and CODE.fullmatch(text) else ""


def count_issues(document: Any) -> Counter[str]:
    """Count the issues of an OperationOutcome by "severity/code"."""
    counts: Counter[str] = Counter()
    match document:
        case {"resourceType": "OperationOutcome", "issue": list(issues)}:
            for issue in issues:
                if isinstance(issue, dict):
                    words = (read_code(issue.get(key)) for key in ("severity", "code"))
                    counts["/".join(word or "unknown" for word in words)] += 1
    return counts


def read_issues(body: bytes) -> Counter[str]:
    """The issues in the body of a response, counted; empty where it is no OperationOutcome."""
    try:
        return count_issues(orjson.loads(body))
    except orjson.JSONDecodeError:
        return Counter()


def format_issues(issues: Counter[str]) -> str:
    """ "error/processing (2), warning/informational"; empty for none."""
    return ", ".join(
        name if count == 1 else f"{name} ({count:,})" for name, count in sorted(issues.items())
    )
