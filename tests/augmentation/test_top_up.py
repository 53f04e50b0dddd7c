from collections import Counter

import pytest
from made_flows import two_services

from hf_ntg import FlowGenerator, InputError, augment, load_flows
from hf_ntg.flows import save_flows
from hf_ntg.flows.provenance import provenance_of


@pytest.fixture(scope="module")
def generator(tiny_gpt2):
    return FlowGenerator.from_pretrained(tiny_gpt2)


def few_of(flows):
    """Twelve flows without empty packets, with a column that the schema does not know."""
    return (
        flows.filter(lambda row: all(row["payload_length"]))
        .select(range(12))
        .add_column("sni", [f"host-{place}" for place in range(12)])
    )


@pytest.mark.parametrize("method", ["loss", "crossover,loss", "4-gram", "generator"])
def test_real_flows_stay_and_the_columns_do_not_depend_on_what_is_missing(flows, generator, method):
    few, how = few_of(flows), generator if method == "generator" else method
    more = augment(few, how, per_class=8, seed=1)
    assert Counter(more["label"]) == {label: max(8, count) for label, count in Counter(few["label"]).items()}
    real = more.select(range(12))
    assert real.remove_columns("synthetic").to_dict() == few.to_dict()
    assert more["synthetic"] == [False] * 12 + [True] * (len(more) - 12)
    made = more.select(range(12, len(more)))
    assert set(made["sni"]) == set(made["capture"]) == {None}
    enough = augment(few, how, per_class=1)
    assert enough.features == more.features
    assert enough["synthetic"] == [False] * 12
    assert more.to_dict() == augment(few, how, per_class=8, seed=1).to_dict()


def test_auto_tops_up_too(flows):
    more = augment(few_of(flows), per_class=8)
    assert min(Counter(more["label"]).values()) == 8


def test_a_packet_column_that_a_generator_does_not_make_is_left_out(flows, generator):
    few = flows.select(range(6))
    few = few.add_column("tcp_window", [[1] * len(packets) for packets in few["direction"]])
    assert "tcp_window" in augment(few, "loss", per_class=9).column_names
    for per_class in (1, 9):
        assert "tcp_window" not in augment(few, generator, per_class=per_class).column_names


def test_the_table_says_what_made_it_and_is_not_published(flows, generator, tmp_path):
    from hf_ntg.hub.dataset_repository import lay_out_dataset

    for how, name in (("loss", "augmentation by loss"), (generator, generator.model_identity.model)):
        (mark,) = provenance_of(augment(flows.select(range(6)), how, per_class=5, seed=3))
        assert (mark.model, mark.seed, mark.holds_real) == (name, 3, True)
    path = save_flows(augment(flows.select(range(6)), generator, per_class=5), tmp_path / "more.parquet")
    assert provenance_of(load_flows(path))[0].holds_real
    with pytest.raises(InputError, match="holds real flows"):
        lay_out_dataset(path, tmp_path / "repository", "me/flows")


@pytest.mark.parametrize("method", ["loss", "generator"])
def test_a_packet_view_is_taken_by_all_flows(flows, generator, method):
    few = few_of(flows)
    few = few.remove_columns("payload_length").add_column(
        "payload_length",
        [[0, *packets[1:]] for packets in few["payload_length"]],
        feature=few.features["payload_length"],
    )
    carrying = [any(packets) for packets in few["payload_length"]]
    more = augment(few, generator if method == "generator" else method, per_class=6, view="payload")
    assert more["sni"][: sum(carrying)] == [name for name, kept in zip(few["sni"], carrying, strict=True) if kept]
    assert all(all(packets) for packets in more["payload_length"])
    assert {mark.view for mark in provenance_of(more)} == {"payload"}


def test_unlabelled_flows_come_with_a_guessed_label(flows):
    few, rest = two_services(3, 0), two_services(30, 1)
    more = augment(few, "loss", per_class=20, unlabelled=rest.map(lambda row: {"label": "unknown"}))
    assert Counter(more["label"]) == {"mail": 20, "web": 20}
    real = {str(row["payload_length"] + [row["label"]]) for row in rest}
    added = more.select(range(6, 40))
    assert all(added["synthetic"])
    assert all(str(row["payload_length"] + [row["label"]]) in real for row in added)
    few_others = augment(few, "loss", per_class=20, unlabelled=rest.select(range(4)))
    assert Counter(few_others["label"]) == {"mail": 20, "web": 20}
    assert [mark.model for mark in provenance_of(few_others)] == [
        "augmentation by guessed labels",
        "augmentation by loss",
    ]


def test_what_cannot_be_augmented(flows, generator):
    few = flows.select(range(3))
    with pytest.raises(InputError, match="per_class 0"):
        augment(flows, "loss", per_class=0)
    with pytest.raises(InputError, match="no method 'noise'"):
        augment(few, "noise", per_class=5)
    with pytest.raises(InputError, match="3 have no label"):
        augment(few.map(lambda row: {"label": None}), "loss", per_class=5)
    with pytest.raises(InputError, match="no class 'mail'"):
        augment(few.map(lambda row: {"label": "mail"}), generator, per_class=5)
    with pytest.raises(InputError, match="column 'synthetic' already"):
        augment(augment(few, "loss", per_class=5), "loss", per_class=5)
