#!/usr/bin/env python3
"""Makes the pictures of this folder. Needs pyvips over libvips 8.14; run it here and commit what changed.

All show one drawn scene: a gradient, waves of several lengths, hard edges and plain patches, different in every corner,
so that a result that is turned, mirrored, moved by a pixel or converted wrongly is another picture. Nothing here was
made by others; the colour profiles are written below.
"""
import pathlib
import struct

import pyvips

HERE = pathlib.Path(__file__).resolve().parent
FRAME = (240, 238, 230)     # the border of framed.png


def scene(width=180, height=120):
    at = pyvips.Image.xyz(width, height)
    x, y = at[0] * (180 / width), at[1] * (120 / height)
    wave = lambda phase, length: (phase * (360 / length)).sin()
    red = x * 1.2 + 20 + wave(x + y * 0.5, 37) * 18
    green = 215 - y * 1.4 + wave(x * x / 60, 40) * (y / 120) * 38
    blue = 70 + y * 0.9 + wave(y * 2 - x, 53) * 30
    picture = red.bandjoin([green, blue])

    def patch(left, top, right, bottom, colour):
        nonlocal picture
        inside = (x >= left) & (x < right) & (y >= top) & (y < bottom)
        picture = inside.ifthenelse(list(colour), picture)

    patch(8, 8, 44, 30, (250, 30, 20))
    patch(20, 16, 32, 22, (255, 255, 255))
    patch(130, 10, 170, 26, (15, 20, 200))
    patch(10, 88, 34, 112, (0, 0, 0))
    patch(140, 84, 172, 112, (20, 220, 40))
    patch(60, 52, 120, 54, (255, 255, 255))
    patch(88, 40, 90, 100, (0, 0, 0))
    return clip(picture)


def clip(picture):
    picture = (picture < 0).ifthenelse(0, picture)
    picture = (picture > 255).ifthenelse(255, picture)
    return picture.rint().cast("uchar").copy(interpretation="srgb")


def with_alpha(picture):
    at = pyvips.Image.xyz(picture.width, picture.height)
    x, y = at[0] - picture.width * 0.55, at[1] - picture.height * 0.45
    alpha = (x * x + y * y) ** 0.5 * (-520 / picture.width) + 330
    alpha = (alpha < 0).ifthenelse(0, alpha)
    alpha = (alpha > 255).ifthenelse(255, alpha).rint().cast("uchar")
    return picture.bandjoin(alpha).copy(interpretation="srgb")


def grey(picture):
    weighted = picture[0] * 0.3 + picture[1] * 0.6 + picture[2] * 0.1
    return weighted.rint().cast("uchar").copy(interpretation="b-w")


def cmyk(picture):
    ink = picture.linear(-1, 255)
    key = (ink[0] < ink[1]).ifthenelse(ink[0], ink[1])
    key = ((key < ink[2]).ifthenelse(key, ink[2]) * 0.6).rint()
    return (ink - key).bandjoin(key).cast("uchar").copy(interpretation="cmyk")


# --- colour profiles ------------------------------------------------------------------------

def s15(value):
    return struct.pack(">i", round(value * 65536))


def xyz(x, y, z):
    return b"XYZ \0\0\0\0" + s15(x) + s15(y) + s15(z)


def gamma(value):
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256)) + b"\0\0"


def described(text):
    return b"desc\0\0\0\0" + struct.pack(">I", len(text) + 1) + text + b"\0" + bytes(78)


def profile(space, pcs, kind, tags):
    tags = {b"desc": described(b"imgforge test"), b"cprt": b"text\0\0\0\0Public domain\0",
            b"wtpt": xyz(0.9642, 1, 0.8249), **tags}
    table, data = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, body in tags.items():
        body += bytes(-len(body) % 4)
        table += name + struct.pack(">II", start + len(data), len(body))
        data += body
    size = start + len(data)
    head = struct.pack(">I", size) + b"none" + bytes([2, 0x40, 0, 0]) + kind + space + pcs
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(24) + bytes(4)
    head += s15(0.9642) + s15(1) + s15(0.8249)
    return head.ljust(128, b"\0") + table + data


