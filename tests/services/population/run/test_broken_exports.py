"""The peculiar exports are as peculiar as they say: read here by the standard library alone."""

import gzip
import json
from functools import partial

import pytest
from broken_exports import BROKEN_EXPORTS, write_long_line

LONGEST = 64 << 20
WRITERS = {**BROKEN_EXPORTS, "a line of 200 MB": partial(write_long_line, size=LONGEST + (1 << 20))}


def is_right(folder, complaint):
    """Whether the place that a complaint names has the fault that it names."""
    file = folder / complaint.file
    if complaint.reason == "unreadable":
        with pytest.raises(OSError, match=r"error|denied"):
            file.read_bytes()
        return True
    data = file.read_bytes()
    if complaint.reason == "truncated":
        with pytest.raises(EOFError):
            gzip.decompress(data)
        return True
    text = data if complaint.line is None else data.split(b"\n")[complaint.line - 1]
    match complaint.reason:
        case "too-long":
            return len(text) > LONGEST
        case "not-utf-8":
            with pytest.raises(UnicodeDecodeError):
                text.decode()
            return True
        case "not-json":
            return not is_json(text)
    resource = json.loads(text)
    match complaint.reason:
        case "no-patient":
            return "Patient/" not in resource["subject"].get("reference", "")
        case "bad-id":
            return resource["resourceType"] == "Patient"
        case "not-a-resource":
            return not (
                isinstance(resource, dict) and isinstance(resource.get("resourceType"), str)
            )
        case "repeated":
            return data.count(b'"%s"' % resource["id"].encode()) > 0
    return False


def is_json(text):
    """As RFC 8259 has it, which Python's reader is laxer than."""

    def refuse(_constant):
        raise ValueError

    try:
        whole = json.loads(text, parse_constant=refuse)
        # No infinities, and no half of a surrogate pair.
        json.dumps(whole, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return False
    return True


@pytest.mark.parametrize("name", WRITERS)
def test_an_export_has_the_faults_that_it_says(name, tmp_path):
    expected = WRITERS[name](tmp_path)
    assert expected.complaints or expected.counts
    assert [c for c in expected.complaints if not is_right(tmp_path, c)] == []
