from collections import Counter

import pytest

from hf_ntg import FlowGenerator, InputError, augment


@pytest.fixture(scope="module")
def generator(tiny_gpt2):
    return FlowGenerator.from_pretrained(tiny_gpt2)


def test_every_class_reaches_the_number_and_real_flows_stay(flows, generator):
    few = flows.select(range(12))
    counts = Counter(few["label"])
    more = augment(few, generator, per_class=8, seed=1)
    assert Counter(more["label"]) == {label: max(8, count) for label, count in counts.items()}
    real = more.filter(lambda row: not row["synthetic"])
    assert real["payload_length"] == few["payload_length"]
    assert real["inter_arrival_time"] == few["inter_arrival_time"]
    assert "capture" not in more.column_names  # synthetic flows have none
    assert more.to_dict() == augment(few, generator, per_class=8, seed=1).to_dict()


def test_classes_that_have_enough_get_none(flows, generator):
    same = augment(flows, generator, per_class=1)
    assert not any(same["synthetic"])
    assert len(same) == len(flows)


def test_what_cannot_be_augmented(flows, generator):
    with pytest.raises(InputError, match="per_class 0"):
        augment(flows, generator, per_class=0)
    unnamed = flows.map(lambda row: {"label": None}).select(range(3))
    with pytest.raises(InputError, match="3 have no label"):
        augment(unnamed, generator, per_class=5)
    foreign = flows.select(range(3)).map(lambda row: {"label": "mail"})
    with pytest.raises(InputError, match="no class 'mail'"):
        augment(foreign, generator, per_class=5)
