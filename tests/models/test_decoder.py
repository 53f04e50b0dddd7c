import numpy as np
import pytest
import torch

from hf_ntg import FlowTokenizer
from hf_ntg.codecs.flow_grammar import FlowGrammar
from hf_ntg.models.causal_lm import CAUSAL_FAMILIES, build_causal_lm
from hf_ntg.models.decoder import make_decoder

GRAMMAR = FlowGrammar(labels=("a", "b"), label_counts=(1, 1), max_packets=18, max_payload=20)


@pytest.fixture(scope="module", params=CAUSAL_FAMILIES)
def model(request):
    return build_causal_lm(request.param, FlowTokenizer.from_format(GRAMMAR), seed=1).eval()


def step_through(model, ids, rows_at_half=None):
    decoder = make_decoder(model)
    memory, hidden = decoder.empty(len(ids)), []
    for place in range(ids.shape[1]):
        if place == 4 and rows_at_half is not None:
            memory, ids = memory.select(rows_at_half), ids[rows_at_half]
        hidden.append(decoder.step(ids[:, place], memory))
    return hidden


def test_steps_agree_with_the_stock_forward_pass(model):
    ids = torch.from_numpy(np.random.default_rng(0).integers(1, len(GRAMMAR.words()), (5, 19)))
    with torch.no_grad():
        wanted = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
        got = torch.stack(step_through(model, ids), dim=1)
    torch.testing.assert_close(got, wanted, atol=2e-5, rtol=0)


def test_memories_are_gathered_by_row(model):
    ids = torch.from_numpy(np.random.default_rng(0).integers(1, len(GRAMMAR.words()), (5, 19)))
    rows = torch.tensor([3, 3, 0])
    with torch.no_grad():
        wanted = model.base_model(input_ids=ids, use_cache=False).last_hidden_state[rows, -1]
        got = step_through(model, ids, rows)[-1]
    torch.testing.assert_close(got, wanted, atol=2e-5, rtol=0)
