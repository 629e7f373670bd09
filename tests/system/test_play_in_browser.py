"""The page where operators run, in Chromium, opened as a file: `make test-browser`.

It needs the package playwright, but none of its own browsers, and Chromium on PATH or as CHROMIUM.
"""

import functools
import http.server
import math
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import hop

ROOT = Path(hop.__file__).parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
NAMES = ("burgers-shocks", "convection-diffusion", "cavity", "drift-diffusion")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium on PATH; install it, or name one by CHROMIUM=")
    api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    site = ROOT / "docs/_build/html"
    build = [sys.executable, "-m", "sphinx", "-W", "-q", ROOT / "docs", site]
    subprocess.run(build, cwd=ROOT, check=True)
    with api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    """The page, and what went wrong on it, and what it asked for."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.faults, page.asked = [], []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("console", lambda told: told.type == "error" and page.faults.append(told.text))
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto((ROOT / "docs/_build/html/play.html").as_uri())
    page.wait_for_function("hopPlay.first")
    yield page
    assert not page.faults
    assert all(url.startswith(("file:", "blob:")) for url in page.asked)
    page.close()


def show(page, name):
    page.check(f'input[value="{name}"]', force=True)
    page.wait_for_function(
        f'hopPlay.state().spec.name === "{name}" && hopPlay.state().last && hopPlay.idle()'
    )


def drag(page):
    """A stroke over the middle of the input."""
    canvas = page.locator('canvas[data-part="input"]')
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    x, y = box["x"] + 0.3 * box["width"], box["y"] + 0.45 * box["height"]
    page.mouse.move(x, y)
    page.mouse.down()
    for k in range(12):
        page.mouse.move(x + 0.03 * k * box["width"], y + 12 * math.sin(k / 3))
    page.mouse.up()
    page.wait_for_function("hopPlay.idle()")


def last(page):
    """What the page asked its operator last, and was answered."""
    page.wait_for_function("hopPlay.idle()")
    made = page.evaluate(
        "(({given, points, u, values, reference}) => ({given: [...given], points: [...points], "
        "u: [...u], values, known: Boolean(reference)}))(hopPlay.state().last)"
    )
    return {k: np.array(v, np.float32) if isinstance(v, list) else v for k, v in made.items()}


def agrees(op, asked):
    values, x = asked["given"][None], asked["points"].reshape(-1, op.ansatz.problem.domain.dim)
    moved = asked["values"]
    if "Re" in moved:
        u = op({"U": values, "Re": np.array([moved["Re"]])}, x)
    else:
        u = op(values, x, eps=moved["eps"])
    np.testing.assert_allclose(asked["u"], u[0], atol=1e-4 * max(1, np.abs(u).max()))


class Served(http.server.SimpleHTTPRequestHandler):
    """Says of scripts, which are UTF-16, that they are UTF-8, as many servers would."""

    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {
        ".js": "text/javascript; charset=utf-8"
    }

    def log_message(self, *args):
        pass


def test_it_is_the_same_from_a_server(browser):
    of_site = functools.partial(Served, directory=ROOT / "docs/_build/html")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), of_site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/play.html")
        page.wait_for_function("hopPlay.first")
        agrees(hop.load("burgers-shocks"), last(page))
        page.close()
        server.shutdown()


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_those_of_the_operator(name, page):
    op = hop.load(name)
    show(page, name)
    first = last(page)
    agrees(op, first)
    assert first["known"]
    assert "Distance to the reference solver" in page.inner_text('[data-part="status"]')
    drag(page)
    drawn = last(page)
    assert not drawn["known"]
    assert np.abs(drawn["given"] - first["given"]).max() > 1e-3
    agrees(op, drawn)
    for slider in page.locator('input[type="range"]').all():
        for key in ("Home", "ArrowRight", "PageUp", "End"):
            before = last(page)["values"]
            slider.press(key)
            after = last(page)
            assert after["values"] != before
            agrees(op, after)
    page.click('[data-part="random"]')
    agrees(op, last(page))
    page.click('[data-example="1"]')
    page.locator(".play-marks button").first.click()
    if "t" in last(page)["values"]:
        page.fill("#play-t", "500")
    assert last(page)["known"]
    agrees(op, last(page))


def test_by_keyboard_alone(page):
    canvas = page.locator('canvas[data-part="input"]')
    before = last(page)["given"]
    canvas.press("ArrowRight")
    np.testing.assert_array_equal(last(page)["given"], before)
    assert "at x = 0.53" in canvas.get_attribute("aria-valuetext")
    canvas.press("ArrowUp")
    pulled = last(page)["given"]
    assert np.argmax(pulled - before) in (52, 53)
    assert abs(pulled[1:].mean()) < 1e-6  # what the network sees has no mean
    page.locator('input[value="burgers-shocks"]').press("ArrowRight")
    page.wait_for_function('hopPlay.state().spec.name === "convection-diffusion"')


def test_a_function_far_from_the_law_is_warned_of(page):
    warning = page.locator('[data-part="warning"]')
    assert not warning.is_visible()
    canvas = page.locator('canvas[data-part="input"]')
    for k in range(4):
        for _ in range(4):
            canvas.press("PageUp" if k % 2 else "PageDown")
        for _ in range(4):
            canvas.press("ArrowRight")
    assert last(page)
    assert "rougher" in warning.inner_text()
    page.click('[data-part="random"]')
    last(page)
    assert not warning.is_visible()


@pytest.mark.parametrize("name", NAMES)
def test_functions_are_drawn_from_the_law(name, page):
    show(page, name)
    op = hop.load(name)
    law = next(iter(op.laws.values()))
    drawn = []
    for _ in range(200):
        page.evaluate("document.querySelector('[data-part=random]').click()")
        drawn.append(page.evaluate("[...hopPlay.state().drawn]"))
    drawn = np.array(drawn)
    exact, weights = law.spread(law.sensors)
    std = np.sqrt(np.maximum(exact**2 @ weights - (exact @ weights) ** 2, 0))
    inner = slice(len(std) // 4, -len(std) // 4)
    factor = 1.0
    if name == "cavity":
        x = law.sensors[:, 0]
        factor = (16 * x**2 * (1 - x) ** 2)[inner]
    np.testing.assert_allclose(
        (drawn.std(axis=0)[inner] * factor).mean(), std[inner].mean(), rtol=0.2
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone(scheme, page):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 390, "height": 844})
    for name in NAMES:
        show(page, name)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 390
        drag(page)
        shown = page.evaluate(
            "(() => { const c = document.querySelector('canvas[data-part=output]');"
            "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            "return new Set(new Uint32Array(d.buffer)).size; })()"
        )
        assert shown > 20  # something is drawn
