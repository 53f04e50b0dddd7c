"""Mamba's selective scan for short sequences, mainly on a CPU.

The fallback in transformers loops over slices of (batch, channels, time, state) tensors. The cost of its backward pass
grows with the square of the length. Here the state has shape (batch, state, channels), one step is a few in-place
operations over contiguous memory, and the gradient is coded explicitly, so that only the states are kept. On a GPU with
the official kernels, the stock code runs.

The recurrence is that of Gu and Dao, "Mamba" (arXiv 2312.00752), equations 2a and 2b with the zero-order hold of A:
``h_t = exp(dt_t A) h_{t-1} + dt_t B_t x_t`` and ``y_t = C_t h_t``.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers.models.mamba.modeling_mamba import MambaMixer

__all__ = ["mixer_step", "selective_scan", "use_fast_scan"]


def use_fast_scan(model: PreTrainedModel) -> PreTrainedModel:
    """Make the mixers of `model` scan whole sequences with :func:`selective_scan`; returns `model`.

    Weights, configuration and saved files stay those of the stock class. A forward pass with a cache stays stock too.
    """
    backbone: Any = model.base_model
    for block in backbone.layers:
        block.mixer.forward = MethodType(_mixer_forward, block.mixer)
    return model


def selective_scan(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Run the selective state space over a batch of sequences from a zero state.

    Args:
        x: (T, B, D) inputs. dt: (T, B, D) step sizes, positive. a: (D, N) state matrix, negative.
        b, c: (T, B, N) input and output matrices.

    Returns:
        (T, B, D) outputs in the type of `x`; differentiable once in all five arguments.
    """
    return _SelectiveScan.apply(x, dt, a, b, c)


def _mixer_forward(mixer: MambaMixer, hidden_states: Tensor, *more, attention_mask=None, **others) -> Tensor:
    # Other arguments, such as a cache, need the stock code.
    if more or any(value is not None for value in others.values()) or _has_kernels(hidden_states.device):
        return MambaMixer.forward(mixer, hidden_states, *more, attention_mask=attention_mask, **others)
    # Time is the first axis from here on, so that every step of the scan works on contiguous memory.
    hidden_states = hidden_states.transpose(0, 1)
    mask = None if attention_mask is None else attention_mask.t()[:, :, None].to(hidden_states.dtype)
    x, gate = mixer.in_proj(hidden_states if mask is None else hidden_states * mask).chunk(2, dim=-1)  # (T, B, D) each
    x = mixer.act(_convolved(x, mixer.conv1d))
    if mask is not None:
        x = x * mask
    dt, b, c = mixer.x_proj(x).split([mixer.time_step_rank, mixer.ssm_state_size, mixer.ssm_state_size], dim=-1)
    dt = F.softplus(mixer.dt_proj(dt))
    y = selective_scan(x, dt, -torch.exp(mixer.A_log.float()), b, c)
    return mixer.out_proj(torch.addcmul(y, x, mixer.D.to(x.dtype)) * F.silu(gate)).transpose(0, 1)


@cache
def _has_kernels(device: torch.device) -> bool:
    return device.type != "cpu" and find_spec("mamba_ssm") is not None


