"""Names files of formats that are not read, by their first bytes, with what to do about them."""

from __future__ import annotations

__all__ = ["HEAD", "foreign_format"]

_UNPACK, _CONVERT = "unpack it first", "turn it into pcapng with 'editcap -F pcapng'"
_FORMATS: tuple[tuple[int, bytes, str, str], ...] = (  # place, bytes there, name, remedy
    (257, b"ustar", "a tar archive", _UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (0, b"Rar!", "a RAR archive", _UNPACK),
    (0, b"\x1f\x9d", "packed by compress (.Z)", _UNPACK),
    (0, b"MSCF", "a cabinet archive", _UNPACK),
    (0, b"snoop\0\0\0", "a capture of snoop", _CONVERT),
    (0, b"GMBU", "a capture of Microsoft Network Monitor", _CONVERT),
    (0, b"RTSS", "a capture of Microsoft Network Monitor", _CONVERT),
    (0, b"TRSNIFF data", "a capture of Sniffer", _CONVERT),
    (0, b"XCP\0", "a capture of NetXRay or Sniffer", _CONVERT),
    (0, b"\x7fver", "a capture of Savvius OmniPeek", _CONVERT),
    (0, b"\x93NUMPY", "a NumPy array", "save the flows as Parquet or CSV"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file", "save its table as Parquet, with pandas.read_hdf and to_parquet"),
    (0, b"SQLite format 3\0", "an SQLite database", "save its table as Parquet or CSV"),
    (
        0,
        b"ARROW1",
        "an Arrow file",
        "save it as Parquet, with pyarrow.feather.read_table and pyarrow.parquet.write_table",
    ),
    (0, b"\xd0\xcf\x11\xe0", "a spreadsheet", "save the flows as CSV"),
    (0, b"version https://git-lfs", "a pointer of Git LFS, not the file itself", "fetch it with 'git lfs pull'"),
    (0, b"%PDF", "a PDF document", "give a capture or a table"),
    (0, b"\x0c\xa5", "records of nfdump", "they hold flow totals, not packets; import the capture instead"),
    (0, b"\xa5\x0c", "records of nfdump", "they hold flow totals, not packets; import the capture instead"),
)
HEAD = 270
"""Bytes from the start of a file that :func:`foreign_format` looks at."""


def foreign_format(head: bytes) -> str | None:
    """Return what a file is, and what to do about it, from its first bytes; None if they are not known."""
    for place, magic, name, remedy in _FORMATS:
        if head[place:].startswith(magic):
            return f"{name}; {remedy}"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:14].lower().startswith((b"<!doctype html", b"<html")):
        return "a web page, not the file; download the file itself"
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05" and head[2:3] in b"\x95}](c":
        return "a Python pickle, which could run any code; save the flows as Parquet or CSV"
    return None
