"""The installed package: what MIM and MMEngine find in it."""

import subprocess
import sys
import zipfile

import pytest
from mmengine.config import Config
from trained import ROOT

pytestmark = pytest.mark.e2e


@pytest.fixture(scope='module')
def installed(tmp_path_factory):
    """A folder with the package as ``pip install`` lays it out, built from a copy of the sources."""
    folder = tmp_path_factory.mktemp('wheel')
    subprocess.run([sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--quiet', '-w', folder, ROOT], check=True)
    wheel, = folder.glob('clim_mm-*.whl')
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / 'site')
    return folder / 'site'


def test_the_package_brings_configs_tools_and_index(installed):
    mim = installed / 'clim_mm' / '.mim'
    assert (mim / 'model-index.yml').read_text() == (ROOT / 'model-index.yml').read_text()
    assert (mim / 'tools' / 'train.py').is_file()
    pages = {path.name for path in (installed / 'clim_mm' / 'visualization').glob('*.html')}
    assert pages == {'page.html', 'positives_page.html', 'clusters_page.html', 'duplicates_page.html', 'report.html'}
    config = 'clim/clim_r50_16xb32-1200e_in1k.py'
    packed, source = Config.fromfile(mim / 'configs' / config), Config.fromfile(ROOT / 'configs' / config)
    assert packed.pretty_text == source.pretty_text


def test_an_unlabelled_folder_of_ones_own(train, tmp_path, imagenet_like):
    config = tmp_path / 'mine.py'
    config.write_text(
        "_base_ = 'clim_mm::clim/clim_r50_16xb32-200e_in1k.py'\n"
        "train_dataloader = dict(dataset=dict(dataset=dict(_delete_=True, type='clim_mm.ImageFolder')))\n")
    result = train(tmp_path / 'work', 1, config=config)
    assert result.returncode == 0, result.stdout[-3000:]
    line = (tmp_path / 'work' / 'neighbors.jsonl').read_text()
    assert 'purity' not in line
