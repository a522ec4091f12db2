"""Views that are coloured, blurred, downsized and mixed on the device instead of in a worker.

A worker draws what is to happen to a view (:class:`PhotometricDraws`, :class:`Mixture`) and sends it beside the view
at its largest resolution (:class:`DeferredView`); ``rendered`` does it to a batch, without a loop over samples.
docs/device_views.md tells what differs from the workers'.
"""

from .deferred_view import DeferredView, Mixture, PhotometricDraws, RenderPlan
from .render import rendered

__all__ = ['DeferredView', 'Mixture', 'PhotometricDraws', 'RenderPlan', 'rendered']
