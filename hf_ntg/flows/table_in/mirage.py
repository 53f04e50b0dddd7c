"""Reads MIRAGE-2019 and MIRAGE-2022: biflows in JSON, one file a capture session, or the zip they come in.

Format: https://traffic.comics.unina.it/mirage/. A file is one object ``{"srcIP,srcPort,dstIP,dstPort,proto": flow}``;
a flow has ``packet_data`` (equal-length lists) and ``flow_metadata``. The app under test is named in the file's name.
"""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO, Literal

from hf_ntg.errors import InputError
from hf_ntg.flows.byte_stream import FREE_BYTES, STREAM_ERRORS, BrokenFileError, OnRead
from hf_ntg.flows.packings import unpacked_name
from hf_ntg.flows.reading import packed_address
from hf_ntg.flows.table_in.conventions import UNITS, Declared
from hf_ntg.flows.table_in.json_stream import json_members
from hf_ntg.flows.table_in.table_file import TableFile
from hf_ntg.flows.table_in.totals import REMEDY, totals_of
from hf_ntg.flows.unpacking import first_bytes, open_unpacked, printable_name
from hf_ntg.flows.zip_files import ZIP_ERRORS, ZIP_MAGICS, zip_members

__all__ = ["BACKGROUND", "Background", "Labelling", "MirageReader"]

BACKGROUND = "background"
Background = Literal["label", "drop", "keep"]
Labelling = Literal["all", "exact", "most-common"]

_PACKAGE = re.compile(r"^\d+_(?:(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}_)?(.+?)_mirage", re.IGNORECASE)
_MAX_NESTED_ZIPS = 2
_CHUNK = 1 << 20


