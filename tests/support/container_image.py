"""The container image without a container engine: a Dockerfile's own steps on this machine.

In place of the base image stands the machine's root, seen through an overlay that takes every
write; steps run in it by chroot. All mounts are in a namespace that ends with the test. What stays
untested is what the base image brings, and the engine. Needs root.
"""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dockerfile_parse import DockerfileParser

PASSED_ON = ("PIP_FIND_LINKS", "PIP_CERT", "PIP_INDEX_URL", "SSL_CERT_FILE", "HTTPS_PROXY")
BIN = Path(sys.base_prefix) / "bin"


class Namespace:
    """A mount namespace, held open by a process that does nothing else."""

    def __init__(self) -> None:
        hold = ["unshare", "--mount", "--propagation=private", "sh", "-c", "echo; exec sleep 900"]
        self.process = subprocess.Popen(hold, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        with self.process.stdout as told:
            if not told.readline():
                raise RuntimeError("no mount namespace can be made here")

    def command(self, *words: str | Path) -> list[str]:
        """The words of a command that does `words` in the namespace."""
        inside = ["nsenter", f"--target={self.process.pid}", "--mount", "--"]
        return [*inside, *map(str, words)]

    def run(self, *words: str | Path, **options: Any) -> str:
        run = subprocess.run(
            self.command(*words), capture_output=True, text=True, check=False, **options
        )
        if run.returncode:
            raise RuntimeError(f"{words}: {run.stdout[-2000:]}{run.stderr[-2000:]}")
        return run.stdout

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


class Stage:
    """One stage of the build: a root, and what the instructions have set so far."""

    def __init__(self, namespace: Namespace, folder: Path) -> None:
        self.namespace = namespace
        self.root = folder / "root"
        namespace.run("mkdir", "-p", folder / "upper", folder / "work", self.root)
        layers = f"lowerdir=/,upperdir={folder / 'upper'},workdir={folder / 'work'}"
        namespace.run("mount", "-t", "overlay", "overlay", "-o", layers, self.root)
        for name in ("dev", "proc"):
            namespace.run("mount", "--rbind", f"/{name}", self.root / name)
        # As the base image has it: an interpreter and pip that every user may run.
        self.in_root(
            "sh",
            "-c",
            f"rm -rf /opt/cobalamin /var/lib/cobalamin /etc/cobalamin; chmod 755 /root; "
            f"[ -e {BIN}/python ] || ln -s python3 {BIN}/python; "
            f"printf '#!/bin/sh\\nexec python -m pip \"$@\"\\n' > /usr/local/bin/pip; "
            f"chmod 755 /usr/local/bin/pip",
        )
        self.environment = {"PATH": f"{BIN}:/usr/local/bin:/usr/bin:/bin"}
        self.folder = "/"
        self.user = "0:0"
        self.words: dict[str, list[str]] = {}  # of ENTRYPOINT, CMD and HEALTHCHECK
        self.volumes: list[str] = []

    def in_root(self, *words: str | Path, **options: Any) -> str:
        return self.namespace.run("chroot", self.root, *words, **options)

    def command(self, words: list[str]) -> list[str]:
        """The words of a command that does `words` as the image would: user, folder, variables."""
        uid, gid = self.user.split(":")
        change = f'cd "$1" && shift && exec setpriv --reuid={uid} --regid={gid} --clear-groups "$@"'
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        as_image = ["sh", "-c", change, "sh", self.folder, "env", "-i", *variables, *words]
        return self.namespace.command("chroot", self.root, *as_image)

    def run(self, words: list[str]) -> None:
        done = subprocess.run(self.command(words), capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{words}: {done.stdout[-2000:]}{done.stderr[-2000:]}")

    def copy(self, words: list[str], context: Path) -> None:
        """From the context, or another stage's root, into this one as COPY does it."""
        *sources, target = words
        into = self.root / (Path(self.folder) / target).relative_to("/")
        for source in sources:
            place = context / source.lstrip("/")
            is_folder = self.namespace.run("sh", "-c", '[ ! -d "$1" ] || echo 1', "sh", place)
            if not is_folder and target.endswith(("/", ".")):
                self.namespace.run("mkdir", "-p", into)
            self.namespace.run("mkdir", "-p", into.parent)
            self.namespace.run("cp", "-a", *(("-T",) if is_folder else ()), place, into)


@contextmanager
def built_image(dockerfile: Path, context: Path, folder: Path) -> Iterator[Stage]:
    """The last stage of `dockerfile`, built from `context`; `folder` is worked in."""
    namespace = Namespace()
    try:
        namespace.run("mount", "-t", "tmpfs", "tmpfs", folder)  # an overlay cannot write in itself
        stages: dict[str, Stage] = {}
        for step in DockerfileParser(str(dockerfile), env_replace=False).structure:
            if step["instruction"] == "FROM":
                name = step["value"].partition(" AS ")[2] or str(len(stages))
                stages[name] = Stage(namespace, folder / name)
            elif stages:
                _do(list(stages.values())[-1], step["instruction"], step["value"], stages, context)
        yield list(stages.values())[-1]
    finally:
        namespace.close()


def _do(
    stage: Stage, instruction: str, value: str, stages: dict[str, Stage], context: Path
) -> None:
    match instruction:
        case "RUN":
            site = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
            before, stage.environment = stage.environment, {**stage.environment, **site}
            stage.run(["sh", "-c", value])
            stage.environment = before
        case "COPY":
            words = shlex.split(value)
            if words[0].startswith("--from="):
                context = stages[words.pop(0).partition("=")[2]].root
            stage.copy(words, context)
        case "ENV":
            stage.environment |= dict(word.split("=", 1) for word in shlex.split(value))
        case "WORKDIR":
            stage.folder = value
            stage.in_root("mkdir", "-p", value)
        case "USER":
            stage.user = value
        case "VOLUME":
            stage.volumes = json.loads(value)
        case "ENTRYPOINT" | "CMD":
            stage.words[instruction] = json.loads(value)
        case "HEALTHCHECK":
            stage.words[instruction] = json.loads(value.partition(" CMD ")[2])
        case "ARG" | "LABEL" | "EXPOSE" | "STOPSIGNAL" | "COMMENT":
            pass
        case _:
            raise NotImplementedError(instruction)
