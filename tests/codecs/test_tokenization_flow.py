import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from hf_ntg import FlowTokenizer, InputError
from hf_ntg.codecs import EncodedFlows, tokenization_flow
from hf_ntg.codecs.flow_grammar import FlowGrammar, label_token, token_label
from hf_ntg.codecs.time_bins import PARTS
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.view import in_view

LABELS = st.one_of(st.none(), st.text(max_size=8), st.sampled_from(["eos", "pad", "times", "?", "<eos>", "a b"]))


@st.composite
def flow_tables(draw):
    sizes = draw(st.lists(st.integers(1, 12), min_size=1, max_size=12))
    total = sum(sizes)
    times = np.array(draw(st.lists(st.floats(0, 1e4, width=32), min_size=total, max_size=total)), dtype=np.float32)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    times[offsets[:-1]] = 0
    return FlowArrays(
        offsets=offsets,
        payload_length=np.array(draw(st.lists(st.integers(0, 1460), min_size=total, max_size=total)), dtype=np.int32),
        direction=np.array(draw(st.lists(st.sampled_from([1, -1]), min_size=total, max_size=total)), dtype=np.int8),
        inter_arrival_time=times,
        label=np.array(draw(st.lists(LABELS, min_size=len(sizes), max_size=len(sizes))), dtype=object),
        protocol=np.array(
            draw(st.lists(st.sampled_from([6, 17, 1, -1]), min_size=len(sizes), max_size=len(sizes))), dtype=np.int32
        ),
        destination_port=np.array(
            draw(st.lists(st.integers(-1, 65_535), min_size=len(sizes), max_size=len(sizes))), dtype=np.int32
        ),
    )


@settings(max_examples=25, deadline=None)
@given(flow_tables(), st.booleans(), st.booleans())
def test_inverse_is_exact_for_packets_and_bounded_for_times(arrays, header, times):
    tokenizer = FlowTokenizer.fit(arrays.to_dataset(), max_packets=8, header=header, times=times)
    wanted = arrays.head(8)
    read = tokenizer.decode_flows(tokenizer.encode_flows(arrays))
    np.testing.assert_array_equal(read.offsets, wanted.offsets)
    np.testing.assert_array_equal(read.packet_symbol, wanted.packet_symbol)
    assert list(read.label) == list(wanted.label)
    if header:
        np.testing.assert_array_equal(read.protocol, wanted.protocol)
    if tokenizer.grammar.has_times:
        bins, later = tokenizer.grammar.time_bins, wanted.position > 0
        true, got = wanted.inter_arrival_time[later], read.inter_arrival_time[later]
        assert (read.inter_arrival_time[~later] == 0).all()
        place = bins.of(true)
        assert (got[place == 0] == 0).all()
        got, place = got[place > 0], place[place > 0] - 1
        least, greatest = bins.knots[:: PARTS + 1], bins.knots[PARTS :: PARTS + 1]
        assert (got >= least[place] * (1 - 1e-6)).all()
        assert (got <= greatest[place] * (1 + 1e-6)).all()


@given(LABELS)
def test_label_token_is_one_word_of_its_own_and_reads_back(label):
    token = label_token(label)
    assert token_label(token) == label
    assert len(token.split()) == 1
    assert token not in ("<eos>", "<pad>", "<times>")


def test_ports_with_a_token_come_back_and_rare_ones_stay_ports(flows):
    tokenizer = FlowTokenizer.fit(flows)
    read = tokenizer.decode_flows(tokenizer.encode_flows(flows))
    np.testing.assert_array_equal(read.destination_port, FlowArrays.from_dataset(flows).destination_port)
    few = FlowTokenizer.fit(flows.select(range(3)))  # no port is frequent enough for a token
    assert few.grammar.ports == ()
    read = few.decode_flows(few.encode_flows(flows.select(range(3))))
    assert ((read.destination_port >= 1024) & (read.destination_port <= 65_535)).all()


