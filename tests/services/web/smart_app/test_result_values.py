"""What each result of a trend is said to mean: the rules' words, on the day of the result."""

from dataclasses import replace
from datetime import date

import pytest
from patients import chart, index, known
from tables import cases

from mappings.publications.guideline_file import list_guideline_ids
from services.assessment.codes import B12Flag, UnknownLevelReason
from services.assessment.labels import get_sentence
from services.chart.model import Finding
from services.web.smart_app.reference_bands import build_bands, explain_missing_bands
from services.web.smart_app.result_values import build_rows
from services.web.smart_app.text import PageTranslator
from services.web.smart_app.treatment_periods import list_periods
from services.web.smart_app.trends import TREND_OBSERVATIONS, build_trends

NO_LIMIT = "no limit is printed in this unit"
BOUND = "the bound may lie on either side of a limit"
SEX = get_sentence(UnknownLevelReason, UnknownLevelReason.SEX)


def told(name, text, *, sex="female", born="1948-06-02", knows=None):
    """The rows of a trend, newest first: value, meaning, and why it must not be read."""
    found = chart(text, born, sex)
    units = dict.fromkeys(r.unit for r in found.measurements[name])
    return [row for unit in units for row in build_rows(name, unit, found, knows or known())]


@cases("""
    text                                                | name               | means                           | limit            | note
    b12 179                                             | total_b12          | deficient                       | below 180 ng/L   |
    b12 180                                             | total_b12          | indeterminate                   | 180 to 350 ng/L  |
    b12 351                                             | total_b12          | unlikely                        | above 350 ng/L   |
    b12 1200                                            | total_b12          | high                            | above 1000 ng/L  |
    b12 132 pmol/L                                      | total_b12          | deficient                       | below 133 pmol/L |
    b12 133 pmol/L                                      | total_b12          | indeterminate                   | 133 to 258 pmol/L |
    b12 <150 pmol/L                                     | total_b12          | BOUND                           |                  |
    active 24                                           | active_b12         | deficient                       | below 25 pmol/L  |
    b12 900 @2026-05-01; rx hydroxocobalamin since 2026-01-01 | total_b12    | unlikely                        | above 350 ng/L   | injections
    b12 120 @2025-12-01; rx hydroxocobalamin since 2026-01-01 | total_b12    | deficient                       | below 180 ng/L   |
    b12 120 @2026-01-01; rx hydroxocobalamin since 2026-01-01 | total_b12    | deficient                       | below 180 ng/L   |
    b12 500 @2026-05-01; was hydroxocobalamin since 2025-11-01 | total_b12   | unlikely                        | above 350 ng/L   |
    b12 500 @2026-02-01; was hydroxocobalamin since 2025-11-01 | total_b12   | unlikely                        | above 350 ng/L   | injections
    b12 500; rx hydroxocobalamin                        | total_b12          | unlikely                        | above 350 ng/L   | undated
    b12 150; rx hydroxocobalamin                        | total_b12          | deficient                       | below 180 ng/L   |
    b12 300 @2026-05-01; rx cyanocobalamin since 2026-01-01 route oral | total_b12 | indeterminate           | 180 to 350 ng/L  | supplement
    b12 150 @2026-05-01; rx cyanocobalamin since 2026-01-01 route oral | total_b12 | deficient               | below 180 ng/L   |
    b12 400; +nitrous_oxide @2026-01-05                 | total_b12          | unlikely                        | above 350 ng/L   | laughing gas
    b12 150; +nitrous_oxide @2026-01-05                 | total_b12          | deficient                       | below 180 ng/L   |
    b12 400 @2025-12-01; +nitrous_oxide @2026-01-05     | total_b12          | unlikely                        | above 350 ng/L   |
    active 80; +nitrous_oxide                           | active_b12         | unlikely                        | above 70 pmol/L  | laughing gas
    b12 400; intrinsic_factor_antibody positive         | total_b12          | unlikely                        | above 350 ng/L   | antibodies
    b12 400; intrinsic_factor_antibody negative         | total_b12          | unlikely                        | above 350 ng/L   |
    b12 400; +transcobalamin_deficiency                 | total_b12          | unlikely                        | above 350 ng/L   | transcobalamin
    b12 400; +pregnancy @2026-06-01                     | total_b12          | unlikely                        | above 350 ng/L   | pregnancy
    b12 150; +pregnancy @2026-06-01                     | total_b12          | deficient                       | below 180 ng/L   | pregnancy
    active 80; +pregnancy @2026-06-01                   | active_b12         | unlikely                        | above 70 pmol/L  |
    mma 0.28                                            | methylmalonic_acid | normal                          | above 0.28 umol/L |
    mma 0.2; rx hydroxocobalamin since 2026-01-01       | methylmalonic_acid | normal                          | above 0.28 umol/L | works
    mma 0.5; rx hydroxocobalamin since 2026-01-01       | methylmalonic_acid | raised                          | above 0.28 umol/L |
    mma 0.2; rx hydroxocobalamin                        | methylmalonic_acid | normal                          | above 0.28 umol/L | undated
    mma 0.2; rx cyanocobalamin since 2026-01-01 route oral | methylmalonic_acid | normal                       | above 0.28 umol/L |
    mma 0.2; rx cyanocobalamin since 2026-01-01 route oral; +b12_deficiency | methylmalonic_acid | normal      | above 0.28 umol/L | works
    mma 0.29                                            | methylmalonic_acid | raised                          | above 0.28 umol/L |
    mma 290 nmol/L                                      | methylmalonic_acid | raised                          | above 0.28 umol/L |
    mma 0.29 range 0.40                                 | methylmalonic_acid | normal                          | above 0.4 umol/L |
    mma 0.8; +inborn_methylmalonic_acidaemia            | methylmalonic_acid | grossly raised                  | above 0.75 umol/L | inborn
    hcy 16                                              | homocysteine       | raised                          | above 15 umol/L  |
    hb 119                                              | hemoglobin         | anaemia                         | below 120 g/L    |
    hb 120                                              | hemoglobin         | within the limits               | below 120 g/L |
    hb 79                                               | hemoglobin         | severe anaemia                  | below 80 g/L     |
    hb 112; +pregnancy @2026-06-01                      | hemoglobin         | within the limits               | below 110 g/L |
    hb 112 @2024-06-01; +pregnancy @2026-06-01          | hemoglobin         | anaemia                         | below 120 g/L    |
    hb 117 range 115                                    | hemoglobin         | within the limits               | below 115 g/L    |
    mcv 101                                             | mcv                | macrocytosis                    | above 100 fL     |
    mcv 100                                             | mcv                | within the limits               | above 100 fL |
    egfr 59                                             | egfr               | impaired                        | below 60 mL/min/{1.73_m2} |
    egfr 60                                             | egfr               | working                         | below 60 mL/min/{1.73_m2} |
    egfr >50                                            | egfr               | BOUND                           |                  |
    grip 15.9                                           | grip_strength      | low                             | below 16 kg      |
    grip 16                                             | grip_strength      | normal                          | below 16 kg      |
    grip_left 14; grip_right 17                         | grip_strength      | normal                          | below 16 kg      |
    grip 12 @2012-01-01                                 | grip_strength      | not applied: under 65 years     |                  |
    gait 0.8                                            | gait_speed         | low                             | at most 0.8 m/s  |
    gait 0.81                                           | gait_speed         | normal                          | at most 0.8 m/s  |
""")
def test_what_a_value_means(case):
    [row] = told(case["name"], case["text"])
    notes = {
        "injections": get_sentence(B12Flag, B12Flag.DO_NOT_INTERPRET_B12_LEVEL),
        "supplement": get_sentence(B12Flag, B12Flag.NOTE_SUPPLEMENT_MASKS),
        "inborn": get_sentence(B12Flag, B12Flag.MMA_NOT_INTERPRETABLE),
        "laughing gas": "Nitrous oxide is on record: a level that is not low does not reassure.",
        "antibodies": get_sentence(B12Flag, B12Flag.FLAG_ASSAY_INTERFERENCE),
        "transcobalamin": "Transcobalamin deficiency is on record: total B12 looks normal in it.",
        "pregnancy": "total B12 falls in pregnancy without deficiency",
        "works": "Measured under B12: normal shows that it works, not that it is not needed.",
        "undated": "B12 is on record without a start: whether it was given by then is not known.",
        "": "",
    }
    expected = BOUND if case["means"] == "BOUND" else case["means"]
    assert row.meaning.says == expected
    assert row.meaning.limit == case["limit"]
    assert row.meaning.note == notes[case["note"]]
    assert bool(row.meaning.locator) == bool(case["limit"])
    if case["note"]:
        assert row.meaning.tone == "plain"


