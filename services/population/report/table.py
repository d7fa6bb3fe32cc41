"""A table of the report: its figure, and how it is read and laid out."""

from dataclasses import dataclass

from services.population.report.gathered import Gathered
from services.population.report.shares import shares
from services.report.figure import Computed, Figure


@dataclass(frozen=True, slots=True)
class Table:
    figure: Figure
    counts: tuple[str, ...] = ("patients",)  # columns that hold how many there are
    within: tuple[str, ...] | None = None  # rows alike in these are the parts of one whole
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
    several: bool = False,
    order: str = "patients DESC",
    across: tuple[str, str, str] | None = None,
    long: bool = False,
) -> Table:
    """How many people have each value of `column`, in all or in each group.

    `groups` are expressions by the names of their columns. With `several` people may have more than
    one value or none: `column` is a list.
    """
    grouped = groups or {}
    named = "".join(f", {expression} AS {group}" for group, expression in grouped.items())
    value = f"unnest(list_distinct({column}))" if several else column
    whole = f"SELECT patient{run.design}{named} FROM {source} WHERE {among}"
    part = f"SELECT patient{run.design}{named}, {value} AS {called} FROM {source} WHERE {among}"
    query = shares(whole, part, list(grouped), [called], weighted=run.weighted, order=order)
    figure = Figure(name, title, says, query, long)
    # Values of which people have several do not add up to a whole.
    return Table(figure, within=None if several else tuple(grouped), across=across)
