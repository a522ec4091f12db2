"""Whether a refresh gave positives that can be learned from, from the figures of its report."""

from collections.abc import Mapping

from clim_mm.health import COLLAPSING, HEALTHY, MOST, NOT_LEARNING, Health

# Entropy of the cluster sizes over that of equal ones [ours]. With half of the images in one cluster and the others
# spread evenly it is 0.6, at 1,000 clusters. Of two or three clusters one often holds most images; at 0.7 it has 81%.
UNEVEN = 0.7
COPIES = 0.1  # share of the images that have a copy, which is their own positive [ours]


def judge_refresh(report: Mapping[str, float]) -> Health:
    """Judge a refresh.

    Args:
        report: Figures of :func:`clim_mm.neighbors.refresh.refresh`: ``share_without_positive``,
            ``num_clusters``, ``empty_clusters``, ``cluster_balance`` and ``largest_cluster``, and, if
            known, ``share_with_copy``. Purity is not looked at:
            labels decide nothing.
    """
    signs = ''
    if report['empty_clusters'] > MOST * report['num_clusters']:  # faiss splits others to fill them, where it can
        signs = f'{report["empty_clusters"]:.0f} of {report["num_clusters"]:.0f} clusters are empty'
    elif report['largest_cluster'] > MOST and report['cluster_balance'] < UNEVEN:
        signs = (f'one cluster holds {report["largest_cluster"]:.0%} of the images (balance '
                 f'{report["cluster_balance"]:.2f} of 1)')
    if signs:
        return Health(
            COLLAPSING, 'clusters',
            f'Collapsing: {signs}, so most features are nearly the same: lower the learning rate or the weight decay, '
            'and look for duplicates in the data folder.')
    if report['share_without_positive'] > MOST:
        return Health(
            NOT_LEARNING, 'positives',
            f'Not learning from neighbours: {report["share_without_positive"]:.0%} of the images have no positive, and '
            'will be trained as by plain MoCo: set fewer clusters or more neighbours.')
    if report.get('share_with_copy', 0.0) > COPIES:
        return Health(
            NOT_LEARNING, 'positives',
            f'Not learning from neighbours: {report["share_with_copy"]:.0%} of the images have the same features as '
            'another image, as copies have, and are drawn to what they are already: look for duplicates in the data '
            'folder.')
    return Health(HEALTHY, '', 'Healthy: the clusters are even enough, and most images have positives.')
