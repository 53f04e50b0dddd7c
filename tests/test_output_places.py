import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from hf_ntg import InputError
from hf_ntg.output_places import check_output_file, check_output_folder, refuse_overwriting


def test_processes_that_check_one_missing_folder_at_once_do_not_disturb_each_other(tmp_path):
    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(check_output_folder, tmp_path / "new" / "deep") for _ in range(200)]:
            future.result()
    assert list(tmp_path.iterdir()) == []


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
        (check_output_file, tmp_path / "a\udcff", "not valid UTF-8"),
        (check_output_folder, tmp_path / "a\udcff" / "b", "not valid UTF-8"),
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
