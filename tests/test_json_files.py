import pytest

from hf_ntg.json_files import read_object_or_empty


def test_an_object_is_read(tmp_path):
    (tmp_path / "a.json").write_text('{"a": [1, "é"]}', encoding="utf-8")
    assert read_object_or_empty(tmp_path / "a.json") == {"a": [1, "é"]}


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"a": ', b"\xff", b"[" * 100_000], ids=range(5))
def test_what_is_no_object_is_empty(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    assert read_object_or_empty(tmp_path / "a.json") == {}


def test_no_file_is_empty(tmp_path):
    assert read_object_or_empty(tmp_path / "a.json") == {}
    assert read_object_or_empty(tmp_path) == {}
