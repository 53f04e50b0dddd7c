"""FlowSignalProcessor: flows to float matrices (channels x packets) and back."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from datasets import Dataset
from transformers import FeatureExtractionMixin

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.schema import MAX_PAYLOAD

__all__ = ["CODE_WIDTH", "PACKET_FORMS", "FlowSignalProcessor", "FlowSignals", "code_words"]

PACKET_FORMS = ("codes", "separate", "signed")
CODE_WIDTH = 32
ENDED, OTHER_UP, OTHER_DOWN = 0, 1, 2  # code words with a meaning of their own; packet symbols follow
EPHEMERAL_PORTS = (32_768, 60_999)  # the range Linux hands out to clients
OTHER_PORTS = (1_024, 65_535)
OTHER_PORT = -2  # a port without a header of its own; -1 is a port that is not known
MAX_PORTS = 64
MIN_PORT_FLOWS = 5
ZERO_GAP = 0.1  # the zero inter-arrival time lies at -1, the smallest positive one this much above


@dataclass(frozen=True)
class FlowSignals:
    """N flows as model input.

    Attributes:
        values: (N, C, W) float32 in [-1, 1], one column a packet.
        words: (N, W) int64 code word of each packet, 0 after the end; all 0 unless packets are written as codes.
        classes: (N,) int64 place of the label. headers: (N,) int64 place of the header, -1 where there is none.
    """

    values: np.ndarray
    words: np.ndarray
    classes: np.ndarray
    headers: np.ndarray


class FlowSignalProcessor(FeatureExtractionMixin):
    """Writes flows as float matrices and reads them back: lengths, directions and flow lengths exactly.

    A packet is a column. How its direction and payload length are written is the `packet_form`:

    * ``codes``: 32 channels of +-1, the code word of its packet symbol (direction and length together), and one channel
      with the length of packets whose symbol has no word. Words are those of the Reed-Muller code RM(2, 5), so any two
      differ in at least 8 channels; the 64 most frequent in at least 16. After the last packet stands the word "ended".
    * ``separate``: direction, length and presence in a channel each. ``signed``: direction times length, and presence.

    Further channels hold the inter-arrival time and the TCP window, both on a log scale, where they are wanted.
    The first packet that is not present ends the flow. All statistics are of the flows given to :meth:`fit`. They are
    saved as ``preprocessor_config.json``.
    """

    def __init__(
        self,
        labels: list[str | None] = (),
        label_counts: list[int] = (),
        max_packets: int = 10,
        max_payload: int = 1_460,
        packet_form: str = "codes",
        time_range: tuple[float, float] | None = None,
        windows: bool = False,
        symbols: list[int] = (),
        word_counts: list[list[tuple[int, int]]] = (),
        class_lengths: list[list[int]] = (),
        headers: list[tuple[int, int]] = (),
        header_counts: list[list[int]] = (),
        **kwargs,
    ) -> None:
        """See :meth:`fit` for `max_packets` to `windows`.

        Args:
            labels, label_counts: classes and the training flows of each.
            max_payload: largest payload length that is decoded, bytes.
            time_range: logarithms of the smallest and largest positive inter-arrival time, seconds; None: no times.
            symbols: packet symbols (``2 * length + downstream``) with a code word, most frequent first.
            word_counts: for each class, (code word, packets of the training flows that have it).
            class_lengths: payload lengths that each class was seen with, ascending.
            headers: (protocol, destination port) pairs. header_counts: training flows of each class with each.
        """
        super().__init__(**kwargs)
        self.labels, self.label_counts = list(labels), list(label_counts)
        self.max_packets, self.max_payload, self.packet_form = max_packets, max_payload, packet_form
        self.time_range, self.windows = None if time_range is None else list(time_range), windows
        self.symbols, self.class_lengths = list(symbols), list(class_lengths)
        self.word_counts = [[list(pair) for pair in pairs] for pairs in word_counts]
        self.headers, self.header_counts = [list(pair) for pair in headers], list(header_counts)

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
        arrays = (flows if isinstance(flows, FlowArrays) else FlowArrays.from_dataset(flows)).head(max_packets)
        labels = sorted({name for name in arrays.label if name is not None})
        if any(name is None for name in arrays.label):
            labels.append(None)
        classes = _places(labels, arrays.label)
        lengths = np.unique(np.stack([classes[arrays.flow_index], arrays.payload_length]), axis=1)
        headers, header_counts = _header_table(arrays, classes, len(labels)) if header else ([], [])
        made = cls(
            labels=labels,
            label_counts=np.bincount(classes, minlength=len(labels)).tolist(),
            max_packets=max_packets,
            max_payload=max(int(arrays.payload_length.max()), 1),
            packet_form=packet_form,
            time_range=_time_range(arrays.inter_arrival_time) if times else None,
            windows=windows and arrays.tcp_window is not None,
            symbols=_frequent(arrays.packet_symbol, max_symbols, min_symbol_count) if packet_form == "codes" else [],
            class_lengths=[lengths[1, lengths[0] == k].tolist() for k in range(len(labels))],
            headers=headers,
            header_counts=header_counts,
        )
        if packet_form == "codes":
            words = made.encode(arrays).words
            made.word_counts = [_counted(words[classes == k]) for k in range(len(labels))]
        return made

    @property
    def num_channels(self) -> int:
        """Channels of a signal."""
        return self.packet_channels + (self.time_range is not None) + self.windows

    @property
    def packet_channels(self) -> int:
        """Channels that write direction, payload length and presence."""
        return {"codes": CODE_WIDTH + 1, "separate": 3, "signed": 2}[self.packet_form]

    @property
    def code_book(self) -> np.ndarray:
        """(V, 32) code words: ended, other upstream, other downstream, then the packet symbols."""
        return code_words(np.arange(3 + len(self.symbols)))

    @property
    def word_log_prior(self) -> np.ndarray:
        """(K + 1, V) float32: log share of each code word in each class, and in all of them together in the last row.

        A class is counted with one more packet that is spread as all packets are, so that no word is impossible.
        """
        counts = np.zeros((len(self.labels) + 1, 3 + len(self.symbols)))
        for k, pairs in enumerate(self.word_counts):
            for word, count in pairs:
                counts[k, word] = count
        counts[-1] = counts.sum(axis=0)
        spread = (counts[-1] + 1) / (counts[-1] + 1).sum()
        counts += spread
        return np.log(counts / counts.sum(axis=1, keepdims=True)).astype(np.float32)

    def encode(self, flows: Dataset | FlowArrays, width: int | None = None) -> FlowSignals:
        """Write `flows` as signals of `width` columns (`max_packets` when None); longer flows are cut.

        Times outside the fitted range take its nearest end; lengths above `max_payload` are kept.

        Raises:
            InputError: a class is not one of the processor's, or a column that it writes is missing.
        """
        arrays = (flows if isinstance(flows, FlowArrays) else FlowArrays.from_dataset(flows)).head(self.max_packets)
        self._check_columns(arrays)
        width = self.max_packets if width is None else width
        at = (arrays.flow_index, arrays.position)
        values = np.zeros((len(arrays), self.num_channels, width), dtype=np.float32)
        columns = values.transpose(1, 0, 2)  # (C, N, W), a view
        words = np.full((len(arrays), width), ENDED, dtype=np.int64)
        if self.packet_form == "codes":
            words[at] = self._words(arrays.packet_symbol)
            columns[:CODE_WIDTH] = self.code_book.astype(np.float32)[words].transpose(2, 0, 1)
            other = np.isin(words[at], (OTHER_UP, OTHER_DOWN))
            columns[CODE_WIDTH][at] = np.where(other, _log_scaled(arrays.payload_length), 0.0)
        else:
            length = 2 * arrays.payload_length / self.max_payload - 1
            if self.packet_form == "separate":
                columns[0][at], columns[1][at] = arrays.direction, length
            else:  # one byte is added, so that an empty packet still has a direction
                columns[0][at] = arrays.direction * (arrays.payload_length + 1) / (self.max_payload + 1)
            columns[self.packet_channels - 1] = -1
            columns[self.packet_channels - 1][at] = 1
        if self.time_range is not None:
            columns[self.packet_channels][at] = self._scaled_times(arrays.inter_arrival_time)
        if self.windows:
            columns[-1][at] = _log_scaled(arrays.tcp_window)
        return FlowSignals(values, words, _places(self.labels, arrays.label), self._header_places(arrays))

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
        columns = np.asarray(values, dtype=np.float64)[:, :, : self.max_packets].transpose(1, 0, 2)  # (C, N, W)
        present, direction, length = self._read_packets(columns)
        present[:, 0] = True
        present = np.logical_and.accumulate(present, axis=1)
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
        if self.time_range is not None:
            times = self._unscaled_times(columns[self.packet_channels])
            times[:, 0] = 0
            found["inter_arrival_time"] = times[present].astype(np.float32)
        if self.windows:
            found["tcp_window"] = _log_unscaled(columns[-1][present])
        return FlowArrays(**found, **self._draw_ports(headers, np.random.default_rng(0) if rng is None else rng))

    def draw_headers(self, classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A header for each of `classes` (N,), by the frequency of that class's training flows; -1 without headers."""
        drawn = np.full(len(classes), -1, dtype=np.int64)
        if self.headers:
            chance = rng.random(len(classes))
            for k in np.unique(classes):
                shares = np.cumsum(self.header_counts[k]) / np.sum(self.header_counts[k])
                drawn[classes == k] = np.searchsorted(shares, chance[classes == k], side="right")
        return drawn

    def places_of(self, labels: np.ndarray) -> np.ndarray:
        """(N,) place of each class name in `labels`.

        Raises:
            InputError: a name is not one of the processor's.
        """
        return _places(self.labels, labels)

    def _read_packets(self, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Presence (N, W) bool, direction and payload length, both (N, W) and whatever where nothing is present."""
        if self.packet_form == "codes":
            words = (columns[:CODE_WIDTH].transpose(1, 2, 0) @ self.code_book.T).argmax(axis=2)  # (N, W)
            symbols = np.array([0, 0, 1, *self.symbols])[words]
            other = (words == OTHER_UP) | (words == OTHER_DOWN)
            length = np.where(other, _log_unscaled(columns[CODE_WIDTH]).clip(max=self.max_payload), symbols // 2)
            return words != ENDED, 1 - 2 * (symbols % 2), length
        if self.packet_form == "separate":
            length = (columns[1] + 1) / 2 * self.max_payload
        else:
            length = np.abs(columns[0]) * (self.max_payload + 1) - 1
        direction = np.where(columns[0] < 0, -1, 1)
        length = np.rint(length).clip(0, self.max_payload).astype(np.int64)
        return columns[self.packet_channels - 1] > 0, direction, length

    def _words(self, symbols: np.ndarray) -> np.ndarray:
        known = np.array(self.symbols, dtype=np.int64)
        order = np.argsort(known)
        place = np.searchsorted(known, symbols, sorter=order).clip(max=max(len(known) - 1, 0))
        if not len(known):
            return OTHER_UP + symbols % 2
        return np.where(known[order[place]] == symbols, 3 + order[place], OTHER_UP + symbols % 2)

    def _scaled_times(self, times: np.ndarray) -> np.ndarray:
        low, high = self.time_range
        logs = np.log(np.maximum(times.astype(np.float64), 1e-30)).clip(low, high)
        scaled = ZERO_GAP - 1 + (logs - low) / (high - low) * (2 - ZERO_GAP)
        return np.where(times > 0, scaled, -1.0)

    def _unscaled_times(self, scaled: np.ndarray) -> np.ndarray:
        low, high = self.time_range
        logs = low + (scaled + 1 - ZERO_GAP) / (2 - ZERO_GAP) * (high - low)
        return np.where(scaled < ZERO_GAP / 2 - 1, 0.0, np.exp(logs.clip(low, high)))

    def _header_places(self, arrays: FlowArrays) -> np.ndarray:
        places = np.full(len(arrays), -1, dtype=np.int64)
        if self.headers:
            known = {tuple(pair): place for place, pair in enumerate(self.headers)}
            for i, pair in enumerate(zip(arrays.protocol.tolist(), arrays.destination_port.tolist(), strict=True)):
                places[i] = known.get(pair, known.get((pair[0], OTHER_PORT), -1))
        return places

    def _draw_ports(self, headers: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
        if not self.headers:
            return {}
        protocol, port = np.array(self.headers, dtype=np.int64)[headers].T
        drawn = rng.integers(OTHER_PORTS[0], OTHER_PORTS[1] + 1, len(headers))
        return {
            "protocol": protocol,
            "destination_port": np.where(port == OTHER_PORT, drawn, port),
            "source_port": rng.integers(EPHEMERAL_PORTS[0], EPHEMERAL_PORTS[1] + 1, len(headers)),
        }

    def _check_columns(self, arrays: FlowArrays) -> None:
        wanted = {
            "inter_arrival_time": self.time_range is not None,
            "tcp_window": self.windows,
            "protocol": bool(self.headers),
            "destination_port": bool(self.headers),
        }
        missing = [name for name, needed in wanted.items() if needed and getattr(arrays, name) is None]
        if missing:
            raise InputError(f"the model knows {', '.join(missing)}, the flows have no such column")


def code_words(numbers: np.ndarray) -> np.ndarray:
    """Words of the Reed-Muller code RM(2, 5) as rows of +-1: (N, 32) int8 for N `numbers` below 65,536.

    Bit j of a number is the coefficient of the j-th of the 16 monomials of degree up to two in five binary variables,
    linear ones first; the word is the polynomial's value at all 32 points. Two words differ in at least 8 places, two
    of the first 64 in at least 16 (MacWilliams and Sloane, The Theory of Error-Correcting Codes, chapter 13).
    """
    points = np.arange(CODE_WIDTH)[None] >> np.arange(5)[:, None] & 1  # (5, 32)
    quadratic = [points[i] * points[j] for i, j in combinations(range(5), 2)]
    monomials = np.stack([*points, np.ones(CODE_WIDTH, dtype=points.dtype), *quadratic])  # (16, 32)
    coefficients = np.asarray(numbers)[:, None] >> np.arange(16) & 1
    return (1 - 2 * (coefficients @ monomials % 2)).astype(np.int8)


def _places(labels: list[str | None], wanted: np.ndarray) -> np.ndarray:
    place = {name: index for index, name in enumerate(labels)}
    unknown = [name for name in wanted if name not in place]
    if unknown:
        raise InputError(f"class {unknown[0]!r} is not one the model knows: {', '.join(map(str, labels))}")
    return np.fromiter((place[name] for name in wanted), dtype=np.int64, count=len(wanted))


def _time_range(times: np.ndarray | None) -> tuple[float, float] | None:
    """Logarithms of the smallest and largest positive time, a little apart."""
    if times is None:
        return None
    logs = np.log(times[times > 0].astype(np.float64)) if (times > 0).any() else np.zeros(1)
    return float(logs.min()), float(max(logs.max(), logs.min() + 1e-3))


def _header_table(arrays: FlowArrays, classes: np.ndarray, num_classes: int) -> tuple[list, list]:
    """Distinct (protocol, port) pairs, rare ports as one, and how many flows of each class have each."""
    if arrays.protocol is None or arrays.destination_port is None:
        return [], []
    frequent = _frequent(arrays.destination_port, MAX_PORTS, MIN_PORT_FLOWS)
    port = np.where(np.isin(arrays.destination_port, frequent), arrays.destination_port, OTHER_PORT)
    pairs, place = np.unique(np.stack([arrays.protocol, port], axis=1), axis=0, return_inverse=True)
    counts = np.zeros((num_classes, len(pairs)), dtype=np.int64)
    np.add.at(counts, (classes, place.ravel()), 1)
    return pairs.tolist(), counts.tolist()


def _frequent(values: np.ndarray, most: int, at_least: int) -> list[int]:
    """The `most` most frequent values that occur `at_least` times, most frequent first."""
    found, counts = np.unique(values, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:most]
    return found[order[counts[order] >= at_least]].tolist()


def _counted(words: np.ndarray) -> list[list[int]]:
    found, counts = np.unique(words, return_counts=True)
    return np.stack([found, counts], axis=1).tolist()


def _nearest(known: np.ndarray, values: np.ndarray) -> np.ndarray:
    right = np.searchsorted(known, values).clip(max=len(known) - 1)
    left = (right - 1).clip(min=0)
    return np.where(values - known[left] < known[right] - values, known[left], known[right])


def _log_scaled(values: np.ndarray) -> np.ndarray:
    """0 to 65,535 onto [-1, 1], logarithmically; :func:`_log_unscaled` is its exact inverse for integers in float32."""
    return 2 * np.log1p(values.astype(np.float64)) / np.log1p(MAX_PAYLOAD) - 1


def _log_unscaled(scaled: np.ndarray) -> np.ndarray:
    values = np.expm1((np.clip(scaled, -1, 1) + 1) / 2 * np.log1p(MAX_PAYLOAD))
    return np.rint(values).astype(np.int64)
