"""A pipeline that fails says at which transform, and on which image."""

import pytest
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose

from clim_mm.datasets.single_views import run_pipeline
from clim_mm.errors import ConfigError, UnreadableImage


class Halve(BaseTransform):
    """Halves what it is given, if it can."""

    def transform(self, results):  # noqa: D102
        return dict(results, x=results['x'] / 2)


class Twice(BaseTransform):
    """Does another transform twice."""

    def __init__(self, inner):
        self.inner = inner

    def transform(self, results):  # noqa: D102
        return self.inner(self.inner(results))


def test_what_it_makes_is_given():
    assert run_pipeline(Compose([Halve(), Twice(Halve())]), dict(x=8), 3) == dict(x=1)


@pytest.mark.parametrize('pipeline', [[Halve()], [lambda results: results, Twice(Halve())]])
def test_the_innermost_transform_is_named(pipeline):
    with pytest.raises(ConfigError) as caught:
        run_pipeline(Compose(pipeline), dict(x='a\nb'), 3)
    assert str(caught.value) == ('The pipeline fails on the image with id 3 in Halve (TypeError: unsupported operand '
                                 'type(s) for /: \'str\' and \'int\').')
    assert isinstance(caught.value.__cause__, TypeError)


def test_a_function_has_no_name():
    with pytest.raises(ConfigError, match=r'id 3 \(KeyError: \'y\'\)\.$'):
        run_pipeline(Compose([lambda results: results['y']]), dict(x=1), 3)


def test_errors_about_the_image_stay_as_they_are():
    error = UnreadableImage.of('a.png', 'the file is empty')

    def fail(results):
        raise error

    with pytest.raises(UnreadableImage) as caught:
        run_pipeline(Compose([fail]), {}, 3)
    assert caught.value is error
