"""What must not leave the machine is refused, and what may is not."""

import json
import pickle
import warnings

import pytest

from hf_ntg import InputError
from hf_ntg.hub import refuse_private
from hf_ntg.hub.scan import warn_of_labels


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("server 8.8.8.8 answered", "a public address (8.8.8.8)"),
        ("2a00:1450:4001:81b::200e", "a public address (2a00:1450:4001:81b::200e)"),
        ("mac 3c:22:fb:01:02:03", "a hardware address"),
        ("mac 3C-22-FB-01-02-03", "a hardware address"),
        ("see /home/somebody/flows.parquet", "an absolute path"),
        ("file:///tmp/x/y", "an absolute path"),
        ("C:\\Users\\somebody\\flows", "an absolute path"),
        ("/srv/captures/2024", "an absolute path"),
        ("token hf_abcdefghijklmnopqrstuvwxyz", "a token or key"),
        ("-----BEGIN RSA PRIVATE KEY-----", "a token or key"),
        ("AKIAABCDEFGHIJKLMNOP", "a token or key"),
        ("ASIAABCDEFGHIJKLMNOP", "a token or key"),
        ("github_pat_11ABCDEFG0abcdefghijkl_abcdefghijkl", "a token or key"),
        ("AIzaSyA-1234567890abcdefghijklmnopqrstu", "a token or key"),
        ("npm_" + 18 * "a1", "a token or key"),
        ("pypi-AgEIcHlwaS5vcmc" + 50 * "a1", "a token or key"),
        ("sk_live_" + 6 * "a1B2", "a token or key"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmN", "a token or key"),
        ("-----BEGIN PGP PRIVATE KEY BLOCK-----", "a token or key"),
        ("https://user:s3cret@example.org/x", "a token or key"),
    ],
)
def test_private_text_is_found_wherever_it_stands(text, said, tmp_path):
    for name, content in (
        ("README.md", f"# Card\n\n{text}\n"),
        ("config.json", json.dumps({"a": [{"b": text}]})),
        ("other.json", json.dumps({text: 1})),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(InputError, match=name) as refused:
            refuse_private(tmp_path, "model")
        assert said in str(refused.value)
        assert "hf_abc" not in str(refused.value)
        (tmp_path / name).unlink()


def test_what_may_stay(tmp_path):
    addresses = "10.0.0.1 192.168.1.1 203.0.113.7 127.0.0.1 0.0.0.0 2001:db8::1 fe80::1 ::1"
    others = "02:00:00:00:00:01 00-00-5E-00-53-01 version 2.13.0, 12:30:45, a[::2], 1/2, and/or, +517 ~3"
    places = "https://example.org/home/page, data/gpt2/train-*.parquet"
    (tmp_path / "README.md").write_text(f"{addresses}\n{others}\n{places}\n")
    (tmp_path / "config.json").write_text(json.dumps({"path": "data/x", "slash": "/", "ratio": "1/2"}))
    refuse_private(tmp_path, "model")


@pytest.mark.parametrize(
    ("name", "content", "kind", "said"),
    [
        ("a.pcap", b"\xd4\xc3\xb2\xa1", "model", "a capture"),
        ("notes.md.pcapng", b"\x0a\x0d\x0d\x0a", "dataset", "a capture"),
        ("weights.bin", pickle.dumps([1]), "model", "a pickle"),
        ("pytorch_model.pt", b"PK", "model", "a pickle"),
        ("train.csv", b"a,b", "model", "a table"),
        ("flows.parquet", b"PAR1", "model", "a table"),
        ("flows.parquet", b"PAR1", "dataset", "not a readable Parquet file"),
        ("modeling.py", b"x = 1", "model", "a .py file"),
        ("README.md", b"\xff\xfe", "model", "not text"),
        ("config.json", b"{", "model", "not JSON"),
        ("x.safetensors", b"\x08\0\0\0\0\0\0\0notjson!", "model", "not a safetensors file"),
        ("x.safetensors", b"\x26\0\0\0\0\0\0\0" + b'{"__metadata__":{"from":"/home/me/x"}}', "model", "absolute path"),
    ],
)
def test_files_that_do_not_belong(name, content, kind, said, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=said):
        refuse_private(tmp_path, kind)


def test_links_are_not_followed(tmp_path):
    (tmp_path / "secret.txt").write_text("x")
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository" / "README.md").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(InputError, match="a link"):
        refuse_private(tmp_path / "repository", "model")


def test_a_class_may_be_called_like_an_address(tmp_path):
    labels = ["Chrome 1.2.3.4", "web"]
    (tmp_path / "flow_grammar.json").write_text(json.dumps({"labels": labels}))
    (tmp_path / "tokenizer.json").write_text(json.dumps({"<Chrome%201.2.3.4>": 3}))
    refuse_private(tmp_path, "model")
    (tmp_path / "flow_grammar.json").unlink()
    with pytest.raises(InputError, match="a public address"):
        refuse_private(tmp_path, "model")
    refuse_private(tmp_path, "model", labels)
    with pytest.warns(UserWarning, match=r"'Chrome 1\.2\.3\.4' looks like a public address"):
        warn_of_labels(labels)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_labels(labels, allowed=["Chrome 1.2.3.4"])
    (tmp_path / "README.md").write_text("Chrome 1.2.3.4 and 8.8.4.4")
    with pytest.raises(InputError, match=r"8\.8\.4\.4"):
        refuse_private(tmp_path, "model", labels)
    (tmp_path / "README.md").write_text("class AKIAABCDEFGHIJKLMNOP")
    with pytest.raises(InputError, match="a token or key"):
        refuse_private(tmp_path, "model", ["AKIAABCDEFGHIJKLMNOP"])


@pytest.mark.parametrize(
    "text",
    [
        "ftp://" + "a:b@c.de",
        "dop_" + "v1_" + 2 * "0123456789abcdef0123456789abcdef",
        "dapi" + "0123456789abcdef0123456789abcdef",
        "shpat_" + "0123456789abcdef0123456789abcdef",
        "Authorization: " + "Bearer aB3dE6fG9hJ2kL5mN8p",
        "AccountKey=" + 3 * "aB3dE6fG9hJ2kL5mN8pQ" + "==",
        "001a.2b3c.4d5e",
        "see /etc/ssh/ssh_host_rsa_key",
        "\\\\server\\share\\flows.parquet",
    ],
)
def test_further_kinds_of_secrets_and_places_are_found(text, tmp_path):
    (tmp_path / "README.md").write_text(f"with {text}")
    with pytest.raises(InputError, match=r"README\.md, line 1"):
        refuse_private(tmp_path, "model")


def test_a_setting_for_a_secret_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"hub": {"password": "hunter2"}, "eos_token": "<eos>"}')
    with pytest.raises(InputError, match=r"config\.json, at hub, 'password': a setting for a secret"):
        refuse_private(tmp_path, "model")
