"""MIRAGE-2019 and MIRAGE-2022: biflows in JSON, one file a capture session, or the zip they come in.

Format: https://traffic.comics.unina.it/mirage/. A file is one object ``{"srcIP,srcPort,dstIP,dstPort,proto": flow}``;
a flow has ``packet_data`` (equal-length lists) and ``flow_metadata``. The app under test is named in the file's name.
"""

from __future__ import annotations

import codecs
import json
import lzma
import re
import shutil
import struct
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal

from hf_ntg.errors import InputError
from hf_ntg.flows.reading import (
    STREAM_ERRORS,
    BrokenFileError,
    FlowBatch,
    Tell,
    first_bytes,
    open_unpacked,
    packed_address,
)
from hf_ntg.flows.table_in.flow_rows import FlowRows

__all__ = ["BACKGROUND", "Background", "Labelling", "MirageReader"]

BACKGROUND = "background"
Background = Literal["label", "drop", "keep"]
Labelling = Literal["all", "exact", "most-common"]

_PACKAGE = re.compile(r"^\d+_(?:(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}_)?(.+?)_mirage", re.IGNORECASE)
_SPACE = re.compile(r"[ \t\n\r]*")
_ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
_BATCH = 10_000
_CHUNK = 1 << 20
_LARGEST_FLOW = 256 << 20  # characters of JSON
_MAX_NESTED_ZIPS = 2
# What zipfile raises on damage: seeking before the beginning, sizes and dates out of range, passwords, unknown methods.
_ZIP_ERRORS = (
    zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, OverflowError, struct.error, lzma.LZMAError,
    UnicodeError, *STREAM_ERRORS,
)  # fmt: skip


class MirageReader:
    """Streams the flows of a MIRAGE file: ``.json``, plain or gzip, or a ``.zip`` of such files or of zips of them.

    The label is ``BF_label``, the Android package whose socket the flow was. MIRAGE labels a flow ``exact`` (the socket
    was seen) or by the ``most-common`` package of its addresses. Common practice calls a flow *background* where its
    label is not the package under test, which the file's name tells, or (MIRAGE-2022) its activity is ``Unknown``.

    Args:
        path: the file.
        capture: name of a lone JSON file's capture; inside a zip, captures are named by their path in it.
        labelling: keep ``all`` flows or only those labelled in one of the two ways.
        background: ``label`` them "background", ``drop`` them, or ``keep`` the label they have.
        max_packets: packets to keep of each flow.
        tell: told the bytes read from the disk.

    Attributes:
        skipped, noticed, broken: see :class:`hf_ntg.flows.reading.FlowReader`.
    """

    def __init__(
        self,
        path: str | Path,
        capture: str | None = None,
        labelling: Labelling = "all",
        background: Background = "label",
        max_packets: int | None = None,
        tell: Tell | None = None,
    ) -> None:
        for name, value, known in (
            ("labelling", labelling, ("all", "exact", "most-common")),
            ("background", background, ("label", "drop", "keep")),
        ):
            if value not in known:
                raise InputError(f"{name} {value!r}: choose one of {', '.join(known)}")
        self.path = Path(path)
        self.capture = self.path.name.removesuffix(".gz").removesuffix(".json") if capture is None else capture
        self.labelling = labelling
        self.background = background
        self.broken: BrokenFileError | None = None
        self._broken_members = 0
        self._rows = FlowRows(max_packets, has_windows=True)
        self._tell = tell

    @property
    def skipped(self) -> Counter[str]:
        return self._rows.skipped

    @property
    def noticed(self) -> Counter[str]:
        return self._rows.noticed

    def __iter__(self) -> Iterator[FlowBatch]:
        try:
            with open_unpacked(self.path, self._tell) as file:
                if first_bytes(file, self.path) in _ZIP_MAGICS:
                    yield from self._from_zip(file, "", 0)
                else:
                    yield from self._from_json(file, self.path.name, self.capture, str(self.path))
        except BrokenFileError as error:
            self._note(error)
        if self._broken_members > 1:
            more = self._broken_members - 1
            self.broken = BrokenFileError(f"{self.broken} (and {more} more damaged parts of this zip)")
        if len(self._rows):
            yield self._rows.take()

    def _note(self, error: BrokenFileError) -> None:
        """Remember the first damage; a damaged file in a zip does not stop the others in it."""
        self._broken_members += 1
        self.broken = self.broken or error.with_traceback(None)  # whose frames would keep the last block in memory

    def _from_zip(self, file: BinaryIO, folder: str, depth: int) -> Iterator[FlowBatch]:
        place = f"{self.path}: {folder}" if folder else str(self.path)
        try:
            with zipfile.ZipFile(file) as archive:
                members = sorted(archive.infolist(), key=lambda one: one.filename)
                for member in members:
                    try:
                        yield from self._from_member(archive, member, folder, depth)
                    except _ZIP_ERRORS as error:
                        name = _one_line(member.filename)
                        self._note(BrokenFileError(f"{self.path}: {folder}{name}: damaged or unreadable ({error})"))
        except _ZIP_ERRORS as error:
            raise BrokenFileError(f"{place}: a damaged or unreadable zip ({error})") from error

    def _from_member(
        self, archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: str, depth: int
    ) -> Iterator[FlowBatch]:
        name = _one_line(member.filename)
        try:
            if name.endswith(".zip") and depth < _MAX_NESTED_ZIPS:
                with archive.open(member) as packed, tempfile.TemporaryFile() as inner:
                    shutil.copyfileobj(packed, inner)  # a zip is read from its end
                    yield from self._from_zip(inner, f"{folder}{name.removesuffix('.zip')}/", depth + 1)
            elif name.endswith(".json") and not Path(name).name.startswith("."):
                with archive.open(member) as inner:
                    capture = (folder + name).removesuffix(".json")
                    yield from self._from_json(inner, Path(name).name, capture, f"{self.path}: {folder}{name}")
        except BrokenFileError as error:
            self._note(error)

    def _from_json(self, file: BinaryIO, name: str, capture: str, place: str) -> Iterator[FlowBatch]:
        """The flows of one JSON file; `name` tells the package under test."""
        match = _PACKAGE.match(name)
        package = match and match.group(1)
        if package is None:
            self.noticed["files whose name does not tell the app under test, so that no flow counts as background"] += 1
        try:
            for number, (endpoints, flow) in enumerate(_members(file, place), start=1):
                self._add(endpoints, flow, package, capture, number)
                if len(self._rows) >= _BATCH:
                    yield self._rows.take()
        except STREAM_ERRORS as error:
            raise BrokenFileError(f"{place}: damaged or cut off ({error})") from error

    def _add(self, endpoints: str, flow, package: str | None, capture: str, number: int) -> None:
        packets = flow.get("packet_data") if isinstance(flow, dict) else None
        about = flow.get("flow_metadata") if isinstance(flow, dict) else None
        if not isinstance(packets, dict) or not isinstance(about, dict):
            self.skipped["no packet_data or flow_metadata"] += 1
            return
        label = about.get("BF_label")
        if self.labelling != "all" and about.get("BF_labeling_type") != self.labelling:
            self.skipped[f"not labelled {self.labelling!r}"] += 1
            return
        if package is not None and (label != package or about.get("BF_activity") == "Unknown"):
            if self.background == "drop":
                self.skipped["background"] += 1
                return
            label = BACKGROUND if self.background == "label" else label
        parts = endpoints.split(",")
        if len(parts) != 5:
            self.skipped["a key that is not 'srcIP,srcPort,dstIP,dstPort,proto'"] += 1
            return
        directions = packets.get("packet_dir")
        if not isinstance(directions, list) or any(one not in (0, 1) for one in directions):
            self.skipped["a direction that is neither of the two"] += 1
            return
        self._rows.add(
            packets.get("L4_payload_bytes"),
            [1 - 2 * int(one) for one in directions],
            packets.get("iat"),
            packets.get("TCP_win_size") if parts[4] == "6" else [0] * len(directions),
            flow_id=f"{capture}#{number}",
            label=label if isinstance(label, str) else None,
            capture=capture,
            protocol=parts[4],
            source_port=parts[1],
            destination_port=parts[3],
            packet_count=about.get("BF_num_packets"),
            source=packed_address(parts[0]),
            destination=packed_address(parts[2]),
        )


