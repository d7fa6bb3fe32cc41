"""Record history of one patient: the chart at each moment, in the order of time."""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from mappings.terminology.value_set import ValueSetIndex
from services.chart.builder import ChartKnowledge
from services.chart.fhir_values import (
    Resource,
    as_list,
    read_codings,
    read_relative_reference,
    read_status_code,
)
from services.chart.model import Chart
from services.chart.observations import check_status
from services.chart.orders import MEDICATION_TYPES, ORDER_TYPES
from services.chart.reader import READERS, REFERENCED_TYPES, read_chart
from services.population.replay.as_of import (
    ResourceContext,
    find_recorded_date,
    remove_death,
    restore_resource,
)
from services.population.replay.events import as_draft, get_visit_period
from services.population.replay.timestamps import AsOf, parse_fhir_time
from services.vitamin_b12.orders import RESULT_OF

DRAFTABLE_TYPES = ORDER_TYPES | MEDICATION_TYPES


class RecordHistory:
    """The record of one patient, read forward: no chart is older than the one before it."""

    def __init__(
        self, patient_id: str, resources: Iterable[Resource], readable: ChartKnowledge
    ) -> None:
        records = list(resources)
        self._patient_id = patient_id
        self._knowledge = readable
        self._readable_orders: dict[str, bool] = {}  # by the order's reference
        self._referred = [r for r in records if r.get("resourceType") in REFERENCED_TYPES]
        self.context = ResourceContext(
            dict(_find_visit_ends(records)), _find_result_dates(records, readable.index)
        )
        self._resources = [resource for resource in records if self._may_be_read(resource)]
        self._restored: list[Resource | None] = [None] * len(self._resources)
        self._changeable = list(range(len(self._resources)))  # those that may read otherwise later
        self._undecided: dict[int, str] = {}
        self._living_patients = dict(_find_undated_deaths(self._resources))
        self._latest: AsOf | None = None
        self._chart: Chart | None = None  # of the latest moment, without drafts

    @property
    def undecided(self) -> list[str]:
        """Reasons why a resource could not be restored with certainty, one for each resource."""
        return list(self._undecided.values())

    def read_chart_before(
        self, as_of: AsOf, drafts: Iterable[Resource] = (), about: frozenset[str] | None = None
    ) -> Chart:
        """Read the chart just before a call with `drafts`; whoever was seen was alive.

        The same object again where nothing is known besides. Raises ValueError for a moment before
        the latest.
        """
        self._advance(as_of)
        effective_drafts = [draft for draft in drafts if self.is_readable(draft)]
        if effective_drafts:
            return self._read_call_chart(as_of, effective_drafts, about)
        if self._chart is None or self._chart.today != as_of.today:
            self._chart = self._read_call_chart(as_of, (), None)
        return self._chart

    def read_chart_on(self, day: date) -> Chart:
        """Read the chart at the end of `day`. Raises ValueError where a later one was read."""
        as_of = AsOf.from_day(day)
        self._advance(as_of)
        resources = (resource for resource in self._restored if resource is not None)
        return self._read_chart(resources, as_of, last=day)

    def is_readable(self, order: Resource) -> bool:
        """Whether rules would read anything in `order` if it were drafted now."""
        if "id" not in order:
            return self._has_content(order)
        reference = f"{order['resourceType']}/{order['id']}"
        if reference not in self._readable_orders:
            self._readable_orders[reference] = self._has_content(order)
        return self._readable_orders[reference]

    def _has_content(self, order: Resource) -> bool:
        # An order not to do something is one on record all the same.
        plain = {name: value for name, value in order.items() if name != "doNotPerform"}
        chart = read_chart(
            self._referred,
            self._patient_id,
            self._knowledge,
            today=date.max,
            drafts=[as_draft(plain)],
        )
        return bool(chart.medications or chart.orders)

    def _may_be_read(self, resource: Resource) -> bool:
        kind = resource.get("resourceType")
        return kind in READERS and (kind not in DRAFTABLE_TYPES or self.is_readable(resource))

    def _advance(self, as_of: AsOf) -> None:
        if self._latest is not None and as_of.sort_key < self._latest.sort_key:
            raise ValueError("a history is read forward")
        self._latest = as_of
        still_open = []
        for place in self._changeable:
            resource, notes = self._resources[place], list[str]()
            restored = restore_resource(resource, as_of, self.context, notes)
            if notes:
                self._undecided[place] = notes[0]
            if restored is not resource:
                still_open.append(place)
            if restored != self._restored[place]:
                self._restored[place], self._chart = restored, None
        self._changeable = still_open

    def _read_call_chart(
        self, as_of: AsOf, drafts: Iterable[Resource], about: frozenset[str] | None
    ) -> Chart:
        resources = (
            self._living_patients.get(place, resource)
            for place, resource in enumerate(self._restored)
            if resource is not None
        )
        # As the services have it: a patient's calendar may be ahead of our clock.
        last = as_of.today + timedelta(days=1)
        return self._read_chart(resources, as_of, last=last, drafts=drafts, about=about)

    def _read_chart(
        self,
        resources: Iterable[Resource],
        as_of: AsOf,
        *,
        last: date,
        drafts: Iterable[Resource] = (),
        about: frozenset[str] | None = None,
    ) -> Chart:
        return read_chart(
            [*resources, *self._referred],
            self._patient_id,
            self._knowledge,
            today=as_of.today,
            last=last,
            drafts=drafts,
            about=about,
        )


