"""The source pictures: photographs of ../shared/corpus where they are there, else drawn ones; what neither has is converted.

The standard library cannot write a JPEG or a WebP. The imgforge under test can, once, before anything is measured.
"""

import math
import random
import struct
import zlib

from client import ask, request
from server import Server, signed

CORPUS = {
    "2mp.jpg": "photos/cardinal-2mp.jpg",
    "12mp.jpg": "photos/car-12mp.jpg",
    "p3.jpg": "photos/phone-12mp-p3-orientation6.jpg",
    "10mp.webp": "photos/sign-10mp-orientation6.webp",
}
# What is missing, in this order: made from which picture, with which options.
CONVERTED = [
    ("12mp.jpg", "scene.bmp", "q:85"),
    ("2mp.jpg", "scene.bmp", "rs:force:1920:1080/q:90"),
    ("p3.jpg", "scene.bmp", "q:85"),
    ("10mp.webp", "scene.bmp", "rs:force:3648:2736/q:80"),
    ("small.jpg", "2mp.jpg", "rs:fill:640:427/q:85"),
    ("progressive.jpg", "12mp.jpg", "q:85"),
    ("rgba.bmp", "2mp.jpg", "rs:fill:1165:859"),
    ("30.bmp", "2mp.jpg", "rs:fill:640:480"),
]
PROGRESSIVE = {"IMGPROXY_JPEG_PROGRESSIVE": "true"}
SERVED = ["small.jpg", "2mp.jpg", "12mp.jpg", "progressive.jpg", "rgba.png", "10mp.webp", "30.gif", "p3.jpg"]


def make(target, binary, corpus, small):
    """Sees to it that a folder below `target` has all of them; gives what kind they are, the folder, and `{name: bytes}`
    of those that the origin serves. `small` ones are for trying the program out: drawn, and at most 1068×712."""
    have_corpus = not small and all((corpus / path).is_file() for path in CORPUS.values())
    kind = "small" if small else "photographs" if have_corpus else "drawn"
    folder = target / kind
    folder.mkdir(parents=True, exist_ok=True)
    if not have_corpus:
        _once(folder / "scene.bmp", lambda: scene(*((2, 2) if small else (8, 8))))
    for name, source, options in CONVERTED:
        if have_corpus and name in CORPUS:
            _once(folder / name, (corpus / CORPUS[name]).read_bytes)
        else:
            tagged = with_profile if name == "p3.jpg" else bytes
            environment = PROGRESSIVE if name == "progressive.jpg" else {}
            _once(folder / name, lambda: tagged(_convert(binary, folder, source, options, name, environment)))
    _once(folder / "rgba.png", lambda: rgba_png(*read_bmp((folder / "rgba.bmp").read_bytes())))
    _once(folder / "30.gif", lambda: animation(*read_bmp((folder / "30.bmp").read_bytes())))
    _once(folder / "mark.png", mark)
    return kind, folder, {name: (folder / name).read_bytes() for name in SERVED}


def _once(path, maker):
    """Writes the file unless it is there, whole or not at all."""
    if not path.exists():
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_bytes(maker())
        unfinished.rename(path)


def _convert(binary, folder, source, options, name, environment):
    root = {"IMGPROXY_LOCAL_FILESYSTEM_ROOT": str(folder), "IMGPROXY_MAX_SRC_RESOLUTION": "50"}
    with Server(binary, {**root, **environment}) as server:
        target = signed(f"/{options}/plain/local:///{source}@{name.rpartition('.')[2]}")
        status, _, body = ask(server.port, request(target))
    if status != 200:
        raise SystemExit(f"{binary} answers {status} where {name} is to be made: {body[:200]!r}")
    return body


def scene(across, down):
    """A BMP with detail of every size: one tile of noise in octaves, each of its copies with tones of its own."""
    width, height = 534, 356
    choose = random.Random(9)
    light = _noise(choose, width, height, [(60, 64), (30, 16), (14, 5), (8, 1)])
    tint = _noise(choose, width, height, [(30, 40)])
    tile = bytes(
        min(255, max(0, round(128 + bright + colour * weight)))
        for bright, colour in zip(light, tint) for weight in (-1, 0.2, 1))
    tones = [bytes(min(255, max(0, round(255 * (tone / 255) ** gamma + lift))) for tone in range(256))
             for gamma, lift in ((choose.uniform(0.6, 1.6), choose.uniform(-30, 30)) for _ in range(across * down))]
    rows = []
    for y in range(down):
        tiles = [tile.translate(tones[y * across + x]) for x in range(across)]
        rows += [part[at:at + width * 3] for at in range(0, len(tile), width * 3) for part in tiles]
    head = struct.pack("<IiiHHIIiiII", 40, width * across, height * down, 1, 24, 0, 0, 0, 0, 0, 0)
    pixels = b"".join(rows)
    return b"BM" + struct.pack("<IHHI", 54 + len(pixels), 0, 0, 54) + head + pixels


