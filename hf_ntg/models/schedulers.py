"""Schedulers for flow diffusion models, by name. Any other scheduler of diffusers works as well."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol, TypeAlias, TypeGuard

from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from torch import Tensor

from hf_ntg.errors import InputError

__all__ = ["SCHEDULERS", "DiscreteScheduler", "Scheduler", "is_discrete", "make_scheduler"]

# The cosine schedule, down to pure noise (Lin et al., 2024). All of them use v-prediction, which every scheduler of
# diffusers supports. So any of them can be made from another's configuration.
_NOISE = {"beta_schedule": "squaredcos_cap_v2", "prediction_type": "v_prediction", "timestep_spacing": "trailing"}


class Scheduler(Protocol):
    """The methods that the pipeline needs of a scheduler; ``diffusers.SchedulerMixin`` declares none of them."""

    @property
    def timesteps(self) -> Iterable[Tensor]:
        """The timesteps of the steps, from noise to the clean signal."""

    @property
    def config(self) -> Any:
        """The scheduler's configuration."""

    @property
    def set_timesteps(self) -> Callable[..., None]:
        """Sets the number of steps."""

    @property
    def step(self) -> Callable[..., Any]:
        """Takes one step; ``prev_sample`` of the result is the next sample."""


class DiscreteScheduler(Scheduler, Protocol):
    """A scheduler that diffuses in discrete steps, as opposed to flow matching."""

    alphas_cumprod: Tensor  # (num_train_timesteps,) share of the clean signal in the variance

    @property
    def scale_model_input(self) -> Callable[..., Tensor]:
        """Scales a sample to unit variance at a timestep."""


NamedScheduler: TypeAlias = (
    DPMSolverMultistepScheduler | DDIMScheduler | DDPMScheduler | FlowMatchEulerDiscreteScheduler
)

SCHEDULERS: dict[str, Callable[[], NamedScheduler]] = {
    "dpm-solver++": partial(DPMSolverMultistepScheduler, **_NOISE),
    "sde-dpm-solver++": partial(DPMSolverMultistepScheduler, algorithm_type="sde-dpmsolver++", **_NOISE),
    "ddim": partial(DDIMScheduler, clip_sample=False, **_NOISE),
    "ddpm": partial(DDPMScheduler, clip_sample=False, **_NOISE),
    "flow-matching": FlowMatchEulerDiscreteScheduler,
}


def make_scheduler(name: str) -> NamedScheduler:
    """A new scheduler of the given `name`.

    Raises:
        InputError: there is no scheduler of that name.
    """
    if name not in SCHEDULERS:
        raise InputError(f"scheduler {name!r}: choose one of {', '.join(SCHEDULERS)}")
    return SCHEDULERS[name]()


def is_discrete(scheduler: Scheduler) -> TypeGuard[DiscreteScheduler]:
    """Whether `scheduler` diffuses in discrete steps; otherwise it matches flows."""
    return hasattr(scheduler, "alphas_cumprod")
