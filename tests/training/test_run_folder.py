from hf_ntg.training.run_folder import differences


def test_differences_are_named_with_the_old_value():
    requested = {
        "settings": {"seed": 1, "rate": 0.1},
        "flows": "a",
        "initial_model": None,
        "processes": 1,
        "hf_ntg": "2",
    }
    assert differences(requested, requested) == ""
    existing = {
        "settings": {"seed": 2, "gone": True},
        "flows": "b",
        "initial_model": "m",
        "processes": 1,
        "hf_ntg": "1",
    }
    assert differences(requested, existing) == (
        "gone None (was True), rate 0.1 (was None), seed 1 (was 2), the flows, the initial model, hf_ntg 2 (was 1)"
    )


def test_a_record_that_cannot_be_read_differs_in_everything():
    requested = {"settings": {"seed": 1}, "flows": "a", "initial_model": None, "processes": 1, "hf_ntg": "2"}
    assert "seed 1" in differences(requested, {"settings": ["damaged"]})
