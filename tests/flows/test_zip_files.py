import zipfile

import pytest

from hf_ntg.errors import InputError
from hf_ntg.flows import zip_files
from hf_ntg.flows.byte_stream import BrokenFileError
from hf_ntg.flows.zip_files import is_zip, unpack_zip, zip_members


def test_members_of_a_zip_stay_inside_the_folder(tmp_path):
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for name in ("../../up.pcap", "/root.pcap", "b/c.pcap", "__MACOSX/b.pcap", ".hidden"):
            out.writestr(name, name)
    assert unpack_zip(archive, tmp_path / "out") == []
    paths = [path for path in tmp_path.rglob("*.pcap") if path.is_file()]
    assert {path.relative_to(tmp_path / "out").as_posix() for path in paths} == {"up.pcap", "root.pcap", "b/c.pcap"}


def test_bombs_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(zip_files, "FREE_BYTES", 1 << 20)
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("a.pcap", bytes(10 << 20))
    with pytest.raises(InputError, match="decompression bomb"):
        unpack_zip(archive, tmp_path / "out")


def test_too_many_members_and_damage_are_refused(tmp_path, monkeypatch):
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for name in "abc":
            out.writestr(name, name)
    assert is_zip(archive)
    assert zip_members(archive) == ["a", "b", "c"]
    monkeypatch.setattr(zip_files, "_MAX_MEMBERS", 2)
    with pytest.raises(InputError, match="more than 2 files"):
        zip_members(archive)
    archive.write_bytes(archive.read_bytes()[:-30])
    with pytest.raises(BrokenFileError, match=r"a\.zip: a damaged or unreadable zip"):
        zip_members(archive)


def test_a_member_that_cannot_be_unpacked_is_reported_and_the_others_kept(tmp_path):
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("bad.pcap", "b" * 100)
        out.writestr("good.pcap", "g" * 100)
        out.writestr("inner.zip", "")
    archive.write_bytes(archive.read_bytes().replace(b"b" * 100, b"x" * 100))
    problems = unpack_zip(archive, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.pcap"]
    assert [problem.split(": ")[1] for problem in problems] == ["bad.pcap", "inner.zip"]
