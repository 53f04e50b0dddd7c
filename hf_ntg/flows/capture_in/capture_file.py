"""Opens capture files and chooses between the readers of pcap and pcapng."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from hf_ntg.errors import InputError
from hf_ntg.flows.byte_stream import OnRead
from hf_ntg.flows.capture_in.packet_block import PacketBlock, Window
from hf_ntg.flows.capture_in.pcap_records import PCAP_MAGICS, pcap_blocks
from hf_ntg.flows.capture_in.pcapng_records import PCAPNG_MAGIC, pcapng_blocks
from hf_ntg.flows.foreign_files import HEAD, foreign_format
from hf_ntg.flows.unpacking import first_bytes, open_unpacked

__all__ = ["is_capture", "read_packets"]


def read_packets(
    path: str | Path, on_read: OnRead | None = None, noticed: Counter[str] | None = None
) -> Iterator[PacketBlock]:
    """Yield the packets of a pcap or pcapng file, plain or compressed, block by block. Memory use is constant.

    The first bytes of the file decide the format; its name does not matter.

    Args:
        path: the capture.
        on_read: called with the number of bytes read from the disk since the last call.
        noticed: remarks about the file's records are counted here.

    Raises:
        BrokenFileError: the file breaks off inside a record or is damaged; the packets before it were yielded.
        InputError: the file cannot be opened, is empty, or is not a capture.
    """
    path = Path(path)
    with open_unpacked(path, on_read) as file:
        window = Window(file, path, noticed=Counter() if noticed is None else noticed)
        window.slide(0)
        magic = window.data[:4]
        if magic in PCAP_MAGICS:
            yield from pcap_blocks(window)
        elif magic == PCAPNG_MAGIC:
            yield from pcapng_blocks(window)
        elif not magic:
            raise InputError(f"{path}: an empty file, not a capture")
        else:
            unknown = f"neither pcap nor pcapng (it begins with {magic.hex(' ')})"
            raise InputError(f"{path}: {foreign_format(bytes(window.data[:HEAD])) or unknown}")


def is_capture(path: Path) -> bool:
    """Return whether the file at `path`, plain or compressed, begins like a pcap or pcapng file; ignore its name."""
    try:
        with open_unpacked(path) as file:
            magic = first_bytes(file, path)
    except InputError:
        return False
    return magic in PCAP_MAGICS or magic == PCAPNG_MAGIC
