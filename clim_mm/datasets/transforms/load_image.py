"""Read an image, or say which one could not be read."""

from mmcv.transforms import LoadImageFromFile

from clim_mm.errors import DataError, on_one_line
from clim_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """mmcv's ``LoadImageFromFile``, whose every failure names the file and the remedy.

    Raises:
        DataError: If the file is missing, is no image, or is cut off.
    """

    def transform(self, results: dict) -> dict:
        """Add ``img``, (H, W, 3) uint8, BGR."""
        try:
            return super().transform(results)
        except Exception as error:  # the decoders raise whatever they like
            raise DataError(f'Cannot read the image {results["img_path"]} ({type(error).__name__}: '
                            f'{on_one_line(error)}): replace it or take it out of the data folder.') from error
