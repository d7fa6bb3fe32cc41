"""Whether a call costs more when the service knows more codes, or has more tenants.

    cd tests; python -m benchmarks.growth [--rounds 15] [--calls 30] [--json FILE]

Ten times today's codes: nine local codes beside each code of each value set. Tenants: calls come
from all of them in turn. CPU of a call of 20 KB in one process without a server, RS384 tokens;
each variant in a process of its own, all in turns, ratio to the same round of the first.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path

from benchmarks.hospital import Hospital, configuration
from benchmarks.in_process import Answering
from benchmarks.processes import load_average
from mappings.terminology.value_set import CodeRow
from mappings.terminology.value_set_file import load_value_sets

SIZE = 20_000
TIMES = 10
TENANTS = (1, 10, 50)


@dataclass(frozen=True, slots=True)
class Variant:
    name: str
    process: Answering
    hospitals: list[Hospital]

    def tokens(self, number: int) -> list[str]:
        return [one.token() for one in islice(cycle(self.hospitals), number)]


def local_codes(times: int) -> str:
    """Tables of so many times today's codes, today's own left out."""
    tables = []
    for name, rows in load_value_sets().rows.items():
        for row in rows:
            tables += [_table(name, row, number) for number in range(times - 1)]
    return "".join(tables)


def _table(name: str, row: CodeRow, number: int) -> str:
    said = {"side": row.side, "distance_m": row.distance_m, "method": row.method}
    code = f"{name}-{row.code.rstrip('*')}-{number}"
    parts = {"system": "https://local.example/codes", "code": code, "value_set": name, **said}
    lines = [f"{key} = {json.dumps(value)}" for key, value in parts.items() if value is not None]
    return "\n".join(("[[local_code]]", *lines, ""))


def variants(folder: Path, stack: ExitStack, tenants: Sequence[int]) -> Iterator[Variant]:
    wanted = [(f"{n} tenant{'s' * (n > 1)}, today's codes", n, "") for n in tenants]
    wanted.append((f"1 tenant, {TIMES} times the codes", 1, local_codes(TIMES)))
    for name, number, more in wanted:
        place = folder / name.replace(" ", "-")
        hospitals = [Hospital("RS384", f"hospital-{one}") for one in range(number)]
        written = configuration(place, hospitals, more=more)
        (place / "cobalamin.toml").write_text(written)
        yield Variant(name, stack.enter_context(Answering(place)), hospitals)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=60)
    parser.add_argument("--tenants", type=int, nargs="+", default=TENANTS)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="growth-") as name, ExitStack() as stack:
        found = [*variants(Path(name), stack, options.tenants)]
        began = load_average()
        taken: dict[str, list[float]] = {one.name: [] for one in found}
        for number in range(options.rounds + 1):
            for one in found[:: 1 if number % 2 else -1]:
                spent = one.process.microseconds(SIZE, one.tokens(options.calls))
                if number:  # the first warms up
                    taken[one.name].append(spent)
        first = taken[found[0].name]
        rows = []
        for one in found:
            ratios = [a / b for a, b in zip(taken[one.name], first, strict=True)]
            rows.append(
                {
                    "variant": one.name,
                    "cpu_us": round(statistics.median(taken[one.name])),
                    "ratio": round(statistics.median(ratios), 3),
                    "least": round(min(ratios), 2),
                    "most": round(max(ratios), 2),
                    "start_s": round(one.process.start_seconds, 2),
                    "resident_mb": round(one.process.mb),
                }
            )
    print(f"{datetime.now(UTC).date()}, load {began} before, {load_average()} after")
    print("| variant | CPU µs | ratio | range | start s | resident MB |\n|---|--:|--:|---|--:|--:|")
    for row in rows:
        print(
            f"| {row['variant']} | {row['cpu_us']:,} | {row['ratio']} "
            f"| {row['least']} to {row['most']} | {row['start_s']} | {row['resident_mb']} |"
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
