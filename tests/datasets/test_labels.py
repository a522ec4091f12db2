"""Class labels where every image has one."""

import numpy as np
import pytest
from mmengine.dataset import BaseDataset

from clim_mm.datasets import labels_of
from clim_mm.datasets.source import build_source


class Listed(BaseDataset):
    """A dataset of given data infos."""

    def __init__(self, infos, **kwargs):
        self.infos = infos
        super().__init__(**kwargs)

    def load_data_list(self):  # noqa: D102
        return self.infos


def test_labels_of_class_folders(class_folder):
    labels = labels_of(build_source(dict(type='mmcls.CustomDataset', data_root=str(class_folder))))
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels, [0] * 6 + [1] * 6)


def test_a_plain_folder_has_none(class_folder):
    assert labels_of(build_source(dict(type='ImageFolder', data_root=str(class_folder)))) is None


@pytest.mark.parametrize('given, expected', [
    ([3, 0, 7], [3, 0, 7]),
    ([0, 0, 0], [0, 0, 0]),
    ([np.int64(2), 1, np.int32(0)], [2, 1, 0]),
    ([3, None, 7], None),
    ([None, None, None], None),
    ([3, -1, 7], None),
])
@pytest.mark.parametrize('serialize_data', [True, False])
def test_one_image_without_a_label_is_enough(given, expected, serialize_data):
    infos = [dict(img_path='x') if label is None else dict(img_path='x', gt_label=label) for label in given]
    labels = labels_of(Listed(infos, serialize_data=serialize_data))
    assert (None if labels is None else labels.tolist()) == expected
