"""The optimizer: Muon for the matrices inside the blocks of a causal model, AdamW for everything else.

Muon (Jordan et al., https://kellerjordan.github.io/posts/muon/) replaces a matrix's momentum by the nearest matrix with
orthogonal rows or columns, so that every direction learns at the same rate. A few Newton-Schulz iterations find it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from hf_ntg.training.config import TrainingConfig

__all__ = ["MuonAdamW", "make_optimizer", "orthogonalized"]

MATRIX_RATE = 10.0  # Muon's rate in multiples of AdamW's
MOMENTUM = 0.95
# Coefficients of the quintic iteration. In five steps they move singular values to between 0.7 and 1.2, not exactly 1.
NEWTON_SCHULZ, STEPS = (3.4445, -4.7750, 2.0315), 5
# Matrices that hold several projections of one input side by side, and how many.
FUSED = {"c_attn": 3, "in_proj": 2}


def make_optimizer(module: nn.Module, config: TrainingConfig) -> Optimizer:
    """The optimizer of `config` for a training `module`; its groups have the peak rates as ``lr``.

    Only matrices have weight decay. Mamba marks its state-space parameters as having none.
    """
    hidden = _block_matrices(module) if config.optimizer == "muon" and config.model != "unet" else {}
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for name, parameter in module.named_parameters():
        exempt = parameter.ndim < 2 or getattr(parameter, "_no_weight_decay", False) or name.endswith("A_log")
        if parameter not in hidden:
            (free if exempt else decayed).append(parameter)
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": free, "weight_decay": 0.0}]
    if not hidden:
        return AdamW(groups, lr=config.learning_rate)
    return MuonAdamW(hidden, groups, config)


class MuonAdamW(Optimizer):
    """Muon and AdamW as one optimizer, with one state and one list of groups.

    Args:
        matrices: parameters for Muon, each with how many matrices it holds along its output axis and which axis it is.
        groups: groups of all other parameters, for AdamW.
    """

    def __init__(
        self, matrices: dict[nn.Parameter, tuple[int, int]], groups: list[dict], config: TrainingConfig
    ) -> None:
        muon = {"params": list(matrices), "lr": MATRIX_RATE * config.learning_rate, "weight_decay": config.weight_decay}
        self._layout = list(matrices.values())
        self._adamw = AdamW(groups, lr=config.learning_rate)
        super().__init__([muon, *self._adamw.param_groups], {})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # no rule here needs a second loss
        """Update all parameters from their gradients; a `closure` is not supported."""
        self._move_matrices(self.param_groups[0])
        # Both lists are new objects after a checkpoint was loaded.
        self._adamw.param_groups, self._adamw.state = self.param_groups[1:], self.state
        self._adamw.step()

    def _move_matrices(self, group: dict) -> None:
        """Take one Muon step: the orthogonalised momentum of each matrix, scaled by its shape."""
        known = [(p, layout) for p, layout in zip(group["params"], self._layout, strict=True) if p.grad is not None]
        if not known:
            return
        parameters, grads = [p for p, _ in known], [p.grad for p, _ in known]
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter]["momentum"] = torch.zeros_like(parameter)
        momentum = [self.state[parameter]["momentum"] for parameter in parameters]
        torch._foreach_lerp_(momentum, grads, 1 - MOMENTUM)
        ahead = torch._foreach_lerp(grads, momentum, MOMENTUM)  # Nesterov momentum
        parts = [part for whole, (_, layout) in zip(ahead, known, strict=True) for part in whole.chunk(*layout)]
        moves = iter(orthogonalized(parts))
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        for parameter, (count, axis) in known:
            for part in parameter.chunk(count, axis):
                outputs, inputs = part.shape[axis], part.shape[1 - axis]
                part.add_(next(moves), alpha=-group["lr"] * math.sqrt(max(1.0, outputs / inputs)))


def orthogonalized(matrices: Iterable[Tensor]) -> list[Tensor]:
    """Roughly the nearest orthogonal matrix to each of `matrices` (R, C): singular values about 1, same vectors.

    Matrices of one shape are computed together.
    """
    matrices = list(matrices)
    shapes = defaultdict(list)
    for place, matrix in enumerate(matrices):
        shapes[min(matrix.shape), max(matrix.shape)].append(place)
    found: list[Tensor] = [torch.empty(0)] * len(matrices)
    for places in shapes.values():
        wide = [matrices[i].t() if matrices[i].shape[0] > matrices[i].shape[1] else matrices[i] for i in places]
        result = _newton_schulz(torch.stack(wide))
        for i, matrix in zip(places, result, strict=True):
            found[i] = matrix.t() if matrices[i].shape[0] > matrices[i].shape[1] else matrix
    return found


def _newton_schulz(x: Tensor) -> Tensor:
    """Iterate on (n, R, C) matrices with R <= C."""
    a, b, c = NEWTON_SCHULZ
    x = x / x.flatten(1).norm(dim=1).clamp(min=1e-7)[:, None, None]
    for _ in range(STEPS):
        gram = x @ x.mT
        factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, factor, x, beta=a)
    return x


def _block_matrices(module: nn.Module) -> dict[nn.Parameter, tuple[int, int]]:
    """Matrices inside the blocks of a causal model: parameter to its number of projections and its output axis."""
    found = {}
    for name, layer in module.named_modules():
        # GPT-2's Conv1D has its inputs first.
        axis = 1 if type(layer).__name__ == "Conv1D" else 0
        inside = any(part.isdigit() for part in name.split("."))
        weight = getattr(layer, "weight", None)
        if inside and weight is not None and weight.ndim == 2:
            found[weight] = FUSED.get(name.rsplit(".", 1)[-1], 1), axis
    return found
