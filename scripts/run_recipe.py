"""Make a published model by its recipe, from end to end: import, split, train, generate, evaluate, card.

    python scripts/run_recipe.py model_cards/ntg-gpt2-loopback/recipe.toml --output runs/ntg-gpt2-loopback
    python scripts/run_recipe.py model_cards/ntg-gpt2-mirage/recipe.toml --source ~/MIRAGE-2019 --output runs/mirage
    ntg publish runs/ntg-gpt2-loopback/model ORGANISATION/ntg-gpt2-loopback

Killed and run again, it goes on where it was. `--set training.epochs=1` gives a setting another value for this run, and
the card says so. `--record` copies the card and its figures into the recipe's folder.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

from hf_ntg import InputError
from hf_ntg.jobs import Recipe, run_recipe

RECORDED = ("README.md", "evaluation.json", "packets.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path, help="a recipe.toml")
    parser.add_argument("--source", help="your copy of the data: a file or a folder (the bundled set needs none)")
    parser.add_argument("--output", type=Path, required=True, help="folder for the results of every step")
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="SECTION.NAME=VALUE", help="settings, as JSON values"
    )
    parser.add_argument("--record", action="store_true", help="copy card and figures into the recipe's folder")
    arguments = parser.parse_args()
    try:
        changes = dict(map(_setting, arguments.set))
        run = run_recipe(
            Recipe.load(arguments.recipe, changes),
            arguments.output,
            arguments.source,
            say=lambda line: print(line, file=sys.stderr, flush=True),
        )
    except InputError as error:
        sys.exit(f"run_recipe: {error}")
    if arguments.record:
        for name in RECORDED:
            shutil.copy(run.model / name, arguments.recipe.parent / name)
    print(run.model)


def _setting(pair: str) -> tuple[str, object]:
    key, _, value = pair.partition("=")
    try:
        return key, json.loads(value)
    except ValueError as error:
        raise InputError(f"{pair}: give SECTION.NAME=VALUE, the value as JSON (a word in quotes)") from error


if __name__ == "__main__":
    main()