@cases("""
    name          | text    | sex     | means
    hemoglobin    | hb 125  | -       | SEX
    hemoglobin    | hb 125  | male    | anaemia
    grip_strength | grip 20 | -       | SEX
    grip_strength | grip 30 | -       | normal
    mcv           | mcv 90  | -       | within the limits
    hemoglobin    | hb 117 range 115 | - | within the limits
    hemoglobin    | hb 114 range 115 | - | anaemia
    hemoglobin    | hb 75   | -       | severe anaemia
""")
def test_a_sex_that_is_not_known_is_not_taken_for_either(case):
    sex = "unknown" if case["sex"] == "-" else case["sex"]
    [row] = told(case["name"], case["text"], sex=sex)
    assert row.meaning.says == (SEX if case["means"] == "SEX" else case["means"])


def test_moles_and_mass_are_two_trends_and_nmol_and_umol_are_one():
    found = chart("b12 300; b12 150 pmol/L @2025-01-01; mma 240 nmol/L; mma 0.3 @2025-01-01")
    made = build_trends(found, known(), (), PageTranslator.from_knowledge(known()))
    assert [(t.name, t.unit, len(t.rows)) for t in made] == [
        ("total_b12", "ng/L", 1),
        ("total_b12", "pmol/L", 1),
        ("methylmalonic_acid", "umol/L", 2),
    ]
    assert made[2].rows[0].result.reported == "240 nmol/L"


