"""A hundred of the attacks of scripts/attack_models.py; the script itself tries as many as it is asked to."""

import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture
def attacks(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import attack_models

    yield attack_models
    for name in [name for name in sys.modules if name.startswith("attack_")]:
        del sys.modules[name]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_hundred_attacks_hold(attacks, tiny_gpt2, tiny_mamba, tiny_unet, tmp_path):
    models = {"gpt2": tiny_gpt2, "mamba": tiny_mamba, "unet": tiny_unet}
    setting = attacks.prepare(tmp_path, attacks.small_flows(), models)
    outcomes = attacks.attack(setting, 100, seed=1)
    assert len(outcomes) == 100
    assert [failure for _, failure in outcomes if failure] == []
