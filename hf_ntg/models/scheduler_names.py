"""Names of the schedulers that a flow diffusion model is drawn with; reading them imports no library."""

__all__ = ["SCHEDULER_NAMES"]

SCHEDULER_NAMES = ("dpm-solver++", "sde-dpm-solver++", "ddim", "ddpm", "flow-matching")
