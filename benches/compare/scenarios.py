"""What is compared. The goals are ratios of CPU per request to imgproxy 4.0.12 on libvips 8.14.1."""

import dataclasses

ANIMATION = {"IMGPROXY_MAX_ANIMATION_FRAMES": "30"}
WATERMARK = {"IMGPROXY_WATERMARK_PATH": "{pictures}/mark.png"}
# imgproxy has no cache and does not know the variable.
CACHE = {"IMGFORGE_CACHE_TYPE": "memory"}


@dataclasses.dataclass(frozen=True)
class Scenario:
    """One kind of request."""

    name: str
    title: str
    source: str
    options: str
    extension: str
    goal: float | None
    environment: dict = dataclasses.field(default_factory=dict)
    #: The same URL every time; a server without a cache is asked whether it has changed, and answers 304.
    cached: bool = False


SCENARIOS = [
    Scenario("thumbnail", "JPEG 640×427 → JPEG 200×200", "small.jpg", "rs:fill:200:200", "jpg", 0.35),
    Scenario("jpeg", "JPEG 2 MP → JPEG 512", "2mp.jpg", "rs:fit:512:512", "jpg", 0.55),
    Scenario("webp", "JPEG 2 MP → WebP 800", "2mp.jpg", "rs:fit:800:800", "webp", 0.8),
    Scenario("avif", "JPEG 2 MP → AVIF 512", "2mp.jpg", "rs:fit:512:512", "avif", 1.0),
    Scenario("large", "JPEG 12 MP → JPEG 300×200", "12mp.jpg", "rs:fill:300:200", "jpg", 0.8),
    Scenario("progressive", "progressive JPEG 12 MP → JPEG 300×200", "progressive.jpg", "rs:fill:300:200", "jpg", 0.5),
    Scenario("png", "RGBA PNG 1 MP → PNG 400", "rgba.png", "rs:fit:400:400", "png", 0.5),
    Scenario("from-webp", "WebP 10 MP → JPEG 300", "10mp.webp", "rs:fit:300:300", "jpg", 0.7),
    Scenario("animation", "GIF 320×240, 30 frames → WebP 200", "30.gif", "rs:fit:200:200", "webp", 0.8, ANIMATION),
    Scenario("p3", "Display P3 JPEG 12 MP → JPEG 200", "p3.jpg", "rs:fit:200:200", "jpg", 0.5),
    Scenario("watermark", "JPEG 2 MP → JPEG 800×600, watermark", "2mp.jpg",
             "rs:fill:800:600/wm:0.5:soea:10:10:0.2", "jpg", None, WATERMARK),
    Scenario("cached", "cached hit; imgproxy: 304", "2mp.jpg", "rs:fit:512:512", "jpg", 0.4, CACHE, cached=True),
]
