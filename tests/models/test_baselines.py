import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file

from hf_ntg.errors import InputError
from hf_ntg.flows import FlowArrays, conform_flows
from hf_ntg.generation import FlowGenerator
from hf_ntg.models.baselines import (
    BASELINES,
    Independent,
    NGram,
    Replay,
    TunedNGram,
    cvae,
    load_baseline,
    make_baseline,
)
from hf_ntg.models.baselines.counts import RADIX
from hf_ntg.models.baselines.ngram import END

KINDS = [*BASELINES, "1-gram"]


@pytest.fixture(autouse=True, scope="module")
def short_trainings():
    """A cvae trains for two passes, except in the test of what it learns."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cvae, "_EPOCHS", 2)
        yield


def flows_of(seed: int = 0, flows: int = 60) -> Dataset:
    """Class "ask" alternates +10, -20; class "push" sends downstream after an empty packet. Lengths vary a little."""
    rng = np.random.default_rng(seed)
    lengths, directions, labels = [], [], []
    for row in range(flows):
        packets = int(rng.integers(2, 14))
        labels.append("ask" if row % 3 else "push")
        side = [1 if k % 2 == 0 else -1 for k in range(packets)] if row % 3 else [1] + [-1] * (packets - 1)
        length = (
            [10 if d > 0 else 20 for d in side] if row % 3 else [0, *(1000 + rng.integers(0, 3, packets - 1)).tolist()]
        )
        lengths.append(length)
        directions.append(side)
    columns = {
        "label": labels,
        "protocol": [6 if label == "ask" else 17 for label in labels],
        "destination_port": [80 if label == "ask" else 443 for label in labels],
        "payload_length": lengths,
        "direction": directions,
        "inter_arrival_time": [
            [0.0] + [0.5 if label == "ask" else 2.0] * (len(x) - 1) for label, x in zip(labels, lengths, strict=True)
        ],
    }
    return conform_flows(Dataset.from_dict(columns), "made")


def drawn(model, *request, **options):
    return FlowGenerator(model).generate(*request, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_exact_counts_in_the_schema(kind):
    model = make_baseline(kind).fit(flows_of(), max_packets=8)
    named = drawn(model, label={"push": 3, "ask": 5}, seed=1)
    assert conform_flows(named, kind)["label"] == ["ask"] * 5 + ["push"] * 3
    assert set(drawn(model, 7, label="ask")["label"]) == {"ask"}
    mixed = drawn(model, 300, seed=2)
    assert len(mixed) == 300
    assert 60 < list(mixed["label"]).count("push") < 140
    assert max(map(len, mixed["payload_length"])) <= 8
    assert len(drawn(model, 0)) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_decides(kind):
    model = make_baseline(kind).fit(flows_of())
    assert drawn(model, 50, seed=4).to_dict() == drawn(model, 50, seed=4).to_dict()
    assert drawn(model, 50, seed=4).to_dict() != drawn(model, 50, seed=5).to_dict()


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_it_is_the_same(kind, tmp_path):
    model = make_baseline(kind).fit(flows_of())
    again = load_baseline(model.save(tmp_path / "model.safetensors"))
    assert drawn(again, 40, seed=1).to_dict() == drawn(model, 40, seed=1).to_dict()
    if kind.endswith("gram"):
        assert (again.log_likelihood(flows_of(1)) == model.log_likelihood(flows_of(1))).all()


def test_without_optional_columns():
    bare = flows_of().select_columns(["label", "payload_length", "direction"])
    for kind in KINDS:
        assert drawn(make_baseline(kind).fit(bare), 9).column_names == [
            "flow_id",
            "label",
            "payload_length",
            "direction",
        ]


def test_requests_that_cannot_be_met(tmp_path):
    model = Replay().fit(flows_of())
    for request, message in (
        ({"num_flows": 3, "label": "chat"}, "no class 'chat'; choose from ask, push"),
        ({"num_flows": 3, "label": {"ask": 2}}, "add up to 2"),
        ({}, "how many"),
        ({"num_flows": -1}, "a whole number from 0"),
    ):
        with pytest.raises(InputError, match=message):
            drawn(model, **request)
    with pytest.raises(InputError, match="no labels"):
        Replay().fit(flows_of().map(lambda row: {"label": None}).cast(flows_of().features))
    save_file({"x": np.zeros(1)}, tmp_path / "other")
    with pytest.raises(InputError, match="holds no baseline"):
        load_baseline(tmp_path / "other")
    (tmp_path / "broken").write_bytes(b"no tensors")
    for name, said in (("broken", "not a safetensors file"), ("missing", "no such file")):
        with pytest.raises(InputError, match=said):
            load_baseline(tmp_path / name)
    with pytest.raises(InputError, match="no baseline"):
        make_baseline("0-gram")


def test_replay_repeats_training_flows_only():
    flows = flows_of()
    known = {(row["label"], *row["payload_length"][:10]) for row in flows}
    made = drawn(Replay().fit(flows), 200)
    assert {(row["label"], *row["payload_length"]) for row in made} <= known


def test_independent_packets_keep_marginals_and_lose_order():
    rows = {"label": ["a"] * 100, "payload_length": [[1, 1], [2, 2]] * 50, "direction": [[1, 1], [1, -1]] * 50}
    made = drawn(Independent().fit(conform_flows(Dataset.from_dict(rows), "made")), 1000)
    lengths = np.array(made["payload_length"])
    assert abs((lengths == 1).mean(axis=0) - 0.5).max() < 0.06
    assert abs((lengths[:, 0] == lengths[:, 1]).mean() - 0.5) < 0.06


def test_the_ngram_learns_what_follows_what():
    made = FlowArrays.from_dataset(drawn(NGram(3).fit(flows_of(flows=600)), label={"ask": 400}, seed=1))
    known = (made.signed_length == 10) | (made.signed_length == -20)
    assert known.mean() > 0.97
    turns = made.direction[1:] != made.direction[:-1]
    assert turns[made.position[1:] > 0].mean() > 0.97
    assert set(np.unique(made.inter_arrival_time)) == {0.0, 0.5}
    assert set(made.protocol) == {6}
    assert set(made.destination_port) == {80}


def test_probabilities_sum_to_one():
    """Over every packet that a flow of one packet can have."""
    rows = {"label": ["a"] * 6, "payload_length": [[5], [5, 7], [5, 7], [7], [7, 7], [5, 5]]}
    rows["direction"] = [[1] * len(x) for x in rows["payload_length"]]
    model = NGram(2).fit(conform_flows(Dataset.from_dict(rows), "made"), max_packets=1)
    lengths = np.tile(np.arange(65_536, dtype=np.int32), 2)
    every = FlowArrays(
        offsets=np.arange(len(lengths) + 1),
        payload_length=lengths,
        direction=np.repeat(np.array([1, -1], dtype=np.int8), 65_536),
        label=np.full(len(lengths), "a", dtype=object),
    )
    assert np.exp(model.log_likelihood(every)).sum() == pytest.approx(1)


def test_smote_stays_between_the_flows_of_a_class():
    rows = {
        "label": ["pair", "pair", "lone"],
        "payload_length": [[100, 40], [400, 40, 7], [5]],
        "direction": [[1, -1], [1, -1, 1], [-1]],
        "inter_arrival_time": [[0, 0.01], [0, 1, 1], [0]],
    }
    model = make_baseline("smote").fit(conform_flows(Dataset.from_dict(rows), "made"))
    made = drawn(model, label={"pair": 200, "lone": 3})
    pairs = made.select(range(200)) if made[0]["label"] == "pair" else made.select(range(3, 203))
    first = np.array([row["payload_length"][0] for row in pairs])
    gap = np.array([row["inter_arrival_time"][1] for row in pairs])
    assert first.min() >= 100
    assert first.max() <= 400
    assert len(np.unique(first)) > 50
    assert {len(row["payload_length"]) for row in pairs} == {2, 3}
    assert {row["payload_length"][1] for row in pairs} == {40}
    assert (gap >= 0.0099).all()
    assert (gap <= 1.0001).all()
    assert np.corrcoef(np.sqrt(first), np.log(gap))[0, 1] == pytest.approx(1, abs=1e-3)  # one place on the line
    lone = [row["payload_length"] for row in made if row["label"] == "lone"]
    assert lone == [[5]] * 3


def test_the_cvae_learns_what_follows_what_and_is_as_large_as_our_models(monkeypatch):
    monkeypatch.setattr(cvae, "_EPOCHS", 40)
    model = make_baseline("cvae").fit(flows_of(flows=250))
    made = FlowArrays.from_dataset(drawn(model, label={"ask": 300}, seed=1))
    assert ((made.signed_length == 10) | (made.signed_length == -20)).mean() > 0.95
    turns = made.direction[1:] != made.direction[:-1]
    assert turns[made.position[1:] > 0].mean() > 0.95
    assert np.median(made.inter_arrival_time[made.position > 0]) == pytest.approx(0.5, rel=0.1)
    assert 1e6 < model.num_parameters < 2e6


def test_the_training_flows_choose_the_order():
    """In the first set a packet repeats the last but one; in the second all packets are alike."""
    rng = np.random.default_rng(0)
    pairs = np.stack([rng.integers(1, 30, 300), rng.integers(1, 3, 300)], axis=1)
    deep = Dataset.from_dict(
        {"label": ["a"] * 300, "payload_length": np.tile(pairs, 2).tolist(), "direction": [[1] * 4] * 300}
    )
    assert TunedNGram().fit(conform_flows(deep, "made")).order > 2
    noise = rng.integers(1, 30, (300, 4)).tolist()
    flat = Dataset.from_dict({"label": ["a"] * 300, "payload_length": noise, "direction": [[1] * 4] * 300})
    assert TunedNGram().fit(conform_flows(flat, "made")).order == 2
    alone = TunedNGram().fit(conform_flows(flat.select([0]), "made"))
    assert (alone.order, alone.scale) == (2, 1.2)


def test_a_larger_discount_copies_less():
    flows = flows_of(flows=400)
    shares = [NGram(3, scale).fit(flows).tables[-1].discount for scale in (1.0, 1.2)]
    assert shares[1] == pytest.approx(1.2 * shares[0])


def test_likelihood_prefers_what_was_seen_and_is_never_zero():
    model = NGram(3).fit(flows_of(flows=300))
    rows = {
        "label": ["ask", "ask", "ask", "never"],
        "payload_length": [[10, 20, 10], [20, 10, 20], [10, 20, 60_000], [10, 20, 10]],
        "direction": [[1, -1, 1]] * 4,
    }
    usual, turned, strange, unlabelled = model.log_likelihood(conform_flows(Dataset.from_dict(rows), "made"))
    assert usual > unlabelled > turned > -np.inf
    assert usual > strange > -np.inf


def test_a_longer_context_explains_held_out_flows_better():
    """The second packet repeats the first, the third the second."""
    length = np.random.default_rng(0).integers(1, 20, 400)
    rows = {
        "label": ["a"] * 400,
        "payload_length": np.stack([length] * 3, axis=1).tolist(),
        "direction": [[1] * 3] * 400,
    }
    flows = conform_flows(Dataset.from_dict(rows), "made")
    one, two = (NGram(k).fit(flows.select(range(300))).log_likelihood(flows.select(range(300, 400))) for k in (1, 2))
    assert two.mean() == pytest.approx(-np.log(19), abs=0.5)
    assert one.mean() == pytest.approx(-3 * np.log(19), abs=0.5)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.lists(st.integers(-65_535, 65_535), min_size=1, max_size=6)),
        min_size=1,
        max_size=8,
    ),
    st.integers(1, 4),
    st.integers(1, 7),
)
def test_any_table_can_be_fitted_and_drawn_from(rows, order, max_packets):
    columns = {
        "label": [label for label, _ in rows],
        "payload_length": [[abs(p) for p in packets] for _, packets in rows],
        "direction": [[-1 if p < 0 else 1 for p in packets] for _, packets in rows],
    }
    flows = conform_flows(Dataset.from_dict(columns), "made")
    model = NGram(order).fit(flows, max_packets)
    made = conform_flows(drawn(model, 20), "made")
    assert max(map(len, made["payload_length"])) <= max_packets
    assert np.isfinite(model.log_likelihood(flows)).all()
    assert np.isfinite(model.log_likelihood(made)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_baseline_in_the_payload_view_makes_no_empty_packet_and_keeps_its_view(kind, tmp_path):
    model = make_baseline(kind).fit(flows_of(), view="payload")
    made = model.draw(np.zeros(200, dtype=np.int64), seed=0)
    assert made.view == "payload"
    assert made.payload_length.min() > 0
    assert load_baseline(model.save(tmp_path / "model.safetensors")).view == "payload"


def test_the_ngram_learns_no_end_from_a_flow_that_was_cut():
    sizes = [*[2] * 40, 4]
    rows = {"label": ["a"] * 41, "payload_length": [[0, *[5] * (n - 1)] for n in sizes]}
    rows["direction"] = [[1] * n for n in sizes]
    ended, cut = (
        conform_flows(Dataset.from_dict(rows | {"packet_count": [*[count] * 40, 4]}), "made") for count in (2, 9)
    )
    short = FlowArrays.from_dataset(ended.select([0]))
    likelier, other = (NGram(3).fit(flows, 4, view="all").log_likelihood(short)[0] for flows in (ended, cut))
    assert likelier > other + 1


def test_no_baseline_makes_more_packets_than_were_seen():
    rows = {"label": ["a"] * 9, "payload_length": [[0, 5]] * 9, "direction": [[1, 1]] * 9, "packet_count": [7] * 9}
    model = make_baseline("2-gram").fit(conform_flows(Dataset.from_dict(rows), "made"), 10)
    assert model.max_packets == 2
    assert model.draw(np.zeros(300, dtype=np.int64), seed=0).num_packets.max() == 2


@pytest.mark.parametrize(
    ("kind", "name", "change", "said"),
    [
        ("replay", "classes", lambda old: old + 2, "classes has numbers outside 0 to 1"),
        ("replay", "offsets", lambda old: old[::-1].copy(), "offsets do not divide"),
        ("replay", "direction", lambda old: old * 0, "neither 1 nor -1"),
        ("replay", "inter_arrival_time", lambda old: old * np.nan, "outside 0"),
        ("independent", "destination_port", lambda old: old + 10**6, "destination_port has numbers outside"),
        ("smote", "points", lambda old: old[:, :-1].copy(), "points have shape"),
        ("cvae", "network.to_words.weight", lambda old: old[:-1].copy(), "other layers or shapes"),
        ("4-gram", "tables.1.contexts", lambda old: old * 0, "table 1 is not in order"),
        ("4-gram", "time_donors.2.rows", lambda old: old + 10**6, "rows that do not exist"),
        ("4-gram", "header_donors.1.keys", lambda old: old * 0, "a class without a training flow"),
        ("4-gram", "label_weights", lambda old: old * 0.5, "not the shares of its classes"),
        ("4-gram", "foreign", lambda old: np.zeros(3, np.int64), "no tensor of this baseline"),
    ],
)
def test_a_saved_file_that_cannot_be_right_is_refused(kind, name, change, said, tmp_path):
    path = make_baseline(kind).fit(flows_of()).save(tmp_path / "baseline.safetensors")
    with safe_open(path, "numpy") as file:
        head, tensors = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    save_file(tensors | {name: change(tensors.get(name))}, path, head)
    with pytest.raises(InputError, match=said) as caught:
        load_baseline(path)
    assert "\n" not in str(caught.value)


def test_a_saved_ngram_whose_flows_end_before_they_begin_is_refused(tmp_path):
    path = make_baseline("1-gram").fit(flows_of()).save(tmp_path / "baseline.safetensors")
    with safe_open(path, "numpy") as file:
        head, tensors = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    rows = len(tensors["tables.2.contexts"])
    tensors["tables.2.pairs"], tensors["tables.2.counts"] = np.arange(rows) * RADIX + END, np.full(rows, 10**9)
    save_file(tensors, path, head)
    with pytest.raises(InputError, match="end before their first packet"):
        load_baseline(path)
