"""Whole recipes: split, train, generate, judge, report."""

from hf_ntg.lazy import attributes

_HOMES = {
    "Recipe": "hf_ntg.jobs.recipe",
    "RecipeRun": "hf_ntg.jobs.run",
    "run_recipe": "hf_ntg.jobs.run",
}

__all__ = list(_HOMES)
__getattr__ = attributes(__name__, _HOMES)