@cases("""
    text                        | says
    b12 200                     | deficient: below 180 ng/L; indeterminate: 180 to 350 ng/L; unlikely: above 350 ng/L; high: above 1000 ng/L
    b12 150 pmol/L              | deficient: below 133 pmol/L; indeterminate: 133 to 258 pmol/L; unlikely: above 258 pmol/L
    mma 0.3                     | normal; raised: above 0.28 umol/L; grossly raised: above 0.75 umol/L
    mma 0.3 range 0.40          | normal; raised by the laboratory: above 0.4 umol/L; grossly raised: above 0.75 umol/L
    mma 0.3 range 0.9           | normal; grossly raised by the laboratory: above 0.9 umol/L
    hcy 12 range 14             | normal; raised by the laboratory: above 14 umol/L
    hb 125                      | severe anaemia: below 80 g/L; anaemia: below 120 g/L
    hb 125 range 115            | severe anaemia: below 80 g/L; anaemia by the laboratory: below 115 g/L
    mcv 90                      | macrocytosis: above 100 fL
    egfr 70                     | impaired: below 60 mL/min/{1.73_m2}; working
    grip 20                     | low: below 16 kg; normal
    gait 1                      | low: at most 0.8 m/s; normal
""")
def test_bands(case):
    found = chart(case["text"])
    [name] = found.measurements
    lying = build_bands(found.measurements[name][0], found, known())
    assert "; ".join(band.says for band in lying) == case["says"]
    ends = [band.ends for band in lying[:-1]]
    assert ends == sorted(ends)


@cases("""
    text              | sex     | born       | why there are none
    ------------------+---------+------------+------------------------------------------
    hb 125            | unknown | 1948-06-02 | SEX
    hb 125 range 115  | unknown | 1948-06-02 |
    grip 20           | unknown | 1948-06-02 | SEX
    gait 0.9          | unknown | 1948-06-02 |
    b12 200           | unknown | 1948-06-02 |
    b12 200           | female  | 2016-06-02 | not applied: under 16 years
    hb 125 range 115  | female  | 2016-06-02 | not applied: under 16 years
    b12 200           | female  |            |
    grip 20           | female  | 1980-06-02 | not applied: under 65 years
    b12 200           | female  | 1980-06-02 |
""")
def test_no_bands_where_no_limit_is_this_patients(case):
    found = chart(case["text"], case["born"] or None, case["sex"])
    [name] = found.measurements
    newest = found.measurements[name][0]
    why = SEX if case["why there are none"] == "SEX" else case["why there are none"] or None
    assert explain_missing_bands(newest, found, known()) == why
    assert bool(build_bands(newest, found, known())) == (why is None)


@pytest.mark.parametrize("guideline", list_guideline_ids())
@pytest.mark.parametrize("definition", list_guideline_ids("sarcopenia"))
def test_every_band_agrees_with_what_its_values_are_said_to_mean(guideline, definition):
    knows = known(guideline, definition)
    printed = "b12 100; b12 160 pmol/L; active 30; mma 0.3; hcy 16; hb 110; mcv 104; egfr 50"
    own = "mma 0.3 range 0.4; hcy 16 range 14; hb 110 range 115; mcv 104 range 98"
    for text in (f"{printed}; grip 20; gait 1", own, "mma 0.3 range 0.9"):
        _bands_agree(chart(text), knows)


