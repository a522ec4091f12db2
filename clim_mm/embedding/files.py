"""Embeddings as files: Parquet for tables, NPZ for numpy."""

import json
import os
import os.path as osp
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from clim_mm.errors import ConfigError, printable

from .embeddings import Embeddings

ENDINGS = ('.parquet', '.npz')
_ROWS_AT_ONCE = 4096


def check_out(path: str) -> None:
    """Check that a file of embeddings can have this name."""
    if not path.endswith(ENDINGS):
        raise ConfigError(f'--out {path}: embeddings are written as {" or ".join(ENDINGS)}, so let it end so.')
    if osp.isdir(path):
        raise ConfigError(f'--out {path} is a folder: give the name of a file.')


def write_embeddings(found: Embeddings, path: str) -> None:
    """Write the file, which takes its name when it is complete; one that is there gives way to it."""
    check_out(path)
    with _unfinished(path) as new:
        (_write_parquet if path.endswith('.parquet') else _write_npz)(found, new)


def text_of(path: str) -> str:
    """A path as it is, if it is text; with escapes for bytes that are none."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return printable(path)
    return path


@contextmanager
def _unfinished(path: str) -> Iterator[str]:
    """A name beside ``path`` to write to, which becomes ``path`` unless an error is raised."""
    folder, name = osp.split(osp.abspath(path))
    new = osp.join(folder, f'.{secrets.token_hex(4)}.{name}')
    try:
        yield new
        os.replace(new, path)
    finally:
        with suppress(FileNotFoundError):
            os.remove(new)


def _facts(found: Embeddings) -> dict[str, str]:
    header = {name: value for name, value in found.header.items() if name != 'config'}
    return dict(folder=printable(found.folder), recall=str(found.recall), unreadable=json.dumps(found.unreadable),
                encoder=json.dumps(dict(header, config=found.header.get('config', {}).get('name')), default=str))


def _write_parquet(found: Embeddings, path: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    dim = found.vectors.shape[1]
    schema = pa.schema([
        ('path', pa.string()), ('vector', pa.list_(pa.float32(), dim)), ('cluster', pa.int32()),
        ('neighbors', pa.list_(pa.int32())), ('distances', pa.list_(pa.float32()))], metadata=_facts(found))

    def lists(rows: np.ndarray, there: np.ndarray) -> Any:
        return pa.array([row[kept] for row, kept in zip(rows, there, strict=True)])

    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, len(found.paths), _ROWS_AT_ONCE):
            block = slice(start, start + _ROWS_AT_ONCE)
            there = found.neighbors[block] >= 0
            vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.ravel(found.vectors[block])), dim)
            writer.write_table(pa.table([
                pa.array(map(text_of, found.paths[block]), pa.string()), vectors, pa.array(found.clusters[block]),
                lists(found.neighbors[block], there).cast(schema.field('neighbors').type),
                lists(found.distances[block], there).cast(schema.field('distances').type)], schema=schema))


def _write_npz(found: Embeddings, path: str) -> None:
    with open(path, 'wb') as file:  # by its name numpy would add an ending
        np.savez(file, path=np.array([text_of(name) for name in found.paths]), vector=found.vectors,
                 cluster=found.clusters, neighbors=found.neighbors, distances=found.distances,
                 facts=json.dumps(_facts(found)))
