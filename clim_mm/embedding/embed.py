"""Embed a folder of images: a vector, a cluster and the nearest neighbours of each."""

import os
import os.path as osp
import tempfile
from dataclasses import replace
from typing import Optional

import numpy as np
from mmengine import dist

from clim_mm.checks import MOST_WORKERS, check_whole
from clim_mm.datasets import ImageFolder, Quarantine
from clim_mm.datasets.source import build_source
from clim_mm.distributed import host_group
from clim_mm.errors import DataError
from clim_mm.evaluation.extract import BATCH_SIZE, NUM_WORKERS, Encoding
from clim_mm.neighbors.faiss_backend import available_cores
from clim_mm.neighbors.feature_quality import spread_ids

from .embeddings import Embeddings
from .encoder import FileEncoder
from .files import check_out, write_embeddings
from .stored_features import default_num_clusters, find, new_file

NEIGHBORS = 10  # of each image, where nothing else is set


def embed(checkpoint: str, folder: str, out: Optional[str] = None, neighbors: int = NEIGHBORS,
          clusters: Optional[int] = None, batch_size: int = BATCH_SIZE, num_workers: Optional[int] = None,
          most: Optional[int] = None) -> Optional[Embeddings]:
    """Embed all images below a folder, by all processes together.

    Args:
        checkpoint: Of a pretraining, or an export of one.
        out: A ``.parquet`` or ``.npz`` file. The vectors then stay on the disk while they are computed and written.
            None keeps them in memory.
        neighbors: Of each image, at most.
        clusters: Number of clusters. None takes the square root of the number of images.
        batch_size: Images that the network is given at once.
        num_workers: Workers of each process that read images. None takes as many as there are cores, up to 4.
        most: Images that are embedded, spread over the folder; None for all.

    Returns:
        The embeddings on the first process, None on the others. With ``out`` the vectors are those of a file that is
        gone; read them from ``out``.
    """
    check_whole('neighbors', neighbors, least=1)
    check_whole('clusters', clusters, least=1, optional=True)
    check_whole('batch_size', batch_size, least=1)
    check_whole('num_workers', num_workers, most=MOST_WORKERS, optional=True)
    if num_workers is None:
        num_workers = min(NUM_WORKERS, available_cores())
    if out is not None:
        check_out(out)
    dataset = build_source(dict(type='clim_mm.ImageFolder', data_root=folder), 'FOLDER')
    wanted = None if most is None or most >= len(dataset) else spread_ids(len(dataset), most)
    encoder = FileEncoder(checkpoint)
    near = None if out is None else osp.dirname(osp.abspath(out))
    if near is not None:
        os.makedirs(near, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix='.clim_mm_embed_', dir=near) as scratch:
        scratch = dist.all_gather_object(scratch, group=host_group())[0]  # the first process's
        found = _embedded(encoder, dataset, wanted, scratch, neighbors, clusters, batch_size, num_workers)
        if found is not None and out is not None:
            write_embeddings(found, out)
        elif found is not None:
            found = replace(found, vectors=np.array(found.vectors))
        dist.barrier(group=host_group())
    return found


def _embedded(encoder: FileEncoder, dataset: ImageFolder, wanted: Optional[np.ndarray], scratch: str,
              num_neighbors: int, num_clusters: Optional[int], batch_size: int,
              num_workers: int) -> Optional[Embeddings]:
    quarantine = Quarantine(len(dataset))
    shape, path = (len(dataset), encoder.dim), osp.join(scratch, 'by_id.npy')
    if dist.is_main_process():
        new_file(scratch, 'by_id', shape)
    dist.barrier(group=host_group())
    by_id = np.load(path, mmap_mode='r+')
    encoding = Encoding(encoder, encoder.views(dataset, quarantine=quarantine), batch_size, num_workers, ids=wanted)
    for ids, rows in encoding:
        by_id[ids.numpy()] = rows.numpy()
    by_id.flush()
    encoding.finish()
    dist.barrier(group=host_group())
    if not dist.is_main_process():
        return None
    readable = quarantine.readable if wanted is None else np.intersect1d(quarantine.readable, wanted)
    unreadable = tuple(quarantine.entries[i] for i in sorted(quarantine.entries))
    if len(readable) == 0:
        raise DataError(f'None of the {len(dataset)} images in {dataset.data_root} can be read (the first is '
                        f'{unreadable[0].replace(chr(9), ": ")}): give a folder of images.')
    vectors = by_id
    for row, i in enumerate(readable.tolist()):  # upwards, so that no row is written over before it has moved
        if row != i:
            vectors[row] = by_id[i]
    vectors = vectors[:len(readable)]
    found = find(vectors, num_neighbors, min(num_clusters or default_num_clusters(len(readable)), len(readable)),
                 scratch)
    return Embeddings(dataset, readable, vectors, found.clusters, found.neighbors, found.distances, found.recall,
                      unreadable, encoder.header)
