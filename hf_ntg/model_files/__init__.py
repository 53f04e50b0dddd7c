"""Checks of a model folder before any library reads it: nothing in it runs, and its parts agree.

A folder may come from a stranger. :func:`check_model_folder` reads its JSON files and the headers of its weights with
bounds on their size, and compares both with what hf_ntg can have written. It imports neither torch nor transformers.
"""

from hf_ntg.model_files.check import check_model_folder
from hf_ntg.model_files.fetch import model_folder

__all__ = ["check_model_folder", "model_folder"]
