"""Surgery on PNG: chunks moved, changed, and given right checksums all the same."""

import struct
import zlib
from collections.abc import Callable

import numpy as np

from damaged.damage import Damage, flipped, place_in
from damaged.whole import SIGNATURE, Whole, chunk

Chunks = list[tuple[bytes, bytes]]


def chunks_of(data: bytes) -> Chunks:
    """Names and contents of the chunks of an undamaged PNG."""
    found, place = [], len(SIGNATURE)
    while place < len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        found.append((kind, data[place + 8 : place + 8 + length]))
        place += 12 + length
    return found


def joined(chunks: Chunks) -> bytes:
    """A PNG of some chunks, with right lengths and checksums."""
    return SIGNATURE + b"".join(chunk(kind, held) for kind, held in chunks)


def _surgery(change: Callable[[np.random.Generator, Chunks], object]) -> Damage:
    def damage(rng: np.random.Generator, file: Whole) -> bytes:
        chunks = chunks_of(file.data)
        change(rng, chunks)
        return joined(chunks)

    return damage


def _any(rng: np.random.Generator, chunks: Chunks) -> int:
    return int(rng.integers(len(chunks)))


def _drop(rng: np.random.Generator, chunks: Chunks) -> None:
    del chunks[_any(rng, chunks)]


def _double(rng: np.random.Generator, chunks: Chunks) -> None:
    number = _any(rng, chunks)
    chunks.insert(number, chunks[number])


def _swap(rng: np.random.Generator, chunks: Chunks) -> None:
    one, other = _any(rng, chunks), _any(rng, chunks)
    chunks[one], chunks[other] = chunks[other], chunks[one]


def _rename(rng: np.random.Generator, chunks: Chunks) -> None:
    number = _any(rng, chunks)
    kind, held = chunks[number]
    chunks[number] = (flipped(rng, kind, 1), held)


def _insert(*added: tuple[bytes, bytes]) -> Damage:
    """Put chunks in front of the picture."""

    def change(rng: np.random.Generator, chunks: Chunks) -> None:
        place = [kind for kind, _ in chunks].index(b"IDAT")
        chunks[place:place] = added

    return _surgery(change)


def _interrupt(rng: np.random.Generator, chunks: Chunks) -> None:
    place = [kind for kind, _ in chunks].index(b"IDAT")
    held = chunks[place][1]
    middle = place_in(rng, held)
    parts = [(b"IDAT", held[:middle]), (b"tEXt", b"Comment\0x"), (b"IDAT", held[middle:])]
    chunks[place : place + 1] = parts


def _split(rng: np.random.Generator, chunks: Chunks) -> None:
    place = [kind for kind, _ in chunks].index(b"IDAT")
    held = chunks[place][1]
    middle = place_in(rng, held)
    chunks[place : place + 1] = [(b"IDAT", held[:middle]), (b"IDAT", b""), (b"IDAT", held[middle:])]


def _packed(change: Callable[[np.random.Generator, bytes], bytes]) -> Damage:
    """Change the compressed picture; the checksum of its chunk is right again."""

    def damage(rng: np.random.Generator, chunks: Chunks) -> None:
        place = [kind for kind, _ in chunks].index(b"IDAT")
        held = b"".join(part for kind, part in chunks if kind == b"IDAT")
        chunks[:] = [one for one in chunks if one[0] != b"IDAT"]
        chunks.insert(place, (b"IDAT", change(rng, held)))

    return _surgery(damage)


def _unpacked(change: Callable[[np.random.Generator, bytes], bytes]) -> Damage:
    """Change the picture before compression; all checksums are right again."""
    return _packed(lambda rng, held: zlib.compress(change(rng, zlib.decompress(held))))


def _header(change: Callable[[np.random.Generator, list[int]], object]) -> Damage:
    """Let the header lie, with a right checksum."""

    def damage(rng: np.random.Generator, chunks: Chunks) -> None:
        fields = list(struct.unpack(">IIBBBBB", chunks[0][1]))
        change(rng, fields)
        chunks[0] = (b"IHDR", struct.pack(">IIBBBBB", *fields))

    return _surgery(damage)


def _other_size(rng: np.random.Generator, fields: list[int]) -> None:
    fields[int(rng.integers(2))] += int(rng.choice([-9, -1, 1, 9, 300]))


def _gigantic(rng: np.random.Generator, fields: list[int]) -> None:
    fields[:2] = [int(side) for side in rng.choice([60_000, 2**16, 2**31 - 1, 2**32 - 1], 2)]


def _turn(number: int, *values: int) -> Damage:
    def change(rng: np.random.Generator, fields: list[int]) -> None:
        fields[number] = int(rng.choice([value for value in values if value != fields[number]]))

    return _header(change)


def _wrong_checksum(rng: np.random.Generator, file: Whole) -> bytes:
    chunks = chunks_of(file.data)
    number = _any(rng, chunks)
    end = len(joined(chunks[: number + 1]))
    return file.data[: end - 4] + flipped(rng, file.data[end - 4 : end], 1) + file.data[end:]


