import errno
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from hf_ntg import InputError
from hf_ntg.files import (
    check_output_file,
    check_output_folder,
    lock_folder,
    refuse_overwriting,
    replacing,
    scratch_folder,
    write_text,
)


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


def test_processes_that_check_one_missing_folder_at_once_do_not_disturb_each_other(tmp_path):
    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(check_output_folder, tmp_path / "new" / "deep") for _ in range(200)]:
            future.result()
    assert list(tmp_path.iterdir()) == []


def test_a_name_as_long_as_the_system_allows_is_written(tmp_path):
    write_text(tmp_path / ("n" * 255), "text")
    assert len(list(tmp_path.iterdir())) == 1


def test_places_that_cannot_be_written_are_named_and_left_as_they_were(tmp_path):
    (tmp_path / "file").touch()
    wrong = [
        (check_output_folder, tmp_path / "file", "a file stands where a folder is needed"),
        (check_output_folder, tmp_path / "file" / "below", "a file stands where a folder is needed"),
        (check_output_folder, tmp_path / "new" / ("n" * 300), "too long"),
        (check_output_folder, "/proc/new", "choose another|no such"),
        (check_output_folder, tmp_path / "a\0b", "no valid name"),
        (check_output_file, tmp_path / "new" / "a\0b", "no valid name"),
        (check_output_file, "/dev/null", "a device"),
        (check_output_file, tmp_path, "a folder; give the name of a file"),
        (check_output_file, tmp_path / "new" / ("n" * 300), "too long"),
    ]
    for check, place, said in wrong:
        with pytest.raises(InputError, match=said):
            check(place)
    check_output_folder(tmp_path / "new" / "newer")
    check_output_file(tmp_path / "new" / "newer")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="no permission"):
        check_output_folder(tmp_path / "new")


def test_an_output_that_is_the_input_is_refused(tmp_path):
    (tmp_path / "train.parquet").touch()
    for source in (tmp_path, tmp_path / "train.parquet"):
        with pytest.raises(InputError, match="is read by this command"):
            refuse_overwriting(source, [tmp_path / "test.parquet", tmp_path / "train.parquet"])
    refuse_overwriting("no\0name", [tmp_path / "train.parquet"])
    refuse_overwriting(tmp_path / "train.parquet", [tmp_path / "test.parquet"])


def test_a_lock_is_free_once_its_process_ended(tmp_path):
    child = os.fork()
    if child == 0:
        with lock_folder(tmp_path):
            os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    with lock_folder(tmp_path), pytest.raises(InputError, match="another process"), lock_folder(tmp_path):
        pass
