"""The explorer in a real browser: headless Chromium, driven by Playwright."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from sk_entity_embed.inspection import explore, nearest, project
from sk_entity_embed.inspection.explorer import notebook
from tests.inspection.conftest import HOSTILE
from tests.samples import make_encoder

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed.")
CHROMIUM = os.environ.get("SK_ENTITY_EMBED_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
if CHROMIUM is None:
    pytest.skip("Chromium is not installed.", allow_module_level=True)

ARGUMENTS = [
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]
"""WebGL without a graphics card, and a browser that keeps quiet."""

READY = "document.documentElement.dataset.state === 'ready'"


@pytest.fixture(scope="module")
def encoder():
    """Fitted on towns, some of them too rare for a vector of their own, and on hostile names."""
    rng = np.random.default_rng(0)
    n = 700
    weights = np.arange(40, 0, -1.0)
    town = rng.choice([f"Town {i:02d}" for i in range(40)], n, p=weights / weights.sum())
    text = np.array(HOSTILE, dtype=object)[rng.integers(len(HOSTILE), size=n)]
    X = pd.DataFrame({"town": town, "text": pd.Series(text, dtype=object)})
    X.loc[:20, "town"] = None
    y = pd.factorize(X["town"])[0] % 5 + pd.factorize(X["text"])[0] % 3 + rng.normal(size=n)
    return make_encoder(min_frequency=6, dimensions=5, max_iter=3).fit(X, y)


@pytest.fixture(scope="module")
def metadata(encoder):
    """A region of nine kinds and a height, both lacking for some towns."""
    towns = [c for c in encoder.categories_["town"][:-1] if c != "Town 07"]
    places = range(len(towns))
    return pd.DataFrame(
        {
            "region": [f"<i>region</i> {min(i // 3, 8)}" for i in places],
            "height": [float(i * i) for i in places],
        },
        index=towns,
    )


@pytest.fixture(scope="module")
def address(encoder, metadata, tmp_path_factory):
    """Where the page lies."""
    path = tmp_path_factory.mktemp("explorer") / "page <&> 1.html"
    title = "Towns </title><script>alert(3)</script>"
    explore(encoder, metadata={"town": metadata}, methods=("tsne",), title=title).save(path)
    return path.as_uri()


@pytest.fixture(scope="module")
def browser():
    """One Chromium for all tests."""
    with playwright.sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def faults():
    """What the pages did that they must not do."""
    return []


@pytest.fixture(scope="module")
def tab(browser, faults):
    """One tab for all tests: a page opens faster in a process that has seen its scripts."""
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.set_default_timeout(60_000)

    def note_request(request):
        if not request.url.startswith(("file:", "data:", "blob:")):
            faults.append(request.url)

    page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: faults.append(str(e)))
    page.on("dialog", lambda d: (faults.append(d.message), d.dismiss()))
    page.on("request", note_request)
    return page


@pytest.fixture
def new_page(tab, faults):
    """A function that opens a page, which has to stay silent and offline."""
    faults.clear()

    def open_page(address, width=1280, color_scheme="light"):
        tab.set_viewport_size({"width": width, "height": 800})
        tab.emulate_media(color_scheme=color_scheme)
        tab.goto(address)
        tab.wait_for_function(READY)
        return tab

    yield open_page
    assert faults == []


@pytest.fixture
def page(new_page, address):
    """The page, opened anew."""
    return new_page(address)


def settle(page):
    """Wait until the map shows what was chosen."""
    page.wait_for_function(READY)


def choose(page, name):
    """Search for a name and take the first suggestion."""
    page.fill("#search", name)
    page.press("#search", "Enter")


def shown(page):
    """The table of neighbours, with all digits of the similarities."""
    return page.evaluate(
        """() => Array.from(document.querySelectorAll("#neighbours tr"), (row) => ({
            category: row.querySelector("button").textContent,
            similarity: Number(row.querySelector(".similar").dataset.value),
            texts: Array.from(row.cells, (c) => c.textContent),
        }))"""
    )


def expect_neighbours(page, expected):
    """The page shows what `nearest` found."""
    found = shown(page)
    categories = ["(missing)" if pd.isna(c) else c or "(empty)" for c in expected["category"]]
    assert [f["category"] for f in found] == categories
    similarities = [f["similarity"] for f in found]
    np.testing.assert_allclose(similarities, expected["similarity"], rtol=0, atol=1e-6)
    assert [int(f["texts"][-1].replace(",", "")) for f in found] == expected["count"].tolist()


def place_of(page, index):
    """Pixel of a category's point in the window."""
    return page.evaluate(
        """(i) => {
            const at = explorer.plot.projector()(i);
            const box = document.getElementById("stage").getBoundingClientRect();
            return [box.left + at[0], box.top + at[1]];
        }""",
        index,
    )