def wide_gamut():
    """The primaries of Display P3, adapted to D50, with a gamma of 1.8."""
    return profile(b"RGB ", b"XYZ ", b"mntr", {
        b"rXYZ": xyz(0.5151, 0.2412, -0.0011), b"gXYZ": xyz(0.2920, 0.6922, 0.0419),
        b"bXYZ": xyz(0.1571, 0.0666, 0.7841),
        b"rTRC": gamma(1.8), b"gTRC": gamma(1.8), b"bTRC": gamma(1.8)})


def grey_profile():
    return profile(b"GRAY", b"XYZ ", b"mntr", {b"kTRC": gamma(1.4)})


def ink_profile():
    """Two grid points an ink, corners from plain subtractive mixing, Lab in 8 bits; the way back is the same cube."""
    def lab(c, m, y, k):
        light = (1 - k) * (100 - 42 * c - 48 * m - 8 * y)
        return (max(light, 5) / 100 * 255, 128 + (1 - k) * (70 * m - 35 * c - 4 * y),
                128 + (1 - k) * (85 * y - 45 * c - 3 * m))
    clamp = lambda v: max(0, min(255, round(v)))
    cube = bytes(clamp(v) for n in range(16) for v in lab(n >> 3 & 1, n >> 2 & 1, n >> 1 & 1, n & 1))
    unit = b"".join(s15(v) for v in (1, 0, 0, 0, 1, 0, 0, 0, 1))
    ramp = bytes(range(256))
    there = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + unit + ramp * 4 + cube + ramp * 3
    back_cube = bytes(clamp(v) for n in range(8) for v in (
        255 - 200 * (n >> 2 & 1), 255 * (n >> 1 & 1), 255 * (n & 1), 40))
    back = b"mft1\0\0\0\0" + bytes([3, 4, 2, 0]) + unit + ramp * 3 + back_cube + ramp * 4
    return profile(b"CMYK", b"Lab ", b"prtr", {b"A2B0": there, b"B2A0": back})


def tagged(picture, data):
    picture = picture.copy()
    picture.set_type(pyvips.GValue.blob_type, "icc-profile-data", data)
    return picture


# --- metadata -------------------------------------------------------------------------------

