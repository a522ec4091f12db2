"""From a checkpoint to a file, and what is refused."""

import os
import shutil
from pathlib import Path

import pytest
import torch
from mmcls.models.backbones import ResNet_CIFAR
from mmselfsup.models.backbones import ResNetV1d
from written_checkpoints import checkpoint_of, config_text, contents, written

from clim_mm.errors import CheckpointError, ConfigError, UserError, sentence
from clim_mm.export import FORMATS, export, read_header
from clim_mm.export.checkpoint_export import check_place, place_folder

pytestmark = pytest.mark.usefixtures('one_torch_thread')


def test_the_query_encoders_backbone_is_taken(export18, resnet18):
    loaded = torch.load(export18('torchvision')[0], weights_only=True)
    assert list(loaded) == list(resnet18.state_dict())
    assert torch.equal(loaded['conv1.weight'], resnet18.conv1.weight)  # the momentum encoder's is one higher


def test_what_is_returned(export18):
    for target in ('timm', 'huggingface'):
        path, exported = export18(target)
        assert exported.difference <= 1e-5 and exported.num_tensors == 120
        assert exported.header == read_header(path)


def test_the_same_checkpoint_gives_the_same_bytes(checkpoint18, export18, tmp_path):
    path, _ = export18('mmdet')
    export(checkpoint18, 'mmdet', str(tmp_path / 'new' / 'again.pth'), depth=18)
    with open(path, 'rb') as first, open(tmp_path / 'new' / 'again.pth', 'rb') as second:
        assert first.read() == second.read()
    assert os.listdir(tmp_path / 'new') == ['again.pth']


def test_an_export_is_replaced_if_that_is_wanted(checkpoint18, export18, tmp_path):
    out = str(tmp_path / 'out.pth')
    shutil.copy(export18('timm')[0], out)
    assert '--force to replace it' in refusal(checkpoint18, 'torchvision', out)
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


@pytest.mark.parametrize('target', [target for target in FORMATS if target != 'torch'])
def test_what_is_an_export_already(export18, target, tmp_path):
    path, _ = export18(target)
    text = refusal(path, 'timm', str(tmp_path / 'out.pth'))
    assert f'is already an export to {target}: give the checkpoint that it was made of' in text


def test_a_safetensors_file_is_an_export_too(export18, tmp_path):
    path, _ = export18('huggingface')
    text = refusal(f'{path}/model.safetensors', 'timm', str(tmp_path / 'out.pth'))
    assert 'model.safetensors is already an export to huggingface' in text


def test_somebody_elses_safetensors_file(tmp_path):
    from safetensors.torch import save_file
    save_file({'x': torch.zeros(2)}, tmp_path / 'model.safetensors')
    for path in (tmp_path / 'model.safetensors', tmp_path):
        text = refusal(path, out=str(tmp_path / 'out.pth'))
        assert 'has weights and no training' in text


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
    assert refusal(tmp_path / 'no.safetensors').startswith(f'There is no checkpoint {tmp_path}/no.safetensors')
    (tmp_path / 'work_dir').mkdir()
    assert f'There is no checkpoint {tmp_path}/work_dir' in refusal(tmp_path / 'work_dir')


def test_no_backbone(resnet18, tmp_path):
    for name, held in {
            'weights': dict.fromkeys(resnet18.state_dict(), torch.zeros(1)),
            'neck': dict(checkpoint_of(resnet18), state_dict={'neck.fc.weight': torch.zeros(2, 2)}),
            'empty': dict(checkpoint_of(resnet18), state_dict={}),
            'words': dict(checkpoint_of(resnet18), state_dict={'backbone.conv1.weight': 'x'}),
    }.items():
        torch.save(held, tmp_path / f'{name}.pth')
        path = tmp_path / f'{name}.pth'
        assert refusal(path).startswith(f'{path} has no backbone (none of its weights has a name that begins with')


def test_no_config_of_the_training(resnet18, tmp_path):
    path = written(tmp_path / 'x.pth', resnet18, meta={})
    assert 'has no config of its training that names a backbone' in refusal(path)


def test_another_depth_than_asked_for(checkpoint18, tmp_path):
    text = refusal(checkpoint18, out=str(tmp_path / 'out.pth'), depth=50)
    assert text.startswith(f'--depth 50: the backbone of {checkpoint18} is a ResNet of depth 18: give another')


