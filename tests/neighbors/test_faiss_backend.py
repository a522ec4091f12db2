"""faiss at run time: there or not, its threads, and what it is handed."""

import sys

import faiss
import numpy as np
import pytest

from clim_mm.errors import MissingDependencyError
from clim_mm.neighbors import cluster
from clim_mm.neighbors.faiss_backend import as_float32_matrix, on_every_core, on_gpus


def test_without_faiss_the_error_gives_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, 'faiss', None)  # what Python itself notes for a package that must not be found
    with pytest.raises(MissingDependencyError, match='pip install "faiss-cpu.*pip install faiss-gpu-cu12'):
        cluster(np.eye(4, dtype=np.float32), 2)


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
    if faiss.get_num_gpus() == 0:
        assert on_gpus(index) is index
    else:
        assert on_gpus(index) is not index


@pytest.mark.parametrize('array', [np.arange(12.0).reshape(3, 4), np.arange(12).reshape(4, 3).T])
def test_a_matrix_becomes_contiguous_float32(array):
    matrix = as_float32_matrix(array)
    assert matrix.dtype == np.float32
    assert matrix.flags.c_contiguous
    np.testing.assert_array_equal(matrix, array)
