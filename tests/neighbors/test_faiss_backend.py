"""faiss at run time: there or not, its threads, and what it is handed."""

import sys

import faiss
import numpy as np
import pytest
import torch

from clim_mm.errors import MissingDependencyError
from clim_mm.neighbors import cluster, search
from clim_mm.neighbors.faiss_backend import as_float32_matrix, load_faiss, num_gpus, on_every_core, on_gpus


def test_without_faiss_the_error_gives_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, 'faiss', None)  # what Python itself notes for a package that must not be found
    with pytest.raises(MissingDependencyError, match='pip install "faiss-cpu.*pip install "faiss-gpu'):
        cluster(np.eye(4, dtype=np.float32), 2)


@pytest.mark.parametrize('name, content, words', [
    # What is left of faiss-gpu, once faiss-cpu was installed over it and taken out again.
    ('_gpu_build.py', '', 'files are missing'),
    ('__init__.py', 'import math\nmath.delete_GpuResourcesVector', 'no attribute .delete_GpuResourcesVector'),
    ('__init__.py', 'raise ImportError("libcublas.so.12: no such file")', 'libcublas'),
])
def test_a_faiss_in_parts_is_said_in_a_sentence(monkeypatch, tmp_path, name, content, words):
    (tmp_path / 'faiss').mkdir()
    (tmp_path / 'faiss' / name).write_text(content)
    for loaded in [module for module in sys.modules if module.partition('.')[0] == 'faiss']:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setattr(sys, 'path', [str(tmp_path)])
    with pytest.raises(MissingDependencyError, match=f'not installed as a whole .*{words}.*pip uninstall -y faiss-cpu'):
        load_faiss()


def test_threads_go_back_also_after_an_error():
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        inside = on_every_core(faiss.omp_get_max_threads)()
        with pytest.raises(ZeroDivisionError):
            on_every_core(lambda: 1 // 0)()
        assert faiss.omp_get_max_threads() == 1
    finally:
        faiss.omp_set_num_threads(before)
    assert inside >= 1


def test_an_index_stays_on_the_cpu_where_faiss_has_no_gpu():
    index = faiss.IndexFlatL2(3)
    if num_gpus() == 0:
        assert on_gpus(index) is index
    else:
        assert on_gpus(index) is not index


@pytest.fixture
def counted_anew(monkeypatch):
    """Let the GPUs be counted anew, before and after the test, as with one that torch can use; what is told of them."""
    num_gpus.cache_clear()
    told = []
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr('clim_mm.neighbors.faiss_backend.print_log', lambda text, **kwargs: told.append(text))
    yield told
    num_gpus.cache_clear()


def test_a_faiss_without_gpus_is_told(counted_anew, monkeypatch):
    monkeypatch.setattr('clim_mm.neighbors.faiss_backend.gpu_fault', lambda: pytest.fail('tried'))
    monkeypatch.setattr(faiss, 'get_num_gpus', lambda: 0)
    assert num_gpus() == num_gpus() == 0
    told, = counted_anew
    assert told.startswith('This faiss knows no GPU: the CPU clusters and searches')


def test_faiss_is_not_asked_where_torch_can_use_no_gpu(counted_anew, monkeypatch):
    """It ends the process where the driver fails."""
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(faiss, 'get_num_gpus', lambda: pytest.fail('asked'))
    assert num_gpus() == 0


@pytest.mark.e2e
def test_a_gpu_that_cannot_be_used_leaves_the_work_to_the_cpu(counted_anew, monkeypatch, tmp_path):
    """There is one by faiss's word; the process that tries it, started from any folder, finds none, and ends."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('PYTHONPATH', raising=False)
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '-1')
    features = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    expected = cluster(features, 5)
    num_gpus.cache_clear()
    monkeypatch.setattr(faiss, 'get_num_gpus', lambda: 1)
    monkeypatch.setattr(faiss, 'index_cpu_to_all_gpus', lambda *args, **kwargs: pytest.fail('moved to the GPU'))
    assert num_gpus() == num_gpus() == 0
    np.testing.assert_array_equal(cluster(features, 5)[0], expected[0])
    assert search(features, 3).shape == (200, 3)
    _, told = counted_anew  # before, that faiss knows none
    assert told.startswith('faiss is not used on GPUs, since a small search there ended with status 1 (error: ')


@pytest.mark.parametrize('array', [np.arange(12.0).reshape(3, 4), np.arange(12).reshape(4, 3).T])
def test_a_matrix_becomes_contiguous_float32(array):
    matrix = as_float32_matrix(array)
    assert matrix.dtype == np.float32
    assert matrix.flags.c_contiguous
    np.testing.assert_array_equal(matrix, array)
