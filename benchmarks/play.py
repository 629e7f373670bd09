"""Times the page docs/play.md in Chromium, and writes what it finds on it.

    make docs && .venv/bin/pip install playwright && .venv/bin/python benchmarks/play.py

The first answer is timed from the load event of a page that is opened as a file, by a browser that
has just started; answers while dragging from the movement of the pointer to the picture.
"""

import math
import os
import shutil
import statistics
from pathlib import Path

from playwright.sync_api import sync_playwright

from hop import files, provenance

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "play.md"
FOLDER = ROOT / "docs" / "_static" / "play"
STARTS, MOVES = 7, 120


def main() -> None:
    chromium = (
        os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    )
    firsts, rows = [], []
    with sync_playwright() as play:
        for _ in range(STARTS):
            browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = opened(browser)
            firsts.append(page.evaluate("hopPlay.first - performance.timing.loadEventEnd"
                                        " + performance.timing.navigationStart"))  # fmt: skip
            version = browser.version
            browser.close()
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = opened(browser)
        for choice in page.locator('input[name="play-operator"]').all():
            name = choice.get_attribute("value")
            choice.check(force=True)
            page.wait_for_function(f'hopPlay.state().spec.name === "{name}" && hopPlay.idle()')
            times = dragged(page)
            rows.append(
                f"| `{name}` | {size(name):.2f} MB | {statistics.median(times):.1f} ms "
                f"| {sorted(times)[int(0.95 * len(times))]:.1f} ms |\n"
            )
        browser.close()
    whole = sum(path.stat().st_size for path in FOLDER.glob("*.js")) / 1e6
    first = statistics.median(firsts)
    cores = len(os.sched_getaffinity(0))
    made = provenance.credit("python benchmarks/play.py")
    text = (
        "| operator | size | answer while dragging, median | 95 % below |\n"
        "| --- | --- | --- | --- |\n"
        + "".join(rows)
        + f"\nThe first answer comes {first / 1000:.2f} s after the page has loaded (of {STARTS} "
        f"starts the median; {min(firsts) / 1000:.2f} to {max(firsts) / 1000:.2f}). "
        f"With its runtime, {size('runtime'):.2f} MB, the page reads {whole:.1f} MB. {made}, "
        f"Chromium {version}, headless, on {cores} core{'s' * (cores > 1)} of these.\n"
    )
    page_text = PAGE.read_text(encoding="utf-8")
    files.write(PAGE, files.between(page_text, "measured", text.rstrip()))
    print(text)


def opened(browser):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto((ROOT / "docs/_build/html/play.html").as_uri())
    page.wait_for_function("self.hopPlay?.first && hopPlay.idle()")
    return page


def dragged(page) -> list[float]:
    """The times of answers, in ms, in the course of a stroke at 60 movements a second."""
    canvas = page.locator('canvas[data-part="input"]')
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    x, y = box["x"] + 0.2 * box["width"], box["y"] + 0.5 * box["height"]
    before = page.evaluate("hopPlay.times.length")
    page.mouse.move(x, y)
    page.mouse.down()
    for k in range(MOVES):
        page.mouse.move(x + 0.6 * k / MOVES * box["width"], y + 15 * math.sin(k / 9))
        page.wait_for_timeout(16)
    page.mouse.up()
    page.wait_for_function("hopPlay.idle()")
    return page.evaluate(f"hopPlay.times.slice({before})")


def size(name: str) -> float:
    return (FOLDER / f"{name}.js").stat().st_size / 1e6


if __name__ == "__main__":
    main()
