import sys

import pytest

from hf_ntg.commands.app import public_command


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        (
            ["generate", "clients/acme-bank/model", "--output", "/srv/x/flows.parquet"],
            "generate model --output flows.parquet",
        ),
        (["generate", "org/name", "--seed=3"], "generate org/name --seed=3"),
        (["generate", "acme/model"], "generate model"),
        (["generate", "../acme", "--output=out/a/b.csv"], "generate acme --output=b.csv"),
        (["generate", "m", "--label", "web chat"], "generate m --label 'web chat'"),
    ],
)
def test_paths_are_shown_by_their_last_names(typed, shown, monkeypatch, tmp_path):
    (tmp_path / "acme" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["ntg", *typed])
    assert public_command() == f"ntg {shown}"
