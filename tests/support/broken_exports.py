"""Exports as they should not be, each with the complaints that a run over it must end with.

Each folder also holds patients that nothing is wrong with: a run finishes, and assesses those whom
`Expected.b12` names by the result it gives for them. Lines are counted from 1.
"""

import gzip
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
LONG_LINE = 200 << 20
WELL_PATIENTS = {"well-low": 150, "well-high": 600}

Json = dict[str, Any]


class ExpectedComplaint(NamedTuple):
    reason: str
    file: str
    line: int | None = None  # None: the file as a whole, or a line that is not ours to say


@dataclass(frozen=True)
class Expected:
    """What a run must say of an export."""

    complaints: tuple[ExpectedComplaint, ...] = ()
    b12: dict[str, float] = field(
        default_factory=lambda: dict(WELL_PATIENTS)
    )  # patient -> ng/L that counts
    # How many of one reason there are where they are counted and not each located.
    counts: dict[str, int] = field(default_factory=dict)


def make_patient(id_: str, **more: Any) -> Json:
    return {
        "resourceType": "Patient",
        "id": id_,
        "gender": "female",
        "birthDate": "1950-05-04",
        **more,
    }


def make_b12(id_: str, about: str | Json, value: Any, **more: Any) -> Json:
    """A total B12 of `value` ng/L. `about` is a reference, or what stands in its place."""
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "2132-9"}]},
        "subject": {"reference": about} if isinstance(about, str) else about,
        "effectiveDateTime": "2026-09-01",
        "valueQuantity": {"value": value, "unit": "ng/L", "code": "ng/L"},
        **more,
    }


def write_line(resource: Any) -> bytes:
    return json.dumps(resource, separators=(",", ":"), ensure_ascii=False).encode()


def write_file(folder: Path, name: str, lines: Iterable[Json | bytes]) -> None:
    """NDJSON; bytes are a line as it is."""
    whole = [line if isinstance(line, bytes) else write_line(line) for line in lines]
    (folder / name).write_bytes(b"".join(line + b"\n" for line in whole))


def write_well_patients(folder: Path) -> list[Json]:
    """Writes their Patient file; their results, for a file of the caller's."""
    write_file(folder, "Patient.000.ndjson", map(make_patient, WELL_PATIENTS))
    return [
        make_b12(f"of-{name}", f"Patient/{name}", value) for name, value in WELL_PATIENTS.items()
    ]


def write_truncated_line(folder: Path) -> Expected:
    lines = [write_line(one) for one in write_well_patients(folder)]
    cut = write_line(make_b12("cut", "Patient/well-low", 900))[:120]
    (folder / "Observation.000.ndjson").write_bytes(b"\n".join([*lines, cut]))
    return Expected((ExpectedComplaint("not-json", "Observation.000.ndjson", 3),))


