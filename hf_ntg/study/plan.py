"""The profile of a study and its list of runs, ordered so that an interrupted study still covers every question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hf_ntg.constants import DEFAULT_VIEW, PRIVATE_COUNTS
from hf_ntg.errors import InputError
from hf_ntg.models.baselines import BASELINES
from hf_ntg.training.config import MODEL_FAMILIES, PRIVATE_FAMILIES

__all__ = [
    "ALL_REAL",
    "AXES",
    "FINE_TUNED",
    "FRESH",
    "FROM_COUNTS",
    "FROM_PUBLIC",
    "FULL",
    "NONE",
    "PAPER",
    "QUICK",
    "REAL",
    "SPLIT_SEED",
    "STRICT",
    "UNLABELLED_METHODS",
    "WITH_UNLABELLED",
    "Profile",
    "Run",
    "model_order",
    "plan_runs",
    "privacy_model",
    "shard_of",
]

SPLIT_SEED = 0  # of the one split that all runs with few labels share
AXES = ("efficiency", "fidelity", "synthetic-only", "augmentation", "training-length", "sampling", "privacy")
REAL = "real"

NONE, ALL_REAL = "none", "all-real"  # the few real flows alone; all real training flows
# Protocols: which real flows the generator may see. See hf_ntg.study.axes.augmentation.
STRICT, PAPER, FINE_TUNED = "strict", "paper", "fine-tuned"
# The few flows and all other training flows without their labels.
WITH_UNLABELLED = "with-unlabelled"
UNLABELLED_METHODS = ("guessed-labels", "self-training", "label-spreading")
# Where a private training starts: fresh weights, a model of another, public table, or flows of private counts. See
# hf_ntg.study.axes.privacy.
FRESH, FROM_PUBLIC, FROM_COUNTS = "fresh", "public", "counts"


@dataclass(frozen=True)
class Profile:
    """The choices that define a study.

    Attributes:
        models: generators: families of :class:`hf_ntg.training.TrainingConfig` and names of ``make_baseline``.
        by: splits. seeds: each has its own split or, by capture, fold of five, and its own training and draws.
        view: packet view that flows are learned and judged in, see :func:`hf_ntg.flows.view.in_view`.
        max_packets: number of packets on which flows are learned and judged.
        training: settings in place of every family's recipe.
        times: synthetic flows for each training flow when a classifier learns from them alone.
        classifiers: classifiers that learn from synthetic flows alone.
        shots: numbers of real flows per class, with few labels. shot_seeds: seeds of their draws.
        shot_classifiers: classifiers that learn from few labels.
        shot_methods: transformations that add flows, and ``auto``, see :func:`hf_ntg.augment`.
        shot_models: generators that add flows.
        filled_to: number of flows to which synthetic ones fill every class.
        shot_steps: least number of optimizer steps of a generator that learns from few flows alone, or is fine-tuned.
        budgets: lengths of training, as shares of the recipe's.
        budget_models: families that are trained at every length.
        samplers: schedulers (names of ``hf_ntg.models.schedulers``) and steps, for the diffusion models in `models`.
        privacy_models: generators with and without differential privacy: families, ``private-n-gram``, other baselines
            (without), and private families from another start, such as ``gpt2-from-public``.
        epsilons: guarantees of differential privacy; `NONE` is training without a guarantee.
        private_training: settings in place of the private recipe of a family.
    """

    models: tuple[str, ...] = (*BASELINES, "gpt2", "llama", "mamba", "unet")
    by: tuple[str, ...] = ("random", "capture")
    seeds: tuple[int, ...] = (0, 1, 2)
    view: str = DEFAULT_VIEW
    max_packets: int = 10
    training: dict[str, Any] = field(default_factory=dict)
    times: tuple[int, ...] = (1, 4, 10)
    classifiers: tuple[str, ...] = ("random_forest", "gradient_boosting", "cnn")
    shots: tuple[int, ...] = (5, 10, 20, 50, 100)
    shot_seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    shot_classifiers: tuple[str, ...] = ("random_forest",)
    shot_methods: tuple[str, ...] = ("auto", "loss", "shift", "fast-retransmit", "time-out", "crossover", "jitter")
    shot_models: tuple[str, ...] = ("replay", "smote", "4-gram", "gpt2")
    filled_to: int = 200
    shot_steps: int = 400
    budgets: tuple[float, ...] = (0.125, 0.25, 0.5, 1.0, 2.0)
    budget_models: tuple[str, ...] = ("gpt2",)
    samplers: tuple[tuple[str, int], ...] = (
        *(("dpm-solver++", steps) for steps in (2, 3, 5, 10, 20)),
        ("sde-dpm-solver++", 10),
        ("sde-dpm-solver++", 20),
        ("flow-matching", 10),
        ("flow-matching", 20),
        ("ddim", 50),
        ("ddpm", 1_000),
    )
    privacy_models: tuple[str, ...] = ("4-gram", PRIVATE_COUNTS, "gpt2", "gpt2-from-public", "gpt2-from-counts")
    epsilons: tuple[float | str, ...] = (NONE, 8.0, 4.0, 2.0, 1.0)
    private_training: dict[str, Any] = field(default_factory=dict)


FULL = Profile()
QUICK = Profile(
    models=("gpt2", "unet", "4-gram", "replay"),
    by=("capture",),
    seeds=(0,),
    training={"max_steps": 300},
    times=(1, 4),
    shots=(5, 20),
    shot_seeds=(0, 1),
    shot_methods=("auto", "loss"),
    shot_models=("gpt2", "4-gram"),
    shot_steps=100,
    budgets=(0.5, 1.0),
    budget_models=("gpt2",),
    samplers=(("dpm-solver++", 2), ("dpm-solver++", 5)),
    privacy_models=("4-gram", PRIVATE_COUNTS),
    epsilons=(NONE, 8.0, 1.0),
)


@dataclass(frozen=True)
class Run:
    """One run of a study: one line of its results.

    Attributes:
        axis: the question that it answers, one of `AXES`.
        flows: name of the flow table.
        by: how the flows are split.
        seed: seed of everything random in the run.
        model: the generator or method that is evaluated.
        detail: further settings of the run, as pairs of name and value.
    """

    axis: str
    flows: str
    by: str
    seed: int
    model: str
    detail: tuple[tuple[str, Any], ...] = ()

    def identity(self) -> dict[str, Any]:
        """The fields that identify this run, as one dictionary."""
        head = {"axis": self.axis, "flows": self.flows, "by": self.by, "seed": self.seed, "model": self.model}
        return head | dict(self.detail)

    def __str__(self) -> str:
        rest = "".join(f", {name} {value}" for name, value in self.detail)
        return f"{self.axis}: {self.flows} by {self.by}, {self.model}, seed {self.seed}{rest}"

    def __getitem__(self, name: str) -> Any:
        return dict(self.detail)[name]


def model_order(model: str) -> tuple[int, str]:
    """Sort key for table rows: real flows first, then learned generators by family, then the others by name."""
    first = (REAL, ALL_REAL, NONE, *MODEL_FAMILIES)
    return (first.index(model) if model in first else len(first), model)


def plan_runs(profile: Profile, flows: Sequence[str], axes: Sequence[str] = AXES) -> list[Run]:
    """List every run of a study, ordered so that an interrupted study covers every question.

    All runs of the first seed come first, then those of the next. Within a seed: fully trained generators, few labels,
    lengths of training, samplers, differential privacy; and within these, table by table and split by split. Fine-tuned
    generators, and private ones from a public model, are first trained on another flow table; with a single table they
    are not planned.

    Raises:
        InputError: an axis that does not exist.
    """
    unknown = set(axes) - set(AXES)
    if unknown:
        raise InputError(f"no axis {sorted(unknown)[0]!r}; choose from {', '.join(AXES)}")
    makers = {"efficiency": _efficiency, "fidelity": _fidelity, "synthetic-only": _synthetic_only}
    places = [(name, by) for name in flows for by in profile.by]
    seeds = sorted({*profile.seeds, *(profile.shot_seeds if "augmentation" in axes else ())})
    runs = []
    for seed in seeds:
        full = [axis for axis in AXES[:3] if axis in axes and seed in profile.seeds]
        for name, by in places:
            for model in (REAL, *profile.models):
                runs += [run for axis in full for run in makers[axis](profile, name, by, seed, model)]
        if "augmentation" in axes and seed in profile.shot_seeds:
            runs += [run for name, by in places for run in _augmentation(profile, name, by, seed, len(flows) > 1)]
        if "training-length" in axes and seed in profile.seeds:
            runs += [run for name, by in places for run in _training_length(profile, name, by, seed)]
        if "sampling" in axes and seed in profile.seeds:
            runs += [run for name, by in places for run in _sampling(profile, name, by, seed)]
        if "privacy" in axes and seed in profile.seeds:
            runs += [run for name, by in places for run in _privacy(profile, name, by, seed, len(flows) > 1)]
    return list(dict.fromkeys(runs))


def shard_of(runs: list[Run], index: int, count: int) -> list[Run]:
    """The runs of process `index` of `count`. All runs of one generator go to the same process.

    Raises:
        InputError: `index` is not one of 0 to `count` - 1.
    """
    if not 0 <= index < count:
        raise InputError(f"shard {index}/{count}: the first number runs from 0 to {count - 1}")
    generators = list(dict.fromkeys(_generator_of(run) for run in runs))
    place = {generator: k % count for k, generator in enumerate(generators)}
    return [run for run in runs if place[_generator_of(run)] == index]


def _generator_of(run: Run) -> tuple:
    if run.axis == "augmentation":
        full = run["protocol"] == PAPER
        return (run.flows, run.by, SPLIT_SEED if full else run.seed, run.model, *([] if full else [run.axis]))
    if run.axis == "privacy":
        return (run.flows, run.by, run.seed, run.model, run.axis, *run.detail)
    return (run.flows, run.by, run.seed, run.model)


def _efficiency(profile: Profile, flows: str, by: str, seed: int, model: str) -> list[Run]:
    return [] if model == REAL else [Run("efficiency", flows, by, seed, model)]


def _fidelity(profile: Profile, flows: str, by: str, seed: int, model: str) -> list[Run]:
    return [Run("fidelity", flows, by, seed, model)]


def _synthetic_only(profile: Profile, flows: str, by: str, seed: int, model: str) -> list[Run]:
    return [
        Run("synthetic-only", flows, by, seed, model, (("classifier", classifier), ("times", times)))
        for times in ((1,) if model == REAL else profile.times)
        for classifier in profile.classifiers
    ]


def _augmentation(profile: Profile, flows: str, by: str, seed: int, fine_tuned: bool) -> list[Run]:
    """The runs with few labels for one table, split and seed."""
    models = profile.shot_models
    causal = [
        name for name in models if name in MODEL_FAMILIES and name != "unet"
    ]  # a unet has no vocabulary to transfer
    found = [Run("augmentation", flows, by, seed, ALL_REAL, (("protocol", NONE), ("shots", "all")))]
    for shots in profile.shots:
        tried = [(NONE, NONE)]
        tried += [(STRICT, name) for name in (*profile.shot_methods, *models)]
        tried += [(WITH_UNLABELLED, name) for name in UNLABELLED_METHODS]
        tried += [(PAPER, name) for name in models]
        tried += [(FINE_TUNED, name) for name in causal] if fine_tuned else []
        found += [
            Run("augmentation", flows, by, seed, name, (("protocol", protocol), ("shots", shots)))
            for protocol, name in tried
        ]
    return found


def _training_length(profile: Profile, flows: str, by: str, seed: int) -> list[Run]:
    real = Run("fidelity", flows, by, seed, REAL)  # the reference of the divergence
    return [real] + [
        Run("training-length", flows, by, seed, model, (("budget", budget),))
        for model in profile.budget_models
        if model in MODEL_FAMILIES
        for budget in profile.budgets
    ]


def _sampling(profile: Profile, flows: str, by: str, seed: int) -> list[Run]:
    models = [name for name in profile.models if name == "unet"]
    real = [Run("fidelity", flows, by, seed, REAL)] if models else []
    return real + [
        Run("sampling", flows, by, seed, model, (("scheduler", scheduler), ("steps", steps)))
        for model in models
        for scheduler, steps in profile.samplers
    ]


def privacy_model(name: str) -> tuple[str, str]:
    """The model and the start that `name` stands for: ``gpt2-from-public`` is GPT-2 from a public model.

    Raises:
        InputError: there is no such start, or the model cannot be trained with differential privacy from it.
    """
    model, _, start = name.partition("-from-")
    start = start or FRESH
    if start not in (FRESH, FROM_PUBLIC, FROM_COUNTS) or (start != FRESH and model not in PRIVATE_FAMILIES):
        starts = ", ".join(
            f"{family}-from-{kind}" for family in PRIVATE_FAMILIES for kind in (FROM_PUBLIC, FROM_COUNTS)
        )
        raise InputError(f"no private model {name!r}; models that do not start fresh are {starts}")
    return model, start


def _privacy(profile: Profile, flows: str, by: str, seed: int, several: bool) -> list[Run]:
    """The runs with and without differential privacy. Private training from a public model needs a second table."""
    found = [Run("privacy", flows, by, seed, REAL, (("epsilon", NONE), ("start", FRESH)))]
    for name in profile.privacy_models:
        model, start = privacy_model(name)
        if start == FROM_PUBLIC and not several:
            continue
        open_too = start == FRESH and model != PRIVATE_COUNTS
        private_too = model in (PRIVATE_COUNTS, *PRIVATE_FAMILIES)
        found += [
            Run("privacy", flows, by, seed, model, (("epsilon", epsilon), ("start", start)))
            for epsilon in profile.epsilons
            if (open_too if epsilon == NONE else private_too)
        ]
    return found
