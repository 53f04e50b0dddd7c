"""The two ways in which a signal holds packets: as code words, or with one channel for each property of a packet."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from hf_ntg.codecs.packet_codes import CODE_WIDTH, ENDED, PacketCodes
from hf_ntg.codecs.signal_scales import integers_of, log_scaled
from hf_ntg.flows.arrays import FlowArrays

__all__ = ["CodedPackets", "PacketForm", "SeparatePackets"]


class PacketForm(Protocol):
    """Writes directions and payload lengths as the first channels of a signal, and reads them back.

    N is the number of flows, W the number of packet positions, C the number of channels of the form.
    """

    @property
    def num_channels(self) -> int:
        """C."""

    def write(
        self, channels: np.ndarray, known: np.ndarray, flows: FlowArrays, present: np.ndarray, ends: np.ndarray
    ) -> np.ndarray:
        """Fill `channels` with the packets of `flows`.

        Args:
            channels: (C, N, W) zeros to fill.
            known: (N, C, W) bool, where a value carries information; True where packets are present, to be corrected.
            present: (N, W) bool, where a flow has a packet.
            ends: (N, W) bool, where it is known whether a flow has a packet.

        Returns:
            (N, W) int64 code words, all 0 in a form without code words.
        """

    def read(self, channels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Presence (bool), direction and payload length of packets, each (N, W), from `channels` (C, N, W)."""


class CodedPackets:
    """32 channels of +-1 hold a packet's code word; one more holds the length of packets whose word has none.

    Args:
        symbols: packet symbols with a code word. max_payload: largest payload length that is read, bytes.
    """

    num_channels = CODE_WIDTH + 1

    def __init__(self, symbols: list[int], max_payload: int) -> None:
        self.codes, self.max_payload = PacketCodes(symbols), max_payload

    def write(
        self, channels: np.ndarray, known: np.ndarray, flows: FlowArrays, present: np.ndarray, ends: np.ndarray
    ) -> np.ndarray:
        """See :class:`PacketForm`."""
        at = (flows.flow_index, flows.position)
        words = np.full(present.shape, ENDED, dtype=np.int64)
        words[at] = self.codes.words_of(flows.packet_symbol)
        channels[:CODE_WIDTH] = self.codes.book[words].transpose(2, 0, 1)
        channels[CODE_WIDTH][at] = log_scaled(flows.payload_length)
        known[:, :CODE_WIDTH], known[:, CODE_WIDTH] = ends[:, None], self.codes.symbols_of(words)[1]
        return words

    def read(self, channels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See :class:`PacketForm`."""
        words = self.codes.nearest(channels[:CODE_WIDTH])
        symbols, other = self.codes.symbols_of(words)
        length = np.where(other, integers_of(channels[CODE_WIDTH]).clip(max=self.max_payload), symbols // 2)
        return words != ENDED, 1 - 2 * (symbols % 2), length


class SeparatePackets:
    """One channel each holds the direction, the payload length on a linear scale, and whether there is a packet.

    Args:
        max_payload: payload length, in bytes, that is written as 1, and the largest that is read.
    """

    num_channels = 3

    def __init__(self, max_payload: int) -> None:
        self.max_payload = max_payload

    def write(
        self, channels: np.ndarray, known: np.ndarray, flows: FlowArrays, present: np.ndarray, ends: np.ndarray
    ) -> np.ndarray:
        """See :class:`PacketForm`."""
        at = (flows.flow_index, flows.position)
        channels[0][at], channels[1][at] = flows.direction, 2 * flows.payload_length / self.max_payload - 1
        channels[2], known[:, 2] = np.where(present, 1, -1), ends
        return np.full(present.shape, ENDED, dtype=np.int64)

    def read(self, channels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See :class:`PacketForm`."""
        length = np.rint((channels[1] + 1) / 2 * self.max_payload).clip(0, self.max_payload).astype(np.int64)
        return channels[2] > 0, np.where(channels[0] < 0, -1, 1), length
