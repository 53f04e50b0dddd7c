from dataclasses import replace

import numpy as np
import pytest

from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.digest import flows_digest


def test_what_is_not_learned_does_not_count(flows):
    arrays = FlowArrays.from_dataset(flows)
    wanted = flows_digest(flows)
    assert wanted.startswith("sha256:")
    assert flows_digest(replace(arrays, source_port=arrays.source_port + 1, flow_id=None)) == wanted


@pytest.mark.parametrize("name", ["payload_length", "inter_arrival_time", "label", "capture", "destination_port"])
def test_everything_learned_counts(flows, name):
    arrays = FlowArrays.from_dataset(flows)
    values = getattr(arrays, name).copy()
    values[0] = "another" if values.dtype == object else values[0] + 1
    assert flows_digest(replace(arrays, **{name: values})) != flows_digest(arrays)


def test_texts_do_not_run_into_each_other(flows):
    arrays = FlowArrays.from_dataset(flows).head(1).take(np.array([0, 1]))
    found = {
        flows_digest(replace(arrays, label=np.array(pair, object)))
        for pair in (["ab", "c"], ["a", "bc"], ["abc", ""], ["abc", None])
    }
    assert len(found) == 4


def test_the_digest_is_that_of_earlier_versions(flows):
    """A run that was interrupted before an update goes on after it."""
    # The digest of the made flows; NumPy's generators give the same numbers in every version.
    assert flows_digest(flows) == "sha256:75af6b0aa769641b1ebee05572c15d11cb64f99ad390fd0f82e69454d92963d9"