def test_lengths_past_the_segment_size_are_kept_where_fitted_and_else_nearest():
    def one(length):
        return FlowArrays(
            np.array([0, 1]), np.array([length], dtype=np.int32), np.array([1], dtype=np.int8), np.array(["x"], object)
        )

    tokenizer = FlowTokenizer.fit(one(2896).to_dataset())
    for length, wanted in [(2896, 2896), (1460, 1460), (1500, 1460), (2800, 2896), (65_535, 2896)]:
        assert tokenizer.decode_flows(tokenizer.encode_flows(one(length))).payload_length.tolist() == [wanted]


def test_stock_tokenizer_loads_what_was_saved(flows, tmp_path):
    tokenizer = FlowTokenizer.fit(flows)
    tokenizer.save_pretrained(tmp_path)
    stock = AutoTokenizer.from_pretrained(tmp_path)
    encoded = tokenizer.encode_flows(flows.select(range(5)))
    sentence = stock.decode(encoded.ids[: encoded.offsets[1]])
    assert type(stock) is not FlowTokenizer
    assert isinstance(stock, PreTrainedTokenizerFast)
    assert stock(sentence)["input_ids"] == encoded.ids[: encoded.offsets[1]].tolist()
    again = FlowTokenizer.from_pretrained(tmp_path)
    assert again.grammar == tokenizer.grammar
    assert again.get_vocab() == tokenizer.get_vocab()
    assert again.decode_text([sentence])["label"] == [flows[0]["label"]]


def test_class_that_was_not_fitted_is_named(flows):
    tokenizer = FlowTokenizer.fit(flows.filter(lambda row: row["label"] != "dns"))
    with pytest.raises(InputError, match="'dns'"):
        tokenizer.encode_flows(flows)


def test_missing_columns_are_named(flows):
    tokenizer = FlowTokenizer.fit(flows)
    with pytest.raises(InputError, match="inter_arrival_time"):
        tokenizer.encode_flows(flows.remove_columns("inter_arrival_time"))
    with pytest.raises(InputError, match="protocol"):
        tokenizer.encode_flows(flows.remove_columns("protocol"))


@pytest.mark.parametrize(
    "sentence",
    [
        "<web> tcp port:443 <times> <eos>",
        "<web> tcp port:443 +1",
        "+1 +2 <times> ~1 <eos>",
        "<web> tcp port:443 +1 <eos>",
    ],
)
def test_sentence_outside_the_grammar_is_refused(flows, sentence):
    with pytest.raises(InputError, match="not a flow"):
        FlowTokenizer.fit(flows).decode_text([sentence])


def test_tokens_that_may_follow_are_those_of_real_sentences(flows):
    tokenizer = FlowTokenizer.fit(flows, max_packets=5, times=False, header=False)
    grammar = tokenizer.grammar
    encoded = tokenizer.encode_flows(flows)
    for row, length in zip(encoded.padded(), encoded.lengths, strict=True):
        for place in range(1, length):
            allowed = grammar.allowed_packets(place - 1)
            assert allowed.start <= row[place] < allowed.stop


def test_padding_keeps_sentences_apart():
    encoded = EncodedFlows(np.arange(5, dtype=np.int32), np.array([0, 2, 5]))
    np.testing.assert_array_equal(encoded.padded(9), [[0, 1, 9], [2, 3, 4]])


def test_a_grammar_of_another_version_is_refused(flows):
    fields = FlowTokenizer.fit(flows, max_packets=3).grammar.to_dict()
    assert FlowGrammar.from_dict(fields).to_dict() == fields
    with pytest.raises(ValueError, match="another version of hf_ntg: time_edges, time_knots"):
        FlowGrammar.from_dict({"time_edges": [1.0]} | {name: fields[name] for name in fields if name != "time_knots"})


