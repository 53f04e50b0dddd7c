from .recipe import Recipe
from .run import RecipeRun, run_recipe

__all__ = [
    "Recipe",
    "RecipeRun",
    "run_recipe",
]
