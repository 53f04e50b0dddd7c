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