def _wrong_length(rng: np.random.Generator, file: Whole) -> bytes:
    chunks = chunks_of(file.data)
    start = len(joined(chunks[: _any(rng, chunks)]))
    length = int(rng.choice([0, 1, 12, 2**16, 2**31 - 1, 2**32 - 1]))
    return file.data[:start] + struct.pack(">I", length) + file.data[start + 4 :]


def _damaged_text(behind: bool) -> Damage:
    """A text chunk with a wrong checksum; the picture itself is whole."""

    def damage(rng: np.random.Generator, file: Whole) -> bytes:
        text = flipped(rng, chunk(b"tEXt", b"Comment\0stained slide"), 1, start=8)
        place = len(file.data) - 12 if behind else 33
        return file.data[:place] + text + file.data[place:]

    return damage


def _damaged_transparency(rng: np.random.Generator, file: Whole) -> bytes:
    """The chunk is dropped by libpng, and what was transparent is opaque."""
    place = file.data.index(b"IDAT") - 4
    clear = flipped(rng, chunk(b"tRNS", bytes(6)), 1, start=4)
    return file.data[:place] + clear + file.data[place:]


def _palette(rng: np.random.Generator, chunks: Chunks) -> None:
    """Lengthen, shorten or empty the palette, or add one."""
    size = int(rng.choice([0, 1, 3, 4, 5, 768, 771, 3000]))
    kinds = [kind for kind, _ in chunks]
    if b"PLTE" in kinds:
        chunks[kinds.index(b"PLTE")] = (b"PLTE", rng.bytes(size))
    else:
        chunks.insert(1, (b"PLTE", rng.bytes(size)))


def _filter(rng: np.random.Generator, raw: bytes) -> bytes:
    return bytes([int(rng.integers(5, 256))]) + raw[1:]


def _bomb(rng: np.random.Generator, raw: bytes) -> bytes:
    return raw + bytes(10_000_000)


_BOMB = zlib.compress(bytes(10_000_000))
_FRAMES = (b"acTL", struct.pack(">II", 2, 0))
_ONE_FRAME = (b"acTL", struct.pack(">II", 1, 0))
_FRAME = (b"fcTL", struct.pack(">IIIIIHHBB", 0, 1, 1, 0, 0, 1, 10, 0, 0))

SURGERY: dict[str, Damage] = {
    "chunk dropped": _surgery(_drop),
    "chunk twice": _surgery(_double),
    "chunks swapped": _surgery(_swap),
    "chunk renamed": _surgery(_rename),
    "checksum wrong": _wrong_checksum,
    "length wrong": _wrong_length,
    "picture split": _surgery(_split),
    "picture interrupted": _surgery(_interrupt),
    "stream flipped": _packed(lambda rng, held: flipped(rng, held, 1)),
    "stream cut": _packed(lambda rng, held: held[: place_in(rng, held)]),
    "stream without its checksum": _packed(lambda rng, held: held[:-4]),
    "stream checksum wrong": _packed(lambda rng, held: held[:-4] + flipped(rng, held[-4:], 1)),
    "stream with more behind": _packed(lambda rng, held: held + rng.bytes(9)),
    "rows missing": _unpacked(lambda rng, raw: raw[: place_in(rng, raw)]),
    "rows too many": _unpacked(lambda rng, raw: raw + raw[: 1 + place_in(rng, raw)]),
    "filter unknown": _unpacked(_filter),
    "picture bomb": _unpacked(_bomb),
    "text bomb": _insert((b"zTXt", b"Comment\0\0" + _BOMB)),
    "profile bomb": _insert((b"iCCP", b"x\0\0" + _BOMB)),
    "text damaged": _damaged_text(behind=False),
    "text behind damaged": _damaged_text(behind=True),
    "transparency damaged": _damaged_transparency,
    "transparency twice": _insert((b"tRNS", bytes(6)), (b"tRNS", bytes(6))),
    "transparency of another length": _insert((b"tRNS", bytes(5))),
    "palette changed": _surgery(_palette),
    "unknown critical chunk": _insert((b"EvIl", b"x" * 40)),
    "animated": _insert(_FRAMES, _FRAME),
    "animated, one frame": _insert(_ONE_FRAME, _FRAME),
    "script in text": _insert((b"tEXt", b"Comment\0<script>alert(1)</script>")),
    "header of another size": _header(_other_size),
    "header gigantic": _header(_gigantic),
    "header without size": _turn(0, 0),
    "header of another depth": _turn(2, 0, 1, 2, 4, 8, 16, 32),
    "header of another colour type": _turn(3, 0, 1, 2, 3, 4, 5, 6, 7),
    "header of another method": _turn(4, 0, 1, 255),
    "header interlaced or not": _turn(6, 0, 1, 2),
}
"""By name, what can be done to a PNG."""
