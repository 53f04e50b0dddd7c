import importlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import hf_ntg

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("package", ["hf_ntg", "hf_ntg.codecs", "hf_ntg.flows", "hf_ntg.models", "hf_ntg.training"])
def test_every_public_name_is_there(package):
    module = importlib.import_module(package)
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError):
        module.no_such_name  # noqa: B018 (the look-up is the test)


def test_wheel_holds_what_the_package_reads(tmp_path):
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", tmp_path, ROOT]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    package = ROOT / "hf_ntg"
    wanted = {str(path.relative_to(ROOT)) for path in package.rglob("*") if path.suffix in (".py", ".parquet", ".j2")}
    assert wanted <= held
    assert f"hf_ntg-{hf_ntg.__version__}" in wheel.name
