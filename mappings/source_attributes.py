"""The 13 source attributes by their official names, in the order of the rule."""

from collections.abc import Mapping
from dataclasses import dataclass

from mappings.guideline_file import FOLDER, read_toml
from mappings.schema import check

FILE = "source_attributes.toml"


@dataclass(frozen=True, slots=True)
class SourceAttributes:
    """What is asked, and where that is written."""

    source: str
    note: str
    names: Mapping[str, str]  # by the key in a guideline's file

    def answered(self, said: Mapping[str, str]) -> list[tuple[str, str | None]]:
        """(official name, what a guideline says) in order; None where it does not say.

        What a file says besides comes after, under its own key.
        """
        asked = [(name, said.get(key)) for key, name in self.names.items()]
        return [*asked, *((key, text) for key, text in said.items() if key not in self.names)]


def read_source_attributes() -> SourceAttributes:
    """Raises KnowledgeFault."""
    document = read_toml(FOLDER / FILE)
    check(document, "source_attributes", FILE)
    names = {entry["key"]: entry["name"] for entry in document["attribute"]}
    return SourceAttributes(document["source"], document["note"], names)
