import pytest
import torch
from torch.nn import functional as F

from hf_ntg.training import softmax_loss as module
from hf_ntg.training.softmax_loss import softmax_loss


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("chunk", [1, 50 * 7, 1 << 20])
def test_value_and_gradients_are_those_of_the_plain_cross_entropy(monkeypatch, biased, chunk):
    monkeypatch.setitem(module.MAX_SCORES, "cpu", chunk)
    torch.manual_seed(0)
    hidden, head = torch.randn(23, 8, requires_grad=True), torch.randn(50, 8, requires_grad=True)
    targets, weights, bias = torch.randint(0, 50, (23,)), torch.rand(23), torch.randn(50) if biased else None
    ours = 3 * softmax_loss(hidden, head, targets, weights, bias)
    gradients = torch.autograd.grad(ours, (hidden, head))
    scores = hidden @ head.T + (0 if bias is None else bias)
    plain = 3 * (F.cross_entropy(scores, targets, reduction="none") * weights).sum()
    torch.testing.assert_close(ours, plain)
    torch.testing.assert_close(gradients, torch.autograd.grad(plain, (hidden, head)))


def test_no_rows_are_no_loss():
    head = torch.randn(5, 2, requires_grad=True)
    loss = softmax_loss(torch.zeros(0, 2), head, torch.zeros(0, dtype=torch.int64), torch.zeros(0))
    loss.backward()
    assert loss.item() == 0
    assert not head.grad.any()
