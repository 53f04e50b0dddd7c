import ast
import importlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import hf_ntg

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "hf_ntg"
STUBS = sorted(PACKAGE.rglob("__init__.pyi"))
FACES = sorted({"hf_ntg", *(f"hf_ntg.{path.parent.name}" for path in PACKAGE.glob("*/__init__.py"))})


@pytest.mark.parametrize("package", FACES)
def test_every_public_name_is_there(package):
    module = importlib.import_module(package)
    for name in getattr(module, "__all__", ()):
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError):
        module.no_such_name  # noqa: B018 (the look-up is the test)


@pytest.mark.parametrize("stub", STUBS, ids=lambda path: str(path.parent.relative_to(ROOT)))
def test_stub_and_face_agree(stub):
    package = ".".join(stub.parent.relative_to(ROOT).parts)
    module = importlib.import_module(package)
    tree = ast.parse(stub.read_text(encoding="utf-8"))
    homes = {
        alias.name: f"{package}.{node.module}"
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    (listed,) = (ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign))
    assert sorted(listed) == sorted(homes) == sorted(module.__all__)
    assert set(homes) <= set(dir(module))
    for name, home in homes.items():
        assert getattr(module, name) is getattr(importlib.import_module(home), name)


def test_train_is_the_function_after_the_module_of_that_name_was_imported():
    import hf_ntg.train

    assert callable(hf_ntg.train)


def test_importing_the_package_and_reading_flows_need_no_torch():
    heavy = {"torch", "transformers", "diffusers", "sklearn", "matplotlib"}
    code = f"import hf_ntg, sys; hf_ntg.load_flows; hf_ntg.split_flows; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_wheel_holds_what_the_package_reads(tmp_path):
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", tmp_path, ROOT]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    kinds = (".py", ".pyi", ".typed", ".parquet", ".j2", ".toml", ".md")
    assert {str(path.relative_to(ROOT)) for path in PACKAGE.rglob("*") if path.suffix in kinds} <= held
    assert f"hf_ntg-{hf_ntg.__version__}" in wheel.name