def free_point(page):
    """A category whose point is the one met at its place, away from the tools."""
    return page.evaluate(
        """() => {
            const { plot } = explorer;
            return Array.from(plot.shown).reverse().find((i) => {
                const at = plot.projector()(i);
                return plot.pick(at[0], at[1]) === i && at[1] > 80;
            });
        }"""
    )


def colour_at(page, place):
    """Colour of the page's picture at a pixel."""
    from matplotlib.image import imread

    x, y = place
    clip = {"x": x - 1, "y": y - 1, "width": 3, "height": 3}
    picture = imread(io.BytesIO(page.screenshot(clip=clip)), format="png")
    return (picture[1, 1, :3] * 255).round().astype(int)


def rows_of(download):
    """Rows of a downloaded CSV file."""
    with open(download.path(), encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def test_the_page_opens(page, new_page, address, encoder):
    assert page.title() == "Towns </title><script>alert(3)</script>"
    assert page.locator("h1").text_content() == page.title()
    assert page.locator("html").get_attribute("lang") == "en"
    n = len(encoder.categories_["town"])
    assert f"town: {n} categories · 5 dimensions · 700 rows" in page.text_content("#summary")
    assert re.match(
        rf"Scatter plot of {n} categories of town by component 1 .*coloured by Target mean",
        page.locator("#plot").get_attribute("aria-label"),
    )
    assert page.evaluate("explorer.plot.gd.data[0].type") == "scattergl"
    page.uncheck("#named")
    settle(page)
    empty = colour_at(page, (700, 730))
    assert np.abs(colour_at(page, place_of(page, free_point(page))) - empty).sum() > 60
    unnamed = page.evaluate(
        """() => Array.from(document.querySelectorAll("button, input, select"))
            .filter((c) => !(c.labels && c.labels.length) && !c.getAttribute("aria-label")
                && !c.textContent.trim()).map((c) => c.outerHTML)"""
    )
    assert unnamed == []
    page = new_page(address, color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == "rgb(22, 24, 29)"
    page.click("#theme")
    settle(page)
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    page.click("#theme")
    settle(page)
    assert page.evaluate(ground) == "rgb(22, 24, 29)"
    page.click("#theme")
    page.emulate_media(color_scheme="light")
    settle(page)
    assert page.evaluate(ground) == "rgb(255, 255, 255)"


def test_neighbours_are_those_that_nearest_finds(page, encoder):
    choose(page, "town 03")
    first = shown(page)[0]["category"]
    page.click("#neighbours tr:first-child button")
    assert page.text_content("#chosen") == first
    assert page.evaluate("document.activeElement.id") == "chosen"
    expect_neighbours(page, nearest(encoder, "town", first, 10))
    assert first in page.text_content("#said")
    page.click("#back")
    assert page.text_content("#chosen") == "Town 03"
    assert page.is_hidden("#back")
    for metric in ("cosine", "euclidean", "dot"):
        page.select_option("#metric", metric)
        choose(page, "town 03")
        assert page.text_content("#chosen") == "Town 03"
        for k in (10, 30):
            page.evaluate("(n) => { k.value = n; k.dispatchEvent(new Event('input')); }", k)
            expected = nearest(encoder, "town", "Town 03", k, metric=metric)
            expect_neighbours(page, expected)
        if metric == "euclidean":
            distances = [float(f["texts"][2]) for f in shown(page)]
            np.testing.assert_allclose(distances, expected["distance"], atol=1e-4)
    page.select_option("#metric", "cosine")
    page.evaluate("k.value = 10; k.dispatchEvent(new Event('input'))")
    choose(page, "(miss")
    assert page.text_content("#chosen") == "(missing)"
    expect_neighbours(page, nearest(encoder, "town", None, 10))
    rare = encoder.infrequent_categories_["town"]
    assert len(rare) > 2
    choose(page, rare[-1])
    expected = nearest(encoder, "town", rare[-1], 10)
    assert expected["category"].tolist()[: len(rare) - 1] == rare[:-1].tolist()
    expect_neighbours(page, expected)
    choose(page, "town 03")
    page.fill("#least", "20")
    page.press("#least", "Enter")
    settle(page)
    expected = nearest(encoder, "town", "Town 03", 5, min_count=20)
    page.evaluate("k.value = 5; k.dispatchEvent(new Event('input'))")
    expect_neighbours(page, expected)
    counts = encoder.category_counts_["town"]
    assert page.evaluate("explorer.plot.gd.data[0].x.length") == (counts >= 20).sum()
    page.evaluate(
        "e = document.getElementById('least-range'); e.value = 0;"
        "e.dispatchEvent(new Event('change'))"
    )
    settle(page)
    assert page.evaluate("explorer.plot.gd.data[0].x.length") == len(counts)


def test_points_are_hovered_and_clicked_in_two_and_three_dimensions(page, encoder, metadata):
    index = free_point(page)
    page.mouse.move(*place_of(page, index))
    page.wait_for_selector("#tip:not([hidden])")
    category = encoder.categories_["town"][index]
    text = page.inner_text("#tip")
    count = encoder.category_counts_["town"][index]
    assert text.startswith(category)
    assert str(count) in text
    assert metadata["region"][category] in text
    page.mouse.move(1200, 700)
    page.wait_for_selector("#tip", state="hidden")
    page.uncheck("#named")
    page.locator("label:has([name=dims][value='3'])").click()
    settle(page)
    for key in (None, "ArrowRight", "+"):
        if key:
            before = page.evaluate("JSON.stringify(explorer.plot.camera())")
            page.press("#stage", key)
            page.wait_for_function(
                "(b) => JSON.stringify(explorer.plot.camera()) !== b", arg=before
            )
        page.evaluate("explorer.plot.job")
        page.evaluate("new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))")
        ground = colour_at(page, (20, 700))
        place = place_of(page, free_point(page))
        assert np.abs(colour_at(page, place) - ground).sum() > 60
    index = free_point(page)
    category = encoder.categories_["town"][index]
    page.mouse.click(*place_of(page, index))
    name = "(missing)" if pd.isna(category) else category
    page.wait_for_function("(n) => chosen.textContent === n", arg=name)
    expect_neighbours(page, nearest(encoder, "town", category, 10))
    page.locator("label:has([name=dims][value='2'])").click()
    settle(page)
    index = free_point(page)
    category = encoder.categories_["town"][index]
    page.mouse.click(*place_of(page, index))
    name = "(missing)" if pd.isna(category) else category
    page.wait_for_function("(n) => chosen.textContent === n", arg=name)
    expect_neighbours(page, nearest(encoder, "town", category, 10))


def test_colours_follow_the_choice(page, metadata):
    page.uncheck("#named")
    settle(page)
    index = free_point(page)
    colours = [colour_at(page, place_of(page, index)).tolist()]
    legends = [page.inner_text("#legend")]
    for name in ("Count", "region", "height", "Nothing"):
        page.select_option("#colour", label=name)
        settle(page)
        page.evaluate("new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))")
        colours.append(colour_at(page, place_of(page, index)).tolist())
        legends.append(page.inner_text("#legend"))
    assert len(set(map(tuple, colours))) >= 4
    assert len(set(legends)) == 5
    assert "Count, logarithmic" in legends[1]
    kinds = metadata["region"].nunique()
    assert f"{kinds - 7} other kinds" in legends[2]
    assert "<i>region</i> 0" in legends[2]
    assert "(missing)" in legends[2]
    assert "(missing)" in legends[3]
    page.check("#sized")
    settle(page)
    sizes = page.evaluate("Array.from(explorer.plot.gd.data[0].marker.size)")
    assert max(sizes) > 2 * min(sizes)


def test_column_and_projection_are_switched(page, encoder):
    choose(page, "town 03")
    page.select_option("#method", "tsne")
    settle(page)
    assert page.text_content("#axis-x") == "t-SNE 1"
    found = page.evaluate(
        "[...explorer.plot.shown].map((i, p) => [i, explorer.plot.gd.data[0].x[p]])"
    )
    index, x = np.array(found).T
    expected = project(encoder, "town", method="tsne").iloc[index.astype(int), 0]
    np.testing.assert_allclose(x, expected, rtol=1e-5)
    page.select_option("#column", label="text")
    settle(page)
    assert page.is_visible("#empty")
    n = len(encoder.categories_["text"])
    assert page.text_content("#summary").startswith(f"text: {n} categories")
    assert page.evaluate("explorer.plot.gd.data[0].x.length") == n
    assert page.locator("#colour option").all_text_contents() == ["Target mean", "Count", "Nothing"]
    page.locator("label:has([name=dims][value='3'])").click()
    settle(page)
    page.locator("label:has([name=dims][value='2'])").click()
    settle(page)
    assert page.evaluate("explorer.plot.gd.data[0].type") == "scattergl"


def test_what_is_selected_and_found_is_saved_as_csv(page, encoder, metadata):
    page.click("[data-tool=select]")
    page.wait_for_function("explorer.plot.gd._fullLayout.dragmode === 'select'")
    page.mouse.move(300, 250)
    page.mouse.down()
    page.mouse.move(500, 500, steps=4)
    page.mouse.move(800, 720, steps=4)
    page.mouse.up()
    page.wait_for_function("explorer.state.selection.size > 0")
    inside = page.evaluate("""() => {
        const box = document.getElementById("stage").getBoundingClientRect();
        return Array.from(explorer.plot.shown).filter((i) => {
            const at = explorer.plot.projector()(i), x = box.left + at[0], y = box.top + at[1];
            return x > 300 && x < 800 && y > 250 && y < 720;
        });
    }""")
    assert page.text_content("#selected").startswith(f"{len(inside)} categor")
    with page.expect_download() as download:
        page.click("#save-selection")
    assert download.value.suggested_filename == "town_selection.csv"
    head, *rows = rows_of(download.value)
    assert head[:2] == ["category", "count"]
    assert head[2].startswith("component 1")
    assert head[4:] == ["Target mean", "region", "height"]
    assert len(rows) == len(inside)
    counts = dict(zip(encoder.categories_["town"], encoder.category_counts_["town"], strict=True))
    means = dict(
        zip(encoder.categories_["town"], encoder.category_target_means_["town"], strict=True)
    )
    coordinates = project(encoder, "town")
    for category, count, x, y, mean, region, height in rows:
        if not category:
            continue
        assert int(count) == counts[category]
        assert float(mean) == means[category]
        np.testing.assert_allclose([float(x), float(y)], coordinates.loc[category], rtol=1e-6)
        known = category in metadata.index
        assert region == (metadata["region"][category] if known else "")
        assert height == ("" if not known else str(int(metadata["height"][category])))
    kept = "explorer.plot.gd.data[0].selectedpoints.map((p) => explorer.plot.shown[p])"
    assert sorted(page.evaluate(kept)) == sorted(inside)
    page.select_option("#colour", label="region")
    settle(page)
    assert sorted(page.evaluate(kept)) == sorted(inside)
    assert page.evaluate("explorer.state.selection.size") == len(inside)
    page.click("#clear")
    settle(page)
    assert page.is_disabled("#save-selection")
    assert page.evaluate("explorer.plot.gd.data[0].selectedpoints") is None
    assert not page.evaluate("explorer.plot.gd.layout.selections")
    # Names that spreadsheets would run are text.
    page.select_option("#column", label="text")
    settle(page)
    choose(page, "=1+1")
    page.evaluate("k.value = 50; k.dispatchEvent(new Event('input'))")
    with page.expect_download() as download:
        page.click("#save-neighbours")
    assert download.value.suggested_filename == "text_neighbours.csv"
    head, *rows = rows_of(download.value)
    assert head[:3] == ["category", "similarity", "count"]
    expected = nearest(encoder, "text", "=1+1", len(HOSTILE) - 1)
    assert [r[0] for r in rows] == ["'=1+1", *expected["category"]]
    similarities = [float(r[1]) for r in rows]
    np.testing.assert_allclose(similarities, [1.0, *expected["similarity"]], atol=1e-6)


def test_hostile_names_stay_text(page, encoder):
    page.select_option("#column", label="text")
    settle(page)
    elements = page.evaluate("document.querySelectorAll('script, img, b, i, style').length")
    for index, name in enumerate(encoder.categories_["text"]):
        page.evaluate("(i) => explorer.choose(i)", index)
        assert page.text_content("#chosen") == (name or "(empty)")
        page.evaluate("(i) => explorer.plot.on.hover(i, 9, 9)", index)
        assert page.locator("#tip strong").text_content() == (name or "(empty)")
    page.evaluate("k.value = 50; k.dispatchEvent(new Event('input'))")
    names = {f["category"] for f in shown(page)}
    assert names == {n or "(empty)" for n in HOSTILE} - {page.text_content("#chosen")}
    for typed in ("<script>", "<IMG", "&amp;", "two", "\u05e9"):
        page.fill("#search", typed)
        assert page.locator("#options [role=option]").count() == 1
        assert typed.lower() in page.locator("#options [role=option] .name").text_content().lower()
    page.press("#search", "Escape")
    page.locator("label:has([name=dims][value='3'])").click()
    settle(page)
    after = page.evaluate("document.querySelectorAll('script, img, b, i, style').length")
    assert after <= elements
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_keyboard_is_enough_and_the_search_completes(page, encoder):
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "search":
            break
    assert page.evaluate("document.activeElement.id") == "search"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    assert page.get_attribute("#search", "aria-expanded") == "true"
    active = page.get_attribute("#search", "aria-activedescendant")
    first = page.locator(f"#{active} .name").text_content()
    counts = encoder.category_counts_["town"]
    assert first == encoder.categories_["town"][int(np.argmax(counts))]
    assert page.get_attribute(f"#{active}", "aria-selected") == "true"
    page.keyboard.press("Enter")
    assert page.text_content("#chosen") == first
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('#neighbours') !== null"):
            break
    page.keyboard.press("Enter")
    assert page.text_content("#chosen") == nearest(encoder, "town", first, 1)["category"][0]
    page.focus("#stage")
    for key, grows in (("+", False), ("-", True)):
        before = page.evaluate("explorer.plot.range()[0]")
        page.keyboard.press(key)
        page.wait_for_function("(b) => explorer.plot.range()[0][0] !== b[0]", arg=before)
        after = page.evaluate("explorer.plot.range()[0]")
        assert (after[1] - after[0] > before[1] - before[0]) == grows
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("(b) => explorer.plot.range()[0][0] < b[0]", arg=after)
    page.keyboard.press("0")
    page.wait_for_function(
        "Math.abs(explorer.plot.range()[0][0] - explorer.plot.homeRange()[0][0]) < 1e-9"
    )
    page.fill("#search", "  TÓWN 1")
    names = page.locator("#options [role=option] .name").all_text_contents()
    counts = dict(zip(encoder.categories_["town"], encoder.category_counts_["town"], strict=True))
    assert all(name.startswith("Town 1") for name in names)
    found = [counts[name] for name in names]
    assert found == sorted(found, reverse=True)
    page.fill("#search", "own")
    assert page.locator("#options [role=option]").count() == 20
    page.fill("#search", "nowhere")
    assert page.locator("#options [role=option]").count() == 0
    assert page.text_content("#matches") == "No category found"
    page.press("#search", "Enter")
    page.press("#search", "Escape")
    assert page.is_hidden("#options")
    page.press("#search", "Escape")
    assert page.input_value("#search") == ""


def test_the_page_fits_its_window(new_page, address):
    for width in (400, 1280):
        page = new_page(address, width=width)
        if width == 400:
            page.click("#more")
        page.select_option("#column", label="text")
        settle(page)
        choose(page, "long")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("explorer.plot.gd._fullLayout.width") <= width
        small = page.evaluate(
            """() => Array.from(document.querySelectorAll("button, select, input"))
                .filter((c) => c.offsetParent && c.type !== "checkbox" && c.type !== "radio")
                .filter((c) => c.getBoundingClientRect().height < 40).map((c) => c.outerHTML)"""
        )
        assert small == []
        stage = page.locator("#stage").bounding_box()
        panel = page.locator(".results").bounding_box()
        assert stage["height"] >= 320
        below = panel["y"] >= stage["y"] + stage["height"]
        assert below == (width == 400)
    before = page.evaluate("explorer.plot.range()")
    page.set_viewport_size({"width": 1000, "height": 700})
    page.wait_for_function("explorer.plot.gd._fullLayout.width < 700")
    after = page.evaluate("explorer.plot.range()")
    width, height = page.evaluate("[stage.clientWidth, stage.clientHeight]")
    unit = [(high - low) / s for (low, high), s in zip(after, (width, height), strict=True)]
    np.testing.assert_allclose(unit[0], unit[1], rtol=1e-6)
    np.testing.assert_allclose(np.mean(after, axis=1), np.mean(before, axis=1), atol=1e-6)


def test_a_page_without_webgl_says_so(browser, address):
    context = browser.new_context()
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda e: errors.append(str(e)))
    page.add_init_script(
        """const real = HTMLCanvasElement.prototype.getContext;
        HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
            return /webgl/.test(kind) ? null : real.call(this, kind, ...rest);
        };"""
    )
    page.goto(address)
    page.wait_for_function(READY)
    assert "without WebGL" in page.text_content("#notice")
    assert page.is_disabled("[name=dims][value='3']")
    choose(page, "town 03")
    assert len(shown(page)) == 10
    assert errors == []
    context.close()


def test_vectors_alone_and_items_of_lists(new_page, tmp_path):
    vectors = pd.DataFrame([[0.0, 0], [1, 0], [0, 1], [2, 0]], index=["o", "x", "y", "xx"])
    page = new_page(explore(vectors).save(tmp_path / "vectors.html").as_uri())
    for control in ("column", "method", "colour", "least", "sized"):
        assert page.is_hidden(f"#{control}"), control
    for name in ("x", "o"):
        choose(page, name)
        expected = nearest(vectors, None, name, 3)
        assert [f["category"] for f in shown(page)] == expected["category"].tolist()
        assert [f["similarity"] for f in shown(page)] == expected["similarity"].tolist()
    X = pd.DataFrame({"tags": [["jazz", "soul"], ["jazz"], ["folk"], []] * 20})
    encoder = make_encoder(dimensions=2).fit(X, np.tile([2.0, 1.0, 0.0, 0.5], 20))
    page = new_page(explore(encoder).save(tmp_path / "tags.html").as_uri())
    summary = "tags: 3 categories · 2 dimensions · 80 items"
    assert summary in page.text_content("#summary")
    page.fill("#least", "21")
    page.press("#least", "Enter")
    choose(page, "folk")
    assert page.text_content("#caption") == "Nearest by cosine, of 21 items or more"
    assert [f["category"] for f in shown(page)] == ["jazz"]


def test_a_notebook_shows_the_page_in_its_frame(tab, faults, encoder, tmp_path):
    path = tmp_path / "notebook.html"
    path.write_text(f"<p>cell</p>{explore(encoder, 'town')._repr_html_()}", encoding="utf-8")
    faults.clear()
    page = tab
    page.goto(path.as_uri())
    frame = page.frames[1]
    frame.wait_for_function(READY)
    frame.fill("#search", "town 03")
    frame.press("#search", "Enter")
    assert frame.text_content("#chosen") == "Town 03"
    with page.expect_download():
        frame.click("#save-neighbours")
    assert faults == []


def test_explorers_of_a_notebook_share_plotly(tab, faults, encoder, tmp_path, monkeypatch):
    shell = SimpleNamespace(kernel=object(), get_parent=dict)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setattr(notebook, "_carrier", None)
    first, second = (explore(encoder, name)._repr_html_() for name in ("town", "text"))
    path = tmp_path / "notebook.html"
    path.write_text(f"<p>cell</p>{second}<p>cell</p>{first}", encoding="utf-8")  # any order will do
    faults.clear()
    tab.goto(path.as_uri())
    for frame, name in zip(tab.frames[1:], ("text", "town"), strict=True):
        frame.wait_for_function(READY)
        assert frame.evaluate("document.querySelector('#plot').data[0].x.length") > 1
        assert frame.text_content("#summary").startswith(f"{name}: ")
        assert frame.is_hidden("#notice")
    # Where the output with plotly is lost, all but the map works, and the page says why.
    path.write_text(second, encoding="utf-8")
    tab.goto(path.as_uri())
    frame = tab.frames[1]
    frame.wait_for_selector("#notice:not([hidden])")
    assert "The map waits for plotly" in frame.text_content("#notice")
    frame.fill("#search", "a")
    frame.press("#search", "Enter")
    assert frame.is_visible("#neighbours")
    assert faults == []
