import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline

from hf_ntg import FlowTokenizer, InputError
from hf_ntg.models.causal_lm import CAUSAL_FAMILIES, _dropped, build_causal_lm


@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_presets_have_one_to_two_million_parameters(flows, family):
    model = build_causal_lm(family, FlowTokenizer.fit(flows))
    assert 1_000_000 <= sum(p.numel() for p in model.parameters()) <= 2_000_000


def test_seed_makes_the_weights(flows):
    tokenizer = FlowTokenizer.fit(flows)
    one, same, other = (build_causal_lm("llama", tokenizer, seed=seed).state_dict() for seed in (0, 0, 1))
    name = "model.layers.0.mlp.up_proj.weight"
    assert torch.equal(one[name], same[name])
    assert not torch.equal(one[name], other[name])


def test_unknown_family_is_named(flows):
    with pytest.raises(InputError, match="rnn"):
        build_causal_lm("rnn", FlowTokenizer.fit(flows))


@pytest.mark.parametrize("folder", ["tiny_gpt2", "tiny_mamba"])
def test_stock_classes_load_the_folder_and_print_a_flow(folder, request):
    folder = request.getfixturevalue(folder)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    torch.manual_seed(0)
    generate = pipeline("text-generation", model=model, tokenizer=tokenizer)
    printed = [flow["generated_text"].split() for flow in generate("<web>", num_return_sequences=8)]
    assert max(map(len, printed)) > 1  # a model that hardly trained may end a flow at once
    for words in printed:
        assert words[0] == "<web>"
        assert all(word in tokenizer.get_vocab() for word in words)


@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_dropout_is_of_training_alone_and_keeps_the_mean(flows, family):
    tokenizer = FlowTokenizer.fit(flows, max_packets=4)
    plain, dropped = (build_causal_lm(family, tokenizer, dropout=share) for share in (0.0, 0.25))
    words = torch.arange(1, 7)[None]
    with torch.no_grad():
        assert torch.equal(plain.eval()(input_ids=words).logits, dropped.eval()(input_ids=words).logits)
        assert torch.equal(plain.train()(input_ids=words).logits, plain(input_ids=words).logits)
        assert not torch.equal(dropped.train()(input_ids=words).logits, dropped(input_ids=words).logits)
    values = torch.ones(64, 1_000)
    torch.manual_seed(0)
    kept = _dropped(values, 0.25)
    assert (kept == 0).float().mean() == pytest.approx(0.25, abs=0.01)
    assert kept.mean() == pytest.approx(1.0, abs=0.01)
