"""The knowledge of one site, read and checked once at start."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mappings.actions.order_rules import OrderRule, read_order_rules
from mappings.actions.order_template import OrderTemplates, read_order_templates
from mappings.knowledge_file import CLINICAL, get_canonical, read_toml
from mappings.publications.definition import Definition, read_definition
from mappings.publications.differential import read_comparison, read_differential
from mappings.publications.guideline import Guideline
from mappings.publications.guideline_file import (
    find_own_guidelines,
    list_guideline_ids,
    read_group_texts,
    read_groups,
    read_guideline,
    read_policy,
)
from mappings.publications.laboratory import read_laboratory_limits, read_markers
from mappings.terminology.questionnaire import read_questionnaire
from mappings.terminology.site_codes import read_site_codes
from mappings.terminology.value_set import ValueSetIndex
from mappings.terminology.value_set_file import load_value_sets, read_derived_titles
from services.chart.builder import ChartKnowledge
from services.chart.medications import read_daily_dose
from services.knowledge.language import ENGLISH, Language, read_language
from services.knowledge.site_checks import check_markers, check_own_guidelines
from services.sarcopenia.knowledge import SarcopeniaKnowledge as MuscleKnowledge
from services.vitamin_b12.knowledge import B12Knowledge

DEFAULT_GUIDELINE = "uk-ng239"
DEFAULT_DEFINITION = "ewgsop2-2019"


@dataclass(frozen=True, slots=True)
class SiteKnowledge:
    """The clinical knowledge of one site, for hook calls, `assess` and population runs."""

    index: ValueSetIndex
    chart_knowledge: ChartKnowledge
    b12: B12Knowledge
    muscle: MuscleKnowledge
    comparison: Mapping[str, Any]  # mappings/clinical/comparison.toml
    templates: OrderTemplates
    order_rules: Mapping[str, OrderRule]
    language: Language = field(default_factory=Language)
    own_files: Mapping[str, Path] = field(
        default_factory=dict
    )  # a site's guidelines and definitions

    def read_guidelines(self) -> dict[str, Guideline]:
        """Every guideline there is to choose, the one in force as the site has it."""
        read = (
            read_guideline(id_, self.index, own=self.own_files) for id_ in self._list_ids("b12")
        )
        return {guideline.id: guideline for guideline in (*read, self.b12.guideline)}

    def read_definitions(self) -> dict[str, Definition]:
        """Every definition there is to choose, the one in force as the site has it."""
        read = (
            read_definition(id_, self.index, own=self.own_files)
            for id_ in self._list_ids("sarcopenia")
        )
        return {definition.id: definition for definition in (*read, self.muscle.definition)}

    def _list_ids(self, subject: str) -> list[str]:
        own = (id_ for id_, path in self.own_files.items() if read_toml(path)["subject"] == subject)
        return [*list_guideline_ids(subject), *own]


def load_knowledge(clinical: Mapping[str, Any] | None = None) -> SiteKnowledge:
    """The knowledge that the clinical tables of a configuration choose.

    Raises KnowledgeError where a table names what does not exist, or a shipped file is broken.
    """
    tables = clinical or {}
    index = load_value_sets(
        tables.get("local_code", ()),
        [read_site_codes(Path(entry["file"])) for entry in tables.get("value_set", ())],
        get_canonical(tables),
    )
    own = find_own_guidelines(Path(entry["file"]) for entry in tables.get("guideline", ()))
    check_own_guidelines(own, index)
    b12 = tables.get("b12", {})
    laboratory_file = Path(b12["laboratory"]) if "laboratory" in b12 else None
    guideline = read_guideline(b12.get("guideline", DEFAULT_GUIDELINE), index, laboratory_file, own)
    laboratory, plausible = read_laboratory_limits(index)
    templates = _read_order_templates(b12.get("locale", guideline.locale), index)
    markers = read_markers(index)
    check_markers(markers, templates)
    policy, groups = read_policy(tables.get("policy")), read_groups(index)
    titles = {
        **read_derived_titles(),
        **{name: value_set.title for name, value_set in index.sets.items()},
    }
    return SiteKnowledge(
        index=index,
        chart_knowledge=ChartKnowledge(index, plausible, read_questionnaire(index.base)),
        b12=B12Knowledge(
            guideline=guideline,
            laboratory=laboratory,
            markers=markers,
            policy=policy,
            groups=groups,
            group_texts=read_group_texts(),
            indicator=read_toml(CLINICAL / "combined_indicator.toml"),
            titles=titles,
        ),
        muscle=_build_muscle_knowledge(
            tables.get("sarcopenia", {}), index, policy, groups, titles, own
        ),
        comparison=read_comparison(),
        templates=templates,
        order_rules=read_order_rules(),
        language=read_language(tables.get("language", {}).get("code", ENGLISH)),
        own_files=own,
    )


def digest_choices(clinical: Mapping[str, Any]) -> dict[str, Any]:
    """The choices of a site with its files by digest, for fingerprints: no path is told."""
    choices = dict(clinical)
    for name in ("guideline", "value_set"):
        if name in choices:
            choices[name] = [_digest(entry["file"]) for entry in choices[name]]
    match choices:
        case {"b12": {"laboratory": file, **others}}:
            choices["b12"] = {**others, "laboratory": _digest(file)}
    return choices


def _digest(file: str) -> str:
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


def _read_order_templates(locale: str, index: ValueSetIndex) -> OrderTemplates:
    """The orders of `locale`, each with the daily dose that its FHIR resource states."""
    templates = read_order_templates(locale, index)
    by_id = {
        name: replace(template, ug_per_day=read_daily_dose(dict(template.resource), None))
        for name, template in templates.by_id.items()
    }
    return replace(templates, by_id=by_id)


def _build_muscle_knowledge(
    chosen: Mapping[str, Any],
    index: ValueSetIndex,
    policy: Mapping[str, float],
    groups: Mapping[str, tuple[str, ...]],
    titles: Mapping[str, str],
    own: Mapping[str, Path],
) -> MuscleKnowledge:
    questionnaire = read_questionnaire(index.base)
    return MuscleKnowledge(
        definition=read_definition(
            chosen.get("definition", DEFAULT_DEFINITION), index, chosen.get("minimum_age"), own
        ),
        policy=policy,
        groups=groups,
        titles=titles,
        best_of_day=frozenset(n for n, s in index.sets.items() if s.of_one_day == "highest"),
        refused={n: s.refused for n, s in index.sets.items() if s.refused is not None},
        sarc_f_items={
            index.look_up(*coded)[0].value_set.name: questionnaire.max_scores[link_id]
            for link_id, coded in questionnaire.items.items()
        },
        causes=read_differential(index),
    )
