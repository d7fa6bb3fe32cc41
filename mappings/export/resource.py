"""Common elements of all exported resources: ids, canonical URLs, publisher, version."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mappings.publications.definition import Definition
from mappings.publications.guideline import Guideline
from mappings.text import as_id

PUBLISHER = "Cobalamin developers"


@dataclass(frozen=True, slots=True)
class ExportContext:
    """One export: the base of its canonical URLs, its version, and what value sets are called."""

    base: str
    version: str
    titles: Mapping[str, str]  # a value set's name -> its title

    def build_resource(self, kind: str, name: str, title: str, /, **rest: Any) -> dict[str, Any]:
        """A resource with id, canonical URL, computable name and publisher, then `rest`.

        Members that are None or empty are left out, as FHIR wants it.
        """
        id_ = as_id(name)
        head = {
            "resourceType": kind,
            "id": id_,
            "url": self.build_url(kind, name),
            "version": self.version,
            "name": make_computable_name(id_),
            "title": title,
            "status": "active",
            "experimental": False,
            "publisher": PUBLISHER,
        }
        return drop_empty(head | rest)

    def build_url(self, kind: str, name: str) -> str:
        return f"{self.base}/{kind}/{as_id(name)}"

    def get_title(self, name: str) -> str:
        """The title of a value set or of another finding: "Vitamin B12"."""
        return self.titles.get(name, name.replace("_", " "))


def drop_empty(members: Mapping[str, Any]) -> dict[str, Any]:
    """`members` without the empty ones, which FHIR does not allow."""
    return {key: value for key, value in members.items() if value not in (None, [])}


def make_computable_name(id_: str) -> str:
    """ "Walk400m" of "walk-400m": a name that programs may use."""
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]", id_))


def index_resources(resources: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The resources by "Type/id"."""
    return {f"{resource['resourceType']}/{resource['id']}": resource for resource in resources}


def build_citation(citation: str, locator: str, about: Iterable[str] = ()) -> dict[str, Any]:
    """A RelatedArtifact: the publication, the place in it, and what rests on it."""
    between = " " if citation.endswith(".") else ": "
    artifact: dict[str, Any] = {"type": "citation", "citation": f"{citation}{between}{locator}"}
    subject = "; ".join(dict.fromkeys(about))
    return {**artifact, "display": subject} if subject else artifact


def describe_review(guideline: Guideline | Definition, *, own: bool) -> dict[str, Any]:
    """A site's own guideline has been signed by whom it names; ours say how far that has gone."""
    if not own:
        return {"status": "draft", "date": guideline.reviewed.isoformat()}
    return {
        "status": "active",
        "date": guideline.reviewed.isoformat(),
        "lastReviewDate": guideline.reviewed.isoformat(),
        "reviewer": [{"name": guideline.reviewer}],
    }