def read_chart_on(
    day: date, patient_id: str, resources: Iterable[Resource], readable: ChartKnowledge
) -> Chart:
    """Read the chart of a patient at the end of one day.

    `resources` have been chosen: what no rule reads is not among them, nor are visits.
    """
    as_of, records = AsOf.from_day(day), list(resources)
    context = ResourceContext({}, _find_result_dates(records, readable.index))
    restored = (restore_resource(resource, as_of, context) for resource in records)
    return read_chart(
        [resource for resource in restored if resource is not None], patient_id, readable, today=day
    )


def _find_visit_ends(resources: Iterable[Resource]) -> Iterator[tuple[str, str]]:
    for resource in resources:
        if resource.get("resourceType") == "Encounter":
            period = get_visit_period(resource)
            text = period.get("end", period.get("start"))
            if isinstance(text, str):
                yield f"Encounter/{resource.get('id')}", text


def _find_undated_deaths(resources: Iterable[Resource]) -> Iterator[tuple[int, Resource]]:
    """Find patients who died on an unknown day, as they read while they lived."""
    for place, resource in enumerate(resources):
        if resource.get("deceasedBoolean") is True:
            text = resource.get("deceasedDateTime")
            if not isinstance(text, str) or parse_fhir_time(text) is None:
                yield place, remove_death(resource)


def _find_result_dates(resources: Iterable[Resource], index: ValueSetIndex) -> dict[str, str]:
    """Find the date of the first result of each completed order.

    A result names the order it is of (`basedOn`); of an order that none names, the first result of
    what it asked for since.
    """
    waiting = dict(_find_completed_orders(resources, index))
    if not waiting:
        return {}
    by_reference: dict[str, str] = {}
    by_value_set: dict[str, str] = {}
    for key, text, result in sorted(
        _list_dated_results(resources), key=lambda resource: resource[0]
    ):
        for order in as_list(result.get("basedOn")):
            by_reference.setdefault(read_relative_reference(order) or "", text)
        sets = {
            match.value_set.name for match in index.match_codes(read_codings(result.get("code")))
        }
        for order, (order_key, result_sets) in waiting.items():
            if key > order_key and result_sets & sets:
                by_value_set.setdefault(order, text)
    return {
        order: date_text
        for order in waiting
        if (date_text := by_reference.get(order) or by_value_set.get(order))
    }


def _find_completed_orders(
    resources: Iterable[Resource], index: ValueSetIndex
) -> Iterator[tuple[str, tuple[str, set[str]]]]:
    """Find completed orders: reference, and (sort key of the date, value sets of results)."""
    for resource in resources:
        kind = resource.get("resourceType")
        if kind in ORDER_TYPES and read_status_code(resource.get("status")) == "completed":
            text = find_recorded_date(resource)
            stamp = parse_fhir_time(text) if text else None
            names = {
                match.value_set.name
                for match in index.match_codes(read_codings(resource.get("code")))
            }
            result_sets = {RESULT_OF.get(name, name) for name in names}
            yield f"{kind}/{resource.get('id')}", (stamp.key if stamp else "", result_sets)


def _list_dated_results(resources: Iterable[Resource]) -> Iterator[tuple[str, str, Resource]]:
    for resource in resources:
        if resource.get("resourceType") == "Observation" and check_status(resource) is None:
            text = find_recorded_date(resource)
            stamp = parse_fhir_time(text) if text else None
            if text is not None and stamp is not None:
                yield stamp.key, text, resource