def write_truncated_archive(folder: Path) -> Expected:
    write_file(folder, "Observation.000.ndjson", write_well_patients(folder))
    many = (write_line(make_b12(f"o-{n}", "Patient/well-high", 600)) for n in range(3_000))
    packed = gzip.compress(b"\n".join(many), mtime=0)
    (folder / "Observation.001.ndjson.gz").write_bytes(packed[: len(packed) * 2 // 3])
    not_packed = "Observation.002.ndjson.gz"  # the name alone says so
    write_file(folder, not_packed, [make_b12("plain", "Patient/well-low", 150)])
    return Expected((ExpectedComplaint("truncated", "Observation.001.ndjson.gz"),))


def write_repeated(folder: Path) -> Expected:
    """The same resource more than once: the newest counts, wherever it stands."""
    about = "Patient/well-low"
    old, new = ({"lastUpdated": f"2026-10-0{n}T00:00:00Z"} for n in (1, 2))
    others = write_well_patients(folder)[1:]
    write_file(
        folder,
        "Observation.000.ndjson",
        [
            *others,
            make_b12("twice", about, 900, meta=old),
            make_b12("same", "Patient/well-high", 600),
            make_b12("back", about, 150, meta=new),
        ],
    )
    write_file(
        folder,
        "Observation.001.ndjson",
        [
            make_b12("twice", about, 150, meta=new),
            make_b12("same", "Patient/well-high", 600),
            make_b12("back", about, 900, meta=old),
        ],
    )
    write_file(folder, "Patient.001.ndjson", [make_patient("well-low")])
    return Expected(
        (
            ExpectedComplaint("repeated", "Observation.000.ndjson", 2),
            ExpectedComplaint("repeated", "Observation.001.ndjson", 3),
        ),
        counts={"repeated": 4},
    )


def write_mixed_versions(folder: Path) -> Expected:
    """DSTU2, STU3, R4 and R5 side by side, and three versions of one resource."""
    about = {"reference": "Patient/well-low"}
    metformin = {"coding": [{"system": RXNORM, "code": "6809"}]}
    neuropathy = {"coding": [{"system": SNOMED, "code": "302226006"}]}
    instant = make_b12("instant", "Patient/well-low", 150)
    instant["effectiveInstant"] = f"{instant.pop('effectiveDateTime')}T08:00:00Z"
    versions = [
        make_b12(
            "v",
            "Patient/well-high",
            value,
            meta={"versionId": str(version), "lastUpdated": f"2026-10-0{version}T00:00:00Z"},
        )
        for version, value in ((1, 90), (3, 600), (2, 90))
    ]
    write_file(
        folder, "Observation.000.ndjson", [write_well_patients(folder)[0], instant, *versions]
    )
    write_file(
        folder,
        "Mixed.000.ndjson",
        [
            {"resourceType": "MedicationOrder", "id": "m2", "status": "active", "patient": about,
             "dateWritten": "2026-01-05", "medicationCodeableConcept": metformin},
            {"resourceType": "MedicationRequest", "id": "m5", "status": "active", "intent": "order",
             "subject": about, "authoredOn": "2026-01-05", "medication": {"concept": metformin}},
            {"resourceType": "MedicationUsage", "id": "u5", "status": "recorded", "subject": about,
             "medication": {"concept": metformin}},
            {"resourceType": "Condition", "id": "c2", "patient": about, "code": neuropathy,
             "clinicalStatus": "active", "verificationStatus": "confirmed", "dateRecorded": "2026-01-05"},
            {"resourceType": "Condition", "id": "c3", "subject": about, "code": neuropathy,
             "clinicalStatus": "active", "verificationStatus": "confirmed", "assertedDate": "2026-01-05"},
            {"resourceType": "ProcedureRequest", "id": "p3", "status": "active", "intent": "order",
             "subject": about, "authoredOn": "2026-01-05",
             "code": {"coding": [{"system": LOINC, "code": "13964-2"}]}},
        ],
    )  # fmt: skip
    return Expected(
        (
            ExpectedComplaint("repeated", "Observation.000.ndjson", 3),
            ExpectedComplaint("repeated", "Observation.000.ndjson", 5),
        )
    )


def write_long_line(folder: Path, size: int = LONG_LINE) -> Expected:
    """One line of valid JSON and one of none, each in a file, with good lines on both sides."""
    low, high = map(write_line, write_well_patients(folder))
    whole = write_line(make_b12("long", "Patient/well-low", 900, note=[{"text": "@"}]))
    for name, (before, after) in (
        ("Observation.000.ndjson", whole.split(b"@")),
        ("Observation.001.ndjson", (b'{"resourceType":"Observation","note":"', b"")),
    ):
        with (folder / name).open("wb") as file:
            file.write(low + b"\n" + before)
            for _ in range(size >> 20):
                file.write(b"x" * (1 << 20))
            file.write(after + b"\n" + high + b"\n")
    return Expected(
        (
            ExpectedComplaint("too-long", "Observation.000.ndjson", 2),
            ExpectedComplaint("too-long", "Observation.001.ndjson", 2),
        ),
        counts={"repeated": 2},
    )


def write_wrong_encoding(folder: Path) -> Expected:
    low, high = write_well_patients(folder)
    latin = json.dumps(
        make_b12("latin", "Patient/well-low", 900, note=[{"text": "Müller"}]), ensure_ascii=False
    )
    write_file(folder, "Observation.000.ndjson", [low, latin.encode("latin-1"), high])
    utf_16 = json.dumps(make_b12("wide", "Patient/well-low", 900)) + "\n"
    (folder / "Observation.001.ndjson").write_bytes((utf_16 * 2).encode("utf-16"))
    # A byte order mark is allowed for: many programs write one.
    marked = b"\xef\xbb\xbf" + write_line(make_b12("marked", "Patient/well-low", 150)) + b"\n"
    (folder / "Observation.002.ndjson").write_bytes(marked)
    return Expected(
        (
            ExpectedComplaint("not-utf-8", "Observation.000.ndjson", 2),
            ExpectedComplaint("not-utf-8", "Observation.001.ndjson"),
        )
    )


def write_missing_patient_file(folder: Path) -> Expected:
    """Results of three people, and nobody says who they are."""
    write_file(
        folder,
        "Observation.000.ndjson",
        [make_b12(f"o-{n}", f"Patient/p-{n % 3}", 150 + n) for n in range(9)],
    )
    return Expected(b12={}, counts={"patient-missing": 3})


def write_other_subjects(folder: Path) -> Expected:
    low, high = write_well_patients(folder)
    write_file(folder, "Patient.001.ndjson", map(make_patient, ("absolute", "versioned")))
    write_file(
        folder,
        "Observation.000.ndjson",
        [
            low,
            make_b12("g", "Group/g", 900),
            make_b12("d", "Device/d", 900),
            make_b12("l", "Location/l", 900),
            make_b12("u", "urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7", 900),
            make_b12("c", "#p", 900, contained=[make_patient("p")]),
            make_b12("n", {"display": "somebody"}, 900),
            make_b12("i", {"identifier": {"system": "urn:x", "value": "1"}}, 900),
            make_b12("a", "https://ehr.example/fhir/Patient/absolute", 160),
            make_b12("v", "Patient/versioned/_history/2", 170),
            high,
        ],
    )
    return Expected(
        tuple(
            ExpectedComplaint("no-patient", "Observation.000.ndjson", line) for line in range(2, 9)
        ),
        {**WELL_PATIENTS, "absolute": 160, "versioned": 170},
    )


def write_wrong_shapes(folder: Path) -> Expected:
    """Types under other types' names, Bundles and lists in lines, and lines that are no resource."""
    low, high = write_well_patients(folder)
    condition = {
        "resourceType": "Condition",
        "id": "c",
        "subject": {"reference": "Patient/well-low"},
        "code": {"coding": [{"system": SNOMED, "code": "84027009"}]},
    }
    bundled = [make_patient("bundled"), make_b12("b", "Patient/bundled", 180)]
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": one} for one in bundled],
    }
    listed = [make_patient("listed"), make_b12("a", "Patient/listed", 190)]
    write_file(folder, "Observation.000.ndjson", [condition, bundle, write_line(listed), low])
    (folder / "Observation.001.ndjson").write_bytes(
        b"\r\n \r\n\n"
        + write_line(high)
        + b"\r\n\n"
        + write_line(make_b12("last", "Patient/well-low", 150))
    )
    odd = [b"{}", b"42", b'"text"', b"null", b"[1,2]", b'{"resourceType":7}', b'{"id":"x"}']
    write_file(folder, "Observation.002.ndjson", odd)
    pretty = json.dumps(make_patient("pretty"), indent=1).encode().splitlines()
    write_file(folder, "Patient.001.ndjson", pretty)
    return Expected(
        (
            *(
                ExpectedComplaint("not-a-resource", "Observation.002.ndjson", n + 1)
                for n in range(len(odd))
            ),
            *(
                ExpectedComplaint("not-json", "Patient.001.ndjson", n + 1)
                for n in range(len(pretty))
            ),
        ),
        {**WELL_PATIENTS, "bundled": 180, "listed": 190},
    )


def write_broken_values(folder: Path) -> Expected:
    """What some programs write and JSON does not have; each in a result that a rule would read."""
    low, high = write_well_patients(folder)

    def with_value(text: bytes) -> bytes:
        return write_line(make_b12("broken", "Patient/well-low", "@")).replace(b'"@"', text)

    broken = [
        with_value(b"NaN"),
        with_value(b"-Infinity"),
        with_value(b"1e999"),
        with_value(b"007"),
        with_value(b'"\x00"'),
        write_line(make_b12("nul", "Patient/well-low", 900)) + b"\x00",
        with_value(b"[" * 100_000 + b"]" * 100_000),
        with_value(b'"\\ud800"'),
        b"\x00" * 4_096,
    ]
    write_file(folder, "Observation.000.ndjson", [low, *broken, high])
    return Expected(
        tuple(
            ExpectedComplaint("not-json", "Observation.000.ndjson", n + 2)
            for n in range(len(broken))
        )
    )


VALID_IDS = ("a.b-c", "under_score", "plus+sign", "Ünïcode", "x" * 128, "0", "a:b@c", "100%")
INVALID_IDS = (
    "",
    " ",
    "with space",
    "tab\tbed",
    "line\nbreak",
    "nul\x00",
    "a/b",
    "a|b",
    "a#b",
    "x" * 129,
)


def write_odd_ids(folder: Path) -> Expected:
    """Ids that FHIR does not allow and servers use, and such as no reference could name."""
    results = write_well_patients(folder)
    write_file(folder, "Patient.001.ndjson", map(make_patient, (*VALID_IDS, *INVALID_IDS)))
    results += [make_b12(f"of-{n}", f"Patient/{id_}", 200 + n) for n, id_ in enumerate(VALID_IDS)]
    write_file(folder, "Observation.000.ndjson", results)
    first = len(VALID_IDS) + 1
    return Expected(
        tuple(
            ExpectedComplaint("bad-id", "Patient.001.ndjson", first + n)
            for n in range(len(INVALID_IDS))
        ),
        {**WELL_PATIENTS, **{id_: 200.0 + n for n, id_ in enumerate(VALID_IDS)}},
    )


def write_unreadable(folder: Path) -> Expected:
    """A file that opens and cannot be read, one that does not open, and one with nothing in it."""
    write_file(folder, "Observation.000.ndjson", write_well_patients(folder))
    # Reading the memory of one's own process at its start is an error of input, even to root.
    (folder / "Observation.001.ndjson").symlink_to("/proc/self/mem")
    complaints = [ExpectedComplaint("unreadable", "Observation.001.ndjson")]
    if os.geteuid() != 0:
        write_file(folder, "Observation.002.ndjson", [])
        (folder / "Observation.002.ndjson").chmod(0)
        complaints.append(ExpectedComplaint("unreadable", "Observation.002.ndjson"))
    (folder / "Observation.003.ndjson").touch()
    return Expected(tuple(complaints))


# What each is called in a test; a folder that holds nothing at all is for a test of its own.
BROKEN_EXPORTS: dict[str, Callable[[Path], Expected]] = {
    "a line that was cut": write_truncated_line,
    "an archive that was cut": write_truncated_archive,
    "resources that come twice": write_repeated,
    "versions side by side": write_mixed_versions,
    "a line of 200 MB": write_long_line,
    "other encodings than UTF-8": write_wrong_encoding,
    "no Patient file": write_missing_patient_file,
    "subjects that are no patients": write_other_subjects,
    "shapes that are no lines of resources": write_wrong_shapes,
    "values that JSON does not have": write_broken_values,
    "ids with odd characters": write_odd_ids,
    "files that cannot be read": write_unreadable,
}
