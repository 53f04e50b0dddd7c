"""FlowTokenizer: flows to sentences of discrete tokens and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from datasets import Dataset
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from hf_ntg.codecs.flow_grammar import EOS, PAD, FlowGrammar
from hf_ntg.codecs.time_bins import TimeBins
from hf_ntg.errors import InputError
from hf_ntg.files import write_text
from hf_ntg.flows.arrays import FlowArrays, as_arrays, ragged_positions

__all__ = ["EncodedFlows", "FlowTokenizer"]

GRAMMAR_FILE = "flow_grammar.json"
EPHEMERAL_PORTS = (32_768, 60_999)  # the range Linux hands out to clients
OTHER_PORTS = (1_024, 65_535)
MAX_EXTRA_LENGTHS = 512
MAX_PORTS = 64
MIN_PORT_FLOWS = 5


@dataclass(frozen=True)
class EncodedFlows:
    """N sentences laid end to end: `ids` (T,) int32, sentence i at ``offsets[i]:offsets[i + 1]``, offsets (N + 1,)."""

    ids: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """(N,) tokens of each sentence."""
        return np.diff(self.offsets)

    def padded(self, pad: int = 0) -> np.ndarray:
        """The sentences as a matrix, filled on the right: (N, longest) int32."""
        matrix = np.full((len(self), self.lengths.max(initial=0)), pad, dtype=np.int32)
        matrix[np.repeat(np.arange(len(self)), self.lengths), ragged_positions(self.lengths)] = self.ids
        return matrix


class FlowTokenizer(PreTrainedTokenizerFast):
    """A word-level tokenizer whose words are facts of a flow: ``<netflix> tcp port:443 +0 -0 +0 +517 -1448 … <eos>``.

    A packet's token holds its direction and payload length together; the inverse is exact for every length up to
    ``max_payload`` and every longer one that the fitted flows hold, in flows of up to ``max_packets`` packets. Times
    are binned, and drawn inside their bin on decoding, as :class:`hf_ntg.codecs.time_bins.TimeBins` says. Ports without
    a token decode to a random port of 1,024 to 65,535, source ports to a random ephemeral one.

    It is saved as ``tokenizer.json``, which stock ``AutoTokenizer`` loads, and ``flow_grammar.json``, the grammar.
    """

    # No __init__ of its own: transformers would then load the saved tokenizer without its words.

    @classmethod
    def fit(
        cls,
        flows: Dataset,
        *,
        max_packets: int = 10,
        max_payload: int = 1_460,
        header: bool = True,
        times: bool = True,
        time_bins: int = 64,
    ) -> FlowTokenizer:
        """Make a tokenizer for `flows`, which must be training flows only.

        Args:
            max_packets: packets of a flow that count. max_payload: payload lengths up to this all get a token, bytes.
            header: protocol and destination port as tokens, where `flows` has them.
            times: inter-arrival times as tokens, where `flows` has them. time_bins: how many, at most.
        """
        arrays = as_arrays(flows).head(max_packets)
        names = sorted({name for name in arrays.label if name is not None})
        if any(name is None for name in arrays.label):
            names.append(None)
        place = {name: index for index, name in enumerate(names)}
        counts = np.bincount([place[name] for name in arrays.label], minlength=len(names))
        header = header and arrays.protocol is not None and arrays.destination_port is not None
        return cls.from_format(
            FlowGrammar(
                labels=tuple(names),
                label_counts=tuple(counts.tolist()),
                max_packets=max_packets,
                max_payload=max_payload,
                extra_lengths=_frequent(arrays.payload_length[arrays.payload_length > max_payload], MAX_EXTRA_LENGTHS),
                protocols=_frequent(arrays.protocol, 256) if header else (),
                ports=_frequent(arrays.destination_port, MAX_PORTS, MIN_PORT_FLOWS) if header else (),
                time_knots=tuple(TimeBins.fit(arrays.inter_arrival_time, time_bins).knots.tolist()) if times else (),
            )
        )

    @classmethod
    def from_format(cls, grammar: FlowGrammar) -> FlowTokenizer:
        """The tokenizer of a grammar."""
        words = models.WordLevel({word: i for i, word in enumerate(grammar.words())}, unk_token=PAD)
        backend = Tokenizer(words)
        backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        # Every word brings its own space, so that text made piece by piece can be laid end to end.
        backend.decoder = decoders.Replace(Regex(r"\A"), " ")
        return cls(
            tokenizer_object=backend,
            pad_token=PAD,
            eos_token=EOS,
            model_max_length=grammar.max_tokens,
            padding_side="right",
            clean_up_tokenization_spaces=False,
            flow_grammar=grammar.to_dict(),
        )

    @property
    def grammar(self) -> FlowGrammar:
        """The grammar of the sentences."""
        if "_grammar" not in self.__dict__:
            self._grammar = FlowGrammar.from_dict(self.init_kwargs["flow_grammar"])
        return self._grammar

    def save_pretrained(self, save_directory: str | Path, **kwargs) -> tuple[str, ...]:
        """Save as every tokenizer does, and the grammar as ``flow_grammar.json``."""
        files = super().save_pretrained(save_directory, **kwargs)
        path = Path(save_directory) / GRAMMAR_FILE
        write_text(path, json.dumps(self.grammar.to_dict()) + "\n")
        return (*files, str(path))

    def encode_flows(self, flows: Dataset | FlowArrays) -> EncodedFlows:
        """Write `flows` as sentences; each is cut at the format's `max_packets`.

        Raises:
            InputError: a class is not one of the tokenizer's, or a column that it writes is missing.
        """
        rules = self.grammar
        arrays = as_arrays(flows).head(rules.max_packets)
        if rules.has_times and arrays.inter_arrival_time is None:
            raise InputError("the model knows times, the flows have no column 'inter_arrival_time'")
        if rules.has_header and (arrays.protocol is None or arrays.destination_port is None):
            raise InputError("the model knows headers, the flows have no columns 'protocol' and 'destination_port'")
        packets = arrays.num_packets
        tail = packets if rules.has_times else 0  # <times> and a bin for every packet but the first
        offsets = np.concatenate([[0], np.cumsum(rules.prefix_length + packets + tail + 1)])
        ids = np.empty(offsets[-1], dtype=np.int32)
        starts = offsets[:-1]
        ids[starts] = rules.blocks["label"].start + self._label_places(arrays.label)
        if rules.has_header:
            protocols, ports = np.array(rules.protocols), np.array(rules.ports, dtype=np.int64)
            known = _places(protocols, arrays.protocol)
            if (known == len(protocols)).any():
                number = arrays.protocol[np.argmax(known == len(protocols))]
                raise InputError(f"protocol {number} is not one the model knows: {', '.join(map(str, protocols))}")
            ids[starts + 1] = rules.blocks["protocol"].start + known
            ids[starts + 2] = rules.blocks["port"].start + _places(ports, arrays.destination_port)
        first = np.repeat(starts + rules.prefix_length, packets)
        ids[first + arrays.position] = rules.packet_ids[arrays.packet_symbol]
        if rules.has_times:
            ids[starts + rules.prefix_length + packets] = rules.end_of_packets
            later = arrays.position > 0
            place = (first + np.repeat(packets, packets) + arrays.position)[later]
            ids[place] = rules.blocks["time"].start + rules.time_bins.of(arrays.inter_arrival_time[later])
        ids[offsets[1:] - 1] = rules.eos
        return EncodedFlows(ids, offsets)

    def decode_flows(self, encoded: EncodedFlows, seed: int | Sequence[int] = 0) -> FlowArrays:
        """Read sentences as flows; `seed` draws times inside their bins and ports without a token.

        Raises:
            InputError: a sentence is not one of the grammar; the message names it.
        """
        rules, ids, starts = self.grammar, encoded.ids, encoded.offsets[:-1]
        packets = self._check_sentences(encoded)
        rng = np.random.default_rng(seed)
        labels = np.array([*rules.labels, None], dtype=object)[:-1]
        offsets = np.concatenate([[0], np.cumsum(packets)])
        position = ragged_positions(packets)
        first = np.repeat(starts + rules.prefix_length, packets)
        symbols = ids[first + position] - rules.blocks["packet"].start
        columns: dict[str, np.ndarray] = {
            "offsets": offsets,
            "label": labels[ids[starts] - rules.blocks["label"].start],
            "payload_length": rules.lengths[symbols % len(rules.lengths)].astype(np.int32),
            "direction": np.where(symbols < len(rules.lengths), 1, -1).astype(np.int8),
            "packet_count": packets.astype(np.int32),
        }
        if rules.has_header:
            columns["protocol"] = np.array(rules.protocols)[ids[starts + 1] - rules.blocks["protocol"].start]
            ports = rng.integers(OTHER_PORTS[0], OTHER_PORTS[1] + 1, len(encoded))
            known = ids[starts + 2] - rules.blocks["port"].start
            has_token = known < len(rules.ports)
            ports[has_token] = np.array(rules.ports)[known[has_token]]
            columns["destination_port"] = ports
            columns["source_port"] = rng.integers(EPHEMERAL_PORTS[0], EPHEMERAL_PORTS[1] + 1, len(encoded))
        if rules.has_times:
            times = np.zeros(len(position), dtype=np.float32)
            later = position > 0
            bins = ids[(first + np.repeat(packets, packets) + position)[later]] - rules.blocks["time"].start
            times[later] = rules.time_bins.draw(bins, rng)
            columns["inter_arrival_time"] = times
        return FlowArrays(**columns)

    def decode_text(self, sentences: list[str], seed: int = 0) -> Dataset:
        """Read flows written as text, as ``transformers.pipeline("text-generation")`` prints them."""
        rows = [self.convert_tokens_to_ids(sentence.split()) for sentence in sentences]
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
        ids = np.fromiter((token for row in rows for token in row), dtype=np.int32, count=offsets[-1])
        return self.decode_flows(EncodedFlows(ids, offsets), seed).to_dataset()

    def _label_places(self, labels: np.ndarray) -> np.ndarray:
        place = {name: index for index, name in enumerate(self.grammar.labels)}
        unknown = next((name for name in labels if name not in place), "")
        if unknown != "":
            known = ", ".join(map(str, self.grammar.labels))
            raise InputError(f"class {unknown!r} is not one the model knows: {known}")
        return np.fromiter((place[name] for name in labels), dtype=np.int32, count=len(labels))

    def _check_sentences(self, encoded: EncodedFlows) -> np.ndarray:
        """Number of packets of each sentence; an error where a sentence is not one."""
        rules, ids, lengths = self.grammar, encoded.ids, encoded.lengths
        packets = lengths - rules.prefix_length - 1
        if rules.has_times:
            packets = packets // 2
        wanted = rules.prefix_length + packets * (2 if rules.has_times else 1) + 1
        good = (packets >= 1) & (packets <= rules.max_packets) & (lengths == wanted)
        if good.all():
            place = ragged_positions(lengths)
            count = np.repeat(packets, lengths)
            kinds = np.full(len(ids), "packet", dtype="U8")
            kinds[place == 0] = "label"
            if rules.has_header:
                kinds[place == 1], kinds[place == 2] = "protocol", "port"
            if rules.has_times:
                kinds[place > rules.prefix_length + count] = "time"
                kinds[place == rules.prefix_length + count] = "times"
            kinds[encoded.offsets[1:] - 1] = "eos"
            legal = np.zeros(len(ids), dtype=bool)
            for kind, block in rules.blocks.items():
                legal |= (kinds == kind) & (ids >= block.start) & (ids < block.stop)
            good = np.logical_and.reduceat(legal, encoded.offsets[:-1])
        if not good.all():
            bad = int(np.argmin(good))
            words = self.convert_ids_to_tokens(ids[encoded.offsets[bad] : encoded.offsets[bad + 1]].tolist())
            raise InputError(f"sentence {bad} is not a flow: {' '.join(map(str, words))}")
        return packets


def _frequent(values: np.ndarray, most: int, at_least: int = 1) -> tuple[int, ...]:
    """The `most` most frequent values that occur `at_least` times, ascending."""
    found, counts = np.unique(values, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:most]
    return tuple(sorted(found[order[counts[order] >= at_least]].tolist()))


def _places(known: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Place of each value in the ascending array `known`, its length where it is not there."""
    place = np.searchsorted(known, values)
    return np.where(np.isin(values, known), place, len(known))
