import copy

import numpy as np
import pytest
import torch
from torch.optim.swa_utils import AveragedModel
from transformers import AutoModelForCausalLM

from hf_ntg.codecs import FlowTokenizer
from hf_ntg.models.causal_lm import CAUSAL_FAMILIES, build_causal_lm
from hf_ntg.models.structured_embedding import number_features, share_structure, stock_state


@pytest.fixture(scope="module")
def tokenizer(flows):
    return FlowTokenizer.fit(flows, max_packets=4)


def structured(tokenizer, family="gpt2", **options):
    model = build_causal_lm(family, tokenizer).eval()
    share_structure(model, tokenizer.grammar, **options)
    return model


def row(tokenizer, word):
    return tokenizer.convert_tokens_to_ids(word)


def test_only_numbers_have_features(tokenizer):
    features = number_features(tokenizer.grammar)
    assert features.shape[0] == len(tokenizer)
    numbers = [
        number for kind in ("time", "packet") for number in range(len(tokenizer))[tokenizer.grammar.blocks[kind]]
    ]
    assert set(np.flatnonzero(np.abs(features).any(axis=1))) == set(numbers)
    assert np.isfinite(features).all()


def test_neighbours_are_alike_and_directions_apart(tokenizer):
    features = number_features(tokenizer.grammar)
    up, near, far, down = (features[row(tokenizer, word)] for word in ("+517", "+518", "+90", "-517"))
    assert up @ near > 0.7 * (up @ up)  # an odd number beside an even one
    assert up @ far < 0.5 * (up @ up)
    assert up @ down == 0
    block = features[tokenizer.grammar.blocks["time"]]
    assert block[1] @ block[2] > block[1] @ block[-1]
    assert block[0] @ block[1] == 0  # no gap at all is no short gap


def test_flows_without_times_have_lengths_alone(flows):
    tokenizer = FlowTokenizer.fit(flows, max_packets=4, times=False)
    features = number_features(tokenizer.grammar)
    assert not features[: tokenizer.grammar.blocks["packet"].start].any()


@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_what_is_saved_is_a_stock_model_of_the_same_function(tokenizer, family, tmp_path):
    model = structured(tokenizer, family)
    words = torch.tensor([[1, 5, 9, 400, 2000]])
    with torch.no_grad():
        expected = model(input_ids=words).logits
        model.save_pretrained(tmp_path, state_dict=stock_state(model))
        stock, info = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
        torch.testing.assert_close(stock.eval()(input_ids=words).logits, expected, atol=1e-5, rtol=1e-4)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert stock.get_input_embeddings().weight is stock.get_output_embeddings().weight
    model.get_input_embeddings()(words)  # the model itself goes on training
    assert type(model.get_input_embeddings()).__name__.startswith("Parametrized")


def test_a_trained_matrix_is_kept_at_the_start(tokenizer):
    plain = build_causal_lm("gpt2", tokenizer)
    model = copy.deepcopy(plain)
    share_structure(model, tokenizer.grammar, fresh=False)
    assert torch.equal(model.get_input_embeddings().weight, plain.get_input_embeddings().weight)
    assert torch.equal(model.get_output_embeddings().weight, plain.get_output_embeddings().weight)


def test_the_seed_makes_the_projection(tokenizer):
    one, same, other = (structured(tokenizer, seed=seed).get_input_embeddings().weight for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_a_length_teaches_its_neighbours(tokenizer):
    model = structured(tokenizer)
    embedding = model.get_input_embeddings()
    before = embedding.weight.detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    embedding.weight[row(tokenizer, "+517")].sum().backward()
    optimizer.step()
    moved = (embedding.weight.detach() - before).norm(dim=1)
    assert moved[row(tokenizer, "+517")] > moved[row(tokenizer, "+516")] > 2 * moved[row(tokenizer, "+90")] > 0
    assert moved[row(tokenizer, "-517")] == 0


def test_averaged_parts_are_the_averaged_matrix(tokenizer):
    model = structured(tokenizer)
    average = AveragedModel(model)
    seen = []
    for _ in range(3):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        average.update_parameters(model)
        seen.append(model.get_input_embeddings().weight.detach().clone())
    mean = torch.stack(seen).mean(dim=0)
    torch.testing.assert_close(average.module.get_input_embeddings().weight.detach(), mean, atol=1e-5, rtol=1e-4)


def test_untied_embeddings_are_refused(tokenizer):
    model = build_causal_lm("gpt2", tokenizer)
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    with pytest.raises(ValueError, match="tied"):
        share_structure(model, tokenizer.grammar)
