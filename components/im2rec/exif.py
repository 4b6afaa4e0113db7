"""Whether a JPEG has to be turned before it is shown."""

import struct

_START, _SCAN, _APP1 = b"\xff\xd8", 0xDA, 0xE1
_ORIENTATION = 0x0112


def is_upright(data: memoryview) -> bool:
    """Return whether a JPEG surely has no EXIF orientation but 1, "as it is".

    Reads the segments up to the first scan (JPEG, ITU T.81, annex B) and the first image file
    directory of an EXIF segment (CIPA DC-008). A file that is not quite in order gets the answer
    no: whoever asks then leaves it to a decoder that knows EXIF.
    """
    try:
        return _is_upright(data)
    except (struct.error, IndexError):
        return False


def _is_upright(data: memoryview) -> bool:
    if bytes(data[:2]) != _START:
        return False
    place = 2
    while True:
        marker, kind, length = struct.unpack_from(">BBH", data, place)
        if marker != 0xFF:
            return False
        if kind == _SCAN:
            return True
        segment = data[place + 4 : place + 2 + length]
        if kind == _APP1 and bytes(segment[:6]) == b"Exif\0\0" and _orientation(segment[6:]) != 1:
            return False
        place += 2 + length


def _orientation(tiff: memoryview) -> int:
    """Return the orientation that an EXIF segment's TIFF header leads to; 1 where it says none."""
    order = {b"II": "<", b"MM": ">"}.get(bytes(tiff[:2]))
    if order is None:
        return 0
    (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
    (entries,) = struct.unpack_from(f"{order}H", tiff, directory)
    for entry in range(directory + 2, directory + 2 + 12 * entries, 12):
        tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, entry)
        if tag == _ORIENTATION:
            return int(value)
    return 1
