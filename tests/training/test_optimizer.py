import copy

import pytest
import torch
from torch import nn

from hf_ntg import TrainingConfig
from hf_ntg.models.causal_lm import CAUSAL_FAMILIES
from hf_ntg.training.objective_causal import CausalObjective
from hf_ntg.training.optimizer import MATRIX_RATE, MuonAdamW, make_optimizer, orthogonalized


def objective(flows, family="gpt2", **settings):
    return CausalObjective(TrainingConfig(family, max_packets=3, dropout=0.0, **settings), flows, None)


def give_gradients(module, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


@pytest.mark.parametrize("shape", [(16, 16), (16, 40), (40, 16)])
def test_singular_values_become_about_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    found = orthogonalized([matrix])[0]
    assert found.shape == shape
    inner = left.T @ found @ right.T
    assert ((inner.diagonal() > 0.6) & (inner.diagonal() < 1.3)).all()
    torch.testing.assert_close(inner - inner.diagonal().diag(), torch.zeros_like(inner), atol=1e-4, rtol=0)


def test_matrices_together_are_as_one_by_one():
    generator = torch.Generator().manual_seed(0)
    matrices = [torch.randn(shape, generator=generator) for shape in [(8, 8), (8, 20), (20, 8), (8, 8)]]
    for together, alone in zip(orthogonalized(matrices), [orthogonalized([m])[0] for m in matrices], strict=True):
        torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_a_gradient_of_zero_moves_nothing_to_nan():
    assert torch.equal(orthogonalized([torch.zeros(4, 4)])[0], torch.zeros(4, 4))


@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_every_parameter_has_one_rule(flows, family):
    module = objective(flows, family).module
    optimizer = make_optimizer(module, TrainingConfig(family))
    assert isinstance(optimizer, MuonAdamW)
    named = {id(parameter): name for name, parameter in module.named_parameters()}
    groups = [[named[id(parameter)] for parameter in group["params"]] for group in optimizer.param_groups]
    assert sorted(name for group in groups for name in group) == sorted(named.values())
    matrices, decayed, free = groups
    assert all(".weight" in name and module.get_parameter(name).ndim == 2 for name in matrices)
    assert not any(word in name for name in matrices for word in ("embed", "wte", "wpe", "lm_head", "conv1d", "A_log"))
    assert any("original" in name for name in decayed)
    assert all(module.get_parameter(name).ndim < 2 or name.endswith("A_log") for name in free)


def test_fused_projections_move_one_by_one(flows):
    module = objective(flows).module
    fused = module.model.transformer.h[0].attn.c_attn.weight  # (inputs, 3 * outputs)
    before = fused.detach().clone()
    optimizer = make_optimizer(module, TrainingConfig(weight_decay=0.0, learning_rate=1 / MATRIX_RATE))
    give_gradients(module)
    wanted = [orthogonalized([part])[0] for part in fused.grad.chunk(3, dim=1)]
    optimizer.step()
    torch.testing.assert_close(before - fused.detach(), torch.cat(wanted, dim=1), atol=1e-3, rtol=1e-3)


def test_state_goes_on_where_it_was_saved(flows):
    module = objective(flows).module
    twin = copy.deepcopy(module)
    config = TrainingConfig()
    optimizer, other = make_optimizer(module, config), make_optimizer(twin, config)
    for seed in range(2):
        give_gradients(module, seed)
        optimizer.step()
    saved = copy.deepcopy(optimizer.state_dict())
    assert all(isinstance(value, torch.Tensor) for state in saved["state"].values() for value in state.values())
    twin.load_state_dict(module.state_dict())
    other.load_state_dict(saved)
    for each, one in ((module, optimizer), (twin, other)):
        give_gradients(each, 7)
        one.step()
    for one, same in zip(module.parameters(), twin.parameters(), strict=True):
        assert torch.equal(one, same)


def test_adamw_alone_can_be_chosen(flows):
    assert type(make_optimizer(objective(flows).module, TrainingConfig(optimizer="adamw"))) is torch.optim.AdamW


def test_a_schedule_reaches_both_rules():
    layer = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    optimizer = make_optimizer(layer, TrainingConfig(learning_rate=0.25))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5 ** (step + 1))
    assert {group["lr"] for group in optimizer.param_groups} == {0.125, 0.125 * MATRIX_RATE}
    assert schedule.get_last_lr()[0] == 0.125 * MATRIX_RATE
