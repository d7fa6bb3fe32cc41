"""What stands behind the names in an assessment, a record or a log line, in one sentence each."""

# When each category of vitamin B12 holds. The limits are the guideline's.
B12_WHEN = {
    "out-of-scope": "The patient is younger than the guideline's lowest age.",
    "on-treatment": (
        "B12 is given by injection, or by mouth for a known deficiency, and what decides is "
        "neither a result from just before it began nor a low one under a dose too small to treat."
    ),
    "deficient": (
        "The deciding first-line result meets the guideline's limit for deficiency; in pregnancy "
        "active B12 alone is read so."
    ),
    "deficient-functional": (
        "The first-line result does not show it; a raised methylmalonic acid with working kidneys "
        "does, or a grossly raised one with symptoms or signs, or a raised methylmalonic acid or "
        "homocysteine after nitrous oxide. Without a first-line result or nitrous oxide it takes "
        "a grossly raised methylmalonic acid."
    ),
    "indeterminate": (
        "The deciding result lies between the limits, and nothing measured resolves it."
    ),
    "unlikely": (
        "The result lies above the limits, or a normal methylmalonic acid resolves one between "
        "them; after nitrous oxide, only where both metabolites are normal and no symptom or sign "
        "is on record."
    ),
    "high-b12": "The result lies above the upper limit, and nothing on record explains it.",
    "uninterpretable": (
        "There is a result, and it must not reassure: nitrous oxide, a supplement, pregnancy with "
        "total B12 alone, interfering antibodies, or a disease that raises or masks B12."
    ),
    "insufficient-data": (
        "There is a first-line result and none can be read, or strong neurological signs and "
        "nothing measured."
    ),
    "at-risk-untested": (
        "No recent first-line result, and something calls for one: the guideline's rule, how long "
        "a medicine is taken or the age where it says so, a draft order, a blood finding, a raised "
        "methylmalonic acid, an old low result, or a cause that stays and is not treated."
    ),
    "no-action": "No recent first-line result, and nothing calls for a test.",
}

# What each rule looks at: `rule` of the evidence in an assessment, `rules` in the log.
B12_RULES = {
    "age": "The age, against the guideline's lowest.",
    "allergy": "An allergy to a cobalamin on record.",
    "blood-count": (
        "MCV and haemoglobin, against the laboratory's range, else the limits common to all "
        "guidelines; severe anaemia by those alone."
    ),
    "coded-diagnosis": "A diagnosis code that means more than B12 deficiency.",
    "duration": "How long a medicine has been taken, or the age, where the guideline gives one.",
    "first-line-band": "Total or active B12, against the guideline's limits.",
    "folate": "Serum folate, against the laboratory's range, else its limit.",
    "folic-acid": "A draft of folic acid while B12 is not known.",
    "high-b12": "Diseases on record that raise B12.",
    "homocysteine": "Homocysteine, against the laboratory's range, else the guideline's limit.",
    "kidney-function": "eGFR: whether methylmalonic acid and homocysteine can be read.",
    "leber": "Leber's optic neuropathy on record.",
    "lifelong-need": "A cause that stays, with neither treatment nor a result on record.",
    "macrocytosis": "Large red cells, which call for B12 and folate.",
    "medicine": "A medicine that lowers B12, without symptoms.",
    "methylmalonic-acid": (
        "Methylmalonic acid, against the laboratory's range, else the guideline's limit."
    ),
    "neurological": "Findings of nerves, cord, brain or eyes on record.",
    "nitrous-oxide": "Exposure to nitrous oxide, or a draft of it.",
    "offer-test": "The guideline's rule for offering a test.",
    "old-result": "A low result that is too old to decide.",
    "potassium": "Low potassium, where a deficiency is treated.",
    "pregnancy": "Pregnancy, in which total B12 is not read.",
    "replacement": "Injections and tablets of B12 that count as treatment.",
    "risk-factor": "Risk factors that the guideline names.",
    "second-test": "The guideline's second test for a result between the limits.",
    "supplement": "B12 by mouth that hides a deficiency in total B12.",
    "symptom": "Symptoms and signs that the guideline names.",
    "transcobalamin": "Transcobalamin deficiency, in which total B12 looks normal.",
    "treatment": "The guideline's treatment for the situation.",
    "unit-safety": "Results that cannot be read: no unit, impossible, or a bound across a limit.",
}
MUSCLE_RULES = {
    "age": "The age, against the definition's lowest.",
    "asymmetry": "Right and left grip of one day.",
    "mass": "Muscle mass, against the definition's limits.",
    "measure": "A measure that this definition has no limit of its own for.",
    "performance": "Walking and balance, against the definition's limits.",
    "refused": "Results that resemble a measure and are not it.",
    "screen": "SARC-F, SARC-CalF or calf circumference.",
    "stale": "A measure that is too old to decide.",
    "strength": "Grip strength or chair stand, against the definition's limits.",
    "trigger": "Why muscle is looked at: falls, weakness, wasting, weight loss, sarcopenia.",
    "unit-safety": "Measures that cannot be read: no unit, impossible, or no distance.",
}
