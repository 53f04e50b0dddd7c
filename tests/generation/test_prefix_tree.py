import numpy as np
import pytest
import torch
from every_sentence import TIMES, every_sentence, probability, tiny_model
from scipy.stats import chisquare

from hf_ntg.generation.prefix_tree import GROUP, _invert, sample_sentences


@pytest.mark.parametrize(
    ("family", "changes", "temperature"),
    [
        ("gpt2", {}, 1.0),
        ("llama", {}, 0.7),
        ("mamba", {}, 1.3),
        ("gpt2", {"protocols": (6, 17), "ports": (443,)}, 1.0),
        ("llama", {"max_payload": 0, "time_knots": TIMES}, 1.0),
        ("mamba", {"max_payload": 0, "time_knots": TIMES}, 0.8),
    ],
)
def test_draws_follow_the_enumerated_distribution(family, changes, temperature):
    model, grammar = tiny_model(family, **changes)
    draws = 20_000
    sentences = list(every_sentence(grammar, 1))
    expected = np.array([probability(model, grammar, sentence, temperature) for sentence in sentences])
    assert expected.sum() == pytest.approx(1, abs=1e-4)
    uniforms = np.random.default_rng(0).random((draws, grammar.max_tokens))
    drawn = sample_sentences(model, grammar, np.ones(draws, dtype=np.int64), uniforms, temperature)
    place = {sentence: i for i, sentence in enumerate(sentences)}
    parts = np.split(drawn.ids, drawn.offsets[1:-1])
    found = np.bincount([place[tuple(part.tolist())] for part in parts], minlength=len(sentences))
    rare = expected * draws < 5  # a chi-square test wants expected counts of five and more
    observed = np.append(found[~rare], found[rare].sum())
    wanted = np.append(expected[~rare], expected[rare].sum()) * draws
    kept = wanted > 0
    assert chisquare(observed[kept], wanted[kept] * observed[kept].sum() / wanted[kept].sum()).pvalue > 1e-3


@pytest.mark.parametrize("family", ["gpt2", "llama", "mamba"])
def test_flows_do_not_depend_on_each_other_or_on_the_chunks(family):
    model, grammar = tiny_model(family, max_packets=4, max_payload=3, time_knots=TIMES)
    labels = np.random.default_rng(0).integers(0, 2, 300)
    uniforms = np.random.default_rng(1).random((300, grammar.max_tokens))
    whole = sample_sentences(model, grammar, labels, uniforms).padded()
    chunked = sample_sentences(model, grammar, labels, uniforms, max_nodes=7).padded()
    np.testing.assert_array_equal(whole, chunked)
    some = np.random.default_rng(2).permutation(300)[:40]
    alone = sample_sentences(model, grammar, labels[some], uniforms[some]).padded()
    np.testing.assert_array_equal(alone, whole[some][:, : alone.shape[1]])


@pytest.mark.parametrize("family", ["gpt2", "mamba"])
def test_without_times_the_packets_are_the_same(family):
    model, grammar = tiny_model(family, max_packets=4, max_payload=3, time_knots=TIMES)
    labels = np.random.default_rng(0).integers(0, 2, 300)
    uniforms = np.random.default_rng(1).random((300, grammar.max_tokens))
    timed, bare = (sample_sentences(model, grammar, labels, uniforms, times=times) for times in (True, False))
    np.testing.assert_array_equal(timed.offsets, bare.offsets)
    is_time = (bare.ids >= grammar.blocks["time"].start) & (bare.ids < grammar.blocks["time"].stop)
    assert (bare.ids[is_time] == grammar.blocks["time"].start).all()
    assert len(np.unique(timed.ids[is_time])) > 1
    np.testing.assert_array_equal(timed.ids[~is_time], bare.ids[~is_time])


def test_inversion_takes_the_first_token_whose_cumulative_weight_reaches_the_number():
    weights = torch.zeros(1, GROUP)
    weights[0, :5] = torch.tensor([0.0, 2.0, 0.0, 1.0, 1.0])
    uniform = torch.tensor([1e-12, 0.5, 0.5 + 1e-9, 0.75, 0.76, 1.0], dtype=torch.float64)
    drawn, _ = _invert(weights.log(), torch.zeros(6, dtype=torch.int64), uniform, 0.0)
    assert drawn.tolist() == [1, 1, 3, 3, 4, 4]


def test_tokens_of_no_weight_are_never_drawn():
    scores = torch.full((1, 3 * GROUP), -torch.inf)
    scores[0, [70, 128]] = 0.0
    uniform = torch.from_numpy(1 - np.random.default_rng(0).random(5_000))
    drawn, _ = _invert(scores, torch.zeros(5_000, dtype=torch.int64), uniform, 0.0)
    assert set(drawn.tolist()) == {70, 128}


def test_one_evaluation_serves_all_flows_of_a_prefix():
    model, grammar = tiny_model("gpt2")
    rows = []
    embedding = model.get_input_embeddings()
    embedding.register_forward_hook(lambda _, inputs, __: rows.append(len(inputs[0])))
    sample_sentences(model, grammar, np.zeros(1_000, dtype=np.int64), np.random.default_rng(0).random((1_000, 4)))
    assert rows[0] == 1
    assert sum(rows) <= 1 + 4 + 16  # the prefixes there are, not the 1,000 flows
