import os

import pytest

from hf_ntg import InputError
from hf_ntg.commands.study_options import chosen_profile, study_command
from hf_ntg.study.plan import FULL, QUICK
from hf_ntg.study.run import shard_of_environment


def test_choices_take_the_place_of_the_profile():
    assert chosen_profile(QUICK, {"models": None, "seeds": None}) == QUICK
    found = chosen_profile(FULL, {"models": "gpt2, 3-gram", "by": "random", "seeds": "2", "shots": "5,50"})
    assert found.models == ("gpt2", "3-gram")
    assert found.by == ("random",)
    assert found.seeds == found.shot_seeds == (0, 1)
    assert found.shots == (5, 50)
    assert found.shot_models == ("gpt2",), "of the profile's own, those that were chosen"
    assert chosen_profile(FULL, {"models": "llama"}).shot_models == ("llama",)
    assert chosen_profile(FULL, {"seeds": "3,"}).seeds == (3,)
    assert chosen_profile(FULL, {"times": "1,4"}).times == (1, 4)
    assert chosen_profile(FULL, {"epsilons": "none, 8,0.5"}).epsilons == ("none", 8.0, 0.5)
    assert chosen_profile(FULL, {"privacy_models": "gpt2-from-public"}).privacy_models == ("gpt2-from-public",)


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"seeds": "two"}, "whole numbers"),
        ({"models": " ,"}, "names nothing"),
        ({"shots": "5,-1"}, "whole numbers"),
        ({"times": "0,1"}, "from 1"),
        ({"epsilons": "8,much"}, "epsilon 'much'"),
        ({"epsilons": "8,0"}, "epsilon 0"),
    ],
)
def test_choices_that_mean_nothing(choice, said):
    with pytest.raises(InputError, match=said):
        chosen_profile(FULL, choice)


@pytest.mark.parametrize(
    ("choice", "said"),
    [({"classifiers": "oracle"}, "no classifier 'oracle'"), ({"shot_methods": "magic"}, "'?magic'?")],
)
def test_names_that_do_not_exist_are_refused_before_the_work(tmp_path, choice, said):
    with pytest.raises(InputError, match=said):
        study_command(["loopback"], tmp_path, True, choice, None, None)


def test_shard_is_two_numbers(tmp_path):
    with pytest.raises(InputError, match="give i/n"):
        study_command(["loopback"], tmp_path, True, {}, None, "1-2")


def test_a_launchers_process_does_its_part_alone(monkeypatch):
    variables = {"RANK": "1", "WORLD_SIZE": "3", "LOCAL_RANK": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert shard_of_environment() == (1, 3)
    assert not variables.keys() & os.environ.keys()
    assert shard_of_environment() == (0, 1)
