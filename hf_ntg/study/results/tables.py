"""The tables of a study, made from its scores."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hf_ntg.metrics import METRICS
from hf_ntg.study.plan import ALL_REAL, FINE_TUNED, NONE, PAPER, REAL, STRICT, WITH_UNLABELLED, model_order
from hf_ntg.study.results.privacy import privacy_tables
from hf_ntg.study.results.summary import REACHED, Score
from hf_ntg.study.results.table import Table

__all__ = ["study_tables"]

_CLASSIFIER_NAMES = {"random_forest": "random forest", "gradient_boosting": "gradient boosting", "cnn": "1D-CNN"}
_PROTOCOLS = {
    STRICT: "strict: the generator has seen only the few flows",
    WITH_UNLABELLED: "with unlabelled: the few flows, and all other training flows without labels",
    PAPER: "paper: the generator has seen the whole training set",
    FINE_TUNED: "fine-tuned: the generator was trained on another data set, then on the few flows",
}


def study_tables(scores: Iterable[Score]) -> list[Table]:
    """All tables that the scores of a study can fill, in order of axes, flow tables and splits."""
    scores = list(scores)
    makers = {
        "fidelity": _fidelity,
        "synthetic-only": _synthetic_only,
        "augmentation": _augmentation,
        "efficiency": _efficiency,
        "training-length": _training_length,
        "sampling": _sampling,
        "privacy": lambda found, flows, by: privacy_tables(found.scores, flows, by),
    }
    tables = []
    for axis, make in makers.items():
        own = [score for score in scores if score.place["axis"] == axis]
        for flows, by in dict.fromkeys((score.place["flows"], score.place["by"]) for score in own):
            here = [score for score in own if (score.place["flows"], score.place["by"]) == (flows, by)]
            tables += make(_Found(here), flows, by)
    return tables


class _Found:
    """Scores by their place."""

    def __init__(self, scores: list[Score]) -> None:
        self.scores = scores
        self._by_place = {self._key(score.place): score for score in scores}

    def get(self, model: str, measure: str, **detail) -> Score | None:
        first = self.scores[0].place
        place = {"axis": first["axis"], "flows": first["flows"], "by": first["by"], "model": model}
        return self._by_place.get(self._key(place | {"measure": measure} | detail))

    def every(self, name: str) -> list:
        """Values of `name` among the places, in order of appearance; models in the order of :func:`model_order`."""
        found = list(dict.fromkeys(score.place[name] for score in self.scores if name in score.place))
        return sorted(found, key=model_order) if name == "model" else found

    @staticmethod
    def _key(place: dict) -> tuple:
        return tuple(sorted((name, str(value)) for name, value in place.items()))


def _fidelity(found: _Found, flows: str, by: str) -> list[Table]:
    models = found.every("model")
    rows = []
    better: list[str] = []
    for metric in METRICS:
        cells = tuple(found.get(model, metric.name) for model in models)
        if any(cells):
            rows.append((f"{metric.title}, {metric.unit} ({metric.better})", cells))
            better.append(metric.better)
        if metric.name == "flow_jsd":
            rows.append(("… divided by that of real flows", tuple(found.get(m, "flow_jsd.ratio") for m in models)))
            better.append("")
    for name, title in (
        ("once_seen_copies.once_seen", "Flows that repeat a once-seen training flow, share"),
        ("once_seen_copies.recurring", "Flows that repeat a training flow that recurs, share"),
        ("once_seen_copies.duplicates", "Repeats within the set, share"),
        ("membership_inference.tpr_at_1_percent_fpr", "Training flows identified at 1 % false positives, share"),
        ("likelihood_membership", "Membership inference by likelihood, AUC (0.5 is chance)"),
        ("likelihood_membership.calibrated", "… beyond a 2-gram of unseen flows, AUC (0.5 is chance)"),
    ):
        cells = tuple(found.get(model, name) for model in models)
        if any(cells):
            rows.append((title, cells))
    note = (
        "As many synthetic flows as training flows, compared with the test flows. The column “real” compares the "
        "training flows with them; for novelty and privacy it compares the test flows with the training flows."
    )
    table = Table(f"fidelity-{flows}-{by}", "Fidelity and privacy", ("", *models), rows, "fidelity", flows, by, note)
    return [replace(table, better=tuple(better), by_row=True)]


def _synthetic_only(found: _Found, flows: str, by: str) -> list[Table]:
    classifiers, times = found.every("classifier"), sorted(found.every("times"))
    columns = [(classifier, size) for classifier in classifiers for size in times]
    heads = tuple(f"{_CLASSIFIER_NAMES.get(c, c)}, {size}×" for c, size in columns)
    tables = []
    for measure, title, style in (
        ("macro_f1", "Trained on synthetic flows alone, macro-F1 on real flows", "3"),
        ("gap_points", "Points of macro-F1 below training on real flows", "1"),
        ("weighted_f1", "Trained on synthetic flows alone, weighted F1 on real flows", "3"),
        ("accuracy", "Trained on synthetic flows alone, accuracy on real flows", "3"),
    ):
        rows = [
            (model, tuple(found.get(model, measure, classifier=c, times=size) for c, size in columns))
            for model in found.every("model")
            if not (measure == "gap_points" and model == REAL)
        ]
        name, note = f"synthetic-only-{measure}-{flows}-{by}", "n×: synthetic flows for each training flow."
        styles = (style,) * len(columns)
        better = ("lower" if measure == "gap_points" else "higher",) * len(columns)
        tables.append(Table(name, title, ("", *heads), rows, "synthetic-only", flows, by, note, styles, better))
    return tables


def _augmentation(found: _Found, flows: str, by: str) -> list[Table]:
    shots = sorted(value for value in found.every("shots") if value != "all")
    heads = tuple(f"{k} a class" for k in shots)
    measures = found.every("measure")
    tables = []
    for protocol, words in _PROTOCOLS.items():
        models = [m for m in found.every("model") if any(_few(found, m, protocol, k, measures[0]) for k in shots)]
        if not models:
            continue
        for classifier in [name.removesuffix(".macro_f1") for name in measures if name.endswith(".macro_f1")]:
            measure = f"{classifier}.macro_f1"
            rows = [("few real flows alone", tuple(_few(found, NONE, NONE, k, measure) for k in shots))]
            rows += [(model, tuple(_few(found, model, protocol, k, measure) for k in shots)) for model in models]
            whole = found.get(ALL_REAL, measure, protocol=NONE, shots="all")
            rows.append(("all real training flows", (whole,) * len(shots)))
            title = f"Macro-F1 of a {_CLASSIFIER_NAMES.get(classifier, classifier)}; {words}"
            name = f"augmentation-{protocol}-{classifier}-{flows}-{by}"
            note = "One split (seed 0). Each seed draws the few flows and trains the generator and the classifier."
            table = Table(name, title, ("", *heads), rows, "augmentation", flows, by, note)
            tables.append(replace(table, better=("higher",) * len(heads)))
    return tables


def _few(found: _Found, model: str, protocol: str, shots: int, measure: str) -> Score | None:
    return found.get(model, measure, protocol=protocol, shots=shots)


_EFFICIENCY = {
    "parameters": ("stored numbers", "si"),
    "disk_mib": ("on disk, MiB", "1"),
    "training_seconds": ("training, s", "s"),
    "training_cpu_seconds": ("training, CPU s", "s"),
    "training_peak_mib": ("peak memory, MiB", "0"),
    "flops_alone": ("FLOPs per flow, one at a time", "si"),
    "flops_together": ("FLOPs per flow, 1,000 at once", "si"),
    "flows_per_second": ("flows/s", "0"),
    "flows_per_cpu_second": ("flows/CPU s", "0"),
    "seconds_to_fidelity": (f"CPU s to JSD {REACHED} × real", "0"),
}


def _efficiency(found: _Found, flows: str, by: str) -> list[Table]:
    columns = [name for name in _EFFICIENCY if name in found.every("measure")]
    rows = [(model, tuple(found.get(model, name) for name in columns)) for model in found.every("model")]
    heads, styles = (tuple(part) for part in zip(*(_EFFICIENCY[name] for name in columns), strict=True))
    note = (
        "Memory is that of the whole process. FLOPs count matrix products and convolutions in torch. A diffusion "
        "model generates whole blocks, so a single flow costs a block. Other programs on the machine lengthen the "
        "seconds; CPU seconds depend on them less."
    )
    title = "Costs of generators"
    better = tuple("higher" if name.startswith("flows_per") else "lower" for name in columns)
    name = f"efficiency-{flows}-{by}"
    return [Table(name, title, ("", *heads), rows, "efficiency", flows, by, note, styles, better)]


_LENGTH = {
    "flow_jsd.ratio": ("JSD × real", "2"),
    "macro_f1": ("macro-F1", "3"),
    "once_seen_copies": ("once-seen copies above real, points", "1"),
    "nearest_distance": ("nearest training flow", "4"),
    "membership_inference": ("attack by distance, AUC", "3"),
    "likelihood_membership": ("attack by likelihood, AUC", "3"),
    "training_cpu_seconds": ("training, CPU s", "s"),
}


def _training_length(found: _Found, flows: str, by: str) -> list[Table]:
    heads, styles = zip(*_LENGTH.values(), strict=True)
    rows = [
        (f"{model}, {budget} ×", tuple(found.get(model, name, budget=budget) for name in _LENGTH))
        for model in found.every("model")
        for budget in sorted(found.every("budget"))
    ]
    title = "Length of training"
    note = (
        "n ×: multiple of the recipe's length, with a schedule of that length. Macro-F1: a random forest, trained on "
        "as many synthetic flows as training flows."
    )
    name = f"training-length-{flows}-{by}"
    return [Table(name, title, ("", *heads), rows, "training-length", flows, by, note, tuple(styles))]


_SAMPLING = {
    "flow_jsd.ratio": ("JSD × real", "2"),
    "timing_distance": ("times, decades", "3"),
    "macro_f1": ("macro-F1, 1×", "3"),
    "once_seen_copies": ("once-seen copies above real, points", "1"),
    "flows_per_cpu_second": ("flows/CPU s", "0"),
}


def _sampling(found: _Found, flows: str, by: str) -> list[Table]:
    heads, styles = zip(*_SAMPLING.values(), strict=True)
    tried = dict.fromkeys((score.place["scheduler"], score.place["steps"]) for score in found.scores)
    rows = [
        (
            f"{model}, {scheduler}, {steps} steps",
            tuple(found.get(model, name, scheduler=scheduler, steps=steps) for name in _SAMPLING),
        )
        for model in found.every("model")
        for scheduler, steps in sorted(tried)
    ]
    title = "Schedulers and steps of diffusion"
    note = (
        "One trained model, sampled in several ways. Macro-F1: a random forest, trained on as many synthetic flows as "
        "training flows. CPU seconds do not include the work of a GPU."
    )
    name, better = f"sampling-{flows}-{by}", ("lower", "lower", "higher", "lower", "higher")
    return [Table(name, title, ("", *heads), rows, "sampling", flows, by, note, tuple(styles), better)]
