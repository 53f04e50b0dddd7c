"""One-line messages for failed requests to the Hugging Face Hub, with the remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hf_ntg.errors import InputError

if TYPE_CHECKING:
    from huggingface_hub import errors

__all__ = ["hub_in_words"]

_LOG_IN = "log in with 'hf auth login', or give a token"


@contextmanager
def hub_in_words(name: str, kind: str, before: str = "") -> Iterator[None]:
    """Turn errors that huggingface_hub raises in the block into an :class:`InputError` of one line.

    Args:
        name: id of the repository.
        kind: ``model``, ``dataset`` or ``space``.
        before: text that precedes the reason.
    """
    from huggingface_hub.errors import HFValidationError, HTTPError

    try:
        yield
    except (HTTPError, HFValidationError, OSError, RuntimeError) as error:
        # huggingface_hub reports an interrupted upload as a RuntimeError about the file.
        if isinstance(error, RuntimeError) and not any(isinstance(cause, HTTPError) for cause in _causes(error)):
            raise
        raise InputError(f"{name}: {before}{_in_words(error, kind)}") from error


def _in_words(error: Exception, kind: str) -> str:
    from huggingface_hub import errors

    kind = "data set" if kind == "dataset" else kind
    causes = list(_causes(error))
    # huggingface_hub wraps a refused request in "not in the cache"; the refusal is what matters.
    refused = next((cause for cause in causes if isinstance(cause, errors.HfHubHTTPError)), None)
    if isinstance(refused, errors.GatedRepoError):
        return f"a gated {kind}: ask for access on its page, then {_LOG_IN}"
    if isinstance(refused, errors.RevisionNotFoundError):
        return f"the {kind} has no such revision; name a branch, tag or commit of it"
    if isinstance(refused, errors.RepositoryNotFoundError):
        return f"no such {kind} on the Hub, or a private one: check the name, or {_LOG_IN}"
    if refused is not None:
        return _refusal(refused)
    if any(isinstance(cause, errors.OfflineModeIsEnabled) for cause in causes):
        return "offline mode is on (HF_HUB_OFFLINE), and it is not in the cache; fetch it once with a network"
    if any(isinstance(cause, errors.HTTPError | ConnectionError) for cause in causes):
        return f"the Hub cannot be reached ({_first_line(causes[-1])}); check the network and HF_ENDPOINT"
    if isinstance(error, errors.HFValidationError):
        return f"not an id of a {kind}; give ORGANISATION/NAME"
    if isinstance(error, errors.LocalEntryNotFoundError):
        return "not in the cache, and it cannot be fetched; check the network and HF_HUB_OFFLINE"
    return _first_line(error)


def _refusal(error: errors.HfHubHTTPError) -> str:
    status = error.response.status_code
    if status == 401:
        return f"the Hub does not know this token; {_LOG_IN}"
    if status == 403:
        return f"the Hub forbids it ({_first_line(error)}); use a token with write access to the organisation"
    return f"the Hub answered {status} ({_first_line(error)})"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _first_line(error: BaseException) -> str:
    said = getattr(error, "server_message", None) or str(error)
    lines = said.strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
