"""Evaluation: the result of evaluate_flows, a dictionary that shows itself as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Evaluation"]

_HEAD = ("title", "unit", "better")


class Evaluation(dict):
    """Plain data that JSON can hold; :func:`hf_ntg.evaluate_flows` says what is in it. Printed, it is a table."""

    def to_pandas(self, per_class: bool = False) -> pd.DataFrame:
        """The scores as a data frame.

        Args:
            per_class: one row for each metric and class that it has a score for, in place of one for each metric.

        Returns:
            The index is the metric's name, or metric and class. Columns: ``title``, ``unit``, ``better`` (``lower``,
            ``higher``, or ``real`` where the score of real flows is best), and one for each judged set: ``real``,
            ``synthetic`` and the baselines. NaN where a set has no score.
        """
        import pandas as pd

        rows, names = [], []
        for name, metric in self["metrics"].items():
            sets = {column: metric["columns"][column] for column in self["columns"]}
            head = {part: metric[part] for part in _HEAD}
            if not per_class:
                names.append(name)
                rows.append(head | {column: found.get("overall") for column, found in sets.items()})
                continue
            for label in dict.fromkeys(label for found in sets.values() for label in found.get("per_class") or {}):
                names.append((name, label))
                scores = {column: (found.get("per_class") or {}).get(label) for column, found in sets.items()}
                rows.append(head | scores)
        index = pd.MultiIndex.from_tuples(names, names=["metric", "class"]) if per_class else pd.Index(names)
        table = pd.DataFrame(rows, index=index, columns=[*_HEAD, *self["columns"]])
        return table.astype(dict.fromkeys(self["columns"], float))

    def __repr__(self) -> str:
        sets = self["sets"]
        counts = ", ".join(f"{sets[name]['flows']:,} {name}" for name in ("train", "test", "synthetic"))
        table = self.to_pandas()[["title", *self["columns"]]].set_index("title").round(3)
        table.index.name = None
        return f"Evaluation of flows ({counts}; view {self['view']!r}, first {self['max_packets']} packets)\n{table}"

    def _repr_html_(self) -> str:
        """The table of a notebook."""
        return self.to_pandas().round(3).to_html(na_rep="–", border=0)
