"""Where an export goes."""

import os

import pytest
from gloo import CONTEXT
from written_checkpoints import contents

from clim_mm.errors import CheckpointError, ConfigError, sentence
from clim_mm.export.placing import check_place, place_folder

FILES = {'config.json': b'{}', 'model.safetensors': b'weights'}


def refusal(out, is_folder=False, force=False):
    with pytest.raises(ConfigError) as raised:
        check_place(str(out), is_folder, force)
    return sentence(raised.value)


def test_free_places(tmp_path):
    (tmp_path / 'empty').mkdir()
    check_place(str(tmp_path / 'x.pth'), False, False)
    check_place(str(tmp_path / 'new' / 'x.pt'), False, False)
    check_place(str(tmp_path / 'x'), True, False)
    check_place(str(tmp_path / 'empty'), True, False)


def test_names_that_tell_another_kind(tmp_path):
    for name in ('x.pkl', 'x.safetensors', 'x', 'x.pth/'):
        assert 'let it end in .pth' in refusal(tmp_path / name if '/' not in name else f'{tmp_path}/{name}')


def test_what_is_in_the_way(tmp_path, export18):
    (tmp_path / 'folder.pth').mkdir()
    (tmp_path / 'file').write_text('x')
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'thesis.tex').write_text('x')
    (tmp_path / 'other.pth').write_text('x')
    (tmp_path / 'link.pth').symlink_to(tmp_path / 'nowhere')
    assert refusal(tmp_path / 'folder.pth').endswith('is a folder: give the name of a file.')
    assert refusal(tmp_path / 'file', is_folder=True, force=True).endswith('is a file: give the name of a folder.')
    assert '--force to replace it' in refusal(tmp_path / 'mine', is_folder=True)
    assert '--force to replace it' in refusal(tmp_path / 'other.pth')
    assert '--force to replace it' in refusal(tmp_path / 'link.pth')
    assert 'is not an export of this command' in refusal(tmp_path / 'mine', is_folder=True, force=True)
    assert 'is not an export of this command' in refusal(tmp_path / 'other.pth', force=True)
    for target in ('torchvision', 'huggingface'):
        path, _ = export18(target)
        is_folder = target == 'huggingface'
        assert '--force to replace it' in refusal(path, is_folder)
        check_place(path, is_folder, force=True)


def test_a_folder_is_there_as_a_whole(tmp_path):
    out = tmp_path / 'deep' / 'model'
    place_folder(f'{out}/', FILES)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == FILES
    assert os.listdir(tmp_path / 'deep') == ['model']


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    place_folder(str(tmp_path / 'model'), dict(FILES, old=b'x'))
    left = tmp_path / '.model.01234567.unfinished'  # as a process leaves it that was killed
    left.mkdir()
    (left / 'lock').touch()
    (left / 'half').write_text('x')
    place_folder(str(tmp_path / 'model'), dict(FILES, new=b'x'))
    assert set(contents(tmp_path)) == {'model/config.json', 'model/model.safetensors', 'model/new'}


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / 'file').write_text('x')
    before = contents(tmp_path)
    with pytest.raises(CheckpointError):
        place_folder(str(tmp_path / 'file' / 'model'), FILES)
    assert contents(tmp_path) == before


def test_what_was_there_stays_if_the_new_one_cannot_be_written(tmp_path):
    place_folder(str(tmp_path / 'model'), FILES)
    before = contents(tmp_path)
    with pytest.raises(CheckpointError):
        place_folder(str(tmp_path / 'model'), {'a': b'x', 'a/b': b'x'})
    assert contents(tmp_path) == before


@pytest.mark.e2e
def test_processes_that_write_one_folder_at_a_time(tmp_path):
    out = tmp_path / 'model'
    writers = [CONTEXT.Process(target=place_often, args=(str(out), bytes([n]))) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    assert os.listdir(tmp_path) == ['model']
    assert len({path.read_bytes() for path in out.iterdir()}) == 1, 'files of two writers in one folder'


def place_often(out, content):
    for _ in range(15):
        place_folder(out, {'a': content, 'b': content, 'c': content})
