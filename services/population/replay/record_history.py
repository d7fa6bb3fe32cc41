"""One patient's record as it grew: a chart for each moment, in the order of time."""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from mappings.terminology.value_set import ValueSetIndex
from services.chart.builder import Readable
from services.chart.fhir_values import Resource, as_list, codings, reference_tail, status_code
from services.chart.model import Chart
from services.chart.observations import usable_status
from services.chart.orders import MEDICATION_TYPES, ORDER_TYPES
from services.chart.reader import READERS, REFERRED, read_chart
from services.population.replay.as_of import Beside, known_on, living, since
from services.population.replay.events import as_draft, visit_period
from services.population.replay.timestamps import Then, stamp_of
from services.vitamin_b12.orders import RESULT_OF

ORDERS = ORDER_TYPES | MEDICATION_TYPES


class History:
    """The record of one patient, read forward: no chart is older than the one before it."""

    def __init__(self, patient_id: str, resources: Iterable[Resource], readable: Readable) -> None:
        given = list(resources)
        self._patient_id = patient_id
        self._readable = readable
        self._reads: dict[str, bool] = {}  # by the order's reference
        self._referred = [r for r in given if r.get("resourceType") in REFERRED]
        self.beside = Beside(dict(_visits(given)), _results(given, readable.index))
        self._written = [one for one in given if self._may_be_read(one)]
        self._read: list[Resource | None] = [None] * len(self._written)
        self._open = list(range(len(self._written)))  # those that may read otherwise later
        self._undecided: dict[int, str] = {}
        self._living = dict(_undated_deaths(self._written))
        self._latest: Then | None = None
        self._chart: Chart | None = None  # of the latest moment, without drafts

    @property
    def undecided(self) -> list[str]:
        """What hindsight could not decide, once for each resource."""
        return list(self._undecided.values())

    def before(
        self, then: Then, drafts: Iterable[Resource] = (), about: frozenset[str] | None = None
    ) -> Chart:
        """The chart just before a call with `drafts`; whoever was seen was alive.

        The same object again where nothing is known besides. Raises ValueError for a moment before
        the latest.
        """
        self._advance(then)
        drafted = [draft for draft in drafts if self.reads(draft)]
        if drafted:
            return self._chart_of(then, drafted, about)
        if self._chart is None or self._chart.today != then.today:
            self._chart = self._chart_of(then, (), None)
        return self._chart

    def at_end_of(self, day: date) -> Chart:
        """The chart of a run as of `day`. Raises ValueError for a day before the latest moment."""
        then = Then.end_of(day)
        self._advance(then)
        known = (one for one in self._read if one is not None)
        return self._chart_from(known, then, last=day)

    def reads(self, order: Resource) -> bool:
        """Whether rules would read anything in `order` if it were drafted now."""
        if "id" not in order:
            return self._reads_anything(order)
        reference = f"{order['resourceType']}/{order['id']}"
        if reference not in self._reads:
            self._reads[reference] = self._reads_anything(order)
        return self._reads[reference]

    def _reads_anything(self, order: Resource) -> bool:
        # An order not to do something is one on record all the same.
        plain = {name: value for name, value in order.items() if name != "doNotPerform"}
        alone = read_chart(
            self._referred,
            self._patient_id,
            self._readable,
            today=date.max,
            drafts=[as_draft(plain)],
        )
        return bool(alone.medications or alone.orders)

    def _may_be_read(self, resource: Resource) -> bool:
        kind = resource.get("resourceType")
        return kind in READERS and (kind not in ORDERS or self.reads(resource))

    def _advance(self, then: Then) -> None:
        if self._latest is not None and then.order < self._latest.order:
            raise ValueError("a history is read forward")
        self._latest = then
        still_open = []
        for place in self._open:
            written, notes = self._written[place], list[str]()
            read = known_on(written, then, self.beside, notes)
            if notes:
                self._undecided[place] = notes[0]
            if read is not written:
                still_open.append(place)
            if read != self._read[place]:
                self._read[place], self._chart = read, None
        self._open = still_open

    def _chart_of(
        self, then: Then, drafts: Iterable[Resource], about: frozenset[str] | None
    ) -> Chart:
        known = (
            self._living.get(place, one) for place, one in enumerate(self._read) if one is not None
        )
        # As the services have it: a patient's calendar may be ahead of our clock.
        last = then.today + timedelta(days=1)
        return self._chart_from(known, then, last=last, drafts=drafts, about=about)

    def _chart_from(
        self,
        known: Iterable[Resource],
        then: Then,
        *,
        last: date,
        drafts: Iterable[Resource] = (),
        about: frozenset[str] | None = None,
    ) -> Chart:
        return read_chart(
            [*known, *self._referred],
            self._patient_id,
            self._readable,
            today=then.today,
            last=last,
            drafts=drafts,
            about=about,
        )


