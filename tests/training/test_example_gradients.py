import numpy as np
import pytest
import torch
from torch.nn.utils import parametrize

from hf_ntg.codecs.tokenization_flow import FlowTokenizer
from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.models.causal_lm import build_causal_lm
from hf_ntg.models.structured_embedding import share_structure
from hf_ntg.training.example_gradients import RecordingModel


def made(flows, family="gpt2", structured=True, **options):
    arrays = FlowArrays.from_dataset(flows).take(np.arange(6))
    tokenizer = FlowTokenizer.fit(arrays, max_packets=5, max_payload=400, time_bins=4, **options)
    model = build_causal_lm(family, tokenizer, seed=1)
    if structured:
        share_structure(model, tokenizer.grammar)
    weight = torch.ones(len(tokenizer))
    weight[tokenizer.grammar.blocks["time"]] = 0.5
    sentences = torch.from_numpy(tokenizer.encode_flows(arrays).padded().astype(np.int64))
    return model, tokenizer.grammar, weight, sentences


def plain_loss(model, grammar, weight, sentence):
    """The loss of one sentence, token by token, against what the grammar allows."""
    sentence = sentence[sentence != 0]
    hidden = model.base_model(input_ids=sentence[None, :-1], use_cache=False).last_hidden_state[0]
    scores = hidden @ model.get_input_embeddings().weight.t()
    total = torch.zeros(())
    for place, token in enumerate(sentence[1:].tolist()):
        position = place + 1 - grammar.prefix_length
        if token >= grammar.end_of_packets:
            allowed = grammar.allowed_packets(position)
        else:
            allowed = next(block for block in grammar.blocks.values() if block.start <= token < block.stop)
        total = total - weight[token] * scores[place, allowed].log_softmax(dim=0)[token - allowed.start]
    return total


@pytest.mark.parametrize(
    ("family", "structured", "options"),
    [
        ("gpt2", True, {}),
        ("llama", True, {}),
        ("gpt2", False, {"header": False}),
        ("llama", False, {"times": False}),
        ("gpt2", True, {"times": False, "header": False}),
    ],
)
def test_gradients_of_single_sentences_are_those_of_autograd(flows, family, structured, options):
    model, grammar, weight, sentences = made(flows, family, structured, **options)
    found = RecordingModel(model, grammar, weight).gradients(sentences)
    model.requires_grad_(True)
    for row, sentence in enumerate(sentences):
        model.zero_grad()
        with parametrize.cached():
            loss = plain_loss(model, grammar, weight, sentence)
            loss.backward()
        assert loss.item() == pytest.approx(float(found.losses[row]), rel=1e-4)
        grads = found.weighted(torch.eye(len(sentences))[row])
        assert set(grads) == set(model.parameters())
        for parameter, grad in grads.items():
            wanted = torch.zeros_like(grad) if parameter.grad is None else parameter.grad
            torch.testing.assert_close(grad, wanted, rtol=1e-3, atol=1e-4)
        norm = torch.stack([grad.square().sum() for grad in grads.values()]).sum().sqrt()
        assert float(norm) == pytest.approx(float(found.norms()[row]), rel=1e-4)


def test_a_weighted_sum_is_the_sum_of_the_weighted(flows):
    model, grammar, weight, sentences = made(flows)
    found = RecordingModel(model, grammar, weight).gradients(sentences)
    weights = torch.arange(1.0, 1.0 + len(sentences))
    single = [found.weighted(row) for row in torch.eye(len(sentences))]
    for parameter, grad in found.weighted(weights).items():
        summed = sum(factor * one[parameter] for factor, one in zip(weights, single, strict=True))
        torch.testing.assert_close(grad, summed, rtol=1e-3, atol=1e-3)


def test_a_family_without_known_gradients_is_refused(flows):
    model, grammar, weight, _ = made(flows, "mamba", structured=False)
    with pytest.raises(InputError, match="gpt2 or llama"):
        RecordingModel(model, grammar, weight)
