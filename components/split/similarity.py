"""How alike two thumbnails are, up to brightness, contrast and a slight crop."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from components.split.fingerprints import EDGE

# Above it two thumbnails count as one photograph. Re-encoding, resizing, brightness by a fifth and
# crops up to 4 % a side leave at least 0.94 on photographs of 200 pixels and more (0.84 for 32x32
# pixels halved). Bins with an item moved and re-edited photographs lie between 0.85 and 0.97, and
# the two most alike of 748 airplane photographs, of different airplanes, at 0.86 and 0.89: no
# threshold parts these. It is low because the errors are not equal: two look-alikes kept
# together cost nothing, a copy on both sides of the split spoils the test.
SAME: Final = 0.85

_BLUR: Final = 3.0  # sigma in pixels; removes what look-alikes share: sky, shelf, lighting
_CROPS: Final = (0.0, 0.5, 1.0, 1.5)  # pixels cut from each side before comparing: 0 to 4.7 %
_SHIFT: Final = 1  # pixels that the compared windows may be shifted by
_MARGIN: Final = _SHIFT + 1
_MIN_CONTRAST: Final = 2.0  # gray levels; below it there is only noise to compare


def similarity(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return how alike thumbnail `left[i]` and `right[i]` are, (n,), -1 to 1; 1 is equal.

    The zero-mean normalized cross-correlation of the details (the picture less its blur),
    the best over slight crops of either picture and shifts by a pixel. Plain correlation of
    thumbnails cannot tell look-alikes from copies: a shared background outweighs the object.

    Args:
        left: (n, EDGE, EDGE) grayscale thumbnails.
        right: as many.
    """
    best = np.full(len(left), -1.0, np.float32)
    for fixed, moving in ((left, right), (right, left)):
        window = _normalized(_window(_details(fixed), 0, 0))
        for crop in _CROPS:
            cropped = _details(_cropped(moving, crop))
            for down in range(-_SHIFT, _SHIFT + 1):
                for across in range(-_SHIFT, _SHIFT + 1):
                    other = _normalized(_window(cropped, down, across))
                    best = np.maximum(best, np.einsum("nij,nij->n", window, other))
    return best


def _details(images: NDArray[np.generic]) -> NDArray[np.float32]:
    pixels = images.astype(np.float32)
    blurred: NDArray[np.float32] = gaussian_filter(pixels, (0, _BLUR, _BLUR))
    return pixels - blurred


def _cropped(images: NDArray[np.uint8], crop: float) -> NDArray[np.float32]:
    """Cut `crop` pixels from each side and enlarge to the old size (bilinear)."""
    weights = _interpolation(crop)
    resampled: NDArray[np.float32] = weights @ images.astype(np.float32) @ weights.T
    return resampled


def _interpolation(crop: float) -> NDArray[np.float32]:
    """Return the (EDGE, EDGE) matrix that resamples one axis; each row sums to 1."""
    scale = (EDGE - 2 * crop) / EDGE
    at = np.clip((np.arange(EDGE) + 0.5) * scale + crop - 0.5, 0, EDGE - 1)
    low = np.minimum(at.astype(int), EDGE - 2)
    weights = np.zeros((EDGE, EDGE), np.float32)
    weights[np.arange(EDGE), low] = 1 - (at - low)
    weights[np.arange(EDGE), low + 1] = at - low
    return weights


def _window(images: NDArray[np.float32], down: int, across: int) -> NDArray[np.float32]:
    rows = slice(_MARGIN + down, EDGE - _MARGIN + down)
    columns = slice(_MARGIN + across, EDGE - _MARGIN + across)
    return images[:, rows, columns]


def _normalized(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return windows with mean 0 and unit length (less where there is hardly any contrast)."""
    centred = windows - windows.mean((1, 2), keepdims=True)
    floor = _MIN_CONTRAST * np.sqrt(windows[0].size)
    length = np.sqrt(np.einsum("nij,nij->n", centred, centred))
    unit: NDArray[np.float32] = centred / np.maximum(length, floor)[:, None, None]
    return unit
