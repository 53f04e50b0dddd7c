"""Settings of a training run, their ranges, and the recipes of the families."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from hf_ntg.codecs.packet_codes import PACKET_FORMS
from hf_ntg.constants import DEFAULT_VIEW, MAX_SEGMENT, PACKET_VIEWS, PREDICTION_TYPES, PRIVACY_UNITS
from hf_ntg.errors import InputError
from hf_ntg.files import write_text
from hf_ntg.ranges import SEEDS, Range

__all__ = ["CHOICES", "MACHINE_SETTINGS", "MODEL_FAMILIES", "RANGES", "RECIPES", "TrainingConfig"]

MODEL_FAMILIES = ("gpt2", "llama", "mamba", "unet")
PRIVATE_FAMILIES = ("gpt2", "llama")
CONFIG_FILE = "training_config.json"
# Settings of one machine's run. The model does not depend on them.
MACHINE_SETTINGS = ("output_dir", "initial_model", "resume", "overwrite", "tracker")
CHOICES: dict[str, tuple[str | None, ...]] = {
    "model": MODEL_FAMILIES,
    "view": PACKET_VIEWS,
    "packet_form": PACKET_FORMS,
    "prediction_type": PREDICTION_TYPES,
    "optimizer": ("muon", "adamw"),
    "keep": ("best", "last"),
    "mixed_precision": ("no", "bf16", "fp16"),
    "tracker": (None, "tensorboard"),
    "privacy_unit": PRIVACY_UNITS,
}
_SHARE = Range(0, 1)
_SHARE_BELOW_ONE = Range(0, 1, below=True)
RANGES: dict[str, Range] = {
    "max_packets": Range(1, 1_000, whole=True),
    "max_payload": Range(1, 65_535, whole=True),
    "time_bins": Range(1, 10_000, whole=True),
    "epochs": Range(1, 1_000_000, whole=True),
    "min_steps": Range(0, 1_000_000_000, whole=True),
    "max_steps": Range(1, 1_000_000_000, whole=True),
    "max_memory": Range(-1, 1),
    "width": Range(8, 8_192, whole=True),
    "layers": Range(1, 64, whole=True),
    "batch_size": Range(1, 1_000_000, whole=True),
    "learning_rate": Range(0, 1_000, above=True),
    "warmup": _SHARE,
    "final_rate": _SHARE,
    "weight_decay": Range(0, 1_000),
    "dropout": _SHARE_BELOW_ONE,
    "time_weight": Range(0, 1_000),
    "snr_gamma": Range(0, 1_000_000),
    "condition_dropout": _SHARE_BELOW_ONE,
    "ema_decay": _SHARE_BELOW_ONE,
    "max_grad_norm": Range(0, 1_000_000, above=True),
    "validation_share": _SHARE_BELOW_ONE,
    "seed": SEEDS,
    "epsilon": Range(0, 100, above=True),
    "delta": Range(0, 0.01, above=True),
    "checkpoint_every": Range(0, 1_000_000, whole=True),
}

# Differences from the defaults below, by family. They were chosen on validation flows taken from the training flows.
RECIPES: dict[str, dict[str, Any]] = {
    "gpt2": {"min_steps": 300, "max_memory": 0.0},
    "llama": {"min_steps": 300, "max_memory": 0.0},
    "mamba": {"min_steps": 300, "max_memory": 0.0},
    "unet": {
        "epochs": 300,
        "checkpoint_every": 10,
        "max_steps": 8_000,
        "optimizer": "adamw",
        "dropout": 0.1,
        "warmup": 0.05,
    },
}
# Differences from these with `epsilon`. Noise is shared by all weights, so a small model learns more.
PRIVATE_RECIPE: dict[str, Any] = {
    "min_steps": 0,
    "max_memory": None,
    "width": 64,
    "layers": 2,
    "batch_size": 512,
    "epochs": 1_000,
    "max_steps": 150,
    "warmup": 0.05,
    "dropout": 0.0,
    "checkpoint_every": 0,
}
_OPTIONAL = ("max_steps", "max_memory", "width", "layers", "epsilon", "delta")


@dataclass
class TrainingConfig:
    """Settings of :func:`hf_ntg.train`; saved next to the weights as ``training_config.json``.

    Attributes:
        model: ``gpt2``, ``llama``, ``mamba`` (discrete) or ``unet`` (diffusion).
        output_dir: folder of the finished model; while training runs, checkpoints are in its ``checkpoints/``.
        initial_model: folder or Hub id of a trained causal model of the family to start from, in place of fresh
            weights; words are matched, see :func:`hf_ntg.models.warm_start.start_from`.
        view: packet view that the model learns and makes: ``payload`` (packets that carry data) or ``all``, see
            :func:`hf_ntg.flows.view.in_view`.
        max_packets: number of packets of a flow that are learned; longer flows are cut. It is lowered if all training
            flows end or are cut before, see :func:`hf_ntg.flows.view.longest_seen`.
        max_payload: payload lengths up to this, in bytes, all have a token.
        header: learn protocol and destination port, where the flows have them.
        times: learn inter-arrival times, where the flows have them.
        time_bins: largest number of bins of inter-arrival times; each holds equally many training times.
        epochs: passes over the training flows; see `min_steps`, `max_steps` and `max_memory`, which change it.
        min_steps: least number of optimizer steps, so that small tables get more passes.
        max_steps: largest number of optimizer steps, rounded down to whole passes (at least one); None: no limit.
        max_memory: training ends when the share of a causal model's flows that repeat a once-seen training flow exceeds
            the share expected of real flows by this much. It is checked after every epoch, see
            :mod:`hf_ntg.training.memory`. The rate falls as memory grows, see :mod:`hf_ntg.training.rates`. None:
            no limit.
        batch_size: flows per step, over all processes together.
        learning_rate: peak rate of AdamW, reached after the warm-up. The rate then falls along a cosine to `final_rate`
            times the peak. Muon's rate is a fixed multiple of it.
        optimizer: ``muon`` for the matrices inside the blocks of a causal model and AdamW for the rest, or ``adamw``
            for all.
        width, layers: sizes of a causal model in place of its family's; a width is a multiple of 8.
        structured: give lengths and time bins of a causal model embeddings that share structure while it trains, see
            :mod:`hf_ntg.models.structured_embedding`; the saved model is an ordinary one.
        warmup: share of the steps in which the rate rises.
        final_rate: share of the peak rate left at the end.
        weight_decay: weight decay of matrices; biases, gains and state-space parameters have none.
        dropout: see :func:`hf_ntg.models.build_causal_lm`.
        time_weight: weight of a timing token's loss, relative to a packet's.
        packet_form: packet encoding, see :class:`FlowSignalProcessor`. This and the next three: ``unet`` only.
        prediction_type: what is predicted of a signal: ``epsilon``, ``v_prediction``, ``sample`` or ``flow``. Packets
            written as codes are classified instead, by their cross-entropy.
        snr_gamma: cap of the signal-to-noise ratio in the loss's min-SNR weights (Hang et al., 2023); 0 for none.
        condition_dropout: share of the examples that are learned without class and header, for guidance.
        ema_decay: decay of the running average of the weights, which is validated and saved; 0 saves the raw weights.
        max_grad_norm: gradients are clipped to this norm.
        validation_share: share of the training flows (whole captures, where known) held back to validate on.
        keep: ``best`` saves the weights of the best validation loss, ``last`` the final ones.
        seed: seed of initial weights, validation draw, order of flows and dropout.
        epsilon: train a causal model with differential privacy, see :mod:`hf_ntg.training.private_loop`; None: without.
            Every step samples about `batch_size` units, the gradient of each is clipped to `max_grad_norm`, and the
            number of steps is fixed by `epochs` and `max_steps`.
        delta: the guarantee's delta; None: a tenth of one by the number of units, at most 1e-5.
        privacy_unit: what the guarantee is for: one ``flow``, or all flows of one ``capture``.
        checkpoint_every: epochs between checkpoints, from which an interrupted run continues; 0: no checkpoints.
        resume: continue an unfinished run with the same settings and flows in `output_dir`; False starts over.
        overwrite: replace the model of another run in `output_dir`, once the new one is complete.
        mixed_precision: ``no``, ``bf16`` or ``fp16``, as Accelerate takes it.
        tracker: ``tensorboard`` logs to ``output_dir/runs``; None logs to the progress bar alone.
    """

    model: str = "gpt2"
    output_dir: str = "model"
    initial_model: str | None = None
    view: str = DEFAULT_VIEW
    max_packets: int = 10
    max_payload: int = MAX_SEGMENT
    header: bool = True
    times: bool = True
    time_bins: int = 64
    epochs: int = 10
    min_steps: int = 0
    max_steps: int | None = 3_000
    max_memory: float | None = None
    batch_size: int = 64
    learning_rate: float = 2e-3
    optimizer: str = "muon"
    width: int | None = None
    layers: int | None = None
    structured: bool = True
    warmup: float = 0.03
    final_rate: float = 0.05
    weight_decay: float = 0.1
    dropout: float = 0.0
    time_weight: float = 0.5
    packet_form: str = "codes"
    prediction_type: str = "v_prediction"
    snr_gamma: float = 5.0
    condition_dropout: float = 0.1
    ema_decay: float = 0.99
    max_grad_norm: float = 1.0
    validation_share: float = 0.0
    keep: str = "last"
    seed: int = 0
    epsilon: float | None = None
    delta: float | None = None
    privacy_unit: str = "flow"
    checkpoint_every: int = 1
    resume: bool = True
    overwrite: bool = False
    mixed_precision: str = "no"
    tracker: str | None = None

    @classmethod
    def recipe(cls, model: str | None = None, **given: Any) -> TrainingConfig:
        """The measured recipe of a family, changed by what is `given`. With `epochs` given, its limits do not apply.

        Args:
            model: the family; that of `initial_model`, or ``gpt2``, when None.
            given: settings. With `initial_model`, its packet view, packets and sizes are taken where they are not
                given.

        Raises:
            InputError: there is no such family or setting, a value is out of its range, or `initial_model` is no causal
                model of the family.
        """
        free = {"min_steps": 0, "max_steps": None, "max_memory": None} if "epochs" in given else {}
        private = PRIVATE_RECIPE if given.get("epsilon") is not None else {}
        initial: dict[str, Any] = {}
        if given.get("initial_model") is not None:
            from hf_ntg.training.initial_model import initial_settings  # which imports datasets

            initial = initial_settings(given["initial_model"])
            family = initial.pop("model")
            if model not in (None, family):
                raise InputError(
                    f"initial_model {given['initial_model']}: a {family}, which a {model} cannot start from; choose "
                    f"model {family}, or none"
                )
            model = family
        model = model or "gpt2"
        return cls(model=model, **(RECIPES.get(model, {}) | private | initial | free | given))

    @classmethod
    def field_names(cls) -> set[str]:
        """Names of the settings."""
        return {field.name for field in fields(cls)}

    def planned_epochs(self, steps: int) -> int:
        """Passes over the training flows, of `steps` optimizer steps each, unless `max_memory` ends training sooner."""
        epochs = max(self.epochs, math.ceil(self.min_steps / steps))
        return epochs if self.max_steps is None else max(1, min(epochs, self.max_steps // steps))

    def __post_init__(self) -> None:
        for field in fields(self):  # NumPy's numbers, which JSON cannot hold
            value = getattr(self, field.name)
            if getattr(value, "ndim", None) == 0:
                setattr(self, field.name, value.item())
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise InputError(f"{name} {getattr(self, name)!r}: choose one of {', '.join(map(str, allowed))}")
        for name, allowed_range in RANGES.items():
            if name not in _OPTIONAL or getattr(self, name) is not None:
                allowed_range.check(name, getattr(self, name))
        for field in fields(self):
            if field.type == "bool" and not isinstance(getattr(self, field.name), bool):
                raise InputError(f"{field.name} {getattr(self, field.name)!r}: give True or False")
        if self.initial_model is not None and self.model == "unet":
            raise InputError("initial_model: a unet has no words to carry over; choose a causal model")
        self._check_privacy()
        if self.model == "unet" and (self.width, self.layers) != (None, None):
            raise InputError("width, layers: a unet has one size; choose a causal model")

    def _check_privacy(self) -> None:
        """Refuse settings that would read the flows outside the noised gradients."""
        if self.epsilon is None:
            if self.delta is not None:
                raise InputError("delta without epsilon: give both, or none")
            return
        if self.model not in PRIVATE_FAMILIES:
            raise InputError(
                f"epsilon: a {self.model} cannot be trained with differential privacy; choose one of "
                f"{', '.join(PRIVATE_FAMILIES)}"
            )
        barred = {
            "max_memory": self.max_memory is not None,
            "validation_share": self.validation_share > 0,
            "keep": self.keep != "last",
            "tracker": self.tracker is not None,
            "dropout": self.dropout > 0,
            "mixed_precision": self.mixed_precision != "no",
        }
        if named := [f"{name} {getattr(self, name)}" for name, found in barred.items() if found]:
            raise InputError(
                f"epsilon: {', '.join(named)} is not accounted for; leave it out (TrainingConfig.recipe does)"
            )

    def save(self, folder: str | Path) -> None:
        """Write ``training_config.json`` into `folder`, without the paths and switches of this machine's run."""
        kept = {k: v for k, v in asdict(self).items() if k not in MACHINE_SETTINGS}
        write_text(Path(folder) / CONFIG_FILE, json.dumps(kept, indent=2) + "\n")

    @classmethod
    def load(cls, folder: str | Path) -> TrainingConfig:
        """Read a folder's ``training_config.json``; a file without a packet view is old, and means ``all``.

        Raises:
            InputError: it cannot be read, or holds unknown settings or values out of range.
        """
        path = Path(folder) / CONFIG_FILE
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{path}: cannot be read; fetch or train the model again") from error
        if not isinstance(found, dict):
            raise InputError(f"{path}: holds no settings; fetch or train the model again")
        unknown = set(found) - cls.field_names()
        if unknown:
            raise InputError(f"{path}: unknown setting {', '.join(sorted(unknown))}")
        settings: dict[str, Any] = {"view": "all"} | found
        return cls(**settings)
