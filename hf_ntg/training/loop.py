"""The training loop of every model family, for one or several processes, with continuation after interrupts."""

from __future__ import annotations

import copy
import math
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import broadcast, broadcast_object_list, is_tensorboard_available, set_seed
from datasets import Dataset
from torch.optim.swa_utils import AveragedModel

from hf_ntg.errors import InputError, Interrupted
from hf_ntg.flows.advice import training_warnings
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.digest import flows_digest
from hf_ntg.flows.schema import conform_flows
from hf_ntg.output_places import require_free_space
from hf_ntg.progress import Progress, log
from hf_ntg.training.checkpoints import newest_checkpoint
from hf_ntg.training.config import TrainingConfig
from hf_ntg.training.divergence import DivergedError, refuse_divergence, refuse_non_finite
from hf_ntg.training.flow_sets import prepare_flows
from hf_ntg.training.objective import Objective
from hf_ntg.training.optimizer import make_optimizer
from hf_ntg.training.private_loop import train_privately
from hf_ntg.training.rates import moving_average, rate_curve
from hf_ntg.training.run_folder import RunFolder, open_run_folder, run_identity
from hf_ntg.training.run_record import record_run
from hf_ntg.training.run_start import RunStart, decide_start
from hf_ntg.training.run_state import RunState

__all__ = ["TrainingResult", "train"]

_TOO_MANY_COPIES = "the model repeats single training flows more often than new real flows would (max_memory)"
MOST_USED = 10.0  # recorded where more than this multiple of the allowed memory is used, or none is allowed


@dataclass
class TrainingResult:
    """The result of a run.

    Attributes:
        folder: the model's folder.
        num_processes: data-parallel processes that trained. is_main: whether this is the one that saved the model.
        history: one dictionary an epoch: ``epoch``, ``loss`` (mean per unit of example weight) and, where flows were
            held back, ``validation_loss``.
        trained: False if the folder held the finished model of the same run already.
        privacy: the guarantee of a private run, as its record has it; None without one.
    """

    folder: Path
    num_processes: int = 1
    is_main: bool = True
    history: list[dict[str, float]] = field(default_factory=list)
    trained: bool = True
    privacy: dict[str, Any] | None = None


def train(flows: Dataset, config: TrainingConfig) -> TrainingResult:
    """Train a generator on `flows` and save it to ``config.output_dir``, where ``FlowGenerator`` loads it.

    It also runs under ``accelerate launch`` and ``torchrun``: the flows of a step are divided among the processes, and
    the gradient is that of the whole step. The same seed gives the same model on one machine.

    Repeating the call continues an unfinished run from its newest checkpoint, and gives the same model as an
    uninterrupted run. A finished run is not repeated. A model in the folder is replaced only when the new one is
    complete.

    Raises:
        InputError: the flows break the schema or cannot be learned under `config`, the folder cannot be written or
            belongs to another run, or the loss is no longer finite.
        Interrupted: Ctrl-C; the message says what is kept.
    """
    flows = conform_flows(flows, "training flows")
    _check_request(flows, config)
    folder = Path(config.output_dir)
    AcceleratorState._reset_state()  # left by an earlier training in this process, which may have had another precision
    accelerator = Accelerator(
        mixed_precision=config.mixed_precision, log_with=config.tracker, project_dir=folder / "runs"
    )
    digest = flows_digest(flows) if config.epsilon is None else None  # a hash would tell which flows they were
    identity = run_identity(config, digest, accelerator.num_processes)
    with ExitStack() as stack:
        run, start = _open_run(stack, accelerator, folder, config, identity)
        result = TrainingResult(folder, accelerator.num_processes, accelerator.is_main_process)
        if start.history is not None:
            result.history, result.trained = start.history, False
        else:
            accelerator.init_trackers("hf_ntg")
            try:
                if config.epsilon is not None:
                    arrays = FlowArrays.from_dataset(flows)
                    result.privacy = train_privately(arrays, config, accelerator, run, identity)
                else:
                    result.history = _run_training(flows, config, accelerator, run, start.epoch, identity)
            except InputError:
                if accelerator.is_main_process and not newest_checkpoint(run.work):
                    run.discard()
                raise
        accelerator.end_training()
        return result


