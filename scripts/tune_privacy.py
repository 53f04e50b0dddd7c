"""Try settings of private generators on validation flows, which are a part of a study's training flows.

    python scripts/tune_privacy.py my_flows.parquet --models private-n-gram,gpt2 --epsilons 8,1 --output tuning
    python scripts/tune_privacy.py my_flows.parquet --models gpt2 --set batch_size=1024 max_steps=100 --output tuning
    python scripts/tune_privacy.py my_flows.parquet loopback --models gpt2-from-public --output tuning

The training flows of the study's first split are split once more, and the privacy axis of `ntg study` runs on them. No
test flow of that split is seen. Each choice of settings has a folder of its own in the output, and finished runs are
not repeated. The command prints a table for each flow table; the row "real" is what real training flows reach.
"""

from __future__ import annotations

import argparse
import ast
from pathlib import Path
from typing import Any

from hf_ntg.commands.study_options import chosen_profile
from hf_ntg.errors import InputError
from hf_ntg.flows import save_flows
from hf_ntg.study.axes.bench import Workbench
from hf_ntg.study.plan import SPLIT_SEED, Profile
from hf_ntg.study.results.study_report import all_tables, write_study
from hf_ntg.study.results.table import as_markdown
from hf_ntg.study.run import run_study
from hf_ntg.study.store import ResultStore, digest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("flows", nargs="+", help="flow tables, or 'loopback'")
    parser.add_argument("--output", type=Path, default=Path("tuning"), help="folder for all choices of settings")
    parser.add_argument("--models", default="private-n-gram", help="as --privacy-models of ntg study")
    parser.add_argument("--epsilons", default="8", help="by commas")
    parser.add_argument("--set", nargs="*", default=[], help="settings of private trainings, as name=value")
    arguments = parser.parse_args()
    settings = dict(map(setting, arguments.set))
    print(tune(arguments.flows, arguments.output, arguments.models, arguments.epsilons, settings))


def setting(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def tune(sources: list[str], output: Path, models: str, epsilons: str, settings: dict[str, Any]) -> str:
    """Run the axis on the training flows of `sources`, and return its tables in Markdown."""
    choices = {"privacy_models": models, "epsilons": epsilons, "by": "random", "seeds": "1"}
    profile = chosen_profile(Profile(models=(), private_training=settings), choices)
    tables = [training_flows(source, output / "training", profile) for source in sources]
    folder = output / (digest(settings) if settings else "recipe")
    if run_study(tables, folder, profile, axes=("privacy",)):
        raise InputError("a run failed, see above")
    write_study(folder)
    head = ", ".join(f"{name} {value}" for name, value in settings.items()) or "the recipe"
    shown = [f"{table.heading}\n\n{as_markdown(table)}" for table in all_tables(ResultStore(folder).gather())]
    return f"Validation flows, {head}\n\n" + "\n".join(shown)


def training_flows(source: str, folder: Path, profile: Profile) -> str:
    """A table of the training flows of the study's first split of `source`."""
    path = folder / f"{Path(source).stem}.parquet"
    if not path.exists():
        bench = Workbench(folder, {"table": source}, profile)
        save_flows(bench.split("table", "random", SPLIT_SEED).train, path)
    return str(path)


if __name__ == "__main__":
    main()
