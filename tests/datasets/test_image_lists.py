"""Lists of images as people write them: read as they are meant, or refused at the line that is to blame."""

import os
import re

import pytest

from clim_mm.datasets import NeighborPairs, SingleViews
from clim_mm.datasets.source import build_source
from clim_mm.errors import DataError

PLAIN = ['cat/0.png', 'cat/a b.png', 'dog/3.png']
LABELS = [0, 0, 1]
LABELLED = [f'{name} {label}' for name, label in zip(PLAIN, LABELS, strict=True)]
WAYS = {
    'as it is': lambda lines: '\n'.join(lines),
    'a blank line': lambda lines: '\n'.join([lines[0], '', *lines[1:], '', ' ']),
    'a blank line first': lambda lines: '\n'.join(['', *lines]) + '\n\n',
    'lines of Windows': lambda lines: '\r\n'.join(lines) + '\r\n',
    'a mark of the encoding': lambda lines: '\ufeff' + '\n'.join(lines),
    'spaces at the ends': lambda lines: '\n'.join(f'  {line} \t' for line in lines),
    'comments': lambda lines: '\n'.join(['# The images', *lines, '  # end']),
    'tabs': lambda lines: '\n'.join('\t'.join(line.rsplit(' ', 1)) if line[-1] in '01' else line for line in lines),
    'commas': lambda lines: '\n'.join(','.join(line.rsplit(' ', 1)) if line[-1] in '01' else line for line in lines),
    'quotation marks': lambda lines: '\n'.join(re.sub('(.*png)', r'"\1"', line) for line in lines),
    'lines once more': lambda lines: '\n'.join([*lines, './' + lines[0], lines[1].replace('/', '//')]),
    'a line that is taken out': lambda lines: '\n'.join([*lines, '# cat/3.png 7', '#\tcat/3.png']),
    'several spaces': lambda lines: '\n'.join('   '.join(line.rsplit(' ', 1)) if line[-1] in '01' else line
                                              for line in lines),
}


@pytest.fixture
def listed(class_folder):
    """Write a list, and give the config of a dataset of a type."""
    (class_folder / 'cat' / '1.png').rename(class_folder / 'cat' / 'a b.png')

    def write(content, kind):
        path = class_folder.parent / 'list.txt'
        path.write_bytes(content if isinstance(content, bytes) else content.encode('utf-8', 'surrogateescape'))
        return dict(type=kind, data_root=str(class_folder.parent), data_prefix='images', ann_file='list.txt')

    return write


def names_and_labels(dataset, folder):
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    return [os.path.relpath(info['img_path'], folder) for info in infos], [int(info['gt_label']) for info in infos]


@pytest.mark.parametrize('kind', ['ImageList', 'mmselfsup.ImageList'])
@pytest.mark.parametrize('way', WAYS)
def test_every_way_to_write_a_list_with_labels(listed, class_folder, kind, way):
    found = names_and_labels(build_source(listed(WAYS[way](LABELLED), kind)), class_folder)
    assert found == (PLAIN, LABELS)


@pytest.mark.parametrize('kind', ['ImageList', 'mmselfsup.ImageList'])
@pytest.mark.parametrize('way', WAYS)
def test_every_way_to_write_a_list_without(listed, class_folder, kind, way):
    found = names_and_labels(build_source(listed(WAYS[way](PLAIN), kind)), class_folder)
    assert found == (PLAIN, [-1] * 3)


def test_names_that_are_no_utf_8(listed, class_folder):
    name = b'cat/\xe9t\xe9 2.png'
    os.rename(os.fsencode(class_folder / 'cat' / '2.png'), os.path.join(os.fsencode(class_folder), name))
    for label in (b'', b' 3'):
        source = build_source(listed(b'dog/0.png' + label + b'\n' + name + label + b'\n', 'ImageList'))
        assert os.path.exists(source.get_data_info(1)['img_path'])


@pytest.mark.parametrize('kind', ['ImageList', 'mmselfsup.ImageList'])
@pytest.mark.parametrize('content, words', [
    ('cat/0.png 0\n\ncat/a b.png cat\n', r'Line 3 of .*list.txt \(cat/a b.png cat\) has no label, an unexpected or a '
     'second one: give every image one number from 0 on'),
    ('cat/0.png 0\ncat/a b.png 1.5\n', 'Line 2 of .* has no label'),
    ('cat/0.png\ndog/3.png 1\n', 'Line 2 of .* has no label, an unexpected'),
    ('path,label\ncat/0.png,0\n', 'Line 2 of .* has no label, an unexpected'),
    ('cat/0.png 0\n./cat/0.png 1\n', 'Line 2 of .* or a second one'),
    ('cat/0.png -7\n', 'Line 1 of .* an unexpected'),
    ('\n  \n# nothing\n', 'list.txt names no image: write a path in each line'),
    ('', 'list.txt names no image'),
    (b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR', 'list.txt cannot be read .it is no UTF-8 text.: give the path of a text file'),
])
def test_what_cannot_be_meant_is_told_with_its_line(listed, kind, content, words):
    with pytest.raises(DataError, match=words) as refusal:
        build_source(listed(content, kind))
    assert '\n' not in str(refusal.value)


def test_pairs_and_views_of_a_list(listed):
    cfg = listed(WAYS['a blank line'](PLAIN), 'mmselfsup.ImageList')
    assert len(SingleViews(cfg, [dict(type='clim_mm.LoadImage')])) == 3
    assert len(NeighborPairs(cfg, [dict(type='clim_mm.LoadImage')])) == 3
