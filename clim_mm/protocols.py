"""What hooks and tools ask of models, datasets and hooks: capabilities, which a class has if it has the members.

The first line of each docstring stands in the sentences of :func:`having`.
"""

from collections.abc import Mapping
from typing import Any, Optional, Protocol, runtime_checkable

import torch

from clim_mm.errors import ConfigError
from clim_mm.health import HealthRules


@runtime_checkable
class SeededSamples(Protocol):
    """samples drawn by (seed, epoch, id), as ImageSamples and NeighborPairs have."""

    randomness: Any  # SampleRandomness


@runtime_checkable
class Quarantining(Protocol):
    """a quarantine of unreadable images, as ImageSamples and NeighborPairs have."""

    dataset: Any  # which images there are
    quarantine: Any  # Quarantine


@runtime_checkable
class TakesNeighbors(Quarantining, Protocol):
    """a neighbour table, as NeighborPairs has."""

    table: Any  # NeighborTable


@runtime_checkable
class Embeds(Protocol):
    """features for the neighbours, as CLIM has."""

    embedding_dim: int

    def encoder(self, name: str) -> torch.nn.Module:
        """The ``momentum`` or the ``query`` encoder."""

    def embed_batch(self, batch: dict, encoder: str, layer: str, amp: bool, channels_last: bool) -> torch.Tensor:
        """(N, d) features of a batch."""


@runtime_checkable
class AssignsClusters(Protocol):
    """cluster heads, as C2BIN has."""

    num_clusters: tuple[int, ...]  # of each head

    def assign_batch(self, batch: dict, amp: bool = False, channels_last: bool = False) -> torch.Tensor:
        """(N, sum of num_clusters) float32 soft assignments of a batch, the heads side by side in their order."""


@runtime_checkable
class KeepsQueues(Protocol):
    """a queue of keys, as CLIM and MoCo have."""

    @property
    def queues(self) -> Mapping[str, Any]:
        """By level, each with its ``keys``, (C, K)."""


@runtime_checkable
class Advances(Protocol):
    """what moves once per optimizer step, as CLIM and BYOL have."""

    advance_after_loss: bool

    def advance(self) -> None:
        """End an optimizer step, if ``advance_after_loss`` is False: otherwise each loss ends one."""


@runtime_checkable
class HasQueues(KeepsQueues, Advances, Protocol):
    """queues of keys, as CLIM has."""

    mask_own_keys: Optional[bool]

    @property
    def keys_per_sample(self) -> int:
        """Keys of a sample that enter each queue."""


@runtime_checkable
class ChecksBatch(Protocol):
    """a rule for the size of a batch, as C2BIN has."""

    def check_batch(self, images: int) -> str:
        """What is wrong with so many images in a batch of all processes, '' for nothing; or a ConfigError."""


@runtime_checkable
class ShufflesKeys(Protocol):
    """a shuffle of its keys, as CLIM has."""

    key_shuffle: Any  # KeyShuffle


@runtime_checkable
class Judged(Protocol):
    """rules by which its training is judged, as CLIM has."""

    health_rules: HealthRules


@runtime_checkable
class UpgradesState(Protocol):
    """a state of former names taken."""

    def upgrade_state(self, state_dict: dict[str, Any]) -> None:
        """Give the tensors of an older state dict the names that they have now."""


@runtime_checkable
class RefreshesNeighbors(Protocol):
    """refreshes of the neighbours, as CenterWiseNeighborHook has."""

    begin: int
    interval: int
    num_clusters: Optional[int]
    num_neighbors: Optional[int]
    strategy: str
    whiten: Optional[float]
    exact: Optional[bool]
    nprobe: int
    feature_source: str
    extraction: Any  # Extraction

    def find(self, runner: Any, features: Any, seed: Optional[int] = None) -> Any:
        """What a refresh by these features finds."""


def having(thing: Any, capability: type, wanted_by: str, remedy: str) -> Any:
    """``thing``, known to have a capability; or a ConfigError on what ``wanted_by`` needs, and the ``remedy``."""
    if isinstance(thing, capability):
        return thing
    what = (capability.__doc__ or '').splitlines()[0].rstrip('.')
    raise ConfigError(f'{wanted_by} needs {what}, and {type(thing).__name__} has none: {remedy}.')
