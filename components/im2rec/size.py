"""The size an image is to have in its record."""

from components.im2rec.config import Im2RecSection

Size = tuple[int, int]  # width, height, pixels


def target_size(size: Size, section: Im2RecSection) -> Size:
    """Return the size that an image of this size gets; to pass through, its own."""
    width, height = size
    if section.fit == "exact" and section.resize_to is not None:
        return section.resize_to
    scale = _scale(width, height, section)
    if scale == 1 or (scale > 1 and not section.enlarge):
        return size
    return max(1, round(width * scale)), max(1, round(height * scale))


def _scale(width: int, height: int, section: Im2RecSection) -> float:
    if section.resize is not None:
        return section.resize / min(width, height)
    if section.resize_to is not None:
        return min(section.resize_to[0] / width, section.resize_to[1] / height)
    return 1
