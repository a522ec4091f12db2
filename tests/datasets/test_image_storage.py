"""A storage that there is not is a setting's fault: no image goes into quarantine for it."""

import pytest
from colored_images import write_colored

from clim_mm.datasets import LoadImage, MultiRes, NeighborPairs, PackPair, PairViews
from clim_mm.datasets.image_folders import find_images
from clim_mm.datasets.transforms.load_image import backend_of
from clim_mm.errors import ConfigError


@pytest.fixture
def paths(tmp_path):
    return write_colored(tmp_path / 'images', 4)


BAD = [(dict(backend='locall'), "KeyError: 'locall'"), (dict(backend='local', host='x'), 'host'),
       (dict(host='x'), 'host')]


@pytest.mark.parametrize('backend_args, words', BAD)
def test_no_image_is_blamed(paths, backend_args, words):
    load = LoadImage(backend_args=backend_args)
    pairs = NeighborPairs(dict(type='ImageFolder', data_root=str(paths[0].parent)),
                          [PairViews([load], [MultiRes((10, 8))]), PackPair()])
    with pytest.raises(ConfigError, match=words):
        pairs[0]


def test_an_unknown_beginning_of_a_path():
    with pytest.raises(ConfigError, match="KeyError: 's4"):
        find_images('s4://bucket/images')


def test_one_backend_a_process_and_setting(paths):
    assert backend_of(str(paths[0])) is backend_of(str(paths[1]))
    assert backend_of(str(paths[0])).get(str(paths[0])) == paths[0].read_bytes()
