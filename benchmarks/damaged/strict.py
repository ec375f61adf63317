"""One strict opinion of any file: whether a decoder that lets nothing pass would take it."""

import struct
import zlib

from damaged.strict_jpeg import fault_of_jpeg
from damaged.strict_png import SIGNATURE, fault_of_png

_LETTERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I"}
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}


def fault_of(data: bytes) -> str | None:
    """Why a strict decoder refuses a file; None if it has nothing to complain.

    PNG and JPEG are read to the last bit. Of GIF the compressed picture is unpacked, of BMP and
    TIFF the picture must be there in the length that the header says, deflated strips with their
    checksum; of WebP only the container is looked at.
    """
    try:
        if data.startswith(SIGNATURE):
            return fault_of_png(data)
        if data.startswith(b"\xff\xd8\xff"):
            return fault_of_jpeg(data)
        if data.startswith((b"GIF87a", b"GIF89a")):
            return _fault_of_gif(data)
        if data.startswith((b"II*\0", b"MM\0*")):
            return _fault_of_tiff(data)
        if data.startswith(b"BM"):
            return _fault_of_bmp(data)
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _fault_of_webp(data)
    except (LookupError, ValueError, ArithmeticError, struct.error, zlib.error) as error:
        return f"garbled: {error}"
    return "no image"


def _fault_of_gif(data: bytes) -> str | None:
    place = 13 + _palette(data[10])
    frames = 0
    while data[place] != 0x3B:
        if data[place] == 0x2C:
            wide, high, flags = struct.unpack_from("<HHB", data, place + 5)
            place += 10 + _palette(flags)
            smallest = data[place]
            held, place = _sub_blocks(data, place + 1)
            if not wide * high or _lzw_length(held, smallest, wide * high) != wide * high:
                return "the picture is not complete"
            frames += 1
        elif data[place] == 0x21:
            _, place = _sub_blocks(data, place + 2)
        else:
            return "an unknown block"
    return None if frames else "no picture"


def _palette(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _sub_blocks(data: bytes, place: int) -> tuple[bytes, int]:
    held = b""
    while size := data[place]:
        if place + 1 + size > len(data):
            raise ValueError("a block is cut")
        held += data[place + 1 : place + 1 + size]
        place += 1 + size
    return held, place + 1


def _lzw_length(held: bytes, smallest: int, wanted: int) -> int:
    """Number of pixels that a GIF's codes give, up to a few more than are wanted."""
    clear, bits, total = 1 << smallest, 8 * len(held), 0
    value = int.from_bytes(held, "little")
    width, lengths, before, place = smallest + 1, [1] * clear + [0, 0], 0, 0
    while place + width <= bits and total < wanted:
        code = value >> place & (1 << width) - 1
        place += width
        if code == clear:
            width, lengths, before = smallest + 1, [1] * clear + [0, 0], 0
            continue
        if code == clear + 1:
            break
        if code > len(lengths) or (code == len(lengths) and not before):
            raise ValueError("a code that is none")
        length = lengths[code] if code < len(lengths) else before + 1
        if before and len(lengths) < 4096:
            lengths.append(before + 1)
        if len(lengths) == 1 << width and width < 12:
            width += 1
        before = length
        total += length
    return total


def _fault_of_bmp(data: bytes) -> str | None:
    start, size, wide, high, _, bits, packing = struct.unpack_from("<IIiiHHI", data, 10)
    if size < 40 or packing not in (0, 3):
        return None if packing in (1, 2) else "a header that is not known"
    row = -(-wide * bits // 32) * 4
    if wide <= 0 or not high or bits not in (1, 4, 8, 16, 24, 32) or start < 14 + size:
        return "a header that no BMP has"
    return None if start + row * abs(high) <= len(data) else "the picture is not complete"


def _fault_of_webp(data: bytes) -> str | None:
    end = 8 + int.from_bytes(data[4:8], "little")
    place, kinds = 12, []
    if end > len(data):
        return "ends too early"
    while place + 8 <= end:
        length = int.from_bytes(data[place + 4 : place + 8], "little")
        if place + 8 + length > end:
            return "a chunk is cut"
        kinds.append(data[place : place + 4])
        place += 8 + length + length % 2
    return None if {b"VP8 ", b"VP8L", b"ANMF"} & set(kinds) else "no picture"


def _fault_of_tiff(data: bytes) -> str | None:
    order = "<" if data[:2] == b"II" else ">"
    place = struct.unpack_from(f"{order}I", data, 4)[0]
    tags = _tags(data, order, place)
    wide, high = tags[256][0], tags[257][0]
    packing, planes = tags.get(259, [1])[0], tags.get(284, [1])[0]
    bits, per_pixel = tags.get(258, [1]), tags.get(277, [1])[0]
    if 273 not in tags:
        return None if 324 in tags else "no picture"
    strips = list(zip(tags[273], tags[279], strict=True))
    if any(start + length > len(data) or not length for start, length in strips):
        return "a strip lies outside of the file"
    rows = min(tags.get(278, [high])[0], high)
    width_of_sample = bits[0] if planes == 2 else sum(bits) if len(bits) > 1 else bits[0]
    if planes != 2 and len(bits) == 1:
        width_of_sample *= per_pixel
    row = -(-wide * width_of_sample // 8)
    count = -(-high // rows) * (per_pixel if planes == 2 else 1)
    if not wide or not high or len(strips) != count:
        return "other strips than the header says"
    for number, (start, length) in enumerate(strips):
        inside = number % -(-high // rows)
        wanted = row * min(rows, high - inside * rows)
        held = data[start : start + length]
        if packing in (8, 32946):
            stream = zlib.decompressobj()
            if len(stream.decompress(held)) != wanted or not stream.eof:
                return "a strip is not complete"
        if packing == 1 and length < wanted:
            return "a strip is not complete"
    return None


def _tags(data: bytes, order: str, place: int) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    (count,) = struct.unpack_from(f"{order}H", data, place)
    for number in range(count):
        entry = place + 2 + 12 * number
        tag, kind, many = struct.unpack_from(f"{order}HHI", data, entry)
        size = _TYPE_BYTES.get(kind, 0) * many
        letter = _LETTERS.get(kind)
        if letter is None:
            continue
        start = entry + 8 if size <= 4 else struct.unpack_from(f"{order}I", data, entry + 8)[0]
        if start + size > len(data):
            raise ValueError("values outside of the file")
        found[tag] = list(struct.unpack_from(f"{order}{many}{letter}", data, start))
    return found
