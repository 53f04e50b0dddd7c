import copy

import pytest
import torch
from diffusers import UNet1DModel
from torch import nn

from hf_ntg.models.short_unet import quicken


def small_unet(columns: int) -> UNet1DModel:
    torch.manual_seed(0)
    return UNet1DModel(
        sample_size=columns,
        in_channels=5,
        out_channels=7,
        time_embedding_type="positional",
        use_timestep_embedding=True,
        act_fn="silu",
        down_block_types=("DownResnetBlock1D",),
        mid_block_type="MidResTemporalBlock1D",
        up_block_types=("UpResnetBlock1D",),
        out_block_type="OutConv1DBlock",
        block_out_channels=(16,),
    )


@pytest.mark.parametrize("columns", [1, 2, 3, 4, 6])
def test_the_same_to_rounding(columns):
    unet = small_unet(columns)
    quick = quicken(copy.deepcopy(unet))
    signal, timestep = 3 * torch.randn(9, 5, columns), torch.rand(9) * 1_000
    with torch.no_grad():
        torch.testing.assert_close(quick(signal, timestep).sample, unet(signal, timestep).sample, atol=1e-5, rtol=1e-5)


def test_weights_keep_their_names_and_gradients_are_the_native_ones():
    unet = small_unet(3)
    quick = quicken(copy.deepcopy(unet))
    assert list(quick.state_dict()) == list(unet.state_dict())
    signal, timestep = torch.randn(4, 5, 3), torch.rand(4) * 1_000
    for net in (unet, quick):
        net(signal, timestep).sample.square().sum().backward()
    for wanted, found in zip(unet.parameters(), quick.parameters(), strict=True):
        torch.testing.assert_close(found.grad, wanted.grad)


@pytest.mark.parametrize("change", ["in place", "loaded", "half"])
def test_changed_weights_are_noticed(change):
    quick = quicken(small_unet(3))
    signal, timestep = torch.randn(4, 5, 3), torch.rand(4) * 1_000
    with torch.no_grad():
        before = quick(signal, timestep).sample
        if change == "in place":
            for parameter in quick.parameters():
                parameter.mul_(1.1)
        elif change == "loaded":
            quick.load_state_dict({name: 1.1 * value for name, value in quick.state_dict().items()})
        else:
            quick, signal = quick.bfloat16(), signal.bfloat16()
        plain = copy.deepcopy(quick)
        for module in plain.modules():
            if isinstance(module, nn.Conv1d):
                module.__class__ = nn.Conv1d
        after = quick(signal, timestep).sample
        assert not torch.equal(after.float(), before)
        torch.testing.assert_close(
            after, plain(signal, timestep).sample, atol=1e-5 if change != "half" else 0.1, rtol=0.05
        )


def test_mish_far_out():
    module = nn.Sequential(nn.Mish())
    values = torch.tensor([-1e4, -80.0, -5.0, 0.0, 5.0, 25.0, 1e4])
    wanted = module(values)
    quicken(module)
    with torch.no_grad():
        torch.testing.assert_close(module(values), wanted)
