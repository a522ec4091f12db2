"""Lists with pseudo-labels: images with another label than that of their folder."""

import pytest

from clim_mm.datasets import LabelSplit
from clim_mm.datasets.image_lists import as_list
from clim_mm.errors import DataError


def split(folder, *lines, comment=''):
    path = folder.parent / 'list.txt'
    path.write_bytes(as_list(lines, comment))
    return LabelSplit(data_prefix=str(folder), split=str(path))


def test_a_label_behind_a_tab_counts(class_folder):
    dataset = split(class_folder, 'cat/1.png', 'cat/2.png\t1', 'dog/0.png\t1', comment='self-training: 2 pseudo-labels')
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    assert [(info['gt_label'], info.get('is_pseudo', False)) for info in infos] == [(0, False), (1, True), (1, True)]
    assert dataset.metainfo['pseudo_labels'] == 2 and dataset.metainfo['classes'] == ('cat', 'dog')
    assert split(class_folder, 'cat/1.png').metainfo['pseudo_labels'] == 0


@pytest.mark.parametrize('lines, message', [
    (['cat/1.png\t1', 'cat/1.png\t0'], 'Line 2 of .* has a second or an unexpected label'),
    (['cat/1.png', 'cat/1.png\t0'], 'Line 2 of'),
    (['cat/1.png\tdog'], 'Line 1 of'),
    (['cat/1.png\t-1'], 'Line 1 of'),
    (['cat/1.png\t2'], '1 labels in .* are those of no class .cat/1.png.'),
])
def test_labels_that_mean_nothing(class_folder, lines, message):
    with pytest.raises(DataError, match=message):
        split(class_folder, *lines)


def test_a_line_break_in_a_name():
    with pytest.raises(DataError, match='line break in its name: rename it'):
        as_list(['a\nb.png'])
