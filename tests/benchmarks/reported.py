"""How long a report over a large log takes, and how much memory.

    cd tests; python -m benchmarks.reported FOLDER [--megabytes N]

A simulated week, written out again and again for other hospitals and weeks with ids of its own
until the log has its size. What is measured is the command as its users run it.
"""

import argparse
import io
import os
import re
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID, uuid5

from simulation.week import lived

FIRST = date(2026, 11, 2)
WEEKS, TENANTS = 8, 6
ID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
DAY = re.compile(rb'"time":"(\d{4}-\d{2}-\d{2})')
TENANT = b'"tenant":"local"'


def grow(week: bytes, file: Path, size: int) -> int:
    """Copies of a week until `file` has `size` bytes; says how many lines."""
    copy = written = lines = 0
    with file.open("wb") as out:
        while written < size:
            place = UUID(int=copy)
            later = timedelta(weeks=copy // TENANTS % WEEKS)
            moved = {
                (day := FIRST + timedelta(days=n)).isoformat().encode(): (day + later).isoformat()
                for n in range(7)
            }
            text = week.replace(TENANT, b'"tenant":"hospital-%d"' % (copy % TENANTS))
            text = DAY.sub(lambda m, moved=moved: b'"time":"' + moved[m[1]].encode(), text)
            text = ID.sub(lambda m, place=place: str(uuid5(place, m[0].decode())).encode(), text)
            written += out.write(text)
            lines += text.count(b"\n")
            copy += 1
    return lines


def measured(*arguments: str) -> tuple[float, float, float]:
    """Seconds, seconds of CPU, and the most memory of it in MB."""
    command = [str(Path(sys.executable).with_name("cobalamin")), "report", *arguments]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _pid, status, used = os.wait4(process.pid, 0)
    assert status == 0, status
    seconds = time.perf_counter() - began
    return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--megabytes", type=int, default=1000)
    options = parser.parse_args()
    file = options.folder / f"log-{options.megabytes}.ndjson"
    if not file.exists():
        log = io.BytesIO()
        with (
            tempfile.TemporaryDirectory() as folder,
            lived(log, Path(folder), disliked="orderFolicAcid"),
        ):
            pass
        lines = grow(log.getvalue(), file, options.megabytes * 10**6)
        print(f"{file.stat().st_size / 1e6:,.0f} MB, {lines:,} lines")
    for how in (
        ["--csv", str(options.folder / "csv")],
        ["--html", str(options.folder / "page.html")],
    ):
        seconds, cpu, megabytes = measured("--from-logs", str(file), *how)
        print(f"{how[0]}: {seconds:.1f} s, {cpu:.1f} s of CPU, at most {megabytes:,.0f} MB")


if __name__ == "__main__":
    main()
