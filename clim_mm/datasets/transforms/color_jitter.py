"""Brightness, contrast, saturation and hue at random."""

from mmselfsup.datasets.transforms import ColorJitter as PillowColorJitter

from clim_mm.registry import TRANSFORMS

from .color import brightened, contrasted, hue_shifted, saturated

_OPERATIONS = (brightened, contrasted, saturated, hue_shifted)


@TRANSFORMS.register_module()
class ColorJitter(PillowColorJitter):
    """``mmselfsup.ColorJitter`` by OpenCV: the same draws, the same operations in the same order, some 9 times as fast.

    Args:
        brightness, contrast, saturation, hue: As there. Strengths of 0.4, 0.4, 0.4 and 0.1 [moco].
    """

    def transform(self, results: dict) -> dict:
        """Change ``img``, (H, W, 3) uint8, BGR; or only note the draws in ``drawn``, if it is there."""
        *factors, order = self.get_params(self.brightness, self.contrast, self.saturation, self.hue)
        if 'drawn' in results:
            return dict(results, drawn=results['drawn'].with_jitter(factors, order))
        image = results['img']
        for number in order:
            if factors[number] is not None:
                image = _OPERATIONS[number](image, factors[number])
        return dict(results, img=image)