def _one_line(name: str) -> str:
    """The name of a member of a zip, which may be anything, without line breaks."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def _members(file: BinaryIO, place: str) -> Iterator[tuple[str, object]]:
    """Keys and values of the JSON object in `file`, one at a time: memory is that of the largest value."""
    text = _Text(file, place)
    if text.mark() != "{":
        raise BrokenFileError(f"{place}: not a MIRAGE file, which is one JSON object")
    text.at += 1
    if text.mark() == "}":
        return
    while True:
        key = text.value()
        if not isinstance(key, str) or text.mark() != ":":
            raise text.broken("a key and a colon are missing")
        text.at += 1
        yield key, text.value()
        mark = text.mark()
        if mark == "}":
            return
        if mark != ",":
            raise text.broken("a comma or the end of the object is missing")
        text.at += 1


class _Text:
    """JSON text that is read as far as it is needed."""

    def __init__(self, file: BinaryIO, place: str) -> None:
        self.file, self.place = file, place
        self.text, self.at = "", 0
        self.passed = 0  # characters before `text`
        self.ended = False
        self.decode = codecs.getincrementaldecoder("utf-8")().decode
        self.read_value = json.JSONDecoder().raw_decode

    def broken(self, problem: str) -> BrokenFileError:
        return BrokenFileError(f"{self.place}: character {self.passed + self.at}: {problem}")

    def mark(self) -> str:
        """The next character that is no white space; `at` moves there."""
        while True:
            self.at = _SPACE.match(self.text, self.at).end()
            if self.at < len(self.text):
                return self.text[self.at]
            self._more()

    def value(self) -> object:
        """The JSON value that begins at the next mark; `at` moves behind it."""
        self.mark()
        while True:
            try:
                value, end = self.read_value(self.text, self.at)
            except json.JSONDecodeError as error:
                if self.ended or len(self.text) > _LARGEST_FLOW:
                    raise self.broken(f"not JSON ({error.msg})") from error
            except (RecursionError, ValueError) as error:
                raise self.broken(f"no sensible JSON ({error})") from error
            else:
                if end < len(self.text) or self.ended:
                    self.at = end
                    return value
            self._more()

    def _more(self) -> None:
        """Read as much again as is there, so that a long value is not parsed too often."""
        fresh = self.file.read(max(_CHUNK, len(self.text) - self.at))
        if self.ended:
            raise self.broken("the file breaks off")
        self.ended = not fresh
        try:
            decoded = self.decode(fresh, final=self.ended)
        except UnicodeDecodeError as error:
            raise self.broken(f"not UTF-8 text ({error.reason})") from error
        self.passed += self.at
        self.text, self.at = self.text[self.at :] + decoded, 0
