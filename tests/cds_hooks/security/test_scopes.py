"""What a token may be used for is read from its scopes, not assumed."""

from tables import cases

from cds_hooks.security.scopes import check_scope, read_grants


@cases("""
    scope                                          | search | read | wholly | note
    -----------------------------------------------+--------+------+--------+------------------------------
    patient/Observation.read                       | yes    | yes  | yes    | version 1
    user/Observation.read                          | yes    | yes  | yes    |
    system/Observation.read                        | yes    | yes  | yes    |
    patient/*.read                                 | yes    | yes  | yes    |
    patient/Observation.*                          | yes    | yes  | yes    |
    patient/*.*                                    | yes    | yes  | yes    |
    patient/Observation.write                      |        |      |        |
    patient/Condition.read                         |        |      |        |
    patient/Observation.rs                         | yes    | yes  | yes    | version 2
    user/Observation.r                             |        | yes  | yes    |
    user/Observation.s                             | yes    |      | yes    |
    user/Observation.cruds                         | yes    | yes  | yes    |
    user/Observation.cud                           |        |      |        |
    user/*.rs                                      | yes    | yes  | yes    |
    patient/Observation.rs?category=laboratory     | yes    | yes  |        | a part of them
    patient/Observation.rs?code=x user/*.read      | yes    | yes  | yes    | one scope for all suffices
    patient/Observation.sr                         |        |      |        | letters have an order
    patient/observation.read                       |        |      |        | types are spelt as in FHIR
    launch openid fhirUser                         |        |      |        |
    practitioner/Observation.read                  |        |      |        |
    patient/Observation                            |        |      |        |
    patient/Observation.                           |        |      |        |
                                                   |        |      |        | no scope is no right
""")
def test_scopes_of_both_versions(case):
    given = read_grants(case["scope"])
    search = check_scope(given, "Observation", search=True, same_patient=True)
    read = check_scope(given, "Observation", search=False, same_patient=True)
    assert (search.is_allowed, read.is_allowed) == (bool(case["search"]), bool(case["read"]))
    assert (search.is_complete or read.is_complete) == bool(case["wholly"])
    assert {one.reason for one in (search, read) if not one.is_allowed} <= {"scope"}


@cases("""
    scope                               | reason
    ------------------------------------+--------------
    patient/Observation.rs              | other-patient
    user/Observation.rs                 |
    patient/*.read user/Observation.rs  |
    patient/Condition.rs                | scope
""")
def test_a_token_for_another_patient_is_no_use(case):
    """Its empty answer would be taken for "searched, and there is nothing"."""
    found = check_scope(read_grants(case["scope"]), "Observation", search=True, same_patient=False)
    assert found.reason == case["reason"]
    assert found.is_allowed == (not case["reason"])
