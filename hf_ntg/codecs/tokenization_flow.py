"""FlowTokenizer: flows to sentences of discrete tokens and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import BatchEncoding, PreTrainedTokenizerFast

from hf_ntg.codecs.flow_grammar import EOS, PAD, FlowGrammar, label_token
from hf_ntg.codecs.flow_headers import (
    MAX_PORTS,
    MIN_PORT_FLOWS,
    OTHER,
    draw_client_ports,
    draw_server_ports,
    most_frequent,
    places_in,
)
from hf_ntg.codecs.flow_labels import class_names, class_places, names_at
from hf_ntg.codecs.time_bins import TimeBins
from hf_ntg.errors import InputError
from hf_ntg.files import write_text
from hf_ntg.flows.arrays import FlowArrays, ragged_positions
from hf_ntg.flows.schema import MAX_SEGMENT
from hf_ntg.flows.view import all_in_view, flows_in_view, longest_seen

__all__ = ["EncodedFlows", "FlowTokenizer"]

GRAMMAR_FILE = "flow_grammar.json"
MAX_EXTRA_LENGTHS = 512
MAX_PROTOCOLS = 256
FLOWS_AT_ONCE = 100_000  # that are encoded together; bounds the memory beyond that of the sentences
NO_WORD = "no such word"  # has spaces, so it is in no vocabulary, and an unknown word is an error


@dataclass(frozen=True)
class EncodedFlows:
    """N sentences, one after another in one array.

    Attributes:
        ids: (T,) int32 token ids. offsets: (N + 1,); sentence i is ``ids[offsets[i]:offsets[i + 1]]``.
        cut: (N,) bool, sentences of flows that were cut before ``max_packets``: the token that ends their packets
            carries no information. None: no sentence was cut.
    """

    ids: np.ndarray
    offsets: np.ndarray
    cut: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """(N,) number of tokens of each sentence."""
        return np.diff(self.offsets)

    def padded(self, pad: int = 0) -> np.ndarray:
        """The sentences as a matrix, padded on the right with `pad`: (N, longest) int32."""
        matrix = np.full((len(self), self.lengths.max(initial=0)), pad, dtype=np.int32)
        matrix[np.arange(matrix.shape[1]) < self.lengths[:, None]] = self.ids
        return matrix


class FlowTokenizer(PreTrainedTokenizerFast):
    """A word-level tokenizer for flows: ``<netflix> tcp port:443 +0 -0 +0 +517 -1448 … <eos>``.

    A packet's token holds its direction and payload length together. Decoding is the exact inverse for every length up
    to ``max_payload`` and every longer one that the fitted flows hold, in flows of up to ``max_packets`` packets. Times
    are binned, and drawn inside their bin on decoding, see :class:`hf_ntg.codecs.time_bins.TimeBins`. Destination ports
    without a token decode to a random port of 1,024 to 65,535, source ports to a random ephemeral one.

    A word that is not in the vocabulary, such as a class that was not trained on, is an error. Text is padded on the
    left, as batched generation needs it.

    It is saved as ``tokenizer.json``, which stock ``AutoTokenizer`` loads, and ``flow_grammar.json``, the grammar.
    """

    # This class has no __init__: with one, transformers would load the saved tokenizer without its words.

    @classmethod
    def fit(
        cls,
        flows: Dataset | FlowArrays,
        *,
        view: str | None = None,
        max_packets: int = 10,
        max_payload: int = MAX_SEGMENT,
        header: bool = True,
        times: bool = True,
        time_bins: int = 64,
    ) -> FlowTokenizer:
        """Fit a tokenizer to `flows`, which must be training flows only.

        Args:
            view: packet view of the sentences, see :func:`hf_ntg.flows.view.in_view`; None: the one that `flows` are
                in, or ``all`` if it is not marked.
            max_packets: largest number of packets of a sentence. It becomes smaller if all flows were cut earlier, see
                :func:`hf_ntg.flows.view.longest_seen`.
            max_payload: payload lengths up to this all get a token, bytes.
            header: write protocol and destination port, where `flows` has them.
            times: write inter-arrival times, where `flows` has them.
            time_bins: largest number of bins of inter-arrival times.

        Raises:
            InputError: no flow is left in the packet view.
        """
        arrays, _ = flows_in_view(flows, view)
        max_packets = longest_seen(arrays, max_packets)
        arrays = arrays.head(max_packets)
        names = class_names(arrays.label)
        counts = np.bincount(class_places(names, arrays.label), minlength=len(names))
        protocols: list[int] = []
        ports: list[int] = []
        if header and arrays.protocol is not None and arrays.destination_port is not None:
            protocols = sorted([OTHER, *most_frequent(arrays.protocol, MAX_PROTOCOLS)])
            ports = sorted(most_frequent(arrays.destination_port, MAX_PORTS, MIN_PORT_FLOWS))
        longer = arrays.payload_length[arrays.payload_length > max_payload]
        return cls.from_format(
            FlowGrammar(
                labels=tuple(names),
                label_counts=tuple(counts.tolist()),
                max_packets=max_packets,
                max_payload=max_payload,
                extra_lengths=tuple(sorted(most_frequent(longer, MAX_EXTRA_LENGTHS))),
                protocols=tuple(protocols),
                ports=tuple(ports),
                time_knots=tuple(TimeBins.fit(arrays.inter_arrival_time, time_bins).knots.tolist()) if times else (),
                view=arrays.view or "all",
            )
        )

    @classmethod
    def from_format(cls, grammar: FlowGrammar) -> FlowTokenizer:
        """The tokenizer of a grammar."""
        words = models.WordLevel({word: i for i, word in enumerate(grammar.words())}, unk_token=NO_WORD)
        backend = Tokenizer(words)
        backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        # Every word brings its own space, so that text that is made piece by piece can be concatenated.
        backend.decoder = decoders.Replace(Regex(r"\A"), " ")
        return cls(
            tokenizer_object=backend,
            pad_token=PAD,
            eos_token=EOS,
            model_max_length=grammar.max_tokens,
            padding_side="left",
            clean_up_tokenization_spaces=False,
            flow_grammar=grammar.to_dict(),
        )

    @property
    def grammar(self) -> FlowGrammar:
        """The grammar of the sentences."""
        if "_grammar" not in self.__dict__:
            self._grammar = FlowGrammar.from_dict(self.init_kwargs["flow_grammar"])
        return self._grammar

    def save_pretrained(self, save_directory: str | PathLike[Any], *args: Any, **kwargs: Any) -> tuple[str, ...]:
        """Save the tokenizer, and the grammar as ``flow_grammar.json``."""
        files = super().save_pretrained(save_directory, *args, **kwargs)
        path = Path(save_directory) / GRAMMAR_FILE
        write_text(path, json.dumps(self.grammar.to_dict()) + "\n")
        return (*files, str(path))

    def encode_flows(self, flows: Dataset | FlowArrays) -> EncodedFlows:
        """Write N flows as N sentences, in the grammar's packet view, each cut at `max_packets`.

        A protocol that the model was not trained on is written as ``proto:other``.

        Raises:
            InputError: a class is not one of the tokenizer's, a column that it writes is missing, or a flow has no
                packet in the packet view.
        """
        rules = self.grammar
        arrays = all_in_view(flows, rules.view).head(rules.max_packets)
        if rules.has_times and arrays.inter_arrival_time is None:
            raise InputError("the model was trained with times; the flows have no column 'inter_arrival_time'")
        packets = arrays.num_packets
        tail = packets if rules.has_times else 0  # <times> and a bin for every packet but the first
        offsets = np.concatenate([[0], np.cumsum(rules.prefix_length + packets + tail + 1)])
        ids = np.empty(offsets[-1], dtype=np.int32)
        for first in range(0, len(arrays), FLOWS_AT_ONCE):
            last = min(first + FLOWS_AT_ONCE, len(arrays))
            piece = arrays if last - first == len(arrays) else arrays.take(np.arange(first, last))
            self._write(piece, offsets[first : last + 1] - offsets[first], ids[offsets[first] : offsets[last]])
        cut = None if arrays.cut is None else arrays.cut & (packets < rules.max_packets)
        return EncodedFlows(ids, offsets, cut if cut is not None and cut.any() else None)

    def _write(self, arrays: FlowArrays, offsets: np.ndarray, ids: np.ndarray) -> None:
        """Write the sentences of `arrays` into `ids`, sentence i to ``offsets[i]:offsets[i + 1]``."""
        rules, packets, gaps, starts = self.grammar, arrays.num_packets, arrays.inter_arrival_time, offsets[:-1]
        ids[starts] = rules.blocks["label"].start + class_places(rules.labels, arrays.label)
        if rules.has_header:
            ids[starts + 1], ids[starts + 2] = self._header_ids(arrays)
        first = np.repeat(starts + rules.prefix_length, packets)
        ids[first + arrays.position] = rules.packet_ids[arrays.packet_symbol]
        if rules.has_times and gaps is not None:
            ids[starts + rules.prefix_length + packets] = rules.end_of_packets
            later = arrays.position > 0
            place = (first + np.repeat(packets, packets) + arrays.position)[later]
            ids[place] = rules.blocks["time"].start + rules.time_bins.of(gaps[later])
        ids[offsets[1:] - 1] = rules.eos

    @property
    def draws_per_flow(self) -> int:
        """Uniform numbers that :meth:`decode_flows` takes for each flow: two ports and a time for every packet."""
        return 2 + self.grammar.max_packets

    def decode_flows(
        self, encoded: EncodedFlows, seed: int | Sequence[int] = 0, uniforms: np.ndarray | None = None
    ) -> FlowArrays:
        """Read sentences as flows.

        Args:
            seed: of the draws of times inside their bins, and of ports without a token.
            uniforms: (N, `draws_per_flow`) numbers in [0, 1) to draw these with instead; a row belongs to a flow.

        Returns:
            The flows, in the grammar's packet view. ``packet_count`` is the number of packets of the sentence.

        Raises:
            InputError: a sentence is not one of the grammar; the message shows it.
        """
        rules, ids, starts = self.grammar, encoded.ids, encoded.offsets[:-1]
        packets = self._check_sentences(encoded)
        if uniforms is None:
            uniforms = np.random.default_rng(seed).random((len(encoded), self.draws_per_flow))
        offsets = np.concatenate([[0], np.cumsum(packets)])
        position = ragged_positions(packets)
        first = np.repeat(starts + rules.prefix_length, packets)
        symbols = ids[first + position] - rules.blocks["packet"].start
        columns: dict[str, np.ndarray] = {
            "offsets": offsets,
            "label": names_at(rules.labels, ids[starts] - rules.blocks["label"].start),
            "payload_length": rules.lengths[symbols % len(rules.lengths)].astype(np.int32),
            "direction": np.where(symbols < len(rules.lengths), 1, -1).astype(np.int8),
            "packet_count": packets.astype(np.int32),
        }
        if rules.has_header:
            protocols = np.maximum(rules.protocols, -1)  # ``proto:other`` has no protocol number
            columns["protocol"] = protocols[ids[starts + 1] - rules.blocks["protocol"].start]
            ports = draw_server_ports(uniforms[:, 0])
            known = ids[starts + 2] - rules.blocks["port"].start
            has_token = known < len(rules.ports)
            ports[has_token] = np.array(rules.ports)[known[has_token]]
            columns["destination_port"] = ports
            columns["source_port"] = draw_client_ports(uniforms[:, 1])
        if rules.has_times:
            times = np.zeros(len(position), dtype=np.float32)
            later = position > 0
            bins = ids[(first + np.repeat(packets, packets) + position)[later]] - rules.blocks["time"].start
            flow = np.repeat(np.arange(len(encoded)), packets)[later]
            times[later] = rules.time_bins.draw(bins, uniforms[flow, 2 + position[later]])
            columns["inter_arrival_time"] = times
        return FlowArrays(**columns, view=rules.view)

    def decode_text(self, sentences: Sequence[str], seed: int = 0) -> Dataset:
        """Read flows written as text, such as what ``transformers.pipeline("text-generation")`` returns.

        ``<pad>`` at either end is dropped, and ``<eos>`` may be missing, because pipelines leave special tokens out.
        Text that was cut by ``max_new_tokens`` therefore decodes to a shorter flow. With times it is an error.

        Args:
            sentences: one flow each. seed: as for :meth:`decode_flows`.

        Raises:
            InputError: a word is not in the vocabulary, or a sentence is not one of the grammar; the message shows it.
        """
        rows = [self._text_ids(sentence, f"sentence {place}") for place, sentence in enumerate(sentences)]
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows], dtype=np.int64)])
        ids = np.fromiter((token for row in rows for token in row), dtype=np.int32, count=offsets[-1])
        return self.decode_flows(EncodedFlows(ids, offsets), seed).to_dataset()

    def _text_ids(self, text: str, source: str) -> list[int]:
        words = text.split()
        while words and words[-1] in (PAD, EOS):
            words.pop()
        while words and words[0] == PAD:
            words.pop(0)
        self._check_words(words, source)
        vocabulary = self.get_vocab()
        return [*(vocabulary[word] for word in words), self.grammar.eos]

    def _check_words(self, words: Sequence[str], source: str) -> None:
        vocabulary = self.get_vocab()
        unknown = next((word for word in words if word not in vocabulary), None)
        if unknown is None:
            return
        known = " ".join(map(label_token, self.grammar.labels))
        kind = f"class token; the model knows {known}" if unknown.startswith("<") else "word of the model's vocabulary"
        raise InputError(f"{source}: {unknown!r} is not a {kind}")

    def _encode_plus(self, text: Any, *args: Any, **options: Any) -> BatchEncoding:
        """Encode `text` as every tokenizer does; an unknown word is an InputError that names it."""
        for part in [text] if isinstance(text, str) else text:
            for words in [part] if isinstance(part, str) else part:
                self._check_words(words.split(), "text")
        return super()._encode_plus(text, *args, **options)

    def _header_ids(self, arrays: FlowArrays) -> tuple[np.ndarray, np.ndarray]:
        """(N,) token ids of the protocol and of the destination port of each flow."""
        rules = self.grammar
        if arrays.protocol is None or arrays.destination_port is None:
            raise InputError(
                "the model was trained with headers; the flows have no columns 'protocol' and 'destination_port'"
            )
        known = places_in(np.array(rules.protocols), arrays.protocol)
        foreign = known == len(rules.protocols)
        if foreign.any():
            if OTHER not in rules.protocols:  # older saved models have no token for other protocols
                raise InputError(
                    f"protocol {arrays.protocol[foreign][0]} is not one the model knows: "
                    f"{', '.join(map(str, rules.protocols))}"
                )
            known[foreign] = rules.protocols.index(OTHER)
        ports = places_in(np.array(rules.ports, dtype=np.int64), arrays.destination_port)
        return rules.blocks["protocol"].start + known, rules.blocks["port"].start + ports

    def _check_sentences(self, encoded: EncodedFlows) -> np.ndarray:
        """(N,) number of packets of each sentence; raises an InputError where one is not of the grammar."""
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
