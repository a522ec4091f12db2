"""From a checkpoint to a file, and what is refused."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from mmselfsup.models.backbones import ResNetV1d
from written_checkpoints import checkpoint_of, config_text, contents, written

from clim_mm.checkpoints.atomic_write import file_sha256
from clim_mm.checkpoints.backbone import header_in
from clim_mm.errors import CheckpointError, ConfigError, UserError, sentence
from clim_mm.export import FORMATS, export, read_header, weights_sha256
from clim_mm.export.checkpoint_export import check_place, place
from clim_mm.version import __version__

pytestmark = pytest.mark.usefixtures('one_torch_thread')


def test_the_query_encoders_backbone_is_taken(export18, resnet18):
    loaded = torch.load(export18('torchvision')[0], weights_only=True)
    assert list(loaded) == list(resnet18.state_dict())
    assert torch.equal(loaded['conv1.weight'], resnet18.conv1.weight)  # the momentum encoder's is one higher


def test_the_hash_of_a_file(tmp_path):
    content = bytes(range(256)) * 5000  # of more than a block
    (tmp_path / 'x').write_bytes(content)
    assert file_sha256(tmp_path / 'x') == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize('target', [
    pytest.param(name, marks=pytest.mark.e2e) if form.write is None else name for name, form in FORMATS.items()])
def test_each_file_brings_its_header_along(target, export18, checkpoint18):
    path, exported = export18(target)
    header = read_header(path)
    assert exported.difference <= 1e-5 and exported.num_tensors == (100 if target == 'detectron2' else 120)
    assert header == exported.header and json.loads(json.dumps(header)) == header
    assert (header['target'], header['architecture'], header['clim_mm']) == (target, 'resnet18', __version__)
    assert (header['epochs'], header['date']) == (200, '20260109_101112')
    assert header['config']['name'] == 'clim_r50_16xb32-200e_in1k'
    assert header['config']['model']['backbone']['depth'] == 18
    assert header['checkpoint_sha256'] == file_sha256(checkpoint18)
    assert header['input'].pop('view')[1] == dict(type='CenterView', edge=256, crop_size=224)
    assert header['input'] == dict(
        channel_order='RGB', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], size=224)
    assert header['parity']['most'] == 1e-5


def test_the_weights_of_the_file_have_the_hash_of_its_header(export18):
    path, exported = export18('timm')
    assert weights_sha256(torch.load(path, weights_only=True)) == exported.header['weights_sha256']


def test_files_without_a_header(tmp_path, resnet18):
    torch.save(resnet18.state_dict(), tmp_path / 'plain.pth')
    assert read_header(tmp_path / 'plain.pth') is None
    assert header_in(checkpoint_of(resnet18)) is None
    assert header_in(dict(clim_mm='0.1.0', meta=[], state_dict={})) is None


def test_the_same_checkpoint_gives_the_same_bytes(checkpoint18, export18, tmp_path):
    path, _ = export18('mmdet')
    export(checkpoint18, 'mmdet', str(tmp_path / 'new' / 'again.pth'))
    with open(path, 'rb') as first, open(tmp_path / 'new' / 'again.pth', 'rb') as second:
        assert first.read() == second.read()
    assert os.listdir(tmp_path / 'new') == ['again.pth']


def test_an_export_is_replaced_if_that_is_wanted(checkpoint18, export18, tmp_path):
    out = str(tmp_path / 'out.pth')
    shutil.copy(export18('timm')[0], out)
    assert '--force replaces an earlier export' in refusal(checkpoint18, 'torchvision', out)
    export(checkpoint18, 'torchvision', out, force=True)
    assert read_header(out)['target'] == 'torchvision'
    folder = shutil.copytree(export18('huggingface')[0], tmp_path / 'folder')
    (folder / 'config.json').unlink()
    export(checkpoint18, 'huggingface', str(folder), force=True)
    assert sorted(os.listdir(folder)) == sorted(os.listdir(export18('huggingface')[0])), 'the one that lacked a file'
    assert sorted(os.listdir(tmp_path)) == ['folder', 'out.pth']


def test_weights_that_were_wrapped(resnet18, tmp_path):
    held = checkpoint_of(resnet18)
    held['state_dict'] = {f'module.{name}': value for name, value in held['state_dict'].items()}
    torch.save(held, tmp_path / 'x.pth')
    assert export(str(tmp_path / 'x.pth'), 'torchvision', str(tmp_path / 'out.pth')).num_tensors == 120


def refusal(checkpoint, target='torchvision', out=None, **options):
    """The sentence, with which nothing is written."""
    folder = os.path.dirname(str(checkpoint)) if out is None else os.path.dirname(out)
    before = sorted(os.listdir(folder))
    with pytest.raises(UserError) as raised:
        export(str(checkpoint), target, out or os.path.join(folder, 'out.pth'), **options)
    assert sorted(os.listdir(folder)) == before
    text = sentence(raised.value)
    assert str(raised.value) == text, 'one line'
    return text


@pytest.mark.parametrize('target', ['torchvision', 'timm', 'detectron2', 'mmdet'])
def test_what_is_an_export_already(export18, target, tmp_path):
    path, _ = export18(target)
    text = refusal(path, 'timm', str(tmp_path / 'out.pth'))
    assert text.endswith('give the checkpoint as the pretraining wrote it, no export.')


@pytest.mark.parametrize('length', [0, 3, 1000, 0.5, 0.999])
def test_a_file_that_is_cut_off(checkpoint18, tmp_path, length):
    with open(checkpoint18, 'rb') as file:
        content = file.read()
    cut = tmp_path / 'epoch_200.pth'
    cut.write_bytes(content[:length if isinstance(length, int) else int(len(content) * length)])
    text = refusal(cut)
    assert text.startswith(f'The checkpoint {cut} is cut off or damaged (')


def test_no_such_checkpoint(tmp_path):
    assert refusal(tmp_path / 'no.pth').startswith(f'There is no checkpoint {tmp_path}/no.pth')
    (tmp_path / 'work_dir').mkdir()
    assert f'There is no checkpoint {tmp_path}/work_dir' in refusal(tmp_path / 'work_dir')


def test_another_stem(tmp_path):
    text = refusal(written(tmp_path / 'x.pth', ResNetV1d(depth=18), config_text(18, type='mmselfsup.ResNetV1d')))
    assert text.startswith(f'The backbone of {tmp_path}/x.pth is no plain ResNet')


@pytest.mark.parametrize('settings', [
    dict(strides=(1, 2, 2, 1)), dict(dilations=(1, 1, 1, 2)), dict(norm_cfg=dict(type='BN', eps=0.001)),
    dict(conv_cfg=dict(type='ConvWS'))])
def test_a_computation_that_the_weights_do_not_show(resnet18, settings, tmp_path):
    text = refusal(written(tmp_path / 'x.pth', resnet18, config_text(18, **settings)))
    assert 'the backbone has strides, dilations or norms of its own' in text


def test_weights_that_are_not_finite(resnet18, tmp_path):
    held = checkpoint_of(resnet18)
    held['state_dict']['backbone.layer1.0.bn1.bias'] = torch.full((64, ), float('nan'))
    torch.save(held, tmp_path / 'x.pth')
    assert 'differ from the original by nan' in refusal(tmp_path / 'x.pth')


def test_the_checkpoint_itself_and_unknown_libraries(checkpoint18, tmp_path):
    folder = Path(checkpoint18).parent
    before = contents(folder)
    text = refusal(checkpoint18, out=checkpoint18, force=True)
    assert 'is there already: give another name' in text
    assert contents(folder) == before
    assert "did you mean 'torchvision'?" in refusal(checkpoint18, 'torchvison', str(tmp_path / 'out.pth'))


def test_the_place_is_looked_at_before_the_checkpoint_is_read(tmp_path):
    assert 'let it end in .pth' in refusal(tmp_path / 'no.pth', out=str(tmp_path / 'out.pkl'))


FILE, FOLDER = FORMATS['torchvision'].endings, FORMATS['huggingface'].endings
FILES = {'config.json': b'{}', 'model.safetensors': b'weights'}


def refused_place(out, endings=FILE, force=False):
    with pytest.raises(ConfigError) as raised:
        check_place(str(out), endings, force)
    return sentence(raised.value)


def test_free_places(tmp_path):
    check_place(str(tmp_path / 'x.pth'), FILE, False)
    check_place(str(tmp_path / 'new' / 'x.pt'), FILE, False)
    check_place(str(tmp_path / 'x'), FOLDER, False)


def test_names_that_tell_another_kind(tmp_path):
    for name in ('x.pkl', 'x.safetensors', 'x', 'x.pth/'):
        assert 'let it end in .pth' in refused_place(f'{tmp_path}/{name}')


def test_what_is_in_the_way(tmp_path, export18):
    (tmp_path / 'folder.pth').mkdir()
    (tmp_path / 'file').write_text('x')
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'thesis.tex').write_text('x')
    (tmp_path / 'other.pth').write_text('x')
    (tmp_path / 'other.pt2').write_text('x')
    (tmp_path / 'model.safetensors').write_text('x')
    (tmp_path / 'link.pth').symlink_to(tmp_path / 'nowhere')
    for name, endings in (('folder.pth', FILE), ('file', FOLDER), ('mine', FOLDER), ('other.pth', FILE),
                          ('link.pth', FILE), ('other.pt2', ('.pt2', )), ('model.safetensors', FOLDER),
                          ('', FOLDER)):
        for force in (False, True):
            assert 'is there already: give another name' in refused_place(tmp_path / name, endings, force)
    for target in ('torchvision', 'huggingface'):
        path, _ = export18(target)
        endings = FORMATS[target].endings
        assert '--force replaces an earlier export' in refused_place(path, endings)
        check_place(path, endings, force=True)


def written_to(out, files, check=lambda path: 0.0):
    return place(str(out), files, check)


def test_a_folder_is_there_as_a_whole(tmp_path):
    out = tmp_path / 'deep' / 'model'
    seen = []
    assert written_to(f'{out}/', FILES, lambda path: seen.append((out.exists(), contents(Path(path)))) or 0.5) == 0.5
    assert {path.name: path.read_bytes() for path in out.iterdir()} == FILES
    assert seen == [(False, contents(out))], 'checked before it has its name'
    assert os.listdir(tmp_path / 'deep') == ['model']


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    written_to(tmp_path / 'model', dict(FILES, old=b'x'))
    written_to(tmp_path / 'model', dict(FILES, new=b'x'))
    assert set(contents(tmp_path)) == {'model/config.json', 'model/model.safetensors', 'model/new'}


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / 'file').write_text('x')
    before = contents(tmp_path)
    with pytest.raises(CheckpointError):
        written_to(tmp_path / 'file' / 'model', FILES)
    assert contents(tmp_path) == before


def test_what_was_there_stays_if_the_new_one_cannot_be_written_or_is_wrong(tmp_path):
    def wrong(path):
        raise CheckpointError('it differs')

    written_to(tmp_path / 'model', FILES)
    written_to(tmp_path / 'x.pth', {'': b'old'})
    before = contents(tmp_path)
    with pytest.raises(CheckpointError):
        written_to(tmp_path / 'model', {'a': b'x', 'a/b': b'x'})
    for name, files in (('model', dict(FILES, new=b'x')), ('x.pth', {'': b'new'})):
        with pytest.raises(CheckpointError, match='it differs'):
            written_to(tmp_path / name, files, wrong)
    assert contents(tmp_path) == before and sorted(os.listdir(tmp_path)) == ['model', 'x.pth']
