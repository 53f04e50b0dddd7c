"""FlowSignalProcessor: flows to float matrices (channels x packets) and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from datasets import Dataset
from transformers import FeatureExtractionMixin

from hf_ntg.codecs.flow_headers import count_headers, draw_headers, draw_ports, header_places, most_frequent
from hf_ntg.codecs.packet_codes import CODE_WIDTH, ENDED, PacketCodes, log_shares
from hf_ntg.codecs.signal_scales import (
    integers_of,
    log_scaled,
    matched_ranks,
    rank_quantiles,
    ranked_times,
    time_knots,
    times_of,
)
from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays, as_arrays

__all__ = ["PACKET_FORMS", "FlowSignalProcessor", "FlowSignals"]

PACKET_FORMS = ("codes", "separate")


@dataclass(frozen=True)
class FlowSignals:
    """N flows as model input.

    Attributes:
        values: (N, C, W) float32 in [-1, 1], one column a packet.
        words: (N, W) int64 code word of each packet, 0 after the end; all 0 unless packets are written as codes.
        classes: (N,) int64 place of the label. headers: (N,) int64 place of the header, -1 where there is none.
        known: (N, C, W) bool: where a value says something of the flow; elsewhere it is 0 and decoding ignores it.
    """

    values: np.ndarray
    words: np.ndarray
    classes: np.ndarray
    headers: np.ndarray
    known: np.ndarray


class FlowSignalProcessor(FeatureExtractionMixin):
    """Writes flows as float matrices and reads them back: lengths, directions and flow lengths exactly.

    A packet is a column. How its direction and payload length are written is the `packet_form`:

    * ``codes``: 32 channels of +-1 hold the code word of its packet symbol (direction and length together), see
      :class:`PacketCodes`, and one channel the length of packets whose symbol has no word. After the last packet stands
      the word "ended".
    * ``separate``: direction, length and presence in a channel each; the first packet not present ends the flow.

    Further channels hold, where they are wanted, the inter-arrival time, as its rank among the times of its class at
    its position, and the TCP window on a log scale. All statistics are of the flows given to :meth:`fit`, and of what
    a model drew, see :meth:`match_times`. They are saved as ``preprocessor_config.json``.
    """

    def __init__(
        self,
        labels: list[str | None] = (),
        label_counts: list[int] = (),
        max_packets: int = 10,
        max_payload: int = 1_460,
        packet_form: str = "codes",
        time_knots: list[list[list[float]]] | None = None,
        windows: bool = False,
        symbols: list[int] = (),
        word_counts: list[list[list[tuple[int, int]]]] = (),
        class_lengths: list[list[int]] = (),
        headers: list[tuple[int, int]] = (),
        header_counts: list[list[int]] = (),
        drawn_ranks: list[list[list[float]]] | None = None,
        training_ranks: list[list[list[float]]] | None = None,
        **kwargs,
    ) -> None:
        """See :meth:`fit` for `max_packets` to `windows`.

        Args:
            labels, label_counts: classes and the training flows of each.
            max_payload: largest payload length that is decoded, bytes.
            time_knots: see :func:`hf_ntg.codecs.signal_scales.time_knots`; None: no times.
            symbols: packet symbols (``2 * length + downstream``) with a code word, most frequent first.
            word_counts: for each class and position, (code word, training flows that have it there).
            class_lengths: payload lengths that each class was seen with, ascending.
            headers: (protocol, destination port) pairs. header_counts: training flows of each class with each.
            drawn_ranks, training_ranks: see :meth:`match_times`; None: times are read as they were drawn.
        """
        super().__init__(**kwargs)
        self.labels, self.label_counts = list(labels), list(label_counts)
        self.max_packets, self.max_payload, self.packet_form = max_packets, max_payload, packet_form
        self.time_knots, self.windows = time_knots, windows
        self.symbols, self.class_lengths = list(symbols), list(class_lengths)
        self.word_counts = word_counts
        self.headers, self.header_counts = [list(pair) for pair in headers], list(header_counts)
        self.drawn_ranks, self.training_ranks = drawn_ranks, training_ranks

    @classmethod
    def fit(
        cls,
        flows: Dataset | FlowArrays,
        *,
        max_packets: int = 10,
        packet_form: str = "codes",
        header: bool = True,
        times: bool = True,
        windows: bool = False,
        max_symbols: int = 1_024,
        min_symbol_count: int = 2,
    ) -> FlowSignalProcessor:
        """Make a processor for `flows`, which must be training flows only.

        Args:
            max_packets: packets of a flow that count. packet_form: see the class.
            header: learn protocol and destination port, where `flows` have them.
            times, windows: write inter-arrival times and TCP windows, where `flows` have them.
            max_symbols, min_symbol_count: so many packet symbols get a code word, each seen at least so often.

        Raises:
            InputError: no such `packet_form`.
        """
        if packet_form not in PACKET_FORMS:
            raise InputError(f"packet form {packet_form!r}: choose one of {', '.join(PACKET_FORMS)}")
        arrays = as_arrays(flows).head(max_packets)
        labels = sorted({name for name in arrays.label if name is not None})
        if any(name is None for name in arrays.label):
            labels.append(None)
        classes = _places(labels, arrays.label)
        lengths = np.unique(np.stack([classes[arrays.flow_index], arrays.payload_length]), axis=1)
        headers, header_counts = count_headers(arrays, classes, len(labels)) if header else ([], [])
        coded = packet_form == "codes"
        made = cls(
            labels=labels,
            label_counts=np.bincount(classes, minlength=len(labels)).tolist(),
            max_packets=max_packets,
            max_payload=max(int(arrays.payload_length.max()), 1),
            packet_form=packet_form,
            time_knots=_fit_times(arrays, classes, len(labels), max_packets) if times else None,
            windows=windows and arrays.tcp_window is not None,
            symbols=most_frequent(arrays.packet_symbol, max_symbols, min_symbol_count) if coded else [],
            class_lengths=[lengths[1, lengths[0] == k].tolist() for k in range(len(labels))],
            headers=headers,
            header_counts=header_counts,
        )
        words = made.encode(arrays).words
        counts = [[_counted(column) for column in words[classes == k].T] for k in range(len(labels))]
        made.word_counts = counts if coded else [[[]] * max_packets] * len(labels)
        return made

    @property
    def num_channels(self) -> int:
        """Channels of a signal."""
        return self.packet_channels + (self.time_knots is not None) + self.windows

    @property
    def packet_channels(self) -> int:
        """Channels that write direction, payload length and presence."""
        return CODE_WIDTH + 1 if self.packet_form == "codes" else 3

    @property
    def _codes(self) -> PacketCodes:
        return PacketCodes(self.symbols)

    @property
    def code_book(self) -> np.ndarray:
        """(V, 32) float32 code words of +-1: ended, other upstream, other downstream, then the packet symbols.

        V is 0 unless packets are written as codes.
        """
        return self._codes.book[: None if self.packet_form == "codes" else 0]

    @property
    def word_log_prior(self) -> np.ndarray:
        """(K + 1, max_packets, V) float32, see :func:`log_shares`."""
        return log_shares(self.word_counts, len(self.code_book))

    def match_times(self, training: FlowSignals, drawn: np.ndarray, classes: np.ndarray) -> None:
        """Have :meth:`decode` read the times of a trained model as often as they are in the training flows.

        A model in few steps draws ranks near to those of the training flows, but not spread as they are. From now on
        the ranks of a class at a position are moved, in their order, by the quantiles of both.

        Args:
            training: what :meth:`encode` made of the training flows.
            drawn: (N, C, W) signals that the model drew for `classes` (N,).
        """
        channel, count = self.packet_channels, len(self.labels)
        columns = self._columns_of(drawn)
        self.drawn_ranks = rank_quantiles(columns[channel], self._read_packets(columns)[0], classes, count)
        self.training_ranks = rank_quantiles(
            training.values[:, channel], training.known[:, channel], training.classes, count
        )

    def encode(self, flows: Dataset | FlowArrays, width: int | None = None) -> FlowSignals:
        """Write `flows` as signals of `width` columns (`max_packets` when None); longer flows are cut.

        Times outside those of the training flows of a class, at a position, take the nearest of them; lengths above
        `max_payload` are kept.

        Raises:
            InputError: a class is not one of the processor's, or a column that it writes is missing.
        """
        arrays = as_arrays(flows).head(self.max_packets)
        self._check_columns(arrays)
        classes = _places(self.labels, arrays.label)
        width = self.max_packets if width is None else width
        at = (arrays.flow_index, arrays.position)
        present = np.zeros((len(arrays), width), dtype=bool)
        present[at] = True
        values = np.zeros((len(arrays), self.num_channels, width), dtype=np.float32)
        known = np.repeat(present[:, None], self.num_channels, axis=1)
        columns = values.transpose(1, 0, 2)  # (C, N, W), a view
        words = np.full((len(arrays), width), ENDED, dtype=np.int64)
        if self.packet_form == "codes":
            codes = self._codes
            words[at] = codes.words_of(arrays.packet_symbol)
            columns[:CODE_WIDTH] = codes.book[words].transpose(2, 0, 1)
            known[:, :CODE_WIDTH], known[:, CODE_WIDTH] = True, codes.symbols_of(words)[1]
            columns[CODE_WIDTH][at] = log_scaled(arrays.payload_length)
        else:
            columns[0][at], columns[1][at] = arrays.direction, 2 * arrays.payload_length / self.max_payload - 1
            columns[2], known[:, 2] = np.where(present, 1, -1), True
        if self.time_knots is not None:
            times = np.zeros((len(arrays), self.max_packets), dtype=np.float32)
            times[at] = arrays.inter_arrival_time
            columns[self.packet_channels][:, : self.max_packets] = ranked_times(times, classes, self.time_knots)
            known[:, self.packet_channels, 0] = False  # the first packet's is 0 by definition
        if self.windows:
            columns[-1][at] = log_scaled(arrays.tcp_window)
        return FlowSignals(values * known, words, classes, header_places(self.headers, arrays), known)

    def decode(
        self,
        values: np.ndarray,
        classes: np.ndarray,
        headers: np.ndarray,
        *,
        rng: np.random.Generator | None = None,
        snap: bool = False,
    ) -> FlowArrays:
        """Read signals as legal flows: at least one packet, integer lengths in range, directions of +-1.

        Args:
            values: (N, C, W) signals; columns from `max_packets` on are not looked at.
            classes, headers: (N,) as in :class:`FlowSignals`.
            rng: draws ports that have no header of their own; seeded with 0 when None.
            snap: move every payload length to the nearest that the flow's class was seen with.
        """
        columns = self._columns_of(values)
        present, direction, length = self._read_packets(columns)
        direction, length = direction[present], length[present]
        offsets = np.concatenate([[0], np.cumsum(present.sum(axis=1))])
        if snap:
            owner = np.repeat(classes, np.diff(offsets))
            for k in np.unique(classes):
                length[owner == k] = _nearest(np.array(self.class_lengths[k]), length[owner == k])
        found: dict[str, np.ndarray] = {
            "offsets": offsets,
            "label": np.array([*self.labels, None], dtype=object)[:-1][classes],
            "payload_length": length.astype(np.int32),
            "direction": direction.astype(np.int8),
            "packet_count": np.diff(offsets).astype(np.int32),
        }
        if self.time_knots is not None:
            ranks = columns[self.packet_channels]
            if self.drawn_ranks is not None:
                ranks = matched_ranks(ranks, classes, self.drawn_ranks, self.training_ranks)
            times = times_of(ranks, classes, self.time_knots)
            times[:, 0] = 0
            found["inter_arrival_time"] = times[present].astype(np.float32)
        if self.windows:
            found["tcp_window"] = integers_of(columns[-1][present])
        rng = np.random.default_rng(0) if rng is None else rng
        return FlowArrays(**found, **draw_ports(self.headers, headers, rng))

    def draw_headers(self, classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A header for each of `classes` (N,), by the frequency of that class's training flows; -1 without headers."""
        return draw_headers(self.header_counts, classes, rng)

    def places_of(self, labels: np.ndarray) -> np.ndarray:
        """(N,) place of each class name in `labels`.

        Raises:
            InputError: a name is not one of the processor's.
        """
        return _places(self.labels, labels)

    def _columns_of(self, values: np.ndarray) -> np.ndarray:
        """The channels of signals (N, C, W), one after the other: (C, N, max_packets) float64."""
        return np.asarray(values, dtype=np.float64)[:, :, : self.max_packets].transpose(1, 0, 2)

    def _read_packets(self, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Presence (N, W) bool, the first packet's always and none after a gap, direction and payload length.

        The last two are (N, W) and whatever where nothing is present.
        """
        if self.packet_form == "codes":
            codes = self._codes
            words = codes.nearest(columns[:CODE_WIDTH])
            symbols, other = codes.symbols_of(words)
            present, direction = words != ENDED, 1 - 2 * (symbols % 2)
            length = np.where(other, integers_of(columns[CODE_WIDTH]).clip(max=self.max_payload), symbols // 2)
        else:
            present, direction = columns[2] > 0, np.where(columns[0] < 0, -1, 1)
            length = np.rint((columns[1] + 1) / 2 * self.max_payload).clip(0, self.max_payload).astype(np.int64)
        present[:, 0] = True
        return np.logical_and.accumulate(present, axis=1), direction, length

    def _check_columns(self, arrays: FlowArrays) -> None:
        wanted = {
            "inter_arrival_time": self.time_knots is not None,
            "tcp_window": self.windows,
            "protocol": bool(self.headers),
            "destination_port": bool(self.headers),
        }
        missing = [name for name, needed in wanted.items() if needed and getattr(arrays, name) is None]
        if missing:
            raise InputError(f"the model knows {', '.join(missing)}, the flows have no such column")


def _places(labels: list[str | None], wanted: np.ndarray) -> np.ndarray:
    place = {name: index for index, name in enumerate(labels)}
    unknown = [name for name in wanted if name not in place]
    if unknown:
        raise InputError(f"class {unknown[0]!r} is not one the model knows: {', '.join(map(str, labels))}")
    return np.fromiter((place[name] for name in wanted), dtype=np.int64, count=len(wanted))


def _fit_times(arrays: FlowArrays, classes: np.ndarray, num_classes: int, max_packets: int) -> list | None:
    if arrays.inter_arrival_time is None:
        return None
    later = arrays.position > 0
    columns = arrays.inter_arrival_time, classes[arrays.flow_index], arrays.position
    return time_knots(*(column[later] for column in columns), num_classes, max_packets)


def _counted(words: np.ndarray) -> list[list[int]]:
    found, counts = np.unique(words, return_counts=True)
    return np.stack([found, counts], axis=1).tolist()


def _nearest(known: np.ndarray, values: np.ndarray) -> np.ndarray:
    right = np.searchsorted(known, values).clip(max=len(known) - 1)
    left = (right - 1).clip(min=0)
    return np.where(values - known[left] < known[right] - values, known[left], known[right])
