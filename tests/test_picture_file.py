"""Pictures as files."""

import pytest
from matplotlib.figure import Figure
from PIL import Image

from clim_mm.errors import ConfigError
from clim_mm.picture_file import check_picture, write_picture


@pytest.fixture
def figure():
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([0, 1])
    return figure


def test_the_ending_is_the_format_and_the_folder_is_made(figure, tmp_path):
    write_picture(figure, str(tmp_path / 'new/picture.PNG'), dpi=50)
    assert Image.open(tmp_path / 'new/picture.PNG').size == (100, 50)
    write_picture(figure, str(tmp_path / 'picture.svg'))
    assert '<svg' in (tmp_path / 'picture.svg').read_text()


@pytest.mark.parametrize('path', ['picture.gif', 'picture', 'png'])
def test_other_formats_are_refused_before_anything_is_written(figure, tmp_path, path):
    with pytest.raises(ConfigError, match='The ending of --out must be one of png, pdf, svg'):
        check_picture('--out', path)
    with pytest.raises(ConfigError, match='one of png, pdf, svg'):
        write_picture(figure, str(tmp_path / path))
    assert list(tmp_path.iterdir()) == []
