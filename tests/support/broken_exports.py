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
WELL = {"well-low": 150, "well-high": 600}

Json = dict[str, Any]


class Complaint(NamedTuple):
    reason: str
    file: str
    line: int | None = None  # None: the file as a whole, or a line that is not ours to say


@dataclass(frozen=True)
class Expected:
    """What a run must say of an export."""

    complaints: tuple[Complaint, ...] = ()
    b12: dict[str, float] = field(default_factory=lambda: dict(WELL))  # patient -> ng/L that counts
    # How many of one reason there are where they are counted and not each located.
    counts: dict[str, int] = field(default_factory=dict)


def patient(id_: str, **more: Any) -> Json:
    return {
        "resourceType": "Patient",
        "id": id_,
        "gender": "female",
        "birthDate": "1950-05-04",
        **more,
    }


def b12(id_: str, about: str | Json, value: Any, **more: Any) -> Json:
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


def line_of(resource: Any) -> bytes:
    return json.dumps(resource, separators=(",", ":"), ensure_ascii=False).encode()


def write(folder: Path, name: str, lines: Iterable[Json | bytes]) -> None:
    """NDJSON; bytes are a line as it is."""
    whole = [line if isinstance(line, bytes) else line_of(line) for line in lines]
    (folder / name).write_bytes(b"".join(line + b"\n" for line in whole))


def well(folder: Path) -> list[Json]:
    """Writes their Patient file; their results, for a file of the caller's."""
    write(folder, "Patient.000.ndjson", map(patient, WELL))
    return [b12(f"of-{name}", f"Patient/{name}", value) for name, value in WELL.items()]


def truncated_line(folder: Path) -> Expected:
    lines = [line_of(one) for one in well(folder)]
    cut = line_of(b12("cut", "Patient/well-low", 900))[:120]
    (folder / "Observation.000.ndjson").write_bytes(b"\n".join([*lines, cut]))
    return Expected((Complaint("not-json", "Observation.000.ndjson", 3),))


def truncated_archive(folder: Path) -> Expected:
    write(folder, "Observation.000.ndjson", well(folder))
    many = (line_of(b12(f"o-{n}", "Patient/well-high", 600)) for n in range(3_000))
    packed = gzip.compress(b"\n".join(many), mtime=0)
    (folder / "Observation.001.ndjson.gz").write_bytes(packed[: len(packed) * 2 // 3])
    not_packed = "Observation.002.ndjson.gz"  # the name alone says so
    write(folder, not_packed, [b12("plain", "Patient/well-low", 150)])
    return Expected((Complaint("truncated", "Observation.001.ndjson.gz"),))


def repeated(folder: Path) -> Expected:
    """The same resource more than once: the newest counts, wherever it stands."""
    about = "Patient/well-low"
    old, new = ({"lastUpdated": f"2026-10-0{n}T00:00:00Z"} for n in (1, 2))
    others = well(folder)[1:]
    write(
        folder,
        "Observation.000.ndjson",
        [
            *others,
            b12("twice", about, 900, meta=old),
            b12("same", "Patient/well-high", 600),
            b12("back", about, 150, meta=new),
        ],
    )
    write(
        folder,
        "Observation.001.ndjson",
        [
            b12("twice", about, 150, meta=new),
            b12("same", "Patient/well-high", 600),
            b12("back", about, 900, meta=old),
        ],
    )
    write(folder, "Patient.001.ndjson", [patient("well-low")])
    return Expected(
        (
            Complaint("repeated", "Observation.000.ndjson", 2),
            Complaint("repeated", "Observation.001.ndjson", 3),
        ),
        counts={"repeated": 4},
    )


def mixed_versions(folder: Path) -> Expected:
    """DSTU2, STU3, R4 and R5 side by side, and three versions of one resource."""
    about = {"reference": "Patient/well-low"}
    metformin = {"coding": [{"system": RXNORM, "code": "6809"}]}
    neuropathy = {"coding": [{"system": SNOMED, "code": "302226006"}]}
    instant = b12("instant", "Patient/well-low", 150)
    instant["effectiveInstant"] = f"{instant.pop('effectiveDateTime')}T08:00:00Z"
    versions = [
        b12(
            "v",
            "Patient/well-high",
            value,
            meta={"versionId": str(version), "lastUpdated": f"2026-10-0{version}T00:00:00Z"},
        )
        for version, value in ((1, 90), (3, 600), (2, 90))
    ]
    write(folder, "Observation.000.ndjson", [well(folder)[0], instant, *versions])
    write(
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
            Complaint("repeated", "Observation.000.ndjson", 3),
            Complaint("repeated", "Observation.000.ndjson", 5),
        )
    )


def long_line(folder: Path, size: int = LONG_LINE) -> Expected:
    """One line of valid JSON and one of none, each in a file, with good lines on both sides."""
    low, high = map(line_of, well(folder))
    whole = line_of(b12("long", "Patient/well-low", 900, note=[{"text": "@"}]))
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
            Complaint("too-long", "Observation.000.ndjson", 2),
            Complaint("too-long", "Observation.001.ndjson", 2),
        ),
        counts={"repeated": 2},
    )


