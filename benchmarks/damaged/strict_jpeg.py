"""A strict reading of a JPEG: every bit of every scan up to the end marker.

Written after ITU-T T.81 in plain Python. It decodes all Huffman codes and stops before the
cosine transform: what is left is arithmetic, in which nothing can be missing. It takes baseline,
extended and progressive files of 8 bits; no others are in common use.

Four liberties of libjpeg are taken: bytes after the end marker are not looked at, a run of zeros
may lead past the end of a block, before a marker there may be as many bits left over as libjpeg
reads ahead, and behind a scan there may be a restart marker with nothing to restart. Equal bytes
between the last scan and the end marker pass for the padding that some cameras write.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice, product

from PIL import Image

_START, _END, _SCAN, _TABLES, _QUANTA, _INTERVAL = 0xD8, 0xD9, 0xDA, 0xC4, 0xDB, 0xDD
_FRAMES = {0xC0, 0xC1, 0xC2}
_OTHER_FRAMES = {*range(0xC3, 0xD0)} - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = 0xC2

_READ_AHEAD = 72
"""Bits that libjpeg-turbo may have in hand where a marker comes, and drops without a word."""
_LOT = 64
_LARGEST = 65_500
"""Pixels to a side that libjpeg takes."""

Codes = dict[tuple[int, int], int]
"""Symbol by length and value of its code."""


class _FaultError(Exception):
    """What is wrong."""


@dataclass
class _Component:
    """One colour of the picture: how it is sampled, and what is known of its blocks."""

    across: int
    down: int
    quanta: int
    wide: int = 0
    high: int = 0
    padded: int = 0
    bits: list[int] = field(default_factory=lambda: [-1] * 64)
    known: dict[int, set[int]] = field(default_factory=dict)
    """Coefficients that are not zero, by block."""


@dataclass
class _State:
    """What the segments before a scan have set."""

    tables: dict[int, Codes]
    quanta: set[int] = field(default_factory=set)
    components: dict[int, _Component] = field(default_factory=dict)
    progressive: bool = False
    interval: int = 0
    across: int = 0
    down: int = 0
    """Number of MCUs, those of a scan of all components."""


def fault_of_jpeg(data: bytes) -> str | None:
    """Why a strict decoder refuses a JPEG; None if it has nothing to complain."""
    state = _State(dict(_usual_tables()))
    try:
        _read(data, state)
    except _FaultError as fault:
        return str(fault)
    except (IndexError, KeyError, ValueError, ZeroDivisionError):
        return "a segment that is garbled"
    return None


def _read(data: bytes, state: _State) -> None:
    if not data.startswith(b"\xff\xd8"):
        raise _FaultError("no start marker")
    place, scans = 2, 0
    while True:
        marker, place = _marker(data, place, padded=scans > 0)
        if marker == _END:
            break
        length = int.from_bytes(data[place : place + 2], "big")
        held = data[place + 2 : place + length]
        if length < 2 or len(held) != length - 2:
            raise _FaultError("ends inside a segment")
        place += length
        if marker == _SCAN:
            place = _scan(data, place, held, state)
            scans += 1
        else:
            _segment(marker, held, state)
    if not scans:
        raise _FaultError("no picture")


def _marker(data: bytes, place: int, *, padded: bool) -> tuple[int, int]:
    """The next marker and where its segment begins."""
    start = place
    while data[place : place + 1] not in (b"\xff", b""):
        place += 1
    stray = data[start:place]
    while data[place : place + 1] == b"\xff":
        place += 1
    if place >= len(data):
        raise _FaultError("no end marker")
    marker = data[place]
    if stray and not (padded and marker == _END and len(set(stray)) == 1):
        raise _FaultError("stray bytes before a marker")
    if marker in (0x00, _START) or 0xD0 <= marker <= 0xD7:
        raise _FaultError("a marker in a wrong place")
    return marker, place + 1


def _segment(marker: int, held: bytes, state: _State) -> None:
    if marker in _FRAMES:
        if state.components:
            raise _FaultError("two pictures")
        _frame(held, state)
        state.progressive = marker == _PROGRESSIVE
    elif marker in _OTHER_FRAMES:
        raise _FaultError("a kind of JPEG that is not in use")
    elif marker == _TABLES:
        state.tables.update(_tables(held))
    elif marker == _QUANTA:
        _quanta(held, state)
    elif marker == _INTERVAL:
        if len(held) != 2:
            raise _FaultError("a segment of another length")
        state.interval = int.from_bytes(held, "big")


def _frame(held: bytes, state: _State) -> None:
    depth, count = held[0], held[5]
    high, wide = int.from_bytes(held[1:3], "big"), int.from_bytes(held[3:5], "big")
    if max(high, wide) > _LARGEST or not high or not wide:
        raise _FaultError("a size that no decoder takes")
    if depth != 8 or len(held) != 6 + 3 * count or not 0 < count <= 4:
        raise _FaultError("a header that no decoder takes")
    for number in range(count):
        name, sampling, quanta = held[6 + 3 * number : 9 + 3 * number]
        across, down = sampling >> 4, sampling & 15
        if not (1 <= across <= 4 and 1 <= down <= 4) or name in state.components:
            raise _FaultError("a component that no decoder takes")
        state.components[name] = _Component(across, down, quanta)
    most_across = max(part.across for part in state.components.values())
    most_down = max(part.down for part in state.components.values())
    state.across, state.down = -(-wide // (8 * most_across)), -(-high // (8 * most_down))
    for part in state.components.values():
        part.wide = -(-wide * part.across // (8 * most_across))
        part.high = -(-high * part.down // (8 * most_down))
        part.padded = state.across * part.across


def _quanta(held: bytes, state: _State) -> None:
    while held:
        size = 1 + (128 if held[0] >> 4 else 64)
        if len(held) < size or held[0] & 15 > 3:
            raise _FaultError("a table that is garbled")
        state.quanta.add(held[0] & 15)
        held = held[size:]


def _tables(held: bytes) -> Iterator[tuple[int, Codes]]:
    while held:
        counts, name = held[1:17], held[0]
        symbols = held[17 : 17 + sum(counts)]
        if len(symbols) != sum(counts) or name & 15 > 3 or name >> 4 > 1:
            raise _FaultError("a table that is garbled")
        codes: Codes = {}
        code, number = 0, 0
        for length, count in enumerate(counts, 1):
            for _ in range(count):
                codes[length, code] = symbols[number]
                code, number = code + 1, number + 1
            if code >= 1 << length:
                # A code of ones alone is kept free.
                raise _FaultError("codes that cannot be")
            code <<= 1
        if name < 0x10 and any(symbol > 15 for symbol in symbols):
            raise _FaultError("a table that is garbled")
        yield name, codes
        held = held[17 + len(symbols) :]


def _usual_tables() -> Iterator[tuple[int, Codes]]:
    """Those of annex K, which decoders take where a file brings none, as a simple file has them."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG")
    data = buffer.getvalue()
    place = data.index(b"\xff\xc4")
    while data[place + 1] == _TABLES:
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        yield from _tables(data[place + 4 : end])
        place = end


