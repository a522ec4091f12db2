"""MMEngine's scalars on the local disk, which no full disk cuts in two."""

from mmengine.visualization import LocalVisBackend as PlainVisBackend

from clim_mm.registry import VISBACKENDS

from .json_lines import append_json_line


@VISBACKENDS.register_module()
class LocalVisBackend(PlainVisBackend):
    """``mmengine.LocalVisBackend`` whose scalars are appended as all records are: by :func:`append_json_line`."""

    def _dump(self, value_dict: dict, file_path: str, file_format: str) -> None:
        append_json_line(file_path, value_dict)
