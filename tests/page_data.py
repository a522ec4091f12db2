"""What is inside a page of positives."""

import base64
import io
import json
import re

import numpy as np
from PIL import Image


def data_of(page):
    """The data that the page's script draws from."""
    text, = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, flags=re.DOTALL)
    return json.loads(text)


def pictures_of(data):
    """(side, side, 3) uint8, RGB, by id; None for an unreadable image."""
    pictures = {}
    for image_id, (_, _, _, tail, *_) in data['images'].items():
        file = None if tail is None else io.BytesIO(base64.b64decode(data['head'] + tail, validate=True))
        pictures[int(image_id)] = None if file is None else np.asarray(Image.open(file))
    return pictures
