"""A plain folder of images, without labels."""

from mmengine.dataset import BaseDataset
from mmengine.fileio import join_path

from clim_mm.registry import DATASETS

from .listing import IMAGE_EXTENSIONS, list_images
from .tell_once import tell_once


@DATASETS.register_module()
class ImageFolder(BaseDataset):
    """All images below a folder, at any depth, in the order of their paths.

    For images with labels take :class:`ClassFolder` (a folder a class), for a list of paths :class:`ImageList`.

    Args:
        data_root: The folder.
        data_prefix: A folder below it. Defaults to the folder itself.
        **kwargs: As for :class:`mmengine.dataset.BaseDataset`.

    Attributes:
        left_out: What below the folder was passed over, in words; empty if nothing was.
    """

    left_out = ''

    def __init__(self, data_root: str, data_prefix: str = '', **kwargs) -> None:
        super().__init__(data_root=data_root, data_prefix=dict(img_path=data_prefix), **kwargs)

    def load_data_list(self) -> list[dict]:
        """List the images' paths."""
        folder = self.data_prefix['img_path']
        listing = list_images(folder)
        self.left_out = listing.left_out
        if not listing.images:
            left_out = f' (left out: {self.left_out})' if self.left_out else ''
            raise ValueError(f'there is no file that ends in {", ".join(IMAGE_EXTENSIONS)}{left_out}.')
        if self.left_out:
            tell_once(folder, f'{len(listing.images)} images in {folder}; left out: {self.left_out}.')
        return [dict(img_path=join_path(folder, path)) for path in listing.images]