def mixer_step(mixer: MambaMixer, hidden: Tensor, window: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Run one token through a mixer.

    Args:
        hidden: (B, W) input. window: (B, K - 1, D) the last inputs of the convolution. state: (B, N, D), updated in
            place.

    Returns:
        (B, W) output, and the new window.
    """
    x, gate = mixer.in_proj(hidden).chunk(2, dim=-1)  # (B, D) each
    window = torch.cat([window, x[:, None]], dim=1)  # (B, K, D)
    x = torch.einsum("bkd,dk->bd", window, mixer.conv1d.weight.squeeze(1))
    x = mixer.act(x if mixer.conv1d.bias is None else x + mixer.conv1d.bias)
    dt, b, c = mixer.x_proj(x).split([mixer.time_step_rank, mixer.ssm_state_size, mixer.ssm_state_size], dim=-1)
    dt = F.softplus(mixer.dt_proj(dt))
    decay = torch.mul(dt[:, None], -torch.exp(mixer.A_log.to(dt.dtype)).t()).exp_()  # (B, N, D)
    state.mul_(decay).addcmul_(b[:, :, None], (dt * x)[:, None])
    y = torch.bmm(c[:, None], state)[:, 0]
    return mixer.out_proj(torch.addcmul(y, x, mixer.D.to(x.dtype)) * F.silu(gate)), window[:, 1:]


def _convolved(x: Tensor, layer: nn.Conv1d) -> Tensor:
    """The causal convolution `layer` of (T, B, D)."""
    if x.device.type == "cpu":
        return _CausalConvolution.apply(x, layer.weight, layer.bias)
    return layer(x.permute(1, 2, 0))[:, :, : len(x)].permute(2, 0, 1)


class _CausalConvolution(torch.autograd.Function):
    """Depthwise causal convolution of (T, B, D) by (D, 1, K), as K shifted products added up in place."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        taps = weight.squeeze(1).t().contiguous()  # (K, D), the last row for the current step
        out = (
            torch.mul(x, taps[-1].to(x.dtype))
            if bias is None
            else torch.addcmul(bias.to(x.dtype), x, taps[-1].to(x.dtype))
        )
        for lag in range(1, min(len(taps), len(x))):
            out[lag:].addcmul_(x[:-lag], taps[-1 - lag].to(x.dtype))
        ctx.save_for_backward(x, taps)
        ctx.biased = bias is not None
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        x, taps = ctx.saved_tensors
        grad_x = torch.mul(grad, taps[-1].to(grad.dtype))
        # One time step after the other, so that the operands stay in the processor's cache.
        sums = grad.new_zeros(len(taps), *grad.shape[1:])  # (K, B, D)
        for lag in range(min(len(taps), len(x))):
            if lag:
                grad_x[:-lag].addcmul_(grad[lag:], taps[-1 - lag].to(grad.dtype))
            for t in range(lag, len(x)):
                sums[-1 - lag].addcmul_(grad[t], x[t - lag])
        grad_taps = sums.sum(dim=1).to(taps.dtype)
        return grad_x, grad_taps.t()[:, None], grad.sum(dim=(0, 1)) if ctx.biased else None


class _SelectiveScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        dtype = x.dtype
        x, dt, b, c = (part.float().contiguous() for part in (x, dt, b, c))  # (T, B, D or N)
        a = a.float().t().contiguous()  # (N, D)
        drive = dt * x  # (T, B, D)
        steps, batch, channels = x.shape
        states = x.new_empty(steps, batch, a.shape[0], channels)  # (T, B, N, D)
        y = torch.empty_like(x)
        decay = torch.empty_like(states[0])
        for t in range(steps):
            if t == 0:
                torch.mul(b[0].unsqueeze(2), drive[0].unsqueeze(1), out=states[0])
            else:
                torch.mul(dt[t].unsqueeze(1), a, out=decay).exp_()
                torch.mul(decay, states[t - 1], out=states[t])
                states[t].addcmul_(b[t].unsqueeze(2), drive[t].unsqueeze(1))
            torch.bmm(c[t].unsqueeze(1), states[t], out=y[t].unsqueeze(1))
        ctx.save_for_backward(x, dt, a, b, c, drive, states)
        ctx.dtype = dtype
        return y.to(dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_y: Tensor):
        x, dt, a, b, c, drive, states = ctx.saved_tensors
        grad_y = grad_y.float().contiguous()  # (T, B, D)
        grad_dt, grad_drive = torch.zeros_like(dt), torch.empty_like(drive)
        grad_b, grad_c = torch.empty_like(b), torch.empty_like(c)
        decay, grad_power = torch.empty_like(states[0]), torch.empty_like(states[0])
        grad_a = torch.zeros_like(states[0])  # (B, N, D), summed over the batch once at the end
        grad_state = torch.zeros_like(states[0])
        for t in range(len(x) - 1, -1, -1):
            grad_state.addcmul_(c[t].unsqueeze(2), grad_y[t].unsqueeze(1))
            torch.bmm(states[t], grad_y[t].unsqueeze(2), out=grad_c[t].unsqueeze(2))
            torch.bmm(b[t].unsqueeze(1), grad_state, out=grad_drive[t].unsqueeze(1))
            torch.bmm(grad_state, drive[t].unsqueeze(2), out=grad_b[t].unsqueeze(2))
            if t == 0:
                break
            torch.mul(dt[t].unsqueeze(1), a, out=decay).exp_()
            grad_state.mul_(decay)
            torch.mul(grad_state, states[t - 1], out=grad_power)  # gradient of dt_t A
            grad_a.addcmul_(grad_power, dt[t].unsqueeze(1))
            torch.sum(grad_power.mul_(a), dim=1, out=grad_dt[t])
        grad_x = grad_drive * dt
        grad_dt.addcmul_(grad_drive, x)
        grad_x, grad_dt, grad_b, grad_c = (part.to(ctx.dtype) for part in (grad_x, grad_dt, grad_b, grad_c))
        return grad_x, grad_dt, grad_a.sum(0).t(), grad_b, grad_c
