import errno

import pytest

from hf_ntg.trouble import machine_trouble


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "out.parquet"), "the disk is full"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "the disk is full"),
        (MemoryError(), "not enough memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "not enough memory"),
        (UnicodeEncodeError("utf-8", "a\udcff.pcap", 1, 2, "surrogates not allowed"), "the name is not valid UTF-8"),
        (RuntimeError("[gloo] Connection closed by peer"), "another process of this job"),
    ],
)
def test_trouble_of_the_machine_is_said_in_one_line(error, words):
    said = machine_trouble(error)
    assert words in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        UnicodeEncodeError("ascii", "é", 0, 1, "ordinal not in range"),
        RuntimeError("a bug"),
        OSError(errno.EBADF, "Bad file descriptor"),
        OSError("text alone"),
    ],
)
def test_other_errors_are_faults_of_the_program(error):
    assert machine_trouble(error) is None
