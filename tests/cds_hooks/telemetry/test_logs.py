"""Lines of the log where they cannot be written."""

import errno
import json
import os

from cds_hooks.telemetry.logs import LineWriter


class Disk:
    """Takes so many bytes, then none."""

    def __init__(self, room):
        self.room = room
        self.content = b""

    def write(self, data):
        if self.room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = data[: self.room]
        self.room -= len(taken)
        self.content += taken
        return len(taken)


def test_a_line_that_cannot_be_written_costs_nothing_but_itself():
    disk = Disk(0)
    lines = LineWriter(disk.write)
    lines.info(b'{"n": 1}')
    lines.error(b'{"n": 2}')
    disk.room = 1000
    lines.info(b'{"n": 3}')
    lines.info(b'{"n": 4}')
    told, third, fourth = map(json.loads, disk.content.splitlines())
    assert (told["event"], told["reason"], told["lines"]) == ("error", "log lines lost", 2)
    assert (third, fourth) == ({"n": 3}, {"n": 4})


def test_a_line_that_was_cut_off_spoils_no_other():
    disk = Disk(12)
    lines = LineWriter(disk.write)
    lines.info(b'{"n": 1}')
    lines.info(b'{"n": 2}')
    disk.room = 1000
    lines.info(b'{"n": 3}')
    first, torn, told, third = disk.content.splitlines()
    assert json.loads(first) == {"n": 1}
    assert torn == b'{"n'
    assert json.loads(told)["lines"] == 1
    assert json.loads(third) == {"n": 3}


def test_a_pipe_that_is_full_and_does_not_wait_loses_the_line():
    answers = [None, 5, 10_000]
    written = []

    def write(data):
        count = answers.pop(0)
        written.append(data[: count or 0])
        return None if count is None else min(count, len(data))

    lines = LineWriter(write)
    lines.info(b"one")
    answers[:] = [10_000]
    lines.info(b"two")
    assert b'"lines":1' in written[-1]
    assert written[-1].endswith(b"two\n")
