"""Cross-entropy of a large softmax and its gradient, without a matrix of all scores.

The plain way writes the scores of every position (rows x vocabulary), reads them for the log-softmax, and does the same
for the gradient. With a small model this memory traffic costs more than the arithmetic. Here rows are computed in
chunks that fit the processor's cache: scores, then the loss, then in place the gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

__all__ = ["softmax_loss"]

MAX_SCORES = {"cpu": 1 << 18, "cuda": 1 << 26}  # scores per chunk: to fit a CPU's cache, or to fill a GPU
# Every chunk reads and writes the gradient of the head, so that few rows at once are slow where there are many classes.
LEAST_ROWS = 128


def softmax_loss(hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor, bias: Tensor | None = None) -> Tensor:
    """Weighted sum of the cross-entropies of ``softmax(hidden @ head.T + bias)``: a scalar, differentiable once.

    Args:
        hidden: (M, W). head: (V, W), one row per class. bias: (V,), without gradient.
        targets: (M,) int64 true classes. weights: (M,) weights of the rows' losses, without gradient.
    """
    return _SoftmaxLoss.apply(hidden, head, targets, weights, bias)


class _SoftmaxLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor, bias: Tensor | None) -> Tensor:
        wanted = any(ctx.needs_input_grad)
        grad_hidden, grad_head = torch.empty_like(hidden), torch.zeros_like(head, dtype=torch.float32)
        total = hidden.new_zeros((), dtype=torch.float32)
        rows = max(LEAST_ROWS, MAX_SCORES.get(hidden.device.type, MAX_SCORES["cuda"]) // len(head))
        for part in range(0, len(hidden), rows):
            chunk = slice(part, part + rows)
            scores = F.linear(hidden[chunk], head).float()  # (m, V)
            if bias is not None:
                scores += bias
            scores -= scores.amax(dim=1, keepdim=True)
            target, weight = targets[chunk, None], weights[chunk, None]
            right = scores.gather(1, target)
            mass = scores.exp_().sum(dim=1, keepdim=True)
            total += ((mass.log() - right) * weight).sum()
            if wanted:
                scores *= weight / mass
                scores.scatter_add_(1, target, -weight)
                scores = scores.to(hidden.dtype)
                grad_hidden[chunk] = scores @ head.to(hidden.dtype)
                if hidden.dtype == grad_head.dtype:
                    grad_head.addmm_(scores.t(), hidden[chunk])  # without a second matrix of its size
                else:
                    grad_head += scores.t() @ hidden[chunk]
        ctx.save_for_backward(grad_hidden, grad_head.to(head.dtype))
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        grad_hidden, grad_head = ctx.saved_tensors
        return grad_hidden * grad, grad_head * grad, None, None, None