def _open_run(
    stack: ExitStack, accelerator: Accelerator, folder: Path, config: TrainingConfig, identity: dict[str, Any]
) -> tuple[RunFolder, RunStart]:
    """The first process locks the folder until `stack` closes, decides where the run begins, and informs the others."""
    decision: list[Any] = [None]
    if accelerator.is_main_process:
        try:
            run = stack.enter_context(open_run_folder(folder))
            decision = [decide_start(run, config, identity)]
        except InputError as error:
            decision = [error]
    broadcast_object_list(decision)
    if isinstance(decision[0], InputError):
        raise decision[0]
    return RunFolder(folder), decision[0]


def _run_training(
    flows: Dataset,
    config: TrainingConfig,
    accelerator: Accelerator,
    run: RunFolder,
    done: int,
    identity: dict[str, Any],
) -> list[dict[str, float]]:
    """Train from epoch `done` on and put the model into the folder; returns the losses of all epochs."""
    set_seed(config.seed)
    sets = prepare_flows(flows, config)
    training, validation, config = sets.training, sets.validation, sets.config
    objective = _objective(config, training, validation)
    steps = math.ceil(objective.num_examples / config.batch_size)  # an epoch
    epochs = config.planned_epochs(steps)
    if accelerator.is_main_process:
        for line in [*sets.notes, *training_warnings(training, steps * epochs)]:
            warnings.warn(line, stacklevel=2)
    optimizer = make_optimizer(objective.module, config)
    history: list[dict[str, float]] = []
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate_curve(config, steps * epochs, steps, history))
    module, optimizer = accelerator.prepare(objective.module, optimizer)
    average = AveragedModel(accelerator.unwrap_model(module), multi_avg_fn=moving_average(config.ema_decay))
    state = RunState(module, optimizer, schedule, average, history)
    if accelerator.is_main_process:
        require_free_space(run.folder, state.bytes_on_disk())
    if done:
        state.restore(accelerator, run.work, done)
    epoch = done
    try:
        with Progress("training", steps * epochs, "step", done * steps, quiet=not accelerator.is_main_process) as bar:
            for epoch in range(done, epochs):
                started = time.perf_counter()
                record = {"epoch": epoch + 1, "loss": _run_epoch(objective, state, accelerator, config, epoch, bar)}
                rate = len(training) / (time.perf_counter() - started)
                if validation is not None:
                    record["validation_loss"] = _validate(objective, state)
                if config.max_memory is not None:
                    record |= _memory(objective, average, accelerator, config.max_memory)
                state.history.append(record)
                accelerator.log({name: value for name, value in record.items() if name != "epoch"}, step=epoch + 1)
                bar.describe(_in_words(record, objective.unit, rate))
                if record.get("memory_used", 0.0) >= 1.0:
                    if epoch + 1 < epochs and accelerator.is_main_process:
                        log(f"training ends after epoch {epoch + 1} of {epochs}: {_TOO_MANY_COPIES}")
                    break
                if config.checkpoint_every and (epoch + 1) % config.checkpoint_every == 0 and epoch + 1 < epochs:
                    state.save(accelerator, run.work, epoch + 1)
        if config.keep == "best" and state.best_weights is not None:
            average.module.load_state_dict(state.best_weights)
        refuse_non_finite(average, config, epochs)
        if accelerator.is_main_process:
            with run.placing_model() as place:
                objective.save(average.module, place)
                config.save(place)
                passes = len(state.history)
                record_run(place, training, passes, steps * passes, accelerator, identity, state.history)
    except DivergedError as error:
        if accelerator.is_main_process:
            run.discard()  # a diverged run must not be continued from its checkpoints
        raise InputError(str(error)) from error
    except KeyboardInterrupt as error:
        raise Interrupted(_after_interruption(run, config, epoch, epochs)) from error
    accelerator.wait_for_everyone()
    return state.history


def _after_interruption(run: RunFolder, config: TrainingConfig, epoch: int, epochs: int) -> str:
    kept = newest_checkpoint(run.work)
    again = f"the same command goes on from there ({run.folder})"
    if not kept:
        again = "no checkpoint was written yet; the same command starts again"
        return f"interrupted in epoch {epoch + 1} of {epochs}: {again}"
    return f"interrupted in epoch {epoch + 1} of {epochs}: the checkpoint of epoch {kept} is kept; {again}"


