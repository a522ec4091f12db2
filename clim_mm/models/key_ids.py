"""Which image each key of the queue is of."""

from collections.abc import Sequence

import torch
from mmselfsup.structures import SelfSupDataSample

NO_KEY = -1  # the random vector that stands in the queue before the first key
NO_ID = -2  # an image that the pipeline gives no id
NO_POSITIVE = -1  # an anchor that is paired with itself


def image_ids(data_samples: Sequence[SelfSupDataSample], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """The sample ids of a batch's anchors and of their positives.

    Args:
        data_samples: N of them.
        device: Where the ids are wanted.

    Returns:
        Two (N,) int64. Below 0 where an image has no id, or an anchor no positive.
    """
    anchors = [int(sample.sample_idx.value) if 'sample_idx' in sample else NO_ID for sample in data_samples]
    positives = [sample.get('positive_idx', NO_ID) for sample in data_samples]
    # From pinned memory, so that no step waits for a GPU's earlier work.
    ids = torch.tensor([anchors, positives], pin_memory=device.type == 'cuda').to(device, non_blocking=True)
    return ids[0], ids[1]


def ids_of_pairs(anchor_ids: torch.Tensor, positive_ids: torch.Tensor) -> torch.Tensor:
    """The ids of the images that stand beside the anchors: their positives, or else the anchors themselves.

    Args:
        anchor_ids, positive_ids: (N,) int64, as ``image_ids`` gives them.

    Returns:
        (N,) int64.
    """
    return torch.where(positive_ids == NO_POSITIVE, anchor_ids, positive_ids)


def own_keys(queue_ids: torch.Tensor, anchor_ids: torch.Tensor, positive_ids: torch.Tensor) -> torch.Tensor:
    """Which keys of the queue are of a query's own images.

    Args:
        queue_ids: (K,) int64.
        anchor_ids, positive_ids: (N,) int64, below 0 for none.

    Returns:
        (N, K) bool.
    """
    own = (queue_ids == anchor_ids[:, None]) | (queue_ids == positive_ids[:, None])
    return own & (queue_ids >= 0)
