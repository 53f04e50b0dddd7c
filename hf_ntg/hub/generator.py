"""FlowGenerator as users import it: draws flows, and publishes its model on the Hub."""

from __future__ import annotations

from pathlib import Path

from hf_ntg import generation
from hf_ntg.errors import InputError
from hf_ntg.hub.model_repository import publish_model
from hf_ntg.hub.upload import Destination

__all__ = ["FlowGenerator"]


class FlowGenerator(generation.FlowGenerator):
    __doc__ = generation.FlowGenerator.__doc__

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        revision: str | None = None,
        token: str | None = None,
        license: str = "apache-2.0",
        report: str | Path | None = None,
    ) -> str:
        """Publish the model with a card made from its run; see :func:`hf_ntg.hub.publish_model`.

        Args:
            repo_id: ``ORGANISATION/NAME``.
            private: whether a new repository is private; None leaves it to the account's default.
            revision: branch to commit to. token: of the account, where not logged in.
            license: licence of the weights.
            report: ``report.json`` of ``ntg evaluate``, for the scores on the card.

        Returns:
            The repository's address.

        Raises:
            InputError: the model was not saved, the folder holds what must not be published, or the Hub refuses.
        """
        if self.source is None:
            raise InputError("this model is not in a folder; save it, and load it from there to publish it")
        destination = Destination(repo_id, private=private, revision=revision, token=token)
        return publish_model(self.source, destination, license=license, report=report).url
