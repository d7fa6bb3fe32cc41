"""The synthetic hospital is the same each time, in shape, and as its description says."""

import gzip
import json
from collections import defaultdict

import orjson
import pytest
from backports import zstd
from fhir.resources.R4B import get_fhir_model_class

from benchmarks import population
from benchmarks.population import hospital
from mappings.terminology.value_set_file import load_value_sets

pytestmark = pytest.mark.slow


def resources_in(folder):
    for file in sorted(folder.glob("*.ndjson")):
        for line in file.read_bytes().splitlines():
            yield orjson.loads(line)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return hospital(tmp_path_factory.mktemp("export") / "small", 2_000)


def test_the_same_seed_gives_the_same_bytes_in_any_number_of_processes(tmp_path, monkeypatch):
    monkeypatch.setattr(population, "STRETCH", 100)
    folders = [
        hospital(tmp_path / "one", 450, seed=7, files=5, processes=1),
        hospital(tmp_path / "two", 450, seed=7, files=5, processes=2),
        hospital(tmp_path / "other", 450, seed=8, files=5, processes=2),
    ]
    one, two, other = ({f.name: f.read_bytes() for f in folder.iterdir()} for folder in folders)
    assert one == two
    assert one["Observation.004.ndjson"] != other["Observation.004.ndjson"]


def test_every_resource_is_valid_and_about_one_of_the_patients(small):
    found = defaultdict(list)
    for resource in resources_in(small):
        found[resource["resourceType"]].append(resource)
    patients = {f"Patient/{patient['id']}" for patient in found["Patient"]}
    assert len(patients) == 2_000
    for kind, some in found.items():
        model = get_fhir_model_class(kind)
        for resource in some[:150]:
            model.model_validate(resource)
        if kind not in ("Patient", "Medication"):
            assert {resource["subject"]["reference"] for resource in some} <= patients


def test_results_are_as_many_and_as_often_read_as_said(small):
    lookup = load_value_sets().look_up
    observations = [one for one in resources_in(small) if one["resourceType"] == "Observation"]
    sets = [
        {
            match.value_set.name
            for coding in one["code"]["coding"]
            for match in lookup(coding["system"], coding["code"])
        }
        for one in observations
    ]
    tested = {
        one["subject"]["reference"]
        for one, names in zip(observations, sets, strict=True)
        if "total_b12" in names
    }
    units = {one.get("valueQuantity", {}).get("unit") for one in observations}
    weight = sum(file.stat().st_size for file in small.glob("Observation.*"))
    assert 9 <= len(observations) / 2_000 <= 11
    assert 0.4 <= sum(map(bool, sets)) / len(sets) <= 0.6
    assert 0.1 <= len(tested) / 2_000 <= 0.14
    assert {"pg/mL", "pmol/L"} <= units
    assert 700 <= weight / len(observations) <= 950


def test_resources_of_a_patient_are_spread_over_the_files(small):
    of = [
        {orjson.loads(line)["subject"]["reference"] for line in file.read_bytes().splitlines()}
        for file in sorted(small.glob("Observation.*"))
    ]
    assert len(of[0] & of[1]) > 1_000


def test_packed_files_hold_the_same_lines(tmp_path):
    plain = hospital(tmp_path / "plain", 300)
    for name, unpack in (("gzip", gzip.decompress), ("zstd", zstd.decompress)):
        packed = hospital(tmp_path / name, 300, compression=name)
        for file in plain.iterdir():
            [same] = packed.glob(f"{file.name}.*")
            assert unpack(same.read_bytes()) == file.read_bytes()


def test_a_folder_with_files_in_it_is_left_alone(tmp_path):
    (tmp_path / "mine").touch()
    with pytest.raises(FileExistsError):
        hospital(tmp_path, 1)


@pytest.mark.parametrize("packing", [[], ["--gzip"]])
def test_decoding_counts_every_line_once(tmp_path, monkeypatch, capsys, packing):
    monkeypatch.setattr(population, "PART", 10_007)
    folder, row = tmp_path / "export", tmp_path / "row.json"
    population.main(["generate", "--patients", "300", "--into", str(folder), *packing])
    population.main(["decode", str(folder), "--processes", "2", "--json", str(row)])
    unpack = gzip.decompress if packing else bytes
    whole = b"".join(unpack(file.read_bytes()) for file in folder.iterdir())
    told = json.loads(row.read_text())
    assert (told["records"], told["bytes"]) == (whole.count(b"\n"), len(whole))
    assert f"{told['records']:,} records" in capsys.readouterr().out


def test_a_run_is_told_beside_decoding(tmp_path, capsys):
    hospital(tmp_path / "export", 300)
    population.main(["run", str(tmp_path / "export"), "--processes", "2"])
    assert "300 patients: " in (told := capsys.readouterr().out)
    assert "times the CPU of decoding" in told
