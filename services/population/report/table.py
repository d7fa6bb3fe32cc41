"""A table of the report: its figure, and how it is read and laid out."""

from dataclasses import dataclass

from services.population.report.gathered import Gathered
from services.population.report.shares import shares
from services.report.figure import Computed, Figure


@dataclass(frozen=True, slots=True)
class Table:
    figure: Figure
    counts: tuple[str, ...] = ("patients",)  # columns that hold how many there are
    within: tuple[str, ...] = ()  # rows alike in these are the parts of one whole
    across: tuple[str, str, str] | None = None  # down, across and number, where it is a grid
    listing: bool = False  # a row for each patient

    @property
    def name(self) -> str:
        return self.figure.name


@dataclass(frozen=True, slots=True)
class Filled:
    """A table with its rows, or the first of `total`."""

    table: Table
    computed: Computed
    total: int


def of_shares(
    run: Gathered,
    name: str,
    title: str,
    says: str,
    *,
    column: str,
    source: str = "person",
    among: str = "true",
    groups: dict[str, str] | None = None,
    called: str = "category",
    order: str = "patients DESC",
    across: tuple[str, str, str] | None = None,
    long: bool = False,
) -> Table:
    """How many people have each value of `column`, in all or in each group.

    `groups` are expressions by the names of their columns.
    """
    grouped = groups or {}
    design = ", weight, stratum, unit" if run.weighted else ""
    named = "".join(f", {expression} AS {group}" for group, expression in grouped.items())
    whole = f"SELECT patient{design}{named} FROM {source} WHERE {among}"
    part = f"SELECT patient{design}{named}, {column} AS {called} FROM {source} WHERE {among}"
    query = shares(whole, part, list(grouped), [called], weighted=run.weighted, order=order)
    figure = Figure(name, title, says, query, long)
    return Table(figure, within=tuple(grouped), across=across)


def of_several(
    run: Gathered,
    name: str,
    title: str,
    says: str,
    *,
    column: str,
    called: str,
    groups: dict[str, str] | None = None,
    across: tuple[str, str, str] | None = None,
    long: bool = False,
) -> Table:
    """As of_shares, where people may have several values: `column` is a list."""
    grouped = groups or {}
    design = ", weight, stratum, unit" if run.weighted else ""
    named = "".join(f", {expression} AS {group}" for group, expression in grouped.items())
    whole = f"SELECT patient{design}{named} FROM person"
    part = f"SELECT patient{design}{named}, unnest(list_distinct({column})) AS {called} FROM person"
    query = shares(whole, part, list(grouped), [called], weighted=run.weighted)
    return Table(Figure(name, title, says, query, long), across=across)
