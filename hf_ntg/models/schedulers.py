"""Schedulers for flow diffusion models, by name. Any other scheduler of diffusers works as well."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    SchedulerMixin,
)

from hf_ntg.errors import InputError

__all__ = ["SCHEDULERS", "make_scheduler"]

# The cosine schedule, down to pure noise (Lin et al., 2024). They expect v-prediction, which every scheduler of
# diffusers supports, so that any can be made from another's configuration.
_NOISE = {"beta_schedule": "squaredcos_cap_v2", "prediction_type": "v_prediction", "timestep_spacing": "trailing"}

SCHEDULERS: dict[str, Callable[[], SchedulerMixin]] = {
    "dpm-solver++": partial(DPMSolverMultistepScheduler, **_NOISE),
    "sde-dpm-solver++": partial(DPMSolverMultistepScheduler, algorithm_type="sde-dpmsolver++", **_NOISE),
    "ddim": partial(DDIMScheduler, clip_sample=False, **_NOISE),
    "ddpm": partial(DDPMScheduler, clip_sample=False, **_NOISE),
    "flow-matching": FlowMatchEulerDiscreteScheduler,
}


def make_scheduler(name: str) -> SchedulerMixin:
    """A new scheduler of the given `name`.

    Raises:
        InputError: there is no scheduler of that name.
    """
    if name not in SCHEDULERS:
        raise InputError(f"scheduler {name!r}: choose one of {', '.join(SCHEDULERS)}")
    return SCHEDULERS[name]()
