import subprocess
import sys

import pytest

from hf_ntg.hub.secrets import has_secret, secret_rules

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGH"


@pytest.mark.parametrize(
    "text",
    [f"token: hf_{LETTERS}", f"ghp_{LETTERS}xx", "https://user:password@host/", "-----BEGIN RSA PRIVATE KEY-----"],
)
def test_tokens_keys_and_passwords(text):
    with secret_rules():
        assert has_secret(text)


@pytest.mark.parametrize("text", ["", "web", "sha256:" + "0123456789abcdef" * 4, "https://example.org/a/long/path"])
def test_other_text(text):
    with secret_rules():
        assert not has_secret(text)


def test_warnings_are_shown_after_the_rules_were_loaded():
    program = (
        "import warnings; shown = warnings.showwarning; from hf_ntg.hub.secrets import has_secret, secret_rules\n"
        "with secret_rules(): has_secret('a/long/text/of/one/run')\n"
        "assert warnings.showwarning is shown"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