XMP = b"""<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:CreatorTool="xmp-tool">
<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">xmp-rights</rdf:li></rdf:Alt></dc:rights>
<dc:creator><rdf:Seq><rdf:li>xmp-creator</rdf:li></rdf:Seq></dc:creator></rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""


def iptc():
    record = lambda number, text: struct.pack(">BBBH", 0x1C, 2, number, len(text)) + text
    data = record(116, b"iptc-copyright") + record(80, b"iptc-byline") + record(120, b"iptc-caption")
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(data)) + data + b"\0" * (len(data) % 2)
    return b"Photoshop 3.0\0" + resource


def with_metadata(picture):
    picture = picture.copy()
    string = pyvips.GValue.gstr_type
    for name, text in (("exif-ifd0-Copyright", "exif-copyright"), ("exif-ifd0-Artist", "exif-artist"),
                       ("exif-ifd0-Make", "exif-make")):
        picture.set_type(string, name, "%s (%s, ASCII, %d components, %d bytes)" % (
            text, text, len(text) + 1, len(text) + 1))
    picture.set_type(pyvips.GValue.blob_type, "xmp-data", XMP)
    picture.set_type(pyvips.GValue.blob_type, "iptc-data", iptc())
    return picture


def turned(picture, orientation):
    picture = picture.copy()
    picture.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    return picture


# --- formats that libvips does not write ----------------------------------------------------

def bmp(picture, file_header=True):
    """Bottom-up, 24 or 32 bits, the oldest header."""
    bands, width, height = picture.bands, picture.width, picture.height
    order = [2, 1, 0] + [3] * (bands - 3)
    swapped = picture[order[0]].bandjoin([picture[n] for n in order[1:]]).write_to_memory()
    stride = width * bands
    rows = [swapped[n * stride:(n + 1) * stride] + bytes(-stride % 4) for n in reversed(range(height))]
    doubled = height if file_header else height * 2
    head = struct.pack("<IiiHHIIiiII", 40, width, doubled, 1, bands * 8, 0, 0, 0, 0, 0, 0)
    body = head + b"".join(rows)
    if not file_header:
        return body + bytes((width + 31) // 32 * 4 * height)
    return struct.pack("<2sIHHI", b"BM", 14 + len(body), 0, 0, 54) + body


def bmp_runs(picture):
    """Eight bits of palette, compressed by run length."""
    index = (picture[0] / 64).floor() * 16 + (picture[1] / 64).floor() * 4 + (picture[2] / 64).floor()
    index = index.cast("uchar").write_to_memory()
    width, height = picture.width, picture.height
    data = b""
    for row in reversed(range(height)):
        line, at = index[row * width:(row + 1) * width], 0
        while at < width:
            run = 1
            while at + run < width and run < 255 and line[at + run] == line[at]:
                run += 1
            data += bytes([run, line[at]])
            at += run
        data += b"\0\0"
    data += b"\0\1"
    palette = b"".join(bytes([(n & 3) * 80 + 7, (n >> 2 & 3) * 80 + 7, (n >> 4 & 3) * 80 + 7, 0]) for n in range(64))
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(data), 0, 0, 64, 0)
    offset = 14 + len(head) + len(palette)
    return struct.pack("<2sIHHI", b"BM", offset + len(data), 0, 0, offset) + head + palette + data


def ico(*pictures):
    entries, data = b"", b""
    start = 6 + 16 * len(pictures)
    for side, payload in pictures:
        entries += struct.pack("<BBBBHHII", side, side, 0, 0, 1, 32, len(payload), start + len(data))
        data += payload
    return struct.pack("<HHH", 0, 1, len(pictures)) + entries + data


SVG = """<svg xmlns="http://www.w3.org/2000/svg" width="%s" height="%s" viewBox="0 0 90 60">
<defs><linearGradient id="g"><stop offset="0" stop-color="#f80"/><stop offset="1" stop-color="#08f"/></linearGradient></defs>
<rect x="4" y="4" width="52" height="30" fill="url(#g)"/><circle cx="66" cy="38" r="17" fill="#080" fill-opacity="0.6"/>
<path d="M6 56 L30 38 L44 56 Z" fill="#222"/>%s</svg>
"""


def film():
    frames = []
    for n in range(4):
        picture = scene(60, 40)
        x = pyvips.Image.xyz(60, 40)[0]
        bar = (x >= n * 12 + 4) & (x < n * 12 + 14)
        picture = bar.ifthenelse([255, 240, 40 * n], picture)
        hole = (pyvips.Image.xyz(60, 40)[1] > 30) & (x < 20)
        frames.append(picture.bandjoin(hole.ifthenelse(0, 255).cast("uchar")))
    stack = pyvips.Image.arrayjoin(frames, across=1).cast("uchar").copy(interpretation="srgb")
    stack.set_type(pyvips.GValue.gint_type, "page-height", 40)
    stack.set_type(pyvips.GValue.array_int_type, "delay", [40, 80, 120, 200])
    stack.set_type(pyvips.GValue.gint_type, "loop", 2)
    return stack


def main():
    rgb = scene()
    rgba = with_alpha(rgb)
    small = scene(90, 60)
    large = scene(720, 480)
    wide = small.linear(257, 0).cast("ushort").copy(interpretation="rgb16")
    one_bit = (grey(rgb) > 128).ifthenelse(255, 0).cast("uchar").copy(interpretation="b-w")
    mark = with_alpha(scene(48, 32)).extract_area(6, 4, 36, 24)
    icon = with_alpha(scene(64, 64))
    files = {
        "rgb.png": rgb.pngsave_buffer(strip=True),
        "rgba.png": rgba.pngsave_buffer(strip=True),
        "grey.png": grey(rgb).pngsave_buffer(strip=True),
        "grey-alpha.png": grey(small).bandjoin(with_alpha(small)[3]).copy(interpretation="b-w").pngsave_buffer(strip=True),
        "16bit.png": wide.pngsave_buffer(strip=True),
        "16bit-alpha.png": wide.bandjoin((with_alpha(small)[3].cast("ushort") * 257).cast("ushort"))
                               .copy(interpretation="rgb16").pngsave_buffer(strip=True),
        "palette.png": rgba.pngsave_buffer(palette=True, bitdepth=4, strip=True),
        "1bit.png": one_bit.pngsave_buffer(bitdepth=1, strip=True),
        "interlaced.png": small.pngsave_buffer(interlace=True, strip=True),
        "framed.png": small.embed(12, 20, 90 + 19, 60 + 29, extend="background", background=FRAME)
                           .pngsave_buffer(strip=True),
        "framed-alpha.png": with_alpha(small).embed(12, 20, 90 + 19, 60 + 29, extend="background",
                                                    background=[0, 0, 0, 0]).pngsave_buffer(strip=True),
        "mark.png": mark.pngsave_buffer(strip=True),
        "p3.png": tagged(small, wide_gamut()).pngsave_buffer(),
        "rgb.jpg": rgb.jpegsave_buffer(Q=92, strip=True),
        "large.jpg": large.jpegsave_buffer(Q=80, interlace=True, strip=True),
        "p3.jpg": tagged(rgb, wide_gamut()).jpegsave_buffer(Q=92),
        "grey.jpg": grey(rgb).jpegsave_buffer(Q=92, strip=True),
        "grey-profile.jpg": tagged(grey(rgb), grey_profile()).jpegsave_buffer(Q=92),
        "cmyk.jpg": cmyk(rgb).jpegsave_buffer(Q=92, strip=True),
        "cmyk-profile.jpg": tagged(cmyk(rgb), ink_profile()).jpegsave_buffer(Q=92),
        "metadata.jpg": tagged(turned(with_metadata(small), 6), wide_gamut()).jpegsave_buffer(Q=92),
        "rgba.webp": rgba.webpsave_buffer(lossless=True, strip=True),
        "large.webp": large.webpsave_buffer(Q=75, strip=True),
        "rgba.gif": rgba.gifsave_buffer(strip=True, dither=0),
        "rgb.tiff": small.tiffsave_buffer(compression="lzw", strip=True),
        "float.tiff": (small / 255).cast("float").copy(interpretation="srgb").tiffsave_buffer(compression="deflate"),
        "cmyk.tiff": cmyk(small).tiffsave_buffer(compression="deflate", strip=True),
        "rgba.avif": rgba.heifsave_buffer(compression="av1", Q=80, strip=True),
        "rgb.heic": rgb.heifsave_buffer(compression="hevc", Q=80, strip=True),
        "rgba.jxl": rgba.jxlsave_buffer(Q=90, strip=True),
        "rgb.bmp": bmp(small),
        "rgba.bmp": bmp(with_alpha(small)),
        "runs.bmp": bmp_runs(small),
        "icon.ico": ico((16, bmp(icon.resize(0.25).cast("uchar"), False)), (64, icon.pngsave_buffer(strip=True)),
                        (32, bmp(icon.resize(0.5).cast("uchar"), False))),
        "drawing.svg": (SVG % ("90", "60", "")).encode(),
        "millimetres.svg": (SVG % ("30mm", "20mm", "")).encode(),
        "script.svg": (SVG % ("90", "60", '<script>alert(1)</script><a onclick="x()" href="javascript:y()"><rect '
                              'width="5" height="5"/></a>')).encode(),
        "film.gif": film().gifsave_buffer(dither=0),
        "film.webp": film().webpsave_buffer(lossless=True),
    }
    for n in range(1, 9):
        files["orientation-%d.jpg" % n] = turned(small, n).jpegsave_buffer(Q=92)
    for name, data in files.items():
        (HERE / name).write_bytes(data)


if __name__ == "__main__":
    main()
