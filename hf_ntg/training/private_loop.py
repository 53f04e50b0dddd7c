"""Training with differential privacy: DP-SGD (Abadi et al., Deep learning with differential privacy, 2016).

Every step draws a Poisson sample of the units (flows, or captures), clips the gradient of each unit to a norm, adds
Gaussian noise to the sum, and divides by the *expected* size of the sample. The number of steps, the sampling rate and
the noise are fixed before the first step, from the settings and the number of units, which is public. The optimizer,
the averaged weights and the checkpoint that is saved are functions of the noised gradients, and cost no privacy. No
loss is computed for display, and nothing is chosen by looking at the flows.

The noise comes from :class:`hf_ntg.privacy.noise.SecretNoise`, not from the seed: a private run cannot be repeated.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn
from torch.optim.swa_utils import AveragedModel

from hf_ntg.errors import InputError, Interrupted
from hf_ntg.flows.advice import training_warnings
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.privacy.budget import ACCOUNTANT, Mechanism, noise_for_steps, spent_epsilon
from hf_ntg.privacy.guarantee import guarantee_in_words
from hf_ntg.privacy.noise import SecretNoise
from hf_ntg.progress import Progress, log
from hf_ntg.training.config import TrainingConfig
from hf_ntg.training.optimizer import make_optimizer
from hf_ntg.training.private_objective import PrivateObjective
from hf_ntg.training.rates import moving_average, rate_curve
from hf_ntg.training.run_folder import RunFolder
from hf_ntg.training.run_record import record_private_run

__all__ = ["PrivatePlan", "noised_gradient", "train_privately"]

AT_ONCE = 64  # sentences whose gradients are computed together
ROUNDING = 1.0001  # above the relative error of a norm in float32
MOST_FLOWS = 32  # of a capture that take part in a step


class PrivatePlan:
    """The sampling rate, steps and noise of a private training, from public numbers.

    Attributes:
        rate: chance of a unit to be in a step's sample. steps: number of steps. noise: in multiples of the norm.
        facts: the guarantee and how it is reached, for the run's record.
    """

    def __init__(self, objective: PrivateObjective, config: TrainingConfig) -> None:
        units, budget = objective.num_units, objective.budget
        self.rate = min(1.0, config.batch_size / units)
        passes = config.epochs * math.ceil(1 / self.rate)
        self.steps = passes if config.max_steps is None else min(passes, config.max_steps)
        self.expected = self.rate * units
        self.noise = noise_for_steps(budget, self.rate, self.steps, objective.spent)
        used = [Mechanism(self.noise, self.rate, self.steps), *objective.spent]
        self.facts: dict[str, Any] = {
            "epsilon": budget.epsilon,
            "epsilon_spent": round(spent_epsilon(used, budget.delta), 4),
            "delta": budget.delta,
            "unit": config.privacy_unit,
            "units": units,
            "accountant": ACCOUNTANT,
            "sample_rate": self.rate,
            "steps": self.steps,
            "noise_multiplier": self.noise,
            "clipping_norm": config.max_grad_norm,
            "class_counts_noise": objective.spent[0].noise,
            "public": [
                f"number of {config.privacy_unit}s",
                "class names",
                "columns of the table",
                *(["initial model"] if config.initial_model is not None else []),
            ],
        }


def train_privately(
    flows: FlowArrays, config: TrainingConfig, accelerator: Accelerator, run: RunFolder, identity: dict[str, Any]
) -> dict[str, Any]:
    """Train on `flows` with the guarantee of `config`, and put the model into the folder of `run`.

    An interrupted private training starts over: nothing of it has left the machine, so nothing was spent.

    Returns:
        The guarantee, as the run's record has it.

    Raises:
        InputError: several processes train, or the flows cannot be learned under `config`.
        Interrupted: Ctrl-C.
    """
    if accelerator.num_processes > 1:
        raise InputError("epsilon: private training runs in one process; start it without a launcher")
    noise = SecretNoise()
    objective = PrivateObjective.prepare(flows, config, noise)
    plan = PrivatePlan(objective, config)
    for line in training_warnings(flows, plan.steps):
        warnings.warn(line, stacklevel=2)
    model = objective.model.to(accelerator.device)
    optimizer = make_optimizer(model, config)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate_curve(config, plan.steps))
    average = AveragedModel(model, multi_avg_fn=moving_average(config.ema_decay))
    log(f"training privately: {guarantee_in_words(plan.facts)}")
    try:
        with Progress("training privately", plan.steps, "step") as bar:
            for _ in range(plan.steps):
                for parameter, grad in noised_gradient(objective, plan, config, noise).items():
                    parameter.grad = grad
                optimizer.step()
                schedule.step()
                average.update_parameters(model)
                bar.update()
    except KeyboardInterrupt as error:
        raise Interrupted("interrupted; a private training starts over when its command is given again") from error
    _refuse_non_finite(average.module, config)
    with run.placing_model() as place:
        objective.save(average.module, place)
        config.save(place)
        classes = len(objective.tokenizer.grammar.labels)
        record_private_run(place, classes, plan.facts, accelerator, identity)
    return plan.facts


def noised_gradient(
    objective: PrivateObjective, plan: PrivatePlan, config: TrainingConfig, noise: SecretNoise
) -> dict[nn.Parameter, torch.Tensor]:
    """The mean of the clipped gradients of a Poisson sample of the units, with noise, by parameter."""
    drawn = noise.poisson_sample(objective.num_units, plan.rate)
    clip = config.max_grad_norm
    trained = list(objective.model.parameters())
    total = {parameter: torch.zeros_like(parameter) for parameter in trained}
    if config.privacy_unit == "flow":
        _add_flows(objective, drawn, clip, total)
    else:
        _add_captures(objective, drawn, clip, total, noise)
    for grad in total.values():
        added = torch.from_numpy(noise.normal_float32(grad.numel())).view(grad.shape).to(grad.device)
        grad.add_(added, alpha=plan.noise * clip).div_(plan.expected)
    return total


def _add_flows(objective: PrivateObjective, drawn: np.ndarray, clip: float, total: dict) -> None:
    chosen = np.zeros(objective.num_units, dtype=bool)
    chosen[drawn] = True
    rows = np.flatnonzero(chosen[objective.unit])
    if not len(rows):
        return
    # Equal sentences have equal gradients, and are computed once.
    sentences, counts = objective.sentences[torch.from_numpy(rows)].unique(dim=0, return_counts=True)
    lengths = (sentences != 0).sum(dim=1)
    order = lengths.argsort(stable=True)
    for part in order.split(AT_ONCE):
        batch = sentences[part, : int(lengths[part].max())].to(objective.recorder.device)
        found = objective.recorder.gradients(batch)
        factors = _clip_factor(found.norms(), clip) * counts[part].to(batch.device)
        for parameter, grad in found.weighted(factors).items():
            total[parameter] += grad


def _add_captures(objective: PrivateObjective, drawn: np.ndarray, clip: float, total: dict, noise: SecretNoise) -> None:
    """The gradient of a capture is the mean over at most `MOST_FLOWS` of its flows, clipped as a whole."""
    for unit in drawn:
        rows = noise.choose(np.flatnonzero(objective.unit == unit), MOST_FLOWS)
        if not len(rows):
            continue
        batch = objective.sentences[torch.from_numpy(rows)].to(objective.recorder.device)
        equal = batch.new_full((len(batch),), 1.0 / len(batch), dtype=torch.float32)
        grads = objective.recorder.gradients(batch).weighted(equal)
        norm = torch.stack([grad.square().sum() for grad in grads.values()]).sum().sqrt()
        factor = _clip_factor(norm, clip)
        for parameter, grad in grads.items():
            total[parameter].add_(grad * factor)


def _clip_factor(norm: torch.Tensor, clip: float) -> torch.Tensor:
    """What scales gradients of the given norms down to `clip`; a little more, for the rounding of the norms."""
    return (clip / (ROUNDING * norm).clamp(min=1e-12)).clamp(max=1.0)


def _refuse_non_finite(model: nn.Module, config: TrainingConfig) -> None:
    for name, weight in model.named_parameters():
        if not torch.isfinite(weight).all():
            raise InputError(
                f"training diverged: {name} is not finite; try a lower learning_rate than {config.learning_rate:g}"
            )