@pytest.mark.parametrize('model, settings, words', [
    (lambda: ResNet_CIFAR(depth=18, stem_channels=16, base_channels=16),
     dict(depth=18, type='mmcls.ResNet_CIFAR', stem_channels=16, base_channels=16),
     'it is a mmcls.ResNet_CIFAR; stem_channels=16; base_channels=16'),
    (lambda: ResNetV1d(depth=18), dict(depth=18, type='mmselfsup.ResNetV1d'), 'it is a mmselfsup.ResNetV1d'),
])
def test_another_stem(model, settings, words, tmp_path):
    text = refusal(written(tmp_path / 'x.pth', model(), config_text(**settings)))
    assert text.startswith(f'The backbone of {tmp_path}/x.pth is no plain ResNet') and words in text


def test_a_stride_that_the_weights_do_not_show(resnet18, tmp_path):
    text = refusal(written(tmp_path / 'x.pth', resnet18, config_text(18, dilations=(1, 1, 1, 2))))
    assert 'dilations=(1, 1, 1, 2)' in text


def test_the_checkpoint_itself_and_unknown_libraries(checkpoint18, tmp_path):
    folder = Path(checkpoint18).parent
    before = contents(folder)
    text = refusal(checkpoint18, out=checkpoint18, force=True)
    assert 'is not an export of this command' in text
    assert contents(folder) == before
    assert "did you mean 'torchvision'?" in refusal(checkpoint18, 'torchvison', str(tmp_path / 'out.pth'))


def test_the_place_is_looked_at_before_the_checkpoint_is_read(tmp_path):
    assert 'let it end in .pth' in refusal(tmp_path / 'no.pth', out=str(tmp_path / 'out.pkl'))


FILE, FOLDER = FORMATS['torchvision'], FORMATS['huggingface']
FILES = {'config.json': b'{}', 'model.safetensors': b'weights'}


def refused_place(out, is_folder=False, force=False):
    with pytest.raises(ConfigError) as raised:
        check_place(str(out), FOLDER if is_folder else FILE, force)
    return sentence(raised.value)


def test_free_places(tmp_path):
    (tmp_path / 'empty').mkdir()
    check_place(str(tmp_path / 'x.pth'), FILE, False)
    check_place(str(tmp_path / 'new' / 'x.pt'), FILE, False)
    check_place(str(tmp_path / 'x'), FOLDER, False)
    check_place(str(tmp_path / 'empty'), FOLDER, False)


def test_names_that_tell_another_kind(tmp_path):
    for name in ('x.pkl', 'x.safetensors', 'x', 'x.pth/'):
        assert 'let it end in .pth' in refused_place(tmp_path / name if '/' not in name else f'{tmp_path}/{name}')


def test_what_is_in_the_way(tmp_path, export18):
    (tmp_path / 'folder.pth').mkdir()
    (tmp_path / 'file').write_text('x')
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'thesis.tex').write_text('x')
    (tmp_path / 'other.pth').write_text('x')
    (tmp_path / 'link.pth').symlink_to(tmp_path / 'nowhere')
    assert '--force to replace it' in refused_place(tmp_path / 'folder.pth')
    assert 'is not an export of this command' in refused_place(tmp_path / 'folder.pth', force=True)
    assert 'is not an export of this command' in refused_place(tmp_path / 'file', is_folder=True, force=True)
    assert '--force to replace it' in refused_place(tmp_path / 'mine', is_folder=True)
    assert '--force to replace it' in refused_place(tmp_path / 'other.pth')
    assert '--force to replace it' in refused_place(tmp_path / 'link.pth')
    assert 'is not an export of this command' in refused_place(tmp_path / 'mine', is_folder=True, force=True)
    assert 'is not an export of this command' in refused_place(tmp_path / 'other.pth', force=True)
    for target in ('torchvision', 'huggingface'):
        path, _ = export18(target)
        is_folder = target == 'huggingface'
        assert '--force to replace it' in refused_place(path, is_folder)
        check_place(path, FORMATS[target], force=True)


def test_a_folder_is_there_as_a_whole(tmp_path):
    out = tmp_path / 'deep' / 'model'
    place_folder(f'{out}/', FILES)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == FILES
    assert os.listdir(tmp_path / 'deep') == ['model']


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    place_folder(str(tmp_path / 'model'), dict(FILES, old=b'x'))
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