def wrong_encoding(folder: Path) -> Expected:
    low, high = well(folder)
    latin = json.dumps(
        b12("latin", "Patient/well-low", 900, note=[{"text": "Müller"}]), ensure_ascii=False
    )
    write(folder, "Observation.000.ndjson", [low, latin.encode("latin-1"), high])
    utf_16 = json.dumps(b12("wide", "Patient/well-low", 900)) + "\n"
    (folder / "Observation.001.ndjson").write_bytes((utf_16 * 2).encode("utf-16"))
    # A byte order mark is allowed for: many programs write one.
    marked = b"\xef\xbb\xbf" + line_of(b12("marked", "Patient/well-low", 150)) + b"\n"
    (folder / "Observation.002.ndjson").write_bytes(marked)
    return Expected(
        (
            Complaint("not-utf-8", "Observation.000.ndjson", 2),
            Complaint("not-utf-8", "Observation.001.ndjson"),
        )
    )


def missing_patient_file(folder: Path) -> Expected:
    """Results of three people, and nobody says who they are."""
    write(
        folder,
        "Observation.000.ndjson",
        [b12(f"o-{n}", f"Patient/p-{n % 3}", 150 + n) for n in range(9)],
    )
    return Expected(b12={}, counts={"patient-missing": 3})


def other_subjects(folder: Path) -> Expected:
    low, high = well(folder)
    write(folder, "Patient.001.ndjson", map(patient, ("absolute", "versioned")))
    write(
        folder,
        "Observation.000.ndjson",
        [
            low,
            b12("g", "Group/g", 900),
            b12("d", "Device/d", 900),
            b12("l", "Location/l", 900),
            b12("u", "urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7", 900),
            b12("c", "#p", 900, contained=[patient("p")]),
            b12("n", {"display": "somebody"}, 900),
            b12("i", {"identifier": {"system": "urn:x", "value": "1"}}, 900),
            b12("a", "https://ehr.example/fhir/Patient/absolute", 160),
            b12("v", "Patient/versioned/_history/2", 170),
            high,
        ],
    )
    return Expected(
        tuple(Complaint("no-patient", "Observation.000.ndjson", line) for line in range(2, 9)),
        {**WELL, "absolute": 160, "versioned": 170},
    )


