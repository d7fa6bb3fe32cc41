"""What of the input is of no use, and where it stands."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LOCATED = 100  # complaints of one kind that one step locates; the rest are counted


@dataclass(slots=True)
class Complaints:
    """Of one part or bucket, or of a whole run."""

    # Part, line in it from 0 (None for the file as a whole), reason.
    located: list[tuple[int, int | None, str]] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)  # all of them, by reason

    def add(self, part: int, line: int | None, reason: str) -> None:
        self.counted[reason] += 1
        if self.counted[reason] <= LOCATED:
            self.located.append((part, line, reason))

    def as_json(self) -> dict[str, Any]:
        return {"located": self.located, "counted": dict(self.counted)}

    def take(self, said: Mapping[str, Any]) -> None:
        """Adds those of another step, as `as_json` says them."""
        self.located += [tuple(one) for one in said["located"]]
        self.counted.update(said["counted"])
