"""Class names and their numbers in both codecs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hf_ntg.errors import InputError

__all__ = ["class_names", "class_places", "names_at"]


def class_names(labels: np.ndarray) -> list[str | None]:
    """The distinct `labels` (N,), sorted; None last, if any flow has no label."""
    found = pc.unique(_column(labels)).to_pylist()
    return [*sorted(name for name in found if name is not None), *([None] if None in found else [])]


def class_places(names: Sequence[str | None], labels: np.ndarray) -> np.ndarray:
    """(N,) int64 place of each of `labels` (N,) in `names`.

    Raises:
        InputError: a label is not in `names`; the message names both.
    """
    column = _column(labels)
    places = pc.index_in(column, value_set=pa.array(names, pa.string()))
    if places.null_count:
        unknown = column[pc.index(pc.is_null(places), True).as_py()].as_py()
        raise InputError(f"class {unknown!r} is not one the model knows: {', '.join(map(str, names))}")
    return places.to_numpy().astype(np.int64)


def names_at(names: Sequence[str | None], places: np.ndarray) -> np.ndarray:
    """(N,) object array: the class name at each of `places` (N,)."""
    found = np.empty(len(names), dtype=object)
    found[:] = names
    return found[places]


def _column(labels: np.ndarray) -> pa.Array:
    return pa.array(labels, pa.string(), from_pandas=True)
