"""The queue of negative keys, and which image each of them is of."""

from collections.abc import Callable, Sequence
from typing import Any, Optional

import torch
import torch.nn as nn
import torch.nn.functional as F

from clim_mm.errors import ConfigError
from clim_mm.host import SelfSupDataSample, concat_all_gather

NO_KEY = -1  # the random vector that stands in the queue before the first key
NO_ID = -2  # an image that the pipeline gives no id
NO_POSITIVE = -1  # an anchor that is paired with itself
_NAMES_IN_MOCO = dict(queue='queue.keys', queue_ids='queue.ids', queue_ptr='queue.pointer')  # as in MMSelfSup's files


class KeyQueue(nn.Module):
    """The K last keys, L2-normalised, with the ids of their images: a ring that the newest keys overwrite.

    Args:
        dim: C, the dimension of a key.
        length: K. 0 if it is not known yet: until ``resize``, or until a checkpoint with a queue is loaded.
        num_levels: Keys that an image has, of as many levels of the encoder; they share ids and pointer.

    Attributes:
        keys: (num_levels * C, K), the last level's at the end; random directions where no key has come yet.
        ids: (K,) int64, the images' ids, below 0 for none.
        pointer: (1,) int64, the place of the next key.
        listeners: Called on every process with the (n, C) keys of the last level of all processes that enter, and the
            (n,) int64 ids of their images. A copy of the queue has none.
    """

    keys: torch.Tensor
    ids: torch.Tensor
    pointer: torch.Tensor

    def __init__(self, dim: int, length: int = 0, num_levels: int = 1) -> None:
        super().__init__()
        self.dim = dim
        self.num_levels = num_levels
        self.register_buffer('keys', self._directions(length))
        self.register_buffer('ids', torch.full((length, ), NO_KEY))
        self.register_buffer('pointer', torch.zeros(1, dtype=torch.long))
        self.listeners: list[Callable[[torch.Tensor, torch.Tensor], None]] = []
        self._waiting: list[tuple[torch.Tensor, torch.Tensor]] = []  # keys and (n,) ids, of this process

    def __getstate__(self) -> dict[str, Any]:
        return dict(vars(self), listeners=[])  # the keys of a copy are not those of the training

    def __len__(self) -> int:
        return self.keys.shape[1]

    def __bool__(self) -> bool:  # a module without a length yet is a module all the same
        return True

    @property
    def fill(self) -> torch.Tensor:
        """The share of the queue that holds keys, a scalar."""
        return (self.ids != NO_KEY).float().mean()

    @property
    def has_waiting(self) -> bool:
        """Whether keys wait to enter."""
        return bool(self._waiting)

    def resize(self, length: int, generator: Optional[torch.Generator] = None) -> None:
        """Start anew at another length, with directions by a generator on the CPU, the same in all processes."""
        self.keys = self._directions(length, generator).to(self.keys)
        self.ids = self.ids.new_full((length, ), NO_KEY)
        self.pointer.zero_()

    def forget_ids(self) -> None:
        """Forget which images the keys are of: ids of another training set mean nothing here."""
        self.ids[self.ids >= 0] = NO_ID

    def own(self, *image_ids: torch.Tensor) -> torch.Tensor:
        """Which keys are of a query's own images: (N, K) bool, for (N,) int64 ids of each, below 0 for none."""
        own = torch.stack([self.ids == ids[:, None] for ids in image_ids]).any(dim=0)
        return own & (self.ids >= 0)

    def wait(self, keys: torch.Tensor, ids: torch.Tensor) -> None:
        """Note (n, num_levels * C) keys and (n,) ids of this process, which enter with ``advance``."""
        self._waiting.append((keys, ids))

    @torch.no_grad()
    def advance(self) -> None:
        """Let the waiting keys of all processes enter over the oldest ones."""
        if not self._waiting:
            return
        keys, ids = (concat_all_gather(torch.cat(parts)) for parts in zip(*self._waiting, strict=True))
        self._waiting.clear()
        self.ids[overwrite_oldest(self.keys, self.pointer, keys)] = ids
        for listen in self.listeners:
            listen(keys[:, -self.dim:], ids)

    def _directions(self, length: int, generator: Optional[torch.Generator] = None) -> torch.Tensor:
        drawn = torch.randn(self.num_levels, self.dim, length, generator=generator)
        return F.normalize(drawn, dim=1).flatten(0, 1)


def overwrite_oldest(ring: torch.Tensor, pointer: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """Write (n, C) keys over the oldest of a (C, K) ring, and move its (1,) pointer on; give their (n,) places."""
    length = ring.shape[1]
    if len(keys) > length:
        raise ConfigError(f'model.queue_len={length} is too short for the {len(keys)} keys of one step: set it to at '
                          f'least {len(keys)}, or lower the batch size.')
    places = (pointer + torch.arange(len(keys), device=keys.device)) % length
    ring[:, places] = keys.T.to(ring.dtype)
    pointer[0] = (pointer[0] + len(keys)) % length
    return places


def adapt_state(model: nn.Module, state_dict: dict, prefix: str, *args: Any) -> None:
    """Before a state is loaded: give MoCo's queue its names here, and a queue without a length that of the state."""
    for former, name in _NAMES_IN_MOCO.items():
        if f'{prefix}{former}' in state_dict:
            state_dict[f'{prefix}{name}'] = state_dict.pop(f'{prefix}{former}')
    keys: Any = state_dict.get(f'{prefix}queue.keys')
    queue = model.queue
    if getattr(keys, 'ndim', 0) != 2 or not isinstance(queue, KeyQueue):
        return
    if not len(queue):
        queue.resize(keys.shape[1])
    state_dict.setdefault(f'{prefix}queue.ids', torch.full((keys.shape[1], ), NO_ID))


def image_ids(data_samples: Sequence[SelfSupDataSample], device: torch.device) -> torch.Tensor:
    """Ids of N anchors and of the positives drawn for each: (1 + n, N) int64; below 0 for no id, or no positive."""
    anchors = [int(sample.sample_idx.value) if 'sample_idx' in sample else NO_ID for sample in data_samples]
    positives = [(sample.get('positive_idx', NO_ID), *sample.get('other_idx', ())) for sample in data_samples]
    # From pinned memory: no step waits for a GPU's earlier work.
    ids = torch.tensor([anchors, *zip(*positives, strict=True)], pin_memory=device.type == 'cuda')
    return ids.to(device, non_blocking=True)
