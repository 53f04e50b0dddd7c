import numpy as np
import pytest

from hf_ntg import TrainingConfig
from hf_ntg.training.context_targets import ORDERS, ContextTargets
from hf_ntg.training.objective_causal import CausalObjective

SMOOTHING = 0.5


@pytest.fixture(scope="module")
def objective(flows):
    return CausalObjective(TrainingConfig(max_packets=6, dropout=0.0, view="all", smoothing=SMOOTHING), flows, None)


def shares_by_hand(objective, sentence, place, order):
    """Counts of the tokens at `place` of flows with the same class and last packets, with the flows' own token."""
    first = objective.tokenizer.grammar.prefix_length
    columns = [0, *range(max(first, place - order), place)]
    whole = objective._sentences[objective._row.ravel()]
    same = (whole[:, columns] == sentence[columns]).all(axis=1) & (
        whole[:, place] >= objective.tokenizer.grammar.end_of_packets
    )
    return np.bincount(whole[same, place], minlength=len(objective.tokenizer)) / same.sum()


def test_targets_are_shares_of_what_followed_the_same_packets(objective):
    grammar = objective.tokenizer.grammar
    for row in (0, 7, 40):
        sentence = objective._sentences[row]
        offsets, tokens, shares = objective._targets.of(np.array([row]))
        places = np.flatnonzero(sentence >= grammar.end_of_packets)
        assert len(offsets) == len(places) + 1
        for k, place in enumerate(places):
            own = slice(offsets[k], offsets[k + 1])
            found = np.bincount(tokens[own], weights=shares[own], minlength=len(objective.tokenizer))
            expected = sum(shares_by_hand(objective, sentence, place, order) for order in ORDERS) / len(ORDERS)
            np.testing.assert_allclose(found, SMOOTHING * expected, atol=1e-6)


def test_targets_without_loss_have_no_soft_targets_and_do_not_count(objective):
    grammar, sentences = objective.tokenizer.grammar, objective._sentences[[0, 0]].copy()
    place = grammar.prefix_length
    sentences[1, place] = grammar.end_of_packets
    weights = np.ones((2, sentences.shape[1] - 1), dtype=np.int64)
    weights[1] = 0
    targets = ContextTargets(sentences, weights, grammar, SMOOTHING)
    offsets, tokens, shares = targets.of(np.array([0]))
    assert set(tokens[: offsets[1]].tolist()) == {sentences[0, place]}
    assert shares[: offsets[1]].sum() == pytest.approx(SMOOTHING)
    offsets, tokens, shares = targets.of(np.array([1]))
    assert set(offsets.tolist()) == {0}
    assert len(offsets) == (sentences[1] >= grammar.end_of_packets).sum() + 1
    assert len(tokens) == len(shares) == 0


def test_a_smoothed_loss_has_smoothed_gradients(flows, objective):
    plain = CausalObjective(TrainingConfig(max_packets=6, dropout=0.0, view="all"), flows, None)
    plain.module.load_state_dict(objective.module.state_dict(), strict=False)
    batch = objective.collate(np.arange(40), np.random.default_rng(0))
    smoothed = objective.module.eval()(**batch).item()
    batch = {name: part for name, part in batch.items() if not name.startswith("soft_")}
    assert objective.module(**batch).item() == pytest.approx(plain.module.eval()(**batch).item())
    assert smoothed != pytest.approx(plain.module(**batch).item(), rel=1e-4)
