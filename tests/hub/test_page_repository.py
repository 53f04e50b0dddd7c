import ast

import pytest
import yaml

from hf_ntg import InputError
from hf_ntg.hub.page_repository import lay_out_page


def test_a_page_names_its_models_in_card_and_program(tmp_path):
    models = ["org/one", "org/two-b"]
    folder = lay_out_page(models, tmp_path / "page", "org/page")
    assert {path.name for path in folder.iterdir()} == {"README.md", "app.py", "requirements.txt"}
    card = (folder / "README.md").read_text()
    settings = yaml.safe_load(card.split("---")[1])
    assert (settings["sdk"], settings["app_file"], settings["models"]) == ("gradio", "app.py", models)
    assert "ntg demo org/one org/two-b" in card
    calls = [node for node in ast.walk(ast.parse((folder / "app.py").read_text())) if isinstance(node, ast.Call)]
    assert [ast.literal_eval(call.args[0]) for call in calls] == [models]
    assert (folder / "requirements.txt").read_text().startswith("hf-ntg[demo]==")


def test_what_a_space_cannot_fetch_is_refused(tmp_path):
    with pytest.raises(InputError, match="name the models"):
        lay_out_page([], tmp_path / "page", "org/page")
    with pytest.raises(InputError, match="publish it, and give its id"):
        lay_out_page(["own/model/folder"], tmp_path / "page", "org/page")
    assert not (tmp_path / "page").exists()