def test_the_payload_view_has_no_empty_packets_and_twice_the_horizon(flows):
    tokenizer = FlowTokenizer.fit(flows, view="payload", max_packets=4)
    assert "+0" not in tokenizer.get_vocab()
    assert "+1" in tokenizer.get_vocab()
    seen, dropped = in_view(FlowArrays.from_dataset(flows), "payload")
    read = tokenizer.decode_flows(tokenizer.encode_flows(seen))
    np.testing.assert_array_equal(read.packet_symbol, seen.head(4).packet_symbol)
    assert read.view == "payload"
    assert dropped > 0
    with pytest.raises(InputError, match="carries no payload"):
        tokenizer.encode_flows(flows)


def test_a_grammar_without_a_view_is_of_all_packets(flows):
    fields = FlowTokenizer.fit(flows, max_packets=3).grammar.to_dict()
    assert FlowGrammar.from_dict({name: fields[name] for name in fields if name != "view"}).view == "all"


def test_what_a_pipeline_returns_is_read(flows):
    tokenizer = FlowTokenizer.fit(flows)
    encoded = tokenizer.encode_flows(flows.select([3]))
    printed = tokenizer.decode(encoded.ids, skip_special_tokens=True)
    assert "<eos>" not in printed
    read = tokenizer.decode_text([f"<pad> <pad> {printed}", f"{printed} <eos> <pad>"])
    assert read["payload_length"] == [flows[3]["payload_length"]] * 2
    with pytest.raises(InputError, match="not a flow"):
        tokenizer.decode_text([f"{printed} <eos> {printed}"])


def test_a_word_that_is_not_in_the_vocabulary_is_an_error_and_no_other_word(flows, tmp_path):
    tokenizer = FlowTokenizer.fit(flows)
    with pytest.raises(InputError, match="'<netflix>' is not a class token; the model knows <a%20chat%20&%20more>"):
        tokenizer("<netflix>")
    with pytest.raises(InputError, match=r"sentence 1: '\+99999' is not a word"):
        tokenizer.decode_text([tokenizer.decode(tokenizer.encode_flows(flows.select([0])).ids), "<web> +99999"])
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(Exception, match="UNK"):  # the stock tokenizer's own error
        AutoTokenizer.from_pretrained(tmp_path)("<netflix>")


def test_batches_are_padded_on_the_left(flows):
    tokenizer = FlowTokenizer.fit(flows)
    assert tokenizer(["<web>", "<web> tcp"], padding=True)["input_ids"][0][0] == tokenizer.pad_token_id


def test_a_protocol_that_was_not_trained_on_has_a_word_that_is_never_drawn(flows):
    tokenizer = FlowTokenizer.fit(flows)
    grammar = tokenizer.grammar
    foreign = flows.select([0]).map(lambda row: {"protocol": 132})
    encoded = tokenizer.encode_flows(foreign)
    assert tokenizer.decode(encoded.ids).split()[1] == "proto:other"
    assert not grammar.known_protocols.start <= encoded.ids[1] < grammar.known_protocols.stop
    assert tokenizer.decode_flows(encoded).protocol.tolist() == [-1]


def test_a_flow_that_was_cut_has_a_sentence_without_a_known_end(flows):
    tokenizer = FlowTokenizer.fit(flows)
    held = [len(packets) for packets in flows["payload_length"]]
    cut = flows.remove_columns("packet_count").add_column("packet_count", [9 if n == 3 else n for n in held])
    assert tokenizer.encode_flows(cut).cut.tolist() == [n == 3 for n in held]
    assert tokenizer.encode_flows(flows).cut is None


def test_flows_that_are_encoded_piece_by_piece_have_the_same_sentences(flows, monkeypatch):
    tokenizer = FlowTokenizer.fit(flows)
    whole = tokenizer.encode_flows(flows)
    monkeypatch.setattr(tokenization_flow, "FLOWS_AT_ONCE", 7)
    pieces = tokenizer.encode_flows(flows)
    np.testing.assert_array_equal(pieces.ids, whole.ids)
    np.testing.assert_array_equal(pieces.offsets, whole.offsets)
