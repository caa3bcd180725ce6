#!/usr/bin/env python3
"""Makes the pictures of this folder. Needs pyvips over libvips 8.14 or newer; run it here and commit what changed.

Every picture is the same numbered grid, 96x64 with cells of 16 pixels, so that a test can tell which part of it is left:
cell (column, row) has the colour (40 * column + 20, 60 * row + 20, 128). `grid.png` has alpha: its right half is transparent
by 50 %. `grid-o6.jpg` is `grid.jpg` with EXIF orientation 6. Beside each format lie two that cannot be decoded: `truncated.*`
ends after half of its bytes, `broken.*` keeps its signature and header and has noise for the rest.

`frames.gif` and `frames.webp` are animations of three frames of 32x24, red, green and blue, shown for 50, 100 and 150 ms,
three times over.
"""
import pathlib
import random

import pyvips

HERE = pathlib.Path(__file__).resolve().parent
WIDTH, HEIGHT, CELL = 96, 64, 16
KEPT = 48       # bytes of a broken picture that are right: enough for every format to be recognised


def grid():
    at = pyvips.Image.xyz(WIDTH, HEIGHT)
    column, row = (at[0] / CELL).floor(), (at[1] / CELL).floor()
    bands = [column * 40 + 20, row * 60 + 20, (column * 0) + 128]
    return bands[0].bandjoin(bands[1:]).cast("uchar").copy(interpretation="srgb")


def frames():
    colours = ([200, 0, 0], [0, 200, 0], [0, 0, 200])
    plain = pyvips.Image.black(32, 24, bands=3)
    stack = pyvips.Image.arrayjoin([plain + colour for colour in colours], across=1)
    stack = stack.cast("uchar").copy(interpretation="srgb")
    stack.set_type(pyvips.GValue.gint_type, "page-height", 24)
    stack.set_type(pyvips.GValue.array_int_type, "delay", [50, 100, 150])
    stack.set_type(pyvips.GValue.gint_type, "loop", 3)
    return stack


def turned(image):
    image = image.copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", 6)
    return image


def main():
    rgb = grid()
    right = pyvips.Image.xyz(WIDTH, HEIGHT)[0] >= WIDTH // 2
    rgba = rgb.bandjoin(right.ifthenelse(128, 255).cast("uchar")).copy(interpretation="srgb")
    files = {
        "grid.jpg": rgb.jpegsave_buffer(Q=95, subsample_mode="off", strip=True),
        "grid-o6.jpg": turned(rgb).jpegsave_buffer(Q=95, subsample_mode="off"),
        "grid.png": rgba.pngsave_buffer(strip=True),
        "grid.webp": rgba.webpsave_buffer(lossless=True, strip=True),
        "grid.gif": rgb.gifsave_buffer(strip=True),
        "grid.avif": rgb.heifsave_buffer(compression="av1", lossless=True, strip=True),
        "grid.heic": rgb.heifsave_buffer(compression="hevc", Q=90, strip=True),
        "grid.tiff": rgb.tiffsave_buffer(compression="deflate", strip=True),
    }
    files["frames.gif"] = frames().gifsave_buffer()
    files["frames.webp"] = frames().webpsave_buffer(lossless=True)
    noise = random.Random(1)
    for name, data in list(files.items()):
        stem, _, ending = name.partition(".")
        if stem != "grid":
            continue
        files["truncated." + ending] = data[: len(data) // 2]
        files["broken." + ending] = data[:KEPT] + noise.randbytes(max(64, len(data) - KEPT))
    for name, data in files.items():
        (HERE / name).write_bytes(data)


if __name__ == "__main__":
    main()
