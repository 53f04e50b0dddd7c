import numpy as np
import pytest

from hf_ntg.codecs.flow_labels import class_names, class_places, names_at
from hf_ntg.errors import InputError

LABELS = np.array(["web", None, "dns", "web"], object)


def test_names_are_sorted_and_none_is_last():
    names = class_names(LABELS)
    assert names == ["dns", "web", None]
    places = class_places(names, LABELS)
    assert places.tolist() == [1, 2, 0, 1]
    assert names_at(names, places).tolist() == LABELS.tolist()


def test_an_unknown_class_is_named():
    with pytest.raises(InputError, match="class 'mail' is not one the model knows: dns, web"):
        class_places(["dns", "web"], np.array(["web", "mail"], object))
