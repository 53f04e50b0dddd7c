"""FlowSignalProcessor: flows to float matrices (channels x packets) and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import Dataset
from transformers import FeatureExtractionMixin

from hf_ntg.codecs.flow_headers import count_headers, draw_headers, draw_ports, header_places, most_frequent
from hf_ntg.codecs.flow_labels import class_names, class_places, names_at
from hf_ntg.codecs.packet_codes import PACKET_FORMS, counted_words, log_shares
from hf_ntg.codecs.packet_forms import CodedPackets, PacketForm, SeparatePackets
from hf_ntg.codecs.signal_scales import (
    Knots,
    integers_of,
    log_scaled,
    matched_ranks,
    nearest_of,
    rank_quantiles,
    ranked_times,
    time_knots,
    times_of,
)
from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.schema import MAX_SEGMENT
from hf_ntg.flows.view import all_in_view, flows_in_view, longest_seen

__all__ = ["FlowSignalProcessor", "FlowSignals"]


@dataclass(frozen=True)
class FlowSignals:
    """N flows as model input.

    Attributes:
        values: (N, C, W) float32 in [-1, 1], one column a packet.
        words: (N, W) int64 code word of each packet, 0 after the end; all 0 unless packets are written as codes.
        classes: (N,) int64 place of the label. headers: (N,) int64 place of the header, -1 where there is none.
        known: (N, C, W) bool: where a value carries information. Elsewhere the value is 0, and decoding ignores it.
            Nothing is known after the last packet of a flow that was cut.
    """

    values: np.ndarray
    words: np.ndarray
    classes: np.ndarray
    headers: np.ndarray
    known: np.ndarray


class FlowSignalProcessor(FeatureExtractionMixin):
    """Writes flows as float matrices and reads them back. Payload lengths, directions and packet numbers are exact.

    A packet is a column. The `packet_form` says how its direction and payload length are written:

    * ``codes``: 32 channels of +-1 hold the code word of its packet symbol (direction and length together), see
      :class:`PacketCodes`. One more channel holds the length of packets whose symbol has no word. The word "ended"
      follows the last packet.
    * ``separate``: one channel each for direction, length and presence. The first packet that is not present ends the
      flow.

    Optional channels hold the inter-arrival time, as its rank among the times of the same class and position, and the
    TCP window on a log scale. All statistics come from the flows given to :meth:`fit` and the draws given to
    :meth:`match_times`. They are saved as ``preprocessor_config.json``.
    """

    def __init__(
        self,
        labels: Sequence[str | None] = (),
        label_counts: Sequence[int] = (),
        max_packets: int = 10,
        max_payload: int = MAX_SEGMENT,
        packet_form: str = "codes",
        time_knots: Knots | None = None,
        windows: bool = False,
        symbols: Sequence[int] = (),
        word_counts: list[list[list[list[int]]]] | None = None,
        class_lengths: Sequence[list[int]] = (),
        headers: Sequence[Sequence[int]] = (),
        header_counts: Sequence[list[int]] = (),
        drawn_ranks: Knots | None = None,
        training_ranks: Knots | None = None,
        view: str = "all",
        **kwargs: Any,
    ) -> None:
        """See :meth:`fit` for `max_packets` to `windows`.

        Args:
            labels, label_counts: classes and the training flows of each.
            max_payload: largest payload length that is decoded, bytes.
            time_knots: see :func:`hf_ntg.codecs.signal_scales.time_knots`; None: no times.
            symbols: packet symbols (``2 * length + (direction < 0)``) with a code word, most frequent first.
            word_counts: for each class and position, pairs of a code word and its number of training flows.
            class_lengths: payload lengths of the training flows of each class, ascending.
            headers: (protocol, destination port) pairs. header_counts: training flows of each class with each.
            drawn_ranks, training_ranks: see :meth:`match_times`; None: times are decoded as they were drawn.
            view: packet view of the signals. A saved processor without it means ``all``.
        """
        super().__init__(**kwargs)
        self.labels, self.label_counts = list(labels), list(label_counts)
        self.max_packets, self.max_payload, self.packet_form = max_packets, max_payload, packet_form
        self.time_knots, self.windows = time_knots, windows
        self.symbols, self.class_lengths = list(symbols), list(class_lengths)
        self.word_counts = [] if word_counts is None else word_counts
        self.headers, self.header_counts = [list(pair) for pair in headers], list(header_counts)
        self.drawn_ranks, self.training_ranks = drawn_ranks, training_ranks
        self.view = view

    @classmethod
    def fit(
        cls,
        flows: Dataset | FlowArrays,
        *,
        view: str | None = None,
        max_packets: int = 10,
        packet_form: str = "codes",
        header: bool = True,
        times: bool = True,
        windows: bool = False,
        max_symbols: int = 1_024,
        min_symbol_count: int = 2,
    ) -> FlowSignalProcessor:
        """Fit a processor to `flows`, which must be training flows only.

        Args:
            view: packet view of the signals, see :func:`hf_ntg.flows.view.in_view`; None: the one that `flows` are in,
                or ``all`` if it is not marked.
            max_packets: largest number of packets of a signal. It becomes smaller if all flows were cut earlier, see
                :func:`hf_ntg.flows.view.longest_seen`.
            packet_form: see the class.
            header: learn protocol and destination port, where `flows` have them.
            times, windows: write inter-arrival times and TCP windows, where `flows` have them.
            max_symbols, min_symbol_count: at most `max_symbols` packet symbols get a code word, each seen at least
                `min_symbol_count` times.

        Raises:
            InputError: there is no such `packet_form`, or no flow is left in the packet view.
        """
        if packet_form not in PACKET_FORMS:
            raise InputError(f"packet form {packet_form!r}: choose one of {', '.join(PACKET_FORMS)}")
        arrays, _ = flows_in_view(flows, view)
        max_packets = longest_seen(arrays, max_packets)
        arrays = arrays.head(max_packets)
        labels = class_names(arrays.label)
        classes = class_places(labels, arrays.label)
        lengths = np.unique(np.stack([classes[arrays.flow_index], arrays.payload_length]), axis=1)
        headers, header_counts = count_headers(arrays, classes, len(labels)) if header else ([], [])
        knots, coded, later = None, packet_form == "codes", arrays.position > 0
        if times and arrays.inter_arrival_time is not None:
            timed = (arrays.inter_arrival_time[later], classes[arrays.flow_index[later]], arrays.position[later])
            knots = time_knots(*timed, len(labels), max_packets)
        made = cls(
            labels=labels,
            label_counts=np.bincount(classes, minlength=len(labels)).tolist(),
            max_packets=max_packets,
            max_payload=max(int(arrays.payload_length.max()), 1),
            packet_form=packet_form,
            time_knots=knots,
            windows=windows and arrays.tcp_window is not None,
            symbols=most_frequent(arrays.packet_symbol, max_symbols, min_symbol_count) if coded else [],
            class_lengths=[lengths[1, lengths[0] == k].tolist() for k in range(len(labels))],
            headers=headers,
            header_counts=header_counts,
            view=arrays.view or "all",
        )
        signals = made.encode(arrays)
        words = np.where(signals.known[:, 0], signals.words, -1)  # -1: cut off, so the packet is unknown
        made.word_counts = [
            [counted_words(column) if coded else [] for column in words[classes == k].T] for k in range(len(labels))
        ]
        return made

    def __repr__(self) -> str:
        parts = f"classes={len(self.labels)}, max_packets={self.max_packets}, packet_form={self.packet_form!r}"
        return f"{type(self).__name__}({parts}, view={self.view!r}, times={self.time_knots is not None})"

    @property
    def num_channels(self) -> int:
        """Number of channels of a signal."""
        return self.packet_channels + (self.time_knots is not None) + self.windows

    @property
    def packet_channels(self) -> int:
        """Number of channels that hold direction, payload length and presence."""
        return self._form.num_channels

    @property
    def _form(self) -> PacketForm:
        if self.packet_form == "codes":
            return CodedPackets(self.symbols, self.max_payload)
        return SeparatePackets(self.max_payload)

    @property
    def code_book(self) -> np.ndarray:
        """(V, 32) float32 code words of +-1: ended, other upstream, other downstream, then the packet symbols.

        V is 0 unless packets are written as codes.
        """
        return CodedPackets(self.symbols, 0).codes.book[: None if self.packet_form == "codes" else 0]

    @property
    def word_log_prior(self) -> np.ndarray:
        """(K + 1, max_packets, V) float32 log share of each code word, see :func:`log_shares`."""
        return log_shares(self.word_counts, len(self.code_book))

    def match_times(self, training: FlowSignals, drawn: np.ndarray, classes: np.ndarray) -> None:
        """Fit a quantile map from generated to training times, which :meth:`decode` applies from now on.

        With few denoising steps, a model draws ranks near those of the training flows, but with another distribution.
        The map works on each position of each class, and keeps the order of the ranks.

        Args:
            training: the result of :meth:`encode` for the training flows.
            drawn: (N, C, W) signals that the model drew for `classes` (N,).
        """
        channel, count = self.packet_channels, len(self.labels)
        columns = self._columns_of(drawn)
        self.drawn_ranks = rank_quantiles(columns[channel], self._read_packets(columns)[0], classes, count)
        self.training_ranks = rank_quantiles(
            training.values[:, channel], training.known[:, channel], training.classes, count
        )

    def encode(self, flows: Dataset | FlowArrays, width: int | None = None) -> FlowSignals:
        """Write flows as signals, in the processor's packet view; longer flows are cut.

        Times outside those of the training flows of a class, at a position, map to the nearest of them. Lengths above
        `max_payload` are kept. A (protocol, port) pair that was not trained on is written as no header.

        Args:
            flows: N flows. width: columns of a signal, `max_packets` when None.

        Raises:
            InputError: a class is not one of the processor's, a column that it writes is missing, or a flow has no
                packet in the packet view.
        """
        arrays = all_in_view(flows, self.view).head(self.max_packets)
        self._check_columns(arrays)
        classes = class_places(self.labels, arrays.label)
        width = self.max_packets if width is None else width
        at = (arrays.flow_index, arrays.position)
        present = np.zeros((len(arrays), width), dtype=bool)
        present[at] = True
        values = np.zeros((len(arrays), self.num_channels, width), dtype=np.float32)
        known = np.repeat(present[:, None], self.num_channels, axis=1)
        ends = present if arrays.cut is None else present | ~arrays.cut[:, None]  # a cut flow's end is not known
        columns = values.transpose(1, 0, 2)  # (C, N, W), a view
        packets = slice(self.packet_channels)
        words = self._form.write(columns[packets], known[:, packets], arrays, present, ends)
        if self.time_knots is not None:
            times = np.zeros((len(arrays), self.max_packets), dtype=np.float32)
            times[at] = arrays.inter_arrival_time
            columns[self.packet_channels][:, : self.max_packets] = ranked_times(times, classes, self.time_knots)
            known[:, self.packet_channels, 0] = False  # the first packet's is 0 by definition
        if self.windows and arrays.tcp_window is not None:
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

        In the packet view ``payload`` every packet carries at least one byte. ``packet_count`` is the number of packets
        of the signal.

        Args:
            values: (N, C, W) signals; columns from `max_packets` on are ignored.
            classes, headers: (N,) as in :class:`FlowSignals`.
            rng: draws ports that have no header of their own; seeded with 0 when None.
            snap: move every payload length to the nearest that the training flows of the class have.

        Returns:
            The flows, in the processor's packet view.
        """
        columns = self._columns_of(values)
        present, direction, length = self._read_packets(columns)
        direction, length = direction[present], length[present].clip(min=1 if self.view == "payload" else 0)
        offsets = np.concatenate([[0], np.cumsum(present.sum(axis=1))])
        if snap:
            owner = np.repeat(classes, np.diff(offsets))
            for k in np.unique(classes):
                length[owner == k] = nearest_of(np.array(self.class_lengths[k]), length[owner == k])
        found: dict[str, np.ndarray] = {
            "offsets": offsets,
            "label": names_at(self.labels, classes),
            "payload_length": length.astype(np.int32),
            "direction": direction.astype(np.int8),
            "packet_count": np.diff(offsets).astype(np.int32),
        }
        if self.time_knots is not None:
            ranks = columns[self.packet_channels]
            if self.drawn_ranks is not None and self.training_ranks is not None:
                ranks = matched_ranks(ranks, classes, self.drawn_ranks, self.training_ranks)
            times = times_of(ranks, classes, self.time_knots)
            times[:, 0] = 0
            found["inter_arrival_time"] = times[present].astype(np.float32)
        if self.windows:
            found["tcp_window"] = integers_of(columns[-1][present])
        rng = np.random.default_rng(0) if rng is None else rng
        return FlowArrays(**found, **draw_ports(self.headers, headers, rng), view=self.view)

    def draw_headers(self, classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(N,) place of a header for each of `classes`, drawn with the frequencies of the class's training flows.

        All -1 for a processor without headers.
        """
        return draw_headers(self.header_counts, classes, rng)

    def places_of(self, labels: np.ndarray) -> np.ndarray:
        """(N,) place of each of the class names `labels` (N,).

        Raises:
            InputError: a name is not one of the processor's.
        """
        return class_places(self.labels, labels)

    def _columns_of(self, values: np.ndarray) -> np.ndarray:
        """Signals (N, C, W) with the channels first: (C, N, max_packets) float64."""
        return np.asarray(values, dtype=np.float64)[:, :, : self.max_packets].transpose(1, 0, 2)

    def _read_packets(self, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Presence (N, W) bool, direction (N, W) and payload length (N, W) of the packets.

        The first packet is always present. No packet after a gap is present. Direction and length mean nothing where no
        packet is present.
        """
        present, direction, length = self._form.read(columns[: self.packet_channels])
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
            raise InputError(f"the model was trained with {', '.join(missing)}; the flows have no such column")
