"""The parsers under a fuzzer that follows which code a text reaches (needs the extra `fuzz`).

    cd tests && python -m fuzz.parsers [--seconds 60] [--target NAME]

Each parser may raise its own documented exception and nothing else, and where there is a second
opinion, it must agree. A text that breaks one is printed by the fuzzer, and kept where it says.
"""

import argparse
import io
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr
from pathlib import Path

import atheris

# It names each module that it follows; nobody needs to know.
with (
    redirect_stderr(io.StringIO()),
    atheris.instrument_imports(include=["cds_hooks", "services"]),
):
    from fuzz.targets import TARGETS, Target, broken

# One after another by the first byte: for a short run, since each process takes seconds to begin.
NAMES = tuple(TARGETS)


def _any(data: bytes) -> None:
    if data:
        TARGETS[NAMES[data[0] % len(NAMES)]].run(data[1:])


ALL = "all"
TOGETHER = Target(
    _any, [bytes([n]) + s for n, name in enumerate(NAMES) for s in TARGETS[name].seeds[:2]]
)


def _mutator(target: Target) -> Callable[[bytes, int, int], bytes]:
    def mutate(data: bytes, most: int, seed: int) -> bytes:
        if target is TOGETHER:
            one = TARGETS[NAMES[data[0] % len(NAMES)]] if data else target
            return data[:1] + _mutated(one, data[1:], most - 1, seed)
        return _mutated(target, data, most, seed)

    return mutate


def _mutated(target: Target, data: bytes, most: int, seed: int) -> bytes:
    chance = random.Random(seed)
    by_hand = chance.random() < 0.7
    return (broken(target, data, chance) if by_hand else bytes(atheris.Mutate(data, most)))[:most]


def run(name: str, seconds: int, folder: Path) -> None:
    """Fuzzes one target in this process, and ends it."""
    target = TOGETHER if name == ALL else TARGETS[name]
    corpus = folder / name
    corpus.mkdir(exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
        target.run(seed)
    options = [
        sys.argv[0],
        f"-max_total_time={seconds}",
        "-max_len=60000",
        "-timeout=10",
        "-rss_limit_mb=1500",
        "-seed=1",
        "-print_final_stats=1",
        f"-artifact_prefix={folder}/",
        str(corpus),
    ]
    atheris.Setup(options, target.run, custom_mutator=_mutator(target))
    atheris.Fuzz()


def run_each(seconds: int, folder: Path, names: Iterable[str] = NAMES) -> dict[str, str]:
    """What became of each target, each in a process of its own: "ok", or what the fuzzer said."""
    found = {}
    for name in names:
        command = [
            sys.executable,
            "-m",
            "fuzz.parsers",
            "--target",
            name,
            "--seconds",
            str(seconds),
        ]
        done = subprocess.run(
            [*command, "--folder", str(folder)],
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        said = done.stderr
        runs = [line for line in said.splitlines() if "number_of_executed_units" in line]
        print(
            f"{name}: {runs[0].split()[-1] if runs else '?'} texts, exit {done.returncode}",
            flush=True,
        )
        found[name] = "ok" if done.returncode == 0 else (done.stdout + said)[-6000:]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--target", choices=(*TARGETS, ALL))
    parser.add_argument("--folder", type=Path, help="for texts that break something")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="fuzz-"))
    if given.target:
        run(given.target, given.seconds, folder)
        return
    broken = {name: said for name, said in run_each(given.seconds, folder).items() if said != "ok"}
    for name, said in broken.items():
        print(f"== {name}\n{said}")
    raise SystemExit(bool(broken))


if __name__ == "__main__":
    main()
