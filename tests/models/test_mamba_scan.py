import copy

import pytest
import torch
from transformers import MambaConfig, MambaForCausalLM

from hf_ntg.models.mamba_scan import selective_scan, use_fast_scan


@pytest.fixture(scope="module")
def stock():
    torch.manual_seed(0)
    config = MambaConfig(
        vocab_size=50, hidden_size=32, num_hidden_layers=2, state_size=8, pad_token_id=0, eos_token_id=1
    )
    return MambaForCausalLM(config)


def loss_and_gradients(model, ids, mask=None):
    model.train().zero_grad()
    out = model(input_ids=ids, attention_mask=mask, labels=ids, use_cache=False)
    out.loss.backward()
    return out.logits.detach(), {name: p.grad.clone() for name, p in model.named_parameters()}


@pytest.mark.parametrize("length", [1, 2, 3, 13])
def test_values_and_gradients_are_those_of_the_stock_path(stock, length):
    ids = torch.randint(2, 50, (4, length))
    if length == 1:
        ids = ids.repeat(1, 2)
    fast = use_fast_scan(copy.deepcopy(stock))
    wanted, wanted_gradients = loss_and_gradients(stock, ids)
    got, gradients = loss_and_gradients(fast, ids)
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=0)
    for name, gradient in wanted_gradients.items():
        torch.testing.assert_close(gradients[name], gradient, atol=1e-5, rtol=1e-4, msg=name)


def test_padding_mask_counts_as_in_the_stock_path(stock):
    ids, mask = torch.randint(2, 50, (3, 6)), torch.tensor([[0, 0, 1, 1, 1, 1], [1] * 6, [0, 1, 1, 1, 1, 1]])
    wanted, _ = loss_and_gradients(stock, ids, mask)
    got, _ = loss_and_gradients(use_fast_scan(copy.deepcopy(stock)), ids, mask)
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=0)


def test_gradient_of_the_scan_is_numerically_right():
    torch.manual_seed(1)
    x, dt = torch.randn(5, 2, 3), torch.rand(5, 2, 3) + 0.1
    a, b, c = -torch.rand(3, 4) - 0.1, torch.randn(5, 2, 4), torch.randn(5, 2, 4)
    parts = [part.double().requires_grad_() for part in (x, dt, a, b, c)]
    # The scan computes in float32, so the finite differences are wide and the tolerance loose.
    assert torch.autograd.gradcheck(selective_scan, parts, eps=1e-2, atol=1e-2, rtol=1e-2)


def test_a_cache_is_left_to_the_stock_path(stock):
    fast = use_fast_scan(copy.deepcopy(stock)).eval()
    prompt = torch.randint(2, 50, (2, 3))
    options = {"max_new_tokens": 4, "do_sample": False, "pad_token_id": 0}
    assert torch.equal(fast.generate(prompt, **options), stock.eval().generate(prompt, **options))


def test_saved_model_is_the_stock_one(stock, tmp_path):
    use_fast_scan(copy.deepcopy(stock)).save_pretrained(tmp_path)
    again = MambaForCausalLM.from_pretrained(tmp_path)
    for name, weight in stock.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], weight, atol=0, rtol=0)