def _noise(choose, width, height, octaves):
    """Values around 0, row by row: for each (amplitude, spacing) a random grid, interpolated."""
    total = [0.0] * (width * height)
    for amplitude, spacing in octaves:
        columns, rows = width // spacing + 2, height // spacing + 2
        grid = [[choose.uniform(-amplitude, amplitude) for _ in range(columns)] for _ in range(rows)]
        for y in range(height):
            above, below, part = grid[y // spacing], grid[y // spacing + 1], y % spacing / spacing
            line = [a + (b - a) * part for a, b in zip(above, below)]
            for x in range(width):
                left = line[x // spacing]
                total[y * width + x] += left + (line[x // spacing + 1] - left) * (x % spacing / spacing)
    return total


def read_bmp(data):
    """Width, height and the rows from the top, three bytes a pixel: blue, green, red."""
    start, width, height, bits = *struct.unpack_from("<I4xii", data, 10), data[28]
    stride, sample = (width * bits // 8 + 3) // 4 * 4, bits // 8
    rows = []
    for y in range(abs(height)):
        row = data[start + y * stride:start + y * stride + width * sample]
        rows.append(b"".join(row[x:x + 3] for x in range(0, len(row), 4)) if sample == 4 else row)
    return width, abs(height), rows if height < 0 else rows[::-1]


def rgba_png(width, height, rows):
    """The picture with soft edges: a PNG of four channels, every row with the filter `Sub`."""
    lines = []
    for y, row in enumerate(rows):
        fade = min(1, 4 * min(y + 1, height - y) / height)
        pixels = bytearray(4 * width)
        pixels[0::4], pixels[1::4], pixels[2::4] = row[2::3], row[1::3], row[0::3]
        pixels[3::4] = bytes(round(255 * fade * min(1, 4 * min(x + 1, width - x) / width)) for x in range(width))
        lines.append(b"\1" + pixels[:4] + bytes((a - b) & 255 for a, b in zip(pixels[4:], pixels)))
    return _png(width, height, b"".join(lines))


def mark():
    """The watermark: a ring, half transparent at its edges."""
    size, lines = 200, []
    for y in range(size):
        away = [math.hypot(x - size / 2, y - size / 2) for x in range(size)]
        alpha = [round(255 * max(0, min(1, (25 - abs(d - 70)) / 5))) for d in away]
        lines.append(b"\0" + b"".join(bytes((255, 255, 255, a)) for a in alpha))
    return _png(size, size, b"".join(lines))


def _png(width, height, lines):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def animation(width, height, rows, frames=30):
    """A GIF that pans over the picture: windows of half its size, 256 colours (three bits red and green, two blue)."""
    wide, high = width // 2, height // 2
    index = [bytes(r & 0xE0 | g >> 3 & 0x1C | b >> 6 for b, g, r in zip(row[0::3], row[1::3], row[2::3])) for row in rows]
    palette = bytes(v for i in range(256) for v in ((i >> 5) * 255 // 7, (i >> 2 & 7) * 255 // 7, (i & 3) * 85))
    out = [b"GIF89a" + struct.pack("<HHBBB", wide, high, 0xF7, 0, 0) + palette, b"!\xff\x0bNETSCAPE2.0\3\1\0\0\0"]
    for frame in range(frames):
        x, y = frame * wide // frames, frame * high // frames
        out.append(b"!\xf9\4\0\4\0\0\0" + struct.pack("<BHHHHBB", 0x2C, 0, 0, wide, high, 0, 8))
        data = _lzw(b"".join(row[x:x + wide] for row in index[y:y + high]))
        out += [bytes([len(data[at:at + 255])]) + data[at:at + 255] for at in range(0, len(data), 255)]
        out.append(b"\0")
    return b"".join(out) + b";"


def _lzw(data):
    """GIF's LZW with symbols of eight bits."""
    clear, end = 256, 257
    codes, size, prefix = {}, 9, data[0]
    out, held, bits = bytearray(), clear, 9
    for byte in data[1:]:
        key = prefix << 8 | byte
        if key in codes:
            prefix = codes[key]
            continue
        held |= prefix << bits
        bits += size
        code = end + 1 + len(codes)
        if code == 4096:
            held |= clear << bits
            bits += size
            codes, size = {}, 9
        else:
            codes[key] = code
            size += code == 1 << size
        while bits >= 8:
            out.append(held & 255)
            held >>= 8
            bits -= 8
        prefix = byte
    held |= prefix << bits | end << bits + size
    return bytes(out) + held.to_bytes((bits + 2 * size + 7) // 8, "little")


def with_profile(jpeg):
    """The JPEG with a profile for Display P3 (version 4, matrix and curve) in an APP2 segment."""
    profile = display_p3()
    segment = b"ICC_PROFILE\0\1\1" + profile
    return jpeg[:2] + b"\xff\xe2" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]


def display_p3():
    """ICC.1:2010; the primaries are those of SMPTE RP 431-2 adapted to D50, the curve is that of IEC 61966-2-1."""
    def fixed(*values):
        return b"".join(struct.pack(">i", round(v * 65536)) for v in values)

    def text(value):
        coded = value.encode("utf-16-be")
        return b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(coded), 28) + coded

    def point(*values):
        return b"XYZ \0\0\0\0" + fixed(*values)

    curve = b"para\0\0\0\0\0\3\0\0" + fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    tags = {
        b"desc": text("Display P3"), b"cprt": text("CC0"), b"wtpt": point(0.9642, 1, 0.8249),
        b"rXYZ": point(0.51512, 0.2412, -0.00105), b"gXYZ": point(0.29198, 0.69225, 0.04189),
        b"bXYZ": point(0.1571, 0.06657, 0.78407), b"rTRC": curve, b"gTRC": curve, b"bTRC": curve,
    }
    table, body, at = [], b"", 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        table.append(struct.pack(">4sII", name, at + len(body), len(value)))
        body += value + bytes(-len(value) % 4)
    head = struct.pack(">I4sI4s4s4s12x4s28x3i", at + len(body), b"\0\0\0\0", 0x04000000, b"mntr", b"RGB ", b"XYZ ",
                       b"acsp", round(0.9642 * 65536), 65536, round(0.8249 * 65536))
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + b"".join(table) + body
