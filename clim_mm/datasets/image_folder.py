"""A plain folder of images, without labels."""

from mmengine.dataset import BaseDataset
from mmengine.fileio import get_file_backend

from clim_mm.registry import DATASETS

IMAGE_EXTENSIONS = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif', '.tiff', '.webp')


@DATASETS.register_module()
class ImageFolder(BaseDataset):
    """All images below a folder, at any depth, in the order of their paths.

    For images with labels take ``mmcls.CustomDataset`` (a folder a class), for a list of paths
    :class:`ImageList`.

    Args:
        data_root: The folder.
        data_prefix: A folder below it. Defaults to the folder itself.
        **kwargs: As for :class:`mmengine.dataset.BaseDataset`.
    """

    def __init__(self, data_root: str, data_prefix: str = '', **kwargs) -> None:
        super().__init__(data_root=data_root, data_prefix=dict(img_path=data_prefix), **kwargs)

    def load_data_list(self) -> list[dict]:
        """List the images' paths."""
        folder = self.data_prefix['img_path']
        backend = get_file_backend(folder)
        files = backend.list_dir_or_file(folder, list_dir=False, list_file=True, recursive=True)
        paths = [backend.join_path(folder, file) for file in sorted(files) if file.lower().endswith(IMAGE_EXTENSIONS)]
        if not paths:
            raise ValueError(f'there is no file that ends in {", ".join(IMAGE_EXTENSIONS)}.')
        return [dict(img_path=path) for path in paths]
