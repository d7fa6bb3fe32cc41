"""Requests drawn from the OpenAPI document get the answers that it names."""

from fuzz.schemas import application, drawn

EXAMPLES = 200


def test_what_is_drawn_from_the_document_is_answered_as_it_says(tmp_path):
    statuses = drawn(application(tmp_path), EXAMPLES)
    print(dict(statuses))
    assert statuses.total() > 2 * EXAMPLES
    found = {status.rpartition(" ")[2] for status in statuses}
    assert {"200", "204", "400", "404", "412", "422"} <= found, statuses
