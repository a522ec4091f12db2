"""SimCLR: two views of an image, or of an image and its positive, and the loss within the batch."""

from mmengine.model import BaseModel

from clim_mm.models.parts.contrastive_health import CONTRASTIVE
from clim_mm.models.parts.encoder import LAST, Encoder, embed
from clim_mm.registry import MODELS


@MODELS.register_module()
class ToySimCLR(BaseModel):
    """One encoder, without a momentum encoder and without a queue."""

    health_rules = CONTRASTIVE

    def __init__(self, backbone, neck, head, views=(0, 1), data_preprocessor=None, init_cfg=None):
        super().__init__(dict(dict(type='ViewPreprocessor'), **(data_preprocessor or {})), init_cfg)
        self.backbone, self.neck, self.head = (MODELS.build(part) for part in (backbone, neck, head))
        self.views = views  # names, or places of a list
        self.embedding_dim = neck['out_channels']

    def forward(self, inputs, data_samples=None, mode='tensor'):
        """The loss in mode ``loss``, else the backbone's maps."""
        if mode != 'loss':
            return self.backbone(inputs)
        first, second = (inputs[view] for view in self.views)
        if isinstance(first, list):  # named views have resolutions; the largest is the first
            first, second = first[0], second[0]
        a, b = (self.encoder('query')(x)[LAST] for x in (first, second))
        loss, relative_nce = self.head(a, b)
        similarity, std = (a * b).detach().sum(dim=1).mean(), a.detach().std(dim=0).mean() * a.shape[1]**0.5
        return dict(loss=loss, relative_nce=relative_nce, positive_similarity=similarity, feature_std=std)

    def encoder(self, name):
        """The only one there is."""
        return Encoder(self.backbone, self.neck)

    def embed_batch(self, batch, encoder='query', layer='embedding', amp=False, channels_last=False):
        """(N, d) features of the first view."""
        inputs, _ = self.data_preprocessor(batch)
        return embed(Encoder(self.backbone, self.neck, channels_last), inputs[0], layer, amp)
