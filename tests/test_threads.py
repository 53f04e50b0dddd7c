import os
import subprocess
import sys

import pytest

from hf_ntg.threads import limit_spinning


def test_spinning_is_limited_for_each_runtime():
    environment = {}
    limit_spinning(environment)
    assert set(environment) == {"GOMP_SPINCOUNT", "KMP_BLOCKTIME"}


@pytest.mark.parametrize("setting", [{"GOMP_SPINCOUNT": "7"}, {"KMP_BLOCKTIME": "9"}, {"OMP_WAIT_POLICY": "active"}])
def test_the_users_settings_are_kept(setting):
    environment = dict(setting)
    limit_spinning(environment)
    assert environment.items() >= setting.items()
    assert "OMP_WAIT_POLICY" not in setting or environment == setting


def test_importing_the_package_limits_spinning_before_torch():
    code = "import hf_ntg, os, sys; assert 'torch' not in sys.modules; print(os.environ['GOMP_SPINCOUNT'])"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("GOMP_", "OMP_", "KMP_"))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=clean)
    assert int(done.stdout) > 0
