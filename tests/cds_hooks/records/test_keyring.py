"""The key that stands between a record and a patient."""

import multiprocessing

import pytest

from cds_hooks.config.secrets import make_key, read_key
from cds_hooks.config.settings import ConfigurationError
from cds_hooks.records.keyring import SETTING, get_database_key, hash_patient

KEY, OTHER_KEY = b"k" * 32, b"o" * 32


def test_one_patient_is_one_hash_under_one_tenant_and_key():
    once = hash_patient(KEY, "a", "1")
    assert len(once) == 64
    assert hash_patient(KEY, "a", "1") == once
    assert hash_patient(KEY, "b", "1") != once
    assert hash_patient(KEY, "a", "2") != once
    assert hash_patient(OTHER_KEY, "a", "1") != once


def test_tenant_and_patient_do_not_run_into_each_other():
    assert hash_patient(KEY, "a1", "2") != hash_patient(KEY, "a", "12")


def test_an_id_that_is_no_valid_unicode_has_a_hash():
    assert hash_patient(KEY, "a", "\ud800")


def test_a_new_key_is_its_owners_alone_and_stays(tmp_path):
    path = tmp_path / "new" / "key"
    make_key(path, SETTING)
    assert path.stat().st_mode & 0o777 == 0o600
    first = read_key(path, SETTING)
    assert len(first) == 32
    make_key(path, SETTING)
    assert read_key(path, SETTING) == first
    assert list(path.parent.iterdir()) == [path]


def _report_key(database, queue):
    queue.put(get_database_key(database, None))


def test_workers_that_start_at_once_agree_on_the_key(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    queue = spawn.Queue()
    workers = [
        spawn.Process(target=_report_key, args=(tmp_path / "records.sqlite3", queue))
        for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    keys = {queue.get(timeout=60) for _ in workers}
    for worker in workers:
        worker.join(60)
    assert len(keys) == 1


@pytest.mark.parametrize(
    ("mode", "size", "reason"),
    [(0o604, 32, "open to every user"), (0o600, 31, "31 bytes"), (0o600, 0, "0 bytes")],
)
def test_a_key_that_cannot_be_relied_on_stops_the_start(tmp_path, mode, size, reason):
    path = tmp_path / "key"
    path.write_bytes(b"x" * size)
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match=reason) as caught:
        read_key(path, SETTING)
    assert caught.value.problems[0].key == "records.key_file"
    assert caught.value.problems[0].file == str(path)


def test_a_folder_is_no_key(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_key(tmp_path, SETTING)


def test_a_key_is_not_made_anew_for_records_that_another_key_has_hashed(tmp_path):
    database = tmp_path / "records.sqlite3"
    database.touch()
    with pytest.raises(ConfigurationError, match="is missing"):
        get_database_key(database, None)
    assert list(tmp_path.iterdir()) == [database]


def test_replicas_do_not_make_a_key_each(tmp_path):
    with pytest.raises(ConfigurationError, match="is required"):
        get_database_key(None, None)
    with pytest.raises(ConfigurationError, match="No such file"):
        get_database_key(None, tmp_path / "key")
