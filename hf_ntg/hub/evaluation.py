"""Scores of a model: ``evaluation.json`` in its repository, made from the report of ``ntg evaluate``."""

from __future__ import annotations

import json
from pathlib import Path

from huggingface_hub import EvalResult

from hf_ntg.errors import InputError
from hf_ntg.files import write_text
from hf_ntg.hub.training_data import TrainingData
from hf_ntg.model_files.descriptions import check_evaluation

__all__ = ["EVALUATION_FILE", "eval_results", "keep_evaluation", "read_evaluation", "score_rows"]

EVALUATION_FILE = "evaluation.json"
# The scores that the Hub's own widget lists; the card's table has all of them.
HEADLINE = ("flow_jsd", "timing_distance", "tstr", "once_seen_copies", "membership_inference", "validity")
_BETTER = {"lower": "↓", "higher": "↑", "real": "= real"}


def keep_evaluation(report: str | Path, folder: str | Path) -> dict:
    """Write the scores of `report` (``report.json``) to ``evaluation.json`` in `folder`.

    Kept are the overall score of every metric for every set of flows, and what each metric is. Scores of single
    classes, profiles of the flows and paths of the inputs are left out.

    Returns:
        What was written.

    Raises:
        InputError: `report` is missing or is not a report.
    """
    result = _read(Path(report))
    try:
        kept = {name: result[name] for name in ("hf_ntg", "max_packets", "seed", "columns", "sets", "notes")}
        kept |= {name: result[name] for name in ("view",) if name in result}
        kept["metrics"] = {
            name: {part: metric[part] for part in ("title", "group", "unit", "better", "range", "formula", "source")}
            | {"values": {column: found.get("overall") for column, found in metric["columns"].items()}}
            for name, metric in result["metrics"].items()
        }
    except (LookupError, TypeError, AttributeError) as error:
        raise InputError(f"{report}: a damaged report ({error}); make it again by 'ntg evaluate'") from error
    check_evaluation(Path(report), kept)
    write_text(Path(folder) / EVALUATION_FILE, json.dumps(kept, ensure_ascii=False, indent=1) + "\n")
    return kept


def read_evaluation(folder: str | Path) -> dict | None:
    """The scores in a model's folder; None where it has none."""
    path = Path(folder) / EVALUATION_FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _read(path: Path) -> dict:
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be opened ({error.strerror}); give the report.json of 'ntg evaluate'"
        ) from error
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error}); give the report.json of 'ntg evaluate'") from error
    if not isinstance(result, dict) or not {"metrics", "columns", "sets"} <= result.keys():
        raise InputError(f"{path}: no report of 'ntg evaluate' (report.json)")
    return result


def score_rows(evaluation: dict) -> list[dict]:
    """The rows of a card's table: ``title``, ``unit``, ``better``, and ``values`` in the order of the columns."""
    return [
        {
            "title": metric["title"],
            "unit": metric["unit"],
            "better": _BETTER[metric["better"]],
            "values": [metric["values"].get(column) for column in evaluation["columns"]],
        }
        for metric in evaluation["metrics"].values()
    ]


def eval_results(evaluation: dict, data: TrainingData) -> list[EvalResult]:
    """The headline scores of this model as the Hub's ``model-index`` has them.

    Scores of real flows and of baselines are in the card's table only: a leaderboard would take them for the model's.
    """
    results = []
    for name in HEADLINE:
        metric = evaluation["metrics"].get(name)
        value = None if metric is None else metric["values"].get("synthetic")
        if value is None:
            continue
        results.append(
            EvalResult(
                task_type="other",
                task_name="Generation of network flows",
                dataset_type=data.hub_id or data.name,
                dataset_name=f"{data.name}, test flows",
                dataset_split="test",
                metric_type=name,
                metric_name=f"{metric['title']} ({metric['unit']})",
                metric_value=round(value, 4),
            )
        )
    return results