def _check_request(flows: Dataset, config: TrainingConfig) -> None:
    if config.tracker == "tensorboard" and not is_tensorboard_available():
        raise InputError("tracker 'tensorboard' is not installed: pip install 'hf-ntg[tensorboard]'")
    if not len(flows):
        raise InputError("the table holds no flows; there is nothing to learn from")


def _run_epoch(
    objective: Objective, state: RunState, accelerator: Accelerator, config: TrainingConfig, epoch: int, bar: Progress
) -> float:
    """One pass over the training examples; returns the mean loss."""
    module, optimizer = state.module, state.optimizer
    module.train()
    # Every process and epoch has its own dropout seed, so that a continued run repeats the same draws.
    torch.manual_seed(config.seed + 1_000_003 * (epoch + 1) + accelerator.process_index)
    total, steps = torch.zeros((), device=accelerator.device), 0
    for rows, rng in _batches(objective, config, epoch):
        share = rows[accelerator.process_index :: accelerator.num_processes]
        idle = not len(share)  # more processes than flows in the last batch: this one takes part, and adds nothing
        share = rows[:1] if idle else share
        batch = {name: part.to(accelerator.device) for name, part in objective.collate(share, rng).items()}
        with accelerator.autocast():
            loss = module(**batch)
        # Data-parallel wrappers average the processes' gradients; the step needs their sum.
        loss = loss * (0.0 if idle else accelerator.num_processes / (objective.mean_weight * len(rows)))
        accelerator.backward(loss)
        norm = accelerator.clip_grad_norm_(module.parameters(), config.max_grad_norm)
        refuse_divergence(accelerator, loss.detach(), norm, state, config, epoch)
        optimizer.step()
        optimizer.zero_grad()
        state.schedule.step()
        state.average.update_parameters(accelerator.unwrap_model(module))
        total += loss.detach()
        steps += 1
        bar.update()
    return (accelerator.reduce(total, "mean") / steps).item()


def _validate(objective: Objective, state: RunState) -> float:
    """Validation loss of the averaged network, whose weights are kept if it is the best so far."""
    loss = objective.validation_loss(state.average.module)
    if all(loss < past["validation_loss"] for past in state.history):
        state.best_weights = copy.deepcopy(state.average.module.state_dict())
    return loss


def _memory(objective: Objective, average: AveragedModel, accelerator: Accelerator, limit: float) -> dict[str, float]:
    """How much of the allowed memory is used. All processes use the main process's values, so that they stop together.

    Returns:
        ``memory_excess``: share of copies, less the share that is expected of real flows; ``memory_used``: share of
        copies, divided by the expected share plus `limit`. Nothing where the family cannot compute them.
    """
    found = objective.memory(average.module)
    if found is None:
        return {}
    copies, expected = broadcast(torch.tensor(found, dtype=torch.float64, device=accelerator.device)).tolist()
    allowed = expected + limit
    used = min(MOST_USED, copies / allowed) if allowed > 0 else MOST_USED
    return {"memory_excess": copies - expected, "memory_used": used}


def _batches(
    objective: Objective, config: TrainingConfig, epoch: int
) -> Iterator[tuple[np.ndarray, np.random.Generator]]:
    """The epoch's batches and a random stream for each, the same on every process.

    Batches are drawn without regard to the length of their examples: batches sorted by length bias the model.
    """
    rng = np.random.default_rng([config.seed, epoch])
    order = rng.permutation(objective.num_examples)
    batches = [order[start : start + config.batch_size] for start in range(0, len(order), config.batch_size)]
    for place in rng.permutation(len(batches)):  # the last batch may be small; it is shuffled with the others
        yield batches[place], np.random.default_rng([config.seed, epoch, place])


def _objective(config: TrainingConfig, training: FlowArrays, validation: FlowArrays | None) -> Objective:
    if config.model == "unet":
        from hf_ntg.training.objective_diffusion import DiffusionObjective

        return DiffusionObjective(config, training, validation)
    from hf_ntg.training.objective_causal import CausalObjective

    return CausalObjective(config, training, validation)


def _in_words(record: dict[str, float], unit: str, rate: float) -> str:
    parts = [f"loss {record['loss']:.3f}"]
    if "validation_loss" in record:
        parts.append(f"validation {record['validation_loss']:.3f} {unit}")
    return ", ".join([*parts, f"{rate:,.0f} flows/s"])
