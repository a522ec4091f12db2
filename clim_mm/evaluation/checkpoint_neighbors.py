"""The positives that a checkpoint's training draws from, with features taken again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
from mmengine.config import Config
from mmengine.dataset import BaseDataset

from clim_mm.checkpoints import read_checkpoint
from clim_mm.datasets import Quarantine, SingleViews
from clim_mm.errors import CheckpointError
from clim_mm.neighbors import NeighborTable
from clim_mm.neighbors.defaults import neighbor_sizes
from clim_mm.neighbors.refresh import Refresh, refresh, refresh_from_table, refresh_seed

from .features import extract_settings, frozen_features, load_model, refresh_settings


@dataclass(frozen=True)
class CheckpointNeighbors:
    """What a checkpoint tells of its training set.

    Attributes:
        source: The dataset whose ids are meant.
        found: The table and the centres of the last refresh, beside features by the checkpoint's weights, and clusters
            and neighbours by these; or what a refresh by these features finds.
        table: (N, P) int32, the checkpoint's; -1 = none.
    """

    source: BaseDataset
    found: Refresh
    table: np.ndarray
    strategy: str
    epochs: Optional[int]  # trained when the checkpoint was written, if it says so


def neighbors_of_checkpoint(cfg: Config, checkpoint: str, anew: bool = False) -> CheckpointNeighbors:
    """Read the table, take the features again as the config's refresh does, and put them together.

    With ``anew`` cluster and choose by the new features, as a refresh that follows the checkpoint at once.
    """
    hook = refresh_settings(cfg)
    held = read_checkpoint(checkpoint)
    encoder, layer = hook.get('encoder', 'momentum'), hook.get('layer', 'embedding')
    model = load_model(cfg, checkpoint, [(encoder, layer)])
    settings = extract_settings(cfg)
    views = SingleViews(cfg.train_dataloader.dataset.dataset, settings['pipeline'])
    table = table_of(held, len(views), checkpoint)
    views.quarantine = Quarantine(len(views))
    features = frozen_features(model, views, settings, encoder, layer)
    assert features is not None, 'this is the only process'
    sizes = neighbor_sizes(len(views), hook.get('num_clusters'), hook.get('num_neighbors'))
    strategy, epochs = hook.get('strategy', 'center_wise'), held.get('meta', {}).get('epoch')
    if anew:
        search = {name: hook[name] for name in ('exact', 'nprobe', 'least_recall', 'whiten', 'surest') if name in hook}
        seed = refresh_seed((cfg.get('randomness') or {}).get('seed') or 0, epochs or 0)
        found = refresh(
            features, sizes, readable=views.quarantine.readable, previous=table, num_positives=table.shape[1],
            strategy=strategy, seed=seed, **search)
    else:
        found = refresh_from_table(features, views.quarantine.readable, table, held['neighbors']['centroids'].numpy(),
                                   sizes.num_neighbors, hook.get('whiten'))
    return CheckpointNeighbors(views.dataset, found, table, strategy, epochs)


def table_of(held: Mapping[str, Any], num_images: int, checkpoint: str) -> np.ndarray:
    """The (N, P) int32 table, -1 = none, of what the file ``checkpoint`` holds."""
    state = (held.get('neighbors') or {}).get('table')
    if not state:
        raise CheckpointError(f'The checkpoint {checkpoint} has no neighbour table: give one of a CLIM training.')
    table = NeighborTable(num_images, state['positives'].shape[1])
    try:
        table.load_state_dict(state)
    except ValueError as error:
        raise CheckpointError(f'The neighbour table of the checkpoint {checkpoint} is of another training set '
                              f'({str(error).rstrip(".")}): set data_root and data_prefix to its images.') from error
    if table.version == 0:
        raise CheckpointError(f'The checkpoint {checkpoint} was written before the first refresh: give a later one.')
    return table.positives