class _Bits:
    """The bits between two markers of a scan."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self.left = 8 * len(data)

    def take(self, count: int) -> int:
        self.left -= count
        if self.left < 0:
            raise _FaultError("a scan ends too early")
        return self._value >> self.left & ((1 << count) - 1)

    def symbol(self, codes: Codes) -> int:
        code = 0
        for length in range(1, 17):
            code = code << 1 | self.take(1)
            found = codes.get((length, code))
            if found is not None:
                return found
        raise _FaultError("a code that is none")


def _intervals(data: bytes, place: int) -> tuple[list[tuple[int, bytes]], int]:
    """The parts of a scan between restarts, each with the marker before; and where it ends."""
    parts: list[tuple[int, bytes]] = []
    marker, start = -1, place
    while True:
        place = data.find(b"\xff", place)
        after = place + 1
        while place >= 0 and data[after : after + 1] == b"\xff":
            after += 1
        if place < 0 or after >= len(data):
            raise _FaultError("no end marker")
        if data[after] == 0:
            place = after + 1
            continue
        # Fill bytes before a stuffed zero are one byte of data.
        parts.append((marker, _unstuffed(data[start:place])))
        if not 0xD0 <= data[after] <= 0xD7:
            return parts, place
        marker, start = data[after], after + 1
        place = start


def _unstuffed(data: bytes) -> bytes:
    while b"\xff\xff" in data:
        data = data.replace(b"\xff\xff", b"\xff")
    return data.replace(b"\xff\x00", b"\xff")


def _scan(data: bytes, place: int, held: bytes, state: _State) -> int:
    """Decode one scan; gives the place of the marker after it."""
    count = held[0]
    if len(held) != 4 + 2 * count or not 0 < count <= 4 or not state.components:
        raise _FaultError("a scan that is garbled")
    chosen = [(state.components[held[1 + 2 * n]], held[2 + 2 * n]) for n in range(count)]
    if any(part.quanta not in state.quanta for part, _ in chosen):
        raise _FaultError("a table is missing")
    first, last, bits = held[1 + 2 * count :]
    if state.progressive:
        _check_progression([part for part, _ in chosen], first, last, bits)
    parts, end = _intervals(data, place)
    coder = _Coder(state, chosen, first, last, bits)
    units = coder.units()
    number = 0
    # A header may lie about the size: units are made as they are needed.
    while lot := list(islice(units, state.interval or _LOT)):
        if number >= len(parts):
            raise _FaultError("a scan ends too early")
        marker, raw = parts[number]
        if number and marker != 0xD0 + (number - 1) % 8:
            raise _FaultError("restarts are out of order")
        stream = _Bits(raw)
        coder.begin()
        while lot:
            coder.decode(stream, lot)
            lot = [] if state.interval else list(islice(units, _LOT))
        number += 1
        if stream.left >= _READ_AHEAD:
            last_bytes = raw[-(stream.left // 8) :]
            if number < len(parts) or not _is_padding(data, end, last_bytes):
                raise _FaultError("a scan has bytes too many")
    if any(raw for _, raw in parts[number:]):
        raise _FaultError("a scan has restarts too many")
    return end


def _is_padding(data: bytes, end: int, left: bytes) -> bool:
    after = data[end:].lstrip(b"\xff")[:1]
    return after == bytes([_END]) and len(set(left)) == 1


def _check_progression(parts: list[_Component], first: int, last: int, bits: int) -> None:
    """Each coefficient comes in order, from high bits to low (annex G)."""
    high, low = bits >> 4, bits & 15
    ranges = first == last == 0 or (len(parts) == 1 and 0 < first <= last < 64)
    if not ranges or low > 13 or (high and high != low + 1):
        raise _FaultError("a scan that cannot be")
    for part in parts:
        if first and part.bits[0] < 0:
            raise _FaultError("scans are out of order")
        for number in range(first, last + 1):
            if high != max(part.bits[number], 0):
                raise _FaultError("scans are out of order")
            part.bits[number] = low


class _Coder:
    """Decodes the blocks of one scan."""

    def __init__(
        self,
        state: _State,
        chosen: list[tuple[_Component, int]],
        first: int,
        last: int,
        bits: int,
    ) -> None:
        self._state, self._chosen = state, chosen
        self._first, self._last, self._refines = first, last, bits >> 4 > 0
        self._run = 0

    def units(self) -> Iterator[list[tuple[_Component, int, int]]]:
        """Blocks, with their component and its tables, in the lots that restarts count."""
        if len(self._chosen) == 1:
            part, tables = self._chosen[0]
            for row, column in product(range(part.high), range(part.wide)):
                yield [(part, tables, row * part.padded + column)]
            return
        for row, column in product(range(self._state.down), range(self._state.across)):
            yield [
                (part, tables, (row * part.down + y) * part.padded + column * part.across + x)
                for part, tables in self._chosen
                for y in range(part.down)
                for x in range(part.across)
            ]

    def begin(self) -> None:
        """Forget what a restart makes void."""
        self._run = 0

    def decode(self, bits: _Bits, units: list[list[tuple[_Component, int, int]]]) -> None:
        """Decode some units."""
        for unit in units:
            for part, tables, block in unit:
                self._block(bits, part, tables, block)

    def _block(self, bits: _Bits, part: _Component, tables: int, block: int) -> None:
        if not self._state.progressive:
            bits.take(self._size(bits, tables >> 4))
            self._sequential(bits, self._codes(0x10 | tables & 15))
        elif self._first == 0:
            bits.take(1 if self._refines else self._size(bits, tables >> 4))
        elif self._refines:
            self._refine(bits, part, self._codes(0x10 | tables & 15), block)
        else:
            self._spread(bits, part, self._codes(0x10 | tables & 15), block)

    def _codes(self, name: int) -> Codes:
        return self._state.tables[name]

    def _size(self, bits: _Bits, table: int) -> int:
        size = bits.symbol(self._codes(table))
        if size > 15:
            raise _FaultError("a code that is none")
        return size

    def _sequential(self, bits: _Bits, codes: Codes) -> None:
        place = 1
        while place < 64:
            run, size = divmod(bits.symbol(codes), 16)
            if size == 0 and run != 15:
                return
            bits.take(size)
            place += run + 1

    def _spread(self, bits: _Bits, part: _Component, codes: Codes, block: int) -> None:
        """Coefficients that come for the first time."""
        if self._run:
            self._run -= 1
            return
        place = self._first
        while place <= self._last:
            run, size = divmod(bits.symbol(codes), 16)
            if size == 0 and run != 15:
                self._run = (1 << run) + bits.take(run) - 1
                return
            place += run
            if size:
                bits.take(size)
                part.known.setdefault(block, set()).add(min(place, 63))
            place += 1

    def _refine(self, bits: _Bits, part: _Component, codes: Codes, block: int) -> None:
        """One more bit for coefficients that are known, and new ones between them."""
        known = part.known.setdefault(block, set())
        place = self._first
        while not self._run and place <= self._last:
            run, size = divmod(bits.symbol(codes), 16)
            if size > 1:
                raise _FaultError("a code that is none")
            if size == 0 and run != 15:
                self._run = (1 << run) + bits.take(run)
                break
            bits.take(size)
            while place <= self._last:
                if place in known:
                    bits.take(1)
                elif run == 0:
                    break
                else:
                    run -= 1
                place += 1
            if size:
                known.add(min(place, 63))
            place += 1
        if self._run:
            bits.take(sum(number in known for number in range(place, self._last + 1)))
            self._run -= 1
