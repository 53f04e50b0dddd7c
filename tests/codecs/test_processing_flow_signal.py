import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_ntg.codecs.processing_flow_signal import PACKET_FORMS, FlowSignalProcessor
from hf_ntg.errors import InputError
from hf_ntg.flows import FlowArrays, conform_flows

SEED = st.integers(0, 2**32 - 1)


def random_flows(seed: int) -> Dataset:
    """1 to 12 flows of 1 to 14 packets, with frequent and rare lengths, zero times, null labels."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(rng.integers(1, 13)):
        size = rng.integers(1, 15)
        lengths = np.where(rng.random(size) < 0.5, rng.choice([0, 1, 517, 1448], size), rng.integers(0, 65_536, size))
        times = np.where(rng.random(size) < 0.2, 0, 10.0 ** rng.uniform(-6, 3, size))
        sides = rng.choice([1, -1], size)
        packets = list(zip(lengths, sides, times, rng.integers(0, 65_536, size), strict=True))
        header = ((6, 443), (17, 53), (17, 40_001))[rng.integers(3)]
        made.append((("web", "mail", None)[rng.integers(3)], header, packets))
    return flows_of(made)


def flows_of(made) -> Dataset:
    """Flows from (label, (protocol, port), packets); a packet is (length, direction, time, window)."""
    packets = {
        name: [[packet[k] for packet in flow[2]] for flow in made]
        for k, name in enumerate(["payload_length", "direction", "inter_arrival_time", "tcp_window"])
    }
    for times in packets["inter_arrival_time"]:
        times[0] = 0.0  # by definition
    header = {
        "label": [flow[0] for flow in made],
        "protocol": [flow[1][0] for flow in made],
        "destination_port": [flow[1][1] for flow in made],
    }
    return conform_flows(Dataset.from_dict({**header, **packets}), "made flows")


def some_flows(number: int = 30) -> Dataset:
    """Class "a" sends 100 and gets 200 or 201, class "b" only sends; UDP flows of "b" have ports that never recur."""
    rng = np.random.default_rng(0)
    made = []
    for i in range(number):
        if i % 3:
            packets = [(100, 1, 0.0, 10), (200 + i % 2, -1, float(rng.random()), 20)] * (1 + i % 4)
            made.append(("a", (6, 443), packets))
        else:
            made.append(("b", (17, 10_000 + i), [(7, 1, 0.5, 0)] * 12))
    return flows_of(made)


@pytest.mark.parametrize("form", PACKET_FORMS)
@settings(max_examples=15, deadline=None)
@given(seed=SEED, width=st.sampled_from([10, 12, 16]))
def test_decoding_undoes_encoding(form, seed, width):
    flows = random_flows(seed)
    processor = FlowSignalProcessor.fit(flows, packet_form=form, windows=True)
    signals = processor.encode(flows, width)
    assert signals.values.shape == (len(flows), processor.num_channels, width)
    assert np.abs(signals.values).max() <= 1
    found = processor.decode(signals.values, signals.classes, signals.headers)
    wanted = FlowArrays.from_dataset(flows).head(10)
    for name in ("offsets", "payload_length", "direction", "tcp_window", "protocol"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name), err_msg=name)
    assert list(found.label) == list(wanted.label)
    np.testing.assert_allclose(found.inter_arrival_time, wanted.inter_arrival_time, rtol=1e-4)


@settings(max_examples=20, deadline=None)
@given(length=st.integers(0, 65_535), direction=st.sampled_from([1, -1]))
def test_lengths_never_seen_are_exact_too(length, direction):
    seen = flows_of([("a", (6, 443), [(65_535, 1, 0.0, 0), (65_535, 1, 0.1, 0)])])
    unseen = flows_of([("a", (6, 443), [(length, direction, 0.0, 0)])])
    processor = FlowSignalProcessor.fit(seen)
    signals = processor.encode(unseen)
    found = processor.decode(signals.values, signals.classes, signals.headers)
    assert found.payload_length.tolist() == [length]
    assert found.direction.tolist() == [direction]


@pytest.mark.parametrize("form", PACKET_FORMS)
@settings(max_examples=25, deadline=None)
@given(seed=SEED, scale=st.sampled_from([0.3, 1.0, 30.0]))
def test_whatever_is_decoded_is_a_legal_flow(form, seed, scale):
    processor = FlowSignalProcessor.fit(some_flows(), packet_form=form, windows=True)
    rng = np.random.default_rng(seed)
    values = rng.normal(0, scale, (20, processor.num_channels, 12))
    classes = rng.integers(0, 2, 20)
    headers = processor.draw_headers(classes, rng)
    found = processor.decode(values, classes, headers, rng=rng)
    conform_flows(found.to_dataset(), "decoded")  # types and ranges
    assert found.num_packets.min() >= 1
    assert found.num_packets.max() <= 10
    assert found.payload_length.max() <= processor.max_payload
    assert (found.inter_arrival_time[found.position == 0] == 0).all()


def test_snapping_keeps_to_the_lengths_of_the_class():
    flows = some_flows()
    processor = FlowSignalProcessor.fit(flows, packet_form="separate")
    values = np.zeros((2, processor.num_channels, 10))
    values[:, 1] = np.linspace(-1, 1, 10)  # lengths over the whole range
    values[:, 2] = 1  # all present
    headers = np.array([0, 0])
    plain = processor.decode(values, np.array([0, 1]), headers)
    snapped = processor.decode(values, np.array([0, 1]), headers, snap=True)
    assert set(plain.payload_length[:10]) - {100, 200, 201}
    assert set(snapped.payload_length[:10]) == {100, 200, 201}
    assert set(snapped.payload_length[10:]) == {7}


def test_rare_symbols_share_a_word_and_keep_their_length():
    made = [("a", (6, 443), [(100, 1, 0.0, 0)])] * 3 + [("a", (6, 443), [(101, 1, 0.0, 0), (9, -1, 0.1, 0)])]
    processor = FlowSignalProcessor.fit(flows_of(made))
    assert processor.symbols == [200]
    signals = processor.encode(flows_of(made))
    assert signals.words[0, :2].tolist() == [3, 0]
    assert signals.words[3, :3].tolist() == [1, 2, 0]
    found = processor.decode(signals.values, signals.classes, signals.headers)
    assert found.payload_length.tolist() == [100, 100, 100, 101, 9]


def test_headers_follow_the_training_flows():
    processor = FlowSignalProcessor.fit(some_flows(30))
    assert processor.headers == [[6, 443], [17, -2]]
    assert processor.header_counts == [[20, 0], [0, 10]]
    classes = np.array([0] * 50 + [1] * 50)
    headers = processor.draw_headers(classes, np.random.default_rng(1))
    found = processor.decode(np.zeros((100, processor.num_channels, 10)), classes, headers)
    assert set(found.protocol[:50]) == {6}
    assert set(found.destination_port[:50]) == {443}
    assert set(found.protocol[50:]) == {17}
    assert found.destination_port[50:].min() >= 1_024
    assert found.source_port.min() >= 32_768


def test_saved_and_loaded_alike(tmp_path):
    processor = FlowSignalProcessor.fit(some_flows(), windows=True)
    processor.save_pretrained(tmp_path)
    loaded = FlowSignalProcessor.from_pretrained(tmp_path)
    signals, again = processor.encode(some_flows(6)), loaded.encode(some_flows(6))
    np.testing.assert_array_equal(signals.values, again.values)
    found = [p.decode(signals.values, signals.classes, signals.headers) for p in (processor, loaded)]
    assert found[0].to_dataset().to_dict() == found[1].to_dataset().to_dict()


@pytest.mark.parametrize("form", PACKET_FORMS)
def test_matched_times_are_those_of_the_training_flows(form, tmp_path):
    """A model that draws all times too long by half a rank, and none near zero, is read as often as they are."""
    flows = some_flows(300)
    processor = FlowSignalProcessor.fit(flows, packet_form=form)
    signals, real = processor.encode(flows), FlowArrays.from_dataset(flows).head(10)
    drawn = signals.values.copy()
    drawn[:, processor.packet_channels] = drawn[:, processor.packet_channels] / 2 + 0.5
    processor.match_times(signals, drawn, signals.classes)
    processor.save_pretrained(tmp_path)
    for reader in (processor, FlowSignalProcessor.from_pretrained(tmp_path)):
        found = reader.decode(drawn, signals.classes, signals.headers)
        np.testing.assert_array_equal(found.packet_symbol, real.packet_symbol)
        np.testing.assert_allclose(found.inter_arrival_time, real.inter_arrival_time, atol=0.05)
    assert (processor.decode(drawn, signals.classes, signals.headers).inter_arrival_time[real.position == 0] == 0).all()


def test_optional_columns_may_be_missing():
    flows = some_flows().select_columns(["label", "payload_length", "direction"])
    processor = FlowSignalProcessor.fit(flows, windows=True)
    signals = processor.encode(flows)
    assert processor.num_channels == processor.packet_channels
    assert (signals.headers == -1).all()
    found = processor.decode(signals.values, signals.classes, signals.headers)
    assert found.inter_arrival_time is None
    assert found.protocol is None


def test_bad_input_is_named():
    processor = FlowSignalProcessor.fit(some_flows())
    with pytest.raises(InputError, match="class 'c' is not one the model knows: a, b"):
        processor.encode(flows_of([("c", (6, 443), [(1, 1, 0.0, 0)])]))
    with pytest.raises(InputError, match="inter_arrival_time"):
        processor.encode(some_flows().remove_columns("inter_arrival_time"))
    with pytest.raises(InputError, match="packet form 'words'"):
        FlowSignalProcessor.fit(some_flows(), packet_form="words")


def test_shares_of_words_are_those_of_the_class_at_the_position():
    processor = FlowSignalProcessor.fit(some_flows(30))
    shares = np.exp(processor.word_log_prior.astype(np.float64))  # (3, 10, V)
    np.testing.assert_allclose(shares.sum(axis=2), 1, rtol=1e-6)
    assert shares.min() > 0
    sent = 3 + processor.symbols.index(2 * 7)  # only class "b" sends 7 bytes, in all of its ten packets
    assert shares[1, :, sent].min() > 0.9
    assert shares[0, :, sent].max() < 0.01
    assert (shares[0, :, sent] < shares[2, :, sent]).all()  # the last row is of all classes
    up, down = 3 + processor.symbols.index(2 * 100), 3 + processor.symbols.index(2 * 200 + 1)
    assert shares[0, 0, up] > 0.9 > 0.1 > shares[0, 0, down]  # class "a" asks first
    assert shares[0, 1, up] < 0.1 < 0.4 < shares[0, 1, down]


def test_what_says_nothing_is_known_to_say_nothing():
    made = [("a", (6, 443), [(100, 1, 0.0, 0)] * 2)] * 3 + [("a", (6, 443), [(9, -1, 0.1, 0)])]
    processor = FlowSignalProcessor.fit(flows_of(made), windows=True)
    signals = processor.encode(flows_of(made))
    assert signals.known[:, :32].all()
    assert signals.known[3, 32].tolist() == [True] + [False] * 9  # a rare length
    assert not signals.known[:3, 32].any()
    assert signals.known[0, 33].tolist() == [False, True] + [False] * 8  # the first packet has no time
    assert signals.known[0, 34].tolist() == [True, True] + [False] * 8
    assert (signals.values[~signals.known] == 0).all()
    noise = np.random.default_rng(0).uniform(-1, 1, signals.values.shape)
    decoded = processor.decode(np.where(signals.known, signals.values, noise), signals.classes, signals.headers)
    assert decoded.payload_length.tolist() == [100] * 6 + [9]
    assert decoded.packet_count.tolist() == [2, 2, 2, 1]
