"""The largest picture that OpenCV decodes.

It admits 2^30 pixels, which are 3 GB in every DataLoader worker that meets such a file, and reads its limit from the
environment once, when it is loaded: import this module before anything that imports cv2.
"""

import os

os.environ.setdefault('OPENCV_IO_MAX_IMAGE_PIXELS', str(2**28))  # 16,384 x 16,384 [ours]
