"""No regular expression takes longer than its text is long: neither in code nor in schemas."""

import ast
import importlib
import json
import pkgutil
import re
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import cds_hooks
import mappings
import services

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # it reads the parser of the library
    from regexploit.ast.sre import SreOpParser
    from regexploit.redos import find

PACKAGES = (cds_hooks, mappings, services)
WAYS = ("fullmatch", "match", "search", "sub", "split", "findall", "finditer")
LENGTH = 60_000  # characters: as many as a header or a scope may have
SECONDS = (
    1.0  # of the processor; a linear one takes milliseconds; others are given up at a shorter text
)
ROOT = Path(cds_hooks.__file__).parents[1]


class Used(NamedTuple):
    where: str
    pattern: str
    flags: int
    way: str


def compiled() -> Iterator[Used]:
    """Patterns that a module holds, alone or in a dict, in each way it uses them."""
    for package in PACKAGES:
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".migrations" in found.name:  # alembic alone can import them
                continue
            module = importlib.import_module(found.name)
            text = Path(str(module.__file__)).read_text(encoding="utf-8")
            for name, value in vars(module).items():
                held = value.values() if isinstance(value, dict) else [value]
                for pattern in held:
                    if isinstance(pattern, re.Pattern) and isinstance(pattern.pattern, str):
                        ways = [w for w in WAYS if f"{name}.{w}" in text] or ["search"]
                        for way in ways:
                            where = f"{found.name}.{name}"
                            yield Used(where, pattern.pattern, pattern.flags, way)


def inline() -> Iterator[Used]:
    """Patterns written where they are used."""
    for package in PACKAGES:
        for file in Path(package.__path__[0]).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                match node:
                    case ast.Call(
                        func=ast.Attribute(value=ast.Name(id="re"), attr=way),
                        args=[ast.Constant(value=str(pattern)), *_],
                    ) if way in WAYS:
                        yield Used(f"{file.relative_to(ROOT)}:{node.lineno}", pattern, 0, way)


def in_schemas() -> Iterator[Used]:
    for file in sorted(ROOT.glob("*/schemas/*.json")):
        for pattern in patterns_of(json.loads(file.read_text(encoding="utf-8"))):
            yield Used(f"{file.name} {pattern}", pattern, 0, "search")


def patterns_of(node: Any) -> Iterator[str]:
    match node:
        case dict():
            if isinstance(node.get("pattern"), str):
                yield node["pattern"]
            yield from (p for value in node.values() for p in patterns_of(value))
        case list():
            yield from (p for value in node for p in patterns_of(value))


ALL = sorted({*compiled(), *inline(), *in_schemas()})


def seconds(used: Used, text: str) -> float:
    pattern = re.compile(used.pattern, used.flags)
    began = time.thread_time()
    match used.way:
        case "sub":
            pattern.sub("", text)
        case "finditer":
            list(pattern.finditer(text))
        case way:
            getattr(pattern, way)(text)
    return time.thread_time() - began


def attacks(pattern: str) -> Iterator[tuple[str, str]]:
    """What texts that nearly match are made of: a beginning, and what is said again and again."""
    words = set(re.findall(r"[A-Za-z0-9]+|[^A-Za-z0-9]", pattern)) | set("aA0 -+./:|\t\n{<&")
    yield from (("", word) for word in sorted(words))
    for before in re.findall(r"[A-Za-z]+", pattern)[:2]:
        yield from ((before, word) for word in ("a", "a+", " ", "A/a ", "-", "{{"))


def is_slow(used: Used, before: str, word: str) -> bool:
    """Whether the time passes all bounds on the way to the longest text."""
    length = 1000
    while length < LENGTH:
        length *= 2
        if seconds(used, before + word * (length // len(word)) + "\0") > SECONDS:
            return True
    return False


def test_the_patterns_are_found():
    assert len(ALL) > 30, ALL
    assert {"fullmatch", "search"} <= {used.way for used in ALL}


@pytest.mark.parametrize("used", ALL, ids=lambda used: used.where)
def test_a_pattern_takes_linear_time(used):
    parsed = SreOpParser().parse_sre(used.pattern, used.flags)
    assert not [str(one) for one in find(parsed)], used
    slow = [attack for attack in attacks(used.pattern) if is_slow(used, *attack)]
    assert not slow, used


def test_a_pattern_that_never_ends_would_be_found():
    assert list(find(SreOpParser().parse_sre("(a+)+$", 0)))


@pytest.mark.parametrize(("pattern", "way"), [("a*a*b", "match"), ("a+b", "search")])
def test_a_pattern_that_is_not_linear_would_be_found(pattern, way):
    assert is_slow(Used("", pattern, 0, way), "", "a")
