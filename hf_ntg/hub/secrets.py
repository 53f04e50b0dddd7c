"""Tokens, keys and passwords in text: the rules of detect-secrets, and those that it lacks."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_show_warning = warnings.showwarning

from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class  # noqa: E402
from detect_secrets.core.scan import scan_line  # noqa: E402
from detect_secrets.settings import transient_settings  # noqa: E402

__all__ = ["has_secret", "names_secret", "secret_rules"]

if warnings.showwarning is not _show_warning:  # detect-secrets sends all warnings to a log that nobody reads
    logging.captureWarnings(False)

# detect-secrets has also rules that guess by entropy or by a word nearby; hashes and settings would set those off.
_GUESSING = ("Base64HighEntropyString", "HexHighEntropyString", "KeywordDetector", "IPPublicDetector")
_OTHERS = re.compile(
    r"\bhf_[A-Za-z0-9]{16,}"  # Hugging Face
    r"|\bgithub_pat_[A-Za-z0-9_]{22,}"
    r"|\b(?:ghp|gho|ghu|ghs|ghr|glpat|xox[abeprs])[_-][A-Za-z0-9_-]{16,}"
    r"|\bAIza[A-Za-z0-9_-]{30,}"  # Google
    r"|\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b"  # AWS
    r"|\bsk-[A-Za-z0-9_-]{20,}"  # OpenAI and others
    r"|\bnpm_[A-Za-z0-9]{30,}|\bpypi-[A-Za-z0-9_-]{30,}"
    r"|\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}"  # Stripe
    r"|\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\."  # JSON Web Token, RFC 7519
    r"|://[^\s/:@]+:[^\s/@]+@"  # a password in a URL
    r"|-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|\bdop_v1_[0-9a-f]{32,}|\bdapi[0-9a-f]{32}\b|\bshp(?:at|ca|pa|ss)_[0-9A-Fa-f]{32}\b|\bdckr_pat_[\w-]{20,}"
    r"|\bhvs\.[\w-]{20,}|\bAGE-SECRET-KEY-1[0-9A-Z]{50,}|\bSG\.[\w-]{20,}\.[\w-]{40,}|\bAccountKey=[\w+/=]{20,}"
    r"|(?i:\bauthorization|\bproxy-authorization)\W{1,6}(?i:bearer|basic|token)\s+[\w.~+/=-]{12,}"
)
_SHORTEST = 16  # characters in a row: no token is shorter
_RUN = re.compile(rf"\S{{{_SHORTEST},}}|-----BEGIN|://|(?i:authorization)")
_NAMED = re.compile(
    r"(?i)(?:.*_)?(?:password|passwd|passphrase|secret|api_?key|access_?key|(?:hf|auth|access|bearer|hub)_?token)"
)


@contextmanager
def secret_rules() -> Iterator[None]:
    """Set detect-secrets up for the calls of :func:`has_secret` in the block."""
    plugins: dict[str, type] = get_mapping_from_secret_type_to_class()
    names = {plugin.__name__ for plugin in plugins.values()}
    with transient_settings({"plugins_used": [{"name": name} for name in sorted(names.difference(_GUESSING))]}):
        yield


def has_secret(text: str) -> bool:
    """Whether `text` holds a token, a private key or a password in a URL."""
    if not _RUN.search(text):
        return False
    return bool(_OTHERS.search(text)) or any(True for _ in scan_line(text))


def names_secret(key: str) -> bool:
    """Whether a setting named `key`, such as ``hf_token``, would hold a secret."""
    return bool(_NAMED.fullmatch(key))
