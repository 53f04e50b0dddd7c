import errno
import os

import pytest

from hf_ntg import InputError
from hf_ntg.files import lock_folder, new_folder, replacing, scratch_folder, write_text
from hf_ntg.output_places import check_output_folder


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "text"
    write_text(path, "old")

    def fails():
        with replacing(path) as scratch:
            scratch.write_text("half")
            raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="full") as caught:
        fails()
    assert caught.value.filename == str(path)
    assert path.read_text() == "old"
    assert [file.name for file in path.parent.iterdir()] == ["text"]


def test_scratch_files_of_killed_processes_are_swept_and_those_at_work_stay(tmp_path):
    stale, other = tmp_path / ".text.aaaa.part", tmp_path / ".more.aaaa.part"
    stale.touch()
    other.touch()
    with replacing(tmp_path / "text") as at_work:
        assert not stale.exists()
        write_text(tmp_path / "text", "second")
        assert at_work.exists()
    assert other.exists()


def test_scratch_folders_and_probes_of_killed_processes_are_swept_and_those_at_work_stay(tmp_path):
    stale, probe = tmp_path / ".out.aaaa.part", tmp_path / ".probe.aaaa.part"
    (stale / "deep").mkdir(parents=True)
    (stale / "deep" / "file").touch()
    probe.touch()
    with scratch_folder(tmp_path / "out") as at_work:
        assert not stale.exists()
        (at_work / "file").touch()
        with scratch_folder(tmp_path / "out") as second:
            assert at_work.exists()
            assert second != at_work
        check_output_folder(tmp_path)
        assert not probe.exists()
        at_work.replace(tmp_path / "out")
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "file"]


def test_a_pipe_or_a_link_named_like_a_scratch_file_is_neither_waited_for_nor_followed(tmp_path):
    (tmp_path / "elsewhere").touch()
    os.mkfifo(tmp_path / ".text.aaaa.part")
    os.mkfifo(tmp_path / ".probe.aaaa.part")
    (tmp_path / ".text.bbbb.part").symlink_to(tmp_path / "elsewhere")
    check_output_folder(tmp_path)
    write_text(tmp_path / "text", "new")
    assert (tmp_path / "elsewhere").exists()


def test_the_empty_working_directory_can_be_the_new_folder(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    with new_folder(".") as scratch:
        (scratch / "file").touch()
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == ["in", "in/file"]


def test_a_name_as_long_as_the_system_allows_is_written(tmp_path):
    write_text(tmp_path / ("n" * 255), "text")
    assert len(list(tmp_path.iterdir())) == 1


def test_a_lock_is_free_once_its_process_ended(tmp_path):
    child = os.fork()
    if child == 0:
        with lock_folder(tmp_path):
            os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    with lock_folder(tmp_path), pytest.raises(InputError, match="another process"), lock_folder(tmp_path):
        pass
