"""From the views of a pair to what a batch is made of."""

from mmselfsup.datasets.transforms import PackSelfSupInputs

from clim_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PackPair(PackSelfSupInputs):
    """Pack the query and the keys as MMSelfSup's algorithms expect them.

    ``inputs`` becomes a list of Q + 2|R| tensors, (3, r, r) uint8: the queries, then the anchor's key at every r of R,
    then the positive's. Q is |R|: the query at every r of R; or more with an unmixed term or with more crops for
    queries than for keys. ``data_samples`` carries ``sample_idx``, and as meta info ``positive_idx``, ``lam`` (a list,
    one for each query), ``table_version`` and ``unreadable``.
    """

    def __init__(self) -> None:
        super().__init__(
            algorithm_keys=['sample_idx'], meta_keys=['positive_idx', 'lam', 'table_version', 'unreadable'])

    def transform(self, results: dict) -> dict:
        """Give ``inputs`` and ``data_samples``."""
        lam = results['lam']
        if isinstance(lam, float):  # not mixed: the same for every query
            lam = [lam] * len(results['query'])
        return super().transform(
            dict(results, img=results['query'] + results['anchor_key'] + results['positive_key'], lam=lam))
