import numpy as np
import pytest
import torch

from hf_ntg import TrainingConfig
from hf_ntg.training import objective_causal
from hf_ntg.training.objective_causal import CausalObjective, nats_per_flow


@pytest.fixture(scope="module")
def objective(flows):
    return CausalObjective(TrainingConfig(max_packets=6, dropout=0.0, view="all"), flows, None)


def test_with_every_token_sampled_the_loss_is_the_likelihood(flows, objective, monkeypatch):
    monkeypatch.setattr(objective_causal, "SAMPLED_TOKENS", len(objective.tokenizer))
    half = objective.module.token_weight.clone()
    objective.module.token_weight[half > 0] = 1.0
    rows = np.arange(50)
    loss = objective.module.eval()(**objective.collate(rows, np.random.default_rng(0))).item()
    sentences = objective.tokenizer.encode_flows(flows.select(rows)).padded()
    objective.module.token_weight.copy_(half)
    # The samples of all kinds of places are cut to the shortest, so that a few tokens count for others.
    assert loss == pytest.approx(nats_per_flow(objective.module.model, sentences).sum(), rel=2e-4)


def test_a_sample_of_tokens_stands_for_all_of_them(objective):
    rows = np.arange(50)
    module = objective.module.eval()
    with torch.no_grad():
        losses = [module(**objective.collate(rows, np.random.default_rng(seed))).item() for seed in range(8)]
    assert np.std(losses) < 0.01 * np.mean(losses)  # an untrained model: all tokens weigh about the same


def test_sentences_that_recur_are_computed_once(objective):
    batch = objective.collate(np.array([3, 3, 3, 5]), np.random.default_rng(0))
    assert batch["sentences"].shape[0] == 2
    assert sorted(batch["counts"].tolist()) == [1, 3]


def test_a_batch_in_parts_by_length_has_the_loss_of_the_whole(objective, monkeypatch):
    batch = objective.collate(np.arange(60), np.random.default_rng(0))
    pad = objective.tokenizer.pad_token_id
    parts = objective_causal._cut_to_length(batch["sentences"], pad)
    assert len({part.shape[1] for part in parts}) == len(parts) > 1
    assert sum((part != pad).sum() for part in parts) == (batch["sentences"] != pad).sum()
    with torch.no_grad():
        in_parts = objective.module.eval()(**batch).item()
        monkeypatch.setattr(objective_causal, "LENGTH_GROUPS", 1)
        assert objective.module(**batch).item() == pytest.approx(in_parts, rel=1e-5)


def test_the_end_of_a_flow_that_was_cut_has_no_loss(flows):
    held = [len(packets) for packets in flows["payload_length"]]
    cut = flows.remove_columns("packet_count").add_column("packet_count", [n + 1 if n == 3 else n for n in held])
    config = TrainingConfig(max_packets=6, dropout=0.0, view="all")
    rows, losses = np.flatnonzero(np.array(held) == 3), []
    for table in (flows, cut):
        own = CausalObjective(config, table, None)
        losses.append(own.module.eval()(**own.collate(rows, np.random.default_rng(0))).item())
    end = own.tokenizer.grammar.end_of_packets
    assert losses[1] < losses[0] - 1
    assert (own.collate(rows, np.random.default_rng(0))["unknown"] == 6).all()
    assert (own._sentences[own._row[rows], 6] == end).all()  # label, protocol, port and three packets come before