class MirageReader(TableFile):
    """Streams the flows of a MIRAGE file: ``.json``, plain or gzip, or a ``.zip`` of such files or of zips of them.

    The label is ``BF_label``, the Android package whose socket the flow was. MIRAGE labels a flow ``exact`` (the socket
    was seen) or by the ``most-common`` package of its addresses. Common practice calls a flow *background* where its
    label is not the package under test, which the file's name tells, or (MIRAGE-2022) its activity is ``Unknown``.

    Args:
        path: the file.
        capture: name of a lone JSON file's capture; inside a zip, captures are named by their path in it.
        labelling: keep ``all`` flows or only those labelled in one of the two ways.
        background: ``label`` them "background", ``drop`` them, or ``keep`` the label they have.
        max_packets, on_read, scratch: see :class:`hf_ntg.flows.table_in.table_file.TableFile`.
    """

    def __init__(
        self,
        path: str | Path,
        capture: str | None = None,
        labelling: Labelling = "all",
        background: Background = "label",
        max_packets: int | None = None,
        on_read: OnRead | None = None,
        scratch: Path | None = None,
    ) -> None:
        for name, value, known in (
            ("labelling", labelling, ("all", "exact", "most-common")),
            ("background", background, ("label", "drop", "keep")),
        ):
            if value not in known:
                raise InputError(f"{name} {value!r}: choose one of {', '.join(known)}")
        name = Path(path).name
        stem = name[: len(unpacked_name(name).removesuffix(".json"))]
        super().__init__(path, stem if capture is None else capture, max_packets, on_read, scratch)
        self.labelling = labelling
        self.background = background
        self.declared = Declared(up="0", down="1", unit=UNITS["s"], timestamps=False)
        self._broken_members = 0

    def read_rows(self) -> Iterator[None]:
        try:
            with open_unpacked(self.path, self._on_read) as file:
                if first_bytes(file, self.path) in ZIP_MAGICS:
                    zip_members(self.path)  # refuses decompression bombs
                    yield from self._from_zip(file, "", 0)
                else:
                    yield from self._from_json(file, self.path.name, self.capture, str(self.path))
        except BrokenFileError as error:
            self._note(error)
        if self._broken_members > 1:
            more = self._broken_members - 1
            self.broken = BrokenFileError(f"{self.broken} (and {more} more damaged parts of this zip)")

    def _note(self, error: BrokenFileError) -> None:
        """Remember the first damage; a damaged file in a zip does not stop the others in it."""
        self._broken_members += 1
        self.broken = self.broken or error.with_traceback(None)  # whose frames would keep the last block in memory

    def _from_zip(self, file: BinaryIO, folder: str, depth: int) -> Iterator[None]:
        place = f"{self.path}: {folder}" if folder else str(self.path)
        try:
            with zipfile.ZipFile(file) as archive:
                members = sorted(archive.infolist(), key=lambda one: one.filename)
                if depth and sum(member.file_size for member in members) > FREE_BYTES:
                    raise BrokenFileError(f"{place}: unpacks to more than {FREE_BYTES >> 20} MiB; unpack it first")
                for member in members:
                    try:
                        yield from self._from_member(archive, member, folder, depth)
                    except ZIP_ERRORS as error:
                        name = printable_name(member.filename)
                        self._note(BrokenFileError(f"{self.path}: {folder}{name}: damaged or unreadable ({error})"))
        except ZIP_ERRORS as error:
            raise BrokenFileError(f"{place}: a damaged or unreadable zip ({error})") from error

    def _from_member(
        self, archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: str, depth: int
    ) -> Iterator[None]:
        """Read one member of a zip: a JSON file, or a zip of them."""
        name = printable_name(member.filename)
        try:
            if name.endswith(".zip") and depth < _MAX_NESTED_ZIPS:
                with archive.open(member) as packed, tempfile.TemporaryFile(dir=self._scratch) as inner:
                    _copy_bounded(packed, inner, f"{self.path}: {folder}{name}")
                    yield from self._from_zip(inner, f"{folder}{name.removesuffix('.zip')}/", depth + 1)
            elif name.endswith(".json") and not Path(name).name.startswith("."):
                with archive.open(member) as inner:
                    capture = (folder + name).removesuffix(".json")
                    yield from self._from_json(inner, Path(name).name, capture, f"{self.path}: {folder}{name}")
            elif not name.endswith("/"):
                self.skipped["files in the zip that are no JSON"] += 1
        except BrokenFileError as error:
            self._note(error)

    def _from_json(self, file: IO[bytes], name: str, capture: str, place: str) -> Iterator[None]:
        """The flows of one JSON file; `name` tells the package under test."""
        match = _PACKAGE.match(name)
        package = match and match.group(1)
        if package is None:
            self.noticed["files whose name does not tell the app under test, so that no flow counts as background"] += 1
        try:
            for number, (endpoints, flow) in enumerate(json_members(file, place), start=1):
                self._add_flow(endpoints, flow, package, capture, number)
                yield
        except STREAM_ERRORS as error:
            raise BrokenFileError(f"{place}: damaged or cut off ({error})") from error

    def _add_flow(self, endpoints: str, flow, package: str | None, capture: str, number: int) -> None:
        """Take one flow of a file, with its label by the chosen policy; flows that are left out are counted."""
        packets = flow.get("packet_data") if isinstance(flow, dict) else None
        about = flow.get("flow_metadata") if isinstance(flow, dict) else None
        if not isinstance(packets, dict) or not isinstance(about, dict):
            tool = totals_of(flow) if number == 1 and isinstance(flow, dict) else None
            if tool is not None:
                raise InputError(f"{self.path}: this table ({tool}) {REMEDY}")
            self.skip("no packet_data or flow_metadata")
            return
        label = about.get("BF_label")
        if self.labelling != "all" and about.get("BF_labeling_type") != self.labelling:
            self.skip(f"not labelled {self.labelling!r}")
            return
        if package is not None and (label != package or about.get("BF_activity") == "Unknown"):
            if self.background == "drop":
                self.skip("background")
                return
            label = BACKGROUND if self.background == "label" else label
        parts = endpoints.split(",")
        if len(parts) != 5:
            self.skip("a key that is not 'srcIP,srcPort,dstIP,dstPort,proto'")
            return
        lengths = packets.get("L4_payload_bytes")
        self.add(
            lengths,
            packets.get("packet_dir"),
            packets.get("iat"),
            packets.get("TCP_win_size") if parts[4] == "6" or not isinstance(lengths, list) else [0] * len(lengths),
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


def _copy_bounded(packed: IO[bytes], copy: IO[bytes], place: str) -> None:
    """Unpack a zip inside a zip, which is read from its end.

    Raises:
        BrokenFileError: it is larger than 1 GiB.
    """
    total = 0
    while chunk := packed.read(_CHUNK):
        total += len(chunk)
        if total > FREE_BYTES:
            raise BrokenFileError(f"{place}: a zip in a zip of more than {FREE_BYTES >> 20} MiB; unpack it first")
        copy.write(chunk)