def _bands_agree(found, knows):
    for trend in build_trends(found, knows, (), PageTranslator.from_knowledge(knows)):
        for band in build_bands(trend.rows[0].result, found, knows):
            low = band.begins if band.begins is not None else band.ends * 0.9
            high = band.ends if band.ends is not None else band.begins * 1.1
            inside = trend.rows[0].result._replace(value=(low + high) / 2)
            there = replace(found, measurements={trend.name: (inside,)})
            [row] = build_rows(trend.name, trend.unit, there, knows)
            assert band.says.startswith(str(row.meaning.says)), band
            assert row.meaning.tone == band.tone


@cases("""
    text                                                                              | courses
    rx hydroxocobalamin since 2024-03-04 route im                                     | Hydroxocobalamin, by injection: 2024-03-04 to now
    was hydroxocobalamin since 2020-01-01; was hydroxocobalamin since 2021-01-01      | Hydroxocobalamin, by injection: 2020-01-01 to 2021-01-01
    was hydroxocobalamin since 2018-01-01; rx hydroxocobalamin since 2021-01-01       | Hydroxocobalamin, by injection: 2018-01-01 to 2018-01-01; Hydroxocobalamin, by injection: 2021-01-01 to now
    rx cyanocobalamin since 2025-01-01 route oral until 2025-06-01                    | Cyanocobalamin, by mouth: 2025-01-01 to 2025-06-01
    rx hydroxocobalamin                                                               | Hydroxocobalamin, by injection: ? to now
    was hydroxocobalamin                                                              | Hydroxocobalamin, by injection: ? to ?
    rx metformin since 2015-01-01; rx hydroxocobalamin since 2024-01-01               | Hydroxocobalamin, by injection: 2024-01-01 to now; Metformin: 2015-01-01 to now
    draft hydroxocobalamin                                                            |
""")
def test_courses(case):
    found = chart(case["text"])
    made = [
        f"{p.says}: {p.begins or '?'} to {p.ends or ('now' if p.goes_on else '?')}"
        for p in list_periods(found, known().b12)
    ]
    assert "; ".join(made) == case["courses"]


@cases("""
    stopped    | goes on
    -----------+--------
    2025-02-01 | no
    2023-02-01 | yes
""")
def test_injections_that_were_stopped_have_ended(case):
    day = date.fromisoformat(case["stopped"])
    over = {"b12_injections_stopped": (Finding("b12_injections_stopped", "Procedure/1", day),)}
    found = replace(chart("rx hydroxocobalamin since 2024-03-04"), findings=over)
    [course] = list_periods(found, known().b12)
    assert (course.goes_on, course.ends) == (
        (True, None) if case["goes on"] == "yes" else (False, day)
    )


def test_a_bound_and_a_level_under_injections_do_not_flatten_the_rest():
    text = "b12 400 @2020-01-01; b12 160 @2024-01-01; b12 >1476 @2025-03-10; rx hydroxocobalamin since 2024-03-04"
    [trend] = build_trends(chart(text), known(), (), PageTranslator.from_knowledge(known()))
    assert (trend.plot.y.least, trend.plot.y.most) == (150.0, 450.0)
    values, above = trend.plot.series
    assert [y for _day, y, _says in values.points] == [400, 160]
    assert above.points[0][1] == 450.0
    assert above.points[0][2].startswith(">1476 ng/L")


@cases("""
    guideline   | text            | says
    us-aafp2017 | b12 300         | deficient: below 150 ng/L; indeterminate: 150 to below 400 ng/L; unlikely: at least 400 ng/L; high: above 1000 ng/L
    us-aafp2017 | b12 300 pmol/L  |
    bsh2014     | b12 148 pmol/L  | deficient: below 148 pmol/L; unlikely: at least 148 pmol/L
    who         | b12 221 pmol/L  | deficient: below 150 pmol/L; unlikely: at least 150 pmol/L
    us-aafp2025 | mma 0.4         | normal; raised: above 0.4 umol/L; grossly raised: above 0.75 umol/L
""")
def test_bands_are_those_of_the_guideline_in_force(case):
    found = chart(case["text"])
    [name] = found.measurements
    lying = build_bands(found.measurements[name][0], found, known(case["guideline"]))
    assert "; ".join(band.says for band in lying) == case["says"]


def test_a_value_under_treatment_is_still_on_the_chart():
    text = "mma 0.5 @2020-01-01; mma 0.9 @2024-01-01; mma 0.05 @2025-03-10; rx hydroxocobalamin since 2024-03-04"
    [trend] = build_trends(chart(text), known(), (), PageTranslator.from_knowledge(known()))
    assert trend.plot.y.least <= 0.05


def test_what_has_a_trend_is_a_value_set():
    assert {*TREND_OBSERVATIONS} <= index().sets.keys()
