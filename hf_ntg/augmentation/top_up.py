"""augment(): real flows topped up with synthetic ones, the training set of a classifier that has too few."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from datasets import Dataset, Features, Value, concatenate_datasets

from hf_ntg.augmentation.choice import choose_method
from hf_ntg.augmentation.guessing import guessed_flows
from hf_ntg.augmentation.methods import check_method, flows_from_few
from hf_ntg.constants import DEFAULT_PER_CLASS
from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.provenance import Provenance, mark_flows, provenance_of
from hf_ntg.flows.schema import PACKET_COLUMNS, conform_flows
from hf_ntg.flows.view import dropped_in_words, in_view
from hf_ntg.progress import log
from hf_ntg.ranges import COUNTS, SEEDS

if TYPE_CHECKING:
    from hf_ntg.generation.generator import FlowGenerator

__all__ = ["augment"]

_SYNTHETIC = "synthetic"


def augment(
    few: Dataset,
    method: str | FlowGenerator = "auto",
    *,
    per_class: int = DEFAULT_PER_CLASS,
    unlabelled: Dataset | None = None,
    view: str | None = None,
    seed: int = 0,
) -> Dataset:
    """Top up the real flows `few` so that each of their classes has at least `per_class` flows.

    The real flows come first, all of them and unchanged. The column ``synthetic`` (bool) is true for the others. To
    measure the gain, test on real flows that neither `few`, `unlabelled` nor a generator's training flows contain.

    Args:
        few: real, labelled flows.
        method: ``auto`` chooses a method by cross-validation on `few`, see
            :func:`hf_ntg.augmentation.choice.choose_method`. Or the name of a transformation such as ``loss``, several
            of them, or a baseline, see :func:`hf_ntg.augmentation.methods.check_method`. Or a generator that was
            trained on the same classes.
        per_class: flows to reach in each class.
        unlabelled: real flows of the same network whose classes are among those of `few`; their labels are not read.
            They come before flows that `method` makes, each with the label that a classifier guesses, see
            :func:`hf_ntg.augmentation.guessing.guessed_flows`. `method` makes what is still missing.
        view: packet view to put all flows into, see :func:`hf_ntg.flows.view.in_view`; None: the generator's, or the
            one that `few` are in. In the view ``payload`` real flows lose their empty packets, and a flow without any
            payload drops out.
        seed: the same seed gives the same flows.

    Returns:
        The columns of `few` and ``synthetic``. Header facts that synthetic flows do not have are null, and so are
        ``flow_id``, ``capture`` and columns that the flow schema does not know. A packet column that the method cannot
        make, or `unlabelled` do not have, is left out (``tcp_window``, for generators). The table's provenance says
        that it holds real flows, and `ntg publish` refuses it.

    Raises:
        InputError: `few` or `unlabelled` is no flow table, a flow of `few` has no label, `few` have a column
            ``synthetic`` already, there is no such method, the generator does not know a class, or `per_class` is not
            positive.
    """
    COUNTS.check("per_class", per_class)
    SEEDS.check("seed", seed)
    few = conform_flows(few, "flows to augment")
    view = view or (None if isinstance(method, str) else method.view) or FlowArrays.from_dataset(few).view or "all"
    few = _in_view(few, view)
    if _SYNTHETIC in few.column_names:
        raise InputError(
            f"flows to augment: have a column '{_SYNTHETIC}' already; keep the real flows and drop the column"
        )
    counts = Counter(few["label"])
    if None in counts:
        raise InputError(f"flows to augment: {counts[None]} have no label; fill the column 'label' or leave them out")
    if isinstance(method, str) and method != "auto":
        check_method(method)
    missing = {label: max(0, per_class - count) for label, count in sorted(counts.items())}
    added, marks = [], []
    if unlabelled is not None:
        others = conform_flows(unlabelled, "unlabelled flows")
        guessed = _guessed(few, _in_view(others, view), missing, seed)
        found = Counter(guessed["label"])
        missing = {label: count - found[label] for label, count in missing.items()}
        added.append(guessed)
        marks.append(_mark("guessed labels", view, seed))
    made, mark = _made(few, method, missing, per_class, view, seed)
    return mark_flows(_together(few, [*added, made]), [*provenance_of(few), *marks, mark])


def _mark(method: str, view: str, seed: int) -> Provenance:
    return Provenance(f"augmentation by {method}", "", seed, view=view, holds_real=True)


def _in_view(flows: Dataset, view: str) -> Dataset:
    """`flows` in a packet view, with all their columns."""
    before = FlowArrays.from_dataset(flows)
    seen, dropped = in_view(before, view)
    if len(seen.payload_length) == len(before.payload_length):
        return flows
    if not len(seen):
        raise InputError("none of the flows carries payload; use the packet view 'all'")
    if dropped:
        log(dropped_in_words(dropped, len(before)))
    kept = np.flatnonzero(np.bincount(before.flow_index, before.payload_length > 0, len(before))) if dropped else None
    flows = flows if kept is None else flows.select(kept)
    packets = seen.to_dataset().select_columns([name for name in PACKET_COLUMNS if name in flows.column_names])
    others = flows.remove_columns(packets.column_names)
    order, marks = flows.column_names, [replace(mark, view=view) for mark in provenance_of(flows)]
    joint = concatenate_datasets([others, packets], axis=1).select_columns(order)
    return mark_flows(joint, marks)


def _guessed(few: Dataset, unlabelled: Dataset, missing: Mapping[str, int], seed: int) -> Dataset:
    rows, labels = guessed_flows(FlowArrays.from_dataset(few), FlowArrays.from_dataset(unlabelled), missing, seed)
    return unlabelled.select(rows).remove_columns("label").add_column("label", labels.tolist(), feature=Value("string"))


def _made(
    few: Dataset, method: str | FlowGenerator, missing: Mapping[str, int], per_class: int, view: str, seed: int
) -> tuple[Dataset, Provenance]:
    """``missing[label]`` flows of each class by `method`, and their mark."""
    count = sum(missing.values())
    # Where none is missing, one flow shows which columns the method makes.
    asked = {label: number for label, number in missing.items() if number} or dict.fromkeys(list(missing)[:1], 1)
    if not isinstance(method, str):
        made = method.generate(label=asked, seed=seed)
        mark = replace(method.model_identity, seed=seed, holds_real=True)
    else:
        arrays = FlowArrays.from_dataset(few)
        if method == "auto":
            method = choose_method(arrays, per_class, seed).method
        made = flows_from_few(arrays, asked, method, seed).to_dataset()
        mark = _mark(method, view, seed)
    return made.select(range(count)), mark


def _together(real: Dataset, added: list[Dataset]) -> Dataset:
    """The real flows and the added ones, in the columns of the real ones and ``synthetic``."""
    lost = [name for name in real.column_names if name in PACKET_COLUMNS]
    lost = [name for name in lost if any(name not in flows.column_names for flows in added)]
    schema = Features({**real.remove_columns(lost).features, _SYNTHETIC: Value("bool")}).arrow_schema
    return Dataset(
        pa.concat_tables([_in_schema(real, schema, False), *(_in_schema(made, schema, True) for made in added)])
    )


def _in_schema(flows: Dataset, schema: pa.Schema, synthetic: bool) -> pa.Table:
    """`flows` with the columns of `schema`; those that they lack, and made flows' ``capture``, are null."""
    table = flows.with_format("arrow")[:] if len(flows) else flows.data.table.slice(0, 0)
    columns = {name: table.column(name) for name in table.column_names}
    columns[_SYNTHETIC] = pa.array([synthetic] * len(table), pa.bool_())
    empty = {field.name: pa.nulls(len(table), field.type) for field in schema}
    return pa.table([columns.get(f.name, empty[f.name]).cast(f.type) for f in schema], schema=schema)
