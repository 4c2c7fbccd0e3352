"""A sweep's folder among machines: one that they share, or a store that each sends its trials to and has others' from.

What differs between the two is behind `Exchange`; `Alone` is that of machines that share the folder.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from src.common.errors import UserError
from src.objects import open_objects
from src.pipeline.request import SweepRequest
from src.records.sweep_folder import SweepFolder


class Exchange(Protocol):
    """What the machines of a sweep have of each other."""

    def take_part(self, fingerprints: Iterable[str]) -> None:
        """Join the sweep with datasets that must be those of the others.

        Raises:
            UserError: they aren't.
        """

    def fetch_sweep(self, identity: str) -> None:
        """Bring the sweep's record here, where another machine has begun it.

        Raises:
            UserError: the store has another sweep of this name.
        """

    def agree(self) -> bool:
        """Make the record here that of all machines; False when another one's was first, and has taken its place."""

    def send(self, trial: int) -> None:
        """Send a trial that has ended or is paused, unless the store has it."""

    def send_all(self) -> None:
        """Send what could not be sent before."""

    def fetch(self, trial: int) -> None:
        """Bring a trial here, where the store has more of it than there is here; without weights if it is finished."""

    def fetch_all(self) -> None:
        """Bring every trial here."""

    def fetch_whole(self, trial: int) -> None:
        """Bring the weights of a finished trial too."""

    def decides(self) -> bool:
        """Whether this machine is the one that decides: the first that asks is."""


class Alone:
    """The exchange of a sweep whose machines share its folder, or that has one machine."""

    def take_part(self, fingerprints: Iterable[str]) -> None:
        """Nobody else is there."""

    def fetch_sweep(self, identity: str) -> None:
        """It is here."""

    def agree(self) -> bool:
        """Nobody else's was first."""
        return True

    def send(self, trial: int) -> None:
        """It lies where all look."""

    def send_all(self) -> None:
        """They lie where all look."""

    def fetch(self, trial: int) -> None:
        """It is here."""

    def fetch_all(self) -> None:
        """They are here."""

    def fetch_whole(self, trial: int) -> None:
        """It is whole."""

    def decides(self) -> bool:
        """Nobody else could."""
        return True


def open_exchange(request: SweepRequest) -> Exchange:
    """The exchange that `store` asks for.

    Raises:
        UserError: the store can't be used, or not with what the sweep asks for.
    """
    url = request.base.store
    if url is None:
        return Alone()
    if request.goals.needs_costs:
        raise UserError(
            "study.objectives and study.constraints on the cost of an architecture can't be combined with store",
            value=request.goals.words(),
            remedy="machines differ in it: limit it in decision.*, for the machine that decides",
        )
    from src.pipeline.store_exchange import StoreExchange

    return StoreExchange(open_objects(url, "store"), request.name(), SweepFolder(request.folder))
