import io
import pickle
import tarfile

import numpy as np
import pytest

from hf_ntg import InputError
from hf_ntg.flows.importing import import_flows


def tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.pcap"))
    return out.getvalue()


def array() -> bytes:
    out = io.BytesIO()
    np.save(out, np.zeros(3))
    return out.getvalue()


FILES = {
    "a tar archive; unpack it first": tar(),
    "a 7z archive; unpack it first": b"7z\xbc\xaf\x27\x1c" + bytes(40),
    "a RAR archive": b"Rar!\x1a\x07\x01\0" + bytes(40),
    "packed by compress": b"\x1f\x9d\x90" + bytes(40),
    "snoop; turn it into pcapng with 'editcap": b"snoop\0\0\0" + bytes(40),
    "Network Monitor": b"GMBU" + bytes(40),
    "a NumPy array; save the flows as Parquet": array(),
    "an HDF5 file": b"\x89HDF\r\n\x1a\n" + bytes(40),
    "a Python pickle": pickle.dumps({"a": [1]}),
    "records of nfdump": b"\x0c\xa5\x02\0" + bytes(40),
    "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
    "a web page": b"\n<!DOCTYPE html><html><body>404</body></html>",
    "neither pcap nor pcapng": b"\x01\x02\x03\x04" + bytes(40),
}


@pytest.mark.parametrize("said", FILES)
@pytest.mark.parametrize("name", ["x.bin", "x.pcap", "x.csv", "x.json", "x.parquet"])
def test_other_formats_are_named_with_a_remedy(tmp_path, said, name):
    path = tmp_path / name
    path.write_bytes(FILES[said])
    if said.startswith("neither") and name not in ("x.bin", "x.pcap"):
        said = "x"
    with pytest.raises(InputError, match=said) as refused:
        import_flows([path], tmp_path / "flows.parquet")
    assert "\n" not in str(refused.value)
