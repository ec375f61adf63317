"""Whether a GIF holds all of its picture, which Pillow fills up with black where it ends early."""

_TRAILER, _IMAGE, _EXTENSION = 0x3B, 0x2C, 0x21
_HEADER_BYTES = 13
_MOST_CODES = 4096


class _FaultError(Exception):
    """Why a GIF is refused."""


def fault_of_gif(data: bytes) -> str | None:
    """Why a GIF that Pillow decodes must not be trusted; None if it is whole.

    Args:
        data: the bytes of the file.
    """
    try:
        place = _HEADER_BYTES + _palette_bytes(data[10])
        while data[place] != _TRAILER:
            is_image = data[place] == _IMAGE
            if not is_image and data[place] != _EXTENSION:
                raise _FaultError
            if is_image:
                wide, high = (int.from_bytes(data[at : at + 2], "little") for at in _sides(place))
                place += 10 + _palette_bytes(data[place + 9])
            held, end = _sub_blocks(data, place + (1 if is_image else 2))
            if is_image and not 0 < wide * high == _pixels(held, data[place], wide * high):
                return "damaged: the GIF data do not make up the picture"
            place = end
    except IndexError:
        # Without the end, more frames may be missing.
        return "truncated: the GIF has no end"
    except _FaultError:
        return "damaged: the GIF data cannot be decoded"
    return None


def _sides(place: int) -> tuple[int, int]:
    return place + 5, place + 7


def _palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _sub_blocks(data: bytes, place: int) -> tuple[bytes, int]:
    """What some blocks hold, up to the empty one that ends them, and the place behind that."""
    parts = []
    while data[place]:
        parts.append(data[place + 1 : place + 1 + data[place]])
        place += 1 + data[place]
    return b"".join(parts), place + 1


def _pixels(held: bytes, code_bits: int, wanted: int) -> int:
    """Number of pixels that compressed data stand for (GIF89a, appendix F), at least `wanted`.

    Only the length of what a code stands for is kept, not the pixels.
    """
    if not 1 <= code_bits <= 11:
        raise _FaultError
    clear, total, before = 1 << code_bits, 0, 0
    fresh = [1] * clear + [0, 0]
    lengths, width = fresh.copy(), code_bits + 1
    waiting, count = 0, 0
    for byte in held:
        waiting |= byte << count
        count += 8
        while count >= width:
            code = waiting & (1 << width) - 1
            waiting >>= width
            count -= width
            if code == clear:
                lengths, width, before = fresh.copy(), code_bits + 1, 0
                continue
            if code == clear + 1 or total >= wanted:
                return total
            if code > len(lengths) or (code == len(lengths) and not before):
                raise _FaultError
            length = lengths[code] if code < len(lengths) else before + 1
            if before and len(lengths) < _MOST_CODES:
                lengths.append(before + 1)
                if len(lengths) == 1 << width and width < 12:
                    width += 1
            total, before = total + length, length
    return total
