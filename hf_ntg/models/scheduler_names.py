"""Names of the schedulers for flow diffusion models, in a module that imports no library."""

__all__ = ["SCHEDULER_NAMES"]

SCHEDULER_NAMES = ("dpm-solver++", "sde-dpm-solver++", "ddim", "ddpm", "flow-matching")