def chart_on(
    day: date, patient_id: str, resources: Iterable[Resource], readable: Readable
) -> Chart:
    """The chart of a patient at the end of `day`, of whom nothing else is asked.

    `resources` have been chosen: what no rule reads is not among them, nor are visits.
    """
    then, given = Then.end_of(day), list(resources)
    beside = Beside({}, _results(given, readable.index))
    known = (known_on(one, then, beside) for one in given)
    return read_chart([one for one in known if one is not None], patient_id, readable, today=day)


def _visits(resources: Iterable[Resource]) -> Iterator[tuple[str, str]]:
    for resource in resources:
        if resource.get("resourceType") == "Encounter":
            period = visit_period(resource)
            text = period.get("end", period.get("start"))
            if isinstance(text, str):
                yield f"Encounter/{resource.get('id')}", text


def _undated_deaths(resources: Iterable[Resource]) -> Iterator[tuple[int, Resource]]:
    """Patients who are dead nobody knows since when, as they were while they lived."""
    for place, resource in enumerate(resources):
        if resource.get("deceasedBoolean") is True:
            text = resource.get("deceasedDateTime")
            if not isinstance(text, str) or stamp_of(text) is None:
                yield place, living(resource)


def _results(resources: Iterable[Resource], index: ValueSetIndex) -> dict[str, str]:
    """When each order that was carried out had its first result.

    A result names the order it is of (`basedOn`); of an order that none names, the first result of
    what it asked for since.
    """
    waiting = dict(_carried_out(resources, index))
    if not waiting:
        return {}
    named: dict[str, str] = {}
    alike: dict[str, str] = {}
    for key, text, result in sorted(_dated_results(resources), key=lambda one: one[0]):
        for order in as_list(result.get("basedOn")):
            named.setdefault(reference_tail(order) or "", text)
        sets = {match.value_set.name for match in index.matches(codings(result.get("code")))}
        for order, (ordered, wanted) in waiting.items():
            if key > ordered and wanted & sets:
                alike.setdefault(order, text)
    return {order: found for order in waiting if (found := named.get(order) or alike.get(order))}


def _carried_out(
    resources: Iterable[Resource], index: ValueSetIndex
) -> Iterator[tuple[str, tuple[str, set[str]]]]:
    """Orders with when they were made and the value sets that their results are in."""
    for resource in resources:
        kind = resource.get("resourceType")
        if kind in ORDER_TYPES and status_code(resource.get("status")) == "completed":
            text = since(resource)
            stamp = stamp_of(text) if text else None
            names = {match.value_set.name for match in index.matches(codings(resource.get("code")))}
            wanted = {RESULT_OF.get(name, name) for name in names}
            yield f"{kind}/{resource.get('id')}", (stamp.key if stamp else "", wanted)


def _dated_results(resources: Iterable[Resource]) -> Iterator[tuple[str, str, Resource]]:
    for resource in resources:
        if resource.get("resourceType") == "Observation" and usable_status(resource) is None:
            text = since(resource)
            stamp = stamp_of(text) if text else None
            if text is not None and stamp is not None:
                yield stamp.key, text, resource
