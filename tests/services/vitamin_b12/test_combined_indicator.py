"""The combined indicator is shown beside the finding and never moves it."""

import pytest
from patients import assessed

SENIORS = [  # medians of a Swiss cohort of seniors, for whom the indicator is near 0 by its making
    ("1961-05-01", "b12 237 pmol/L; active 56; mma 0.207; hcy 12"),
    ("1951-05-01", "b12 228 pmol/L; active 54; mma 0.221; hcy 15"),
    ("1941-05-01", "b12 231 pmol/L; active 59; mma 0.244; hcy 16"),
]


@pytest.mark.parametrize(("born", "results"), SENIORS)
def test_seniors_medians_come_out_near_zero(born, results):
    shown = assessed(f"{results}; egfr 90", born=born)["combinedIndicator"]
    assert shown["class"] == "adequate"
    assert abs(shown["value"]) < 0.1


def test_a_missing_marker_refuses():
    assert assessed("b12 212")["combinedIndicator"] == {
        "refused": "not measured: active_b12, methylmalonic_acid, homocysteine"
    }


def test_nothing_measured_says_nothing():
    assert "combinedIndicator" not in assessed("+fatigue")


def test_low_folate_kidneys_and_treatment_are_flagged():
    shown = assessed("b12 212; active 40; mma 0.5; hcy 20; folate 2; egfr 40")["combinedIndicator"]
    assert set(shown["flags"]) == {"flag-folate-raises-hcy", "flag-renal-confounding"}


def test_mass_is_turned_into_moles_for_the_formula_alone():
    mass = assessed("b12 271.074 ng/L; active 40; mma 0.5; hcy 20; egfr 90")
    moles = assessed("b12 200 pmol/L; active 40; mma 0.5; hcy 20; egfr 90")
    assert mass["combinedIndicator"] == moles["combinedIndicator"]