def wrong_shapes(folder: Path) -> Expected:
    """Types under other types' names, Bundles and lists in lines, and lines that are no resource."""
    low, high = well(folder)
    condition = {
        "resourceType": "Condition",
        "id": "c",
        "subject": {"reference": "Patient/well-low"},
        "code": {"coding": [{"system": SNOMED, "code": "84027009"}]},
    }
    bundled = [patient("bundled"), b12("b", "Patient/bundled", 180)]
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": one} for one in bundled],
    }
    listed = [patient("listed"), b12("a", "Patient/listed", 190)]
    write(folder, "Observation.000.ndjson", [condition, bundle, line_of(listed), low])
    (folder / "Observation.001.ndjson").write_bytes(
        b"\r\n \r\n\n" + line_of(high) + b"\r\n\n" + line_of(b12("last", "Patient/well-low", 150))
    )
    odd = [b"{}", b"42", b'"text"', b"null", b"[1,2]", b'{"resourceType":7}', b'{"id":"x"}']
    write(folder, "Observation.002.ndjson", odd)
    pretty = json.dumps(patient("pretty"), indent=1).encode().splitlines()
    write(folder, "Patient.001.ndjson", pretty)
    return Expected(
        (
            *(
                Complaint("not-a-resource", "Observation.002.ndjson", n + 1)
                for n in range(len(odd))
            ),
            *(Complaint("not-json", "Patient.001.ndjson", n + 1) for n in range(len(pretty))),
        ),
        {**WELL, "bundled": 180, "listed": 190},
    )


def broken_values(folder: Path) -> Expected:
    """What some programs write and JSON does not have; each in a result that a rule would read."""
    low, high = well(folder)

    def with_value(text: bytes) -> bytes:
        return line_of(b12("broken", "Patient/well-low", "@")).replace(b'"@"', text)

    broken = [
        with_value(b"NaN"),
        with_value(b"-Infinity"),
        with_value(b"1e999"),
        with_value(b"007"),
        with_value(b'"\x00"'),
        line_of(b12("nul", "Patient/well-low", 900)) + b"\x00",
        with_value(b"[" * 100_000 + b"]" * 100_000),
        with_value(b'"\\ud800"'),
        b"\x00" * 4_096,
    ]
    write(folder, "Observation.000.ndjson", [low, *broken, high])
    return Expected(
        tuple(Complaint("not-json", "Observation.000.ndjson", n + 2) for n in range(len(broken)))
    )


FIT_IDS = ("a.b-c", "under_score", "plus+sign", "Ünïcode", "x" * 128, "0", "a:b@c", "100%")
UNFIT_IDS = (
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


def odd_ids(folder: Path) -> Expected:
    """Ids that FHIR does not allow and servers use, and such as no reference could name."""
    results = well(folder)
    write(folder, "Patient.001.ndjson", map(patient, (*FIT_IDS, *UNFIT_IDS)))
    results += [b12(f"of-{n}", f"Patient/{id_}", 200 + n) for n, id_ in enumerate(FIT_IDS)]
    write(folder, "Observation.000.ndjson", results)
    first = len(FIT_IDS) + 1
    return Expected(
        tuple(Complaint("bad-id", "Patient.001.ndjson", first + n) for n in range(len(UNFIT_IDS))),
        {**WELL, **{id_: 200.0 + n for n, id_ in enumerate(FIT_IDS)}},
    )


def unreadable(folder: Path) -> Expected:
    """A file that opens and cannot be read, one that does not open, and one with nothing in it."""
    write(folder, "Observation.000.ndjson", well(folder))
    # Reading the memory of one's own process at its start is an error of input, even to root.
    (folder / "Observation.001.ndjson").symlink_to("/proc/self/mem")
    complaints = [Complaint("unreadable", "Observation.001.ndjson")]
    if os.geteuid() != 0:
        write(folder, "Observation.002.ndjson", [])
        (folder / "Observation.002.ndjson").chmod(0)
        complaints.append(Complaint("unreadable", "Observation.002.ndjson"))
    (folder / "Observation.003.ndjson").touch()
    return Expected(tuple(complaints))


# What each is called in a test; a folder that holds nothing at all is for a test of its own.
PECULIAR: dict[str, Callable[[Path], Expected]] = {
    "a line that was cut": truncated_line,
    "an archive that was cut": truncated_archive,
    "resources that come twice": repeated,
    "versions side by side": mixed_versions,
    "a line of 200 MB": long_line,
    "other encodings than UTF-8": wrong_encoding,
    "no Patient file": missing_patient_file,
    "subjects that are no patients": other_subjects,
    "shapes that are no lines of resources": wrong_shapes,
    "values that JSON does not have": broken_values,
    "ids with odd characters": odd_ids,
    "files that cannot be read": unreadable,
}
