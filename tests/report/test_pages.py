"""The pages in a real browser: whole without a script, quiet, sortable, dark, accessible."""

import json
import re

import numpy as np
import pytest
from scipy import integrate, special, stats

import pandq
from pandq.report.words import headline

# No script at all, and no style attribute on any element.
STRICT = (
    "default-src 'none'; img-src data:; style-src-elem 'unsafe-inline'; style-src-attr 'none';"
    " script-src 'none'"
)
PAGES = ["report", "comparison", "explore"]


@pytest.fixture
def path_of(request):
    return request.getfixturevalue


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_nothing_on_the_console_and_asks_for_nothing(open_page, path_of, picture, name):
    page = open_page(path_of(name))
    assert page.errors == []
    assert page.requests == [path_of(name).as_uri()]
    picture(page, name)


@pytest.mark.parametrize("name", ["report", "comparison"])
def test_without_scripts_and_inline_styles_every_figure_and_table_is_there(
    open_page, path_of, picture, tmp_path, name
):
    text = path_of(name).read_text(encoding="utf-8")
    assert not re.search(
        r"<[^>]*\sstyle=", re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    )
    strict = tmp_path / "strict.html"
    strict.write_text(re.sub(r'(Security-Policy" content=")[^"]*', rf"\1{STRICT}", text))
    page = open_page(strict, java_script_enabled=False)
    assert page.errors == []
    charts, tables = page.locator("svg.chart"), page.locator("table")
    assert charts.count() == (4 if name == "report" else 1)
    assert tables.count() >= 5
    for found in (charts, tables):
        for i in range(found.count()):
            box = found.nth(i).bounding_box()
            assert box["width"] > 100
            assert box["height"] > 40
    assert page.locator(".tools").first.is_hidden()
    picture(page, f"{name}-without-script")


def test_the_bar_of_a_report_has_the_colours_of_its_parts(open_page, report):
    page = open_page(report)
    fills = page.eval_on_selector_all(
        "[aria-labelledby^='loss-'] path", "paths => paths.map(x => getComputedStyle(x).fill)"
    )
    for colour in ("rgb(49, 130, 189)", "rgb(138, 138, 138)", "rgb(0, 158, 115)"):
        assert colour in fills


def test_a_report_opens_with_its_sentence_and_holds_its_json(open_page, report, audit):
    page = open_page(report)
    assert page.locator("h1").inner_text() == headline(audit[1])
    document = json.loads(page.locator("#document").inner_text())
    assert document["cross_entropy"]["value"] == audit[1].cross_entropy.value
    for text in ("What to do next", "How it was computed", "sha256", "seed 0", "numpy"):
        assert text in page.content()


def test_pictures_stand_beside_the_worst_rows(open_page, report):
    page = open_page(report)
    assert page.locator("#worst img").count() == 10
    assert page.eval_on_selector("#worst img", "image => image.naturalWidth") == 1
    assert "P says" in page.locator("#worst img").first.get_attribute("alt")


def test_a_click_sorts_a_table_by_number_and_another_turns_it_round(open_page, report):
    page = open_page(report)
    tables = page.locator("table", has=page.locator("caption", has_text="site"))
    table = tables.filter(has=page.locator("th", has_text="accuracy"))
    head = table.locator("th", has_text="KL(P||Q)")
    column = "rows => rows.map(row => parseFloat(row.cells[4].dataset.value))"
    for order, sign in (("descending", -1), ("ascending", 1)):
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == order
        values = table.locator("tbody tr").evaluate_all(column)
        assert values == sorted(values, key=lambda x: sign * x)


def test_a_table_is_sorted_by_keyboard(open_page, report):
    page = open_page(report)
    table = page.locator("#worst")
    head = table.locator("th", has_text="confidence")
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"


def test_worst_rows_are_filtered_as_one_types(open_page, report):
    page = open_page(report)
    rows = page.locator("#worst tbody tr")
    wanted = rows.nth(3).locator("td").nth(1).inner_text()
    page.locator("input[data-filters=worst]").fill(wanted)
    shown = [i for i in range(rows.count()) if rows.nth(i).is_visible()]
    assert 3 in shown
    assert len(shown) < rows.count()


def luminance(colour):
    channels = [int(x) / 255 for x in re.findall(r"\d+", colour)[:3]]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in channels]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


@pytest.mark.parametrize("name", PAGES)
def test_the_dark_scheme_is_dark_and_legible_and_can_be_switched(open_page, path_of, picture, name):
    page = open_page(path_of(name), color_scheme="dark")
    body = "body => [getComputedStyle(body).backgroundColor, getComputedStyle(body).color]"
    paper, ink = map(luminance, page.eval_on_selector("body", body))
    assert paper < 0.05
    assert (ink + 0.05) / (paper + 0.05) > 7
    picture(page, f"{name}-dark")
    page.locator("#scheme").click()
    paper, ink = map(luminance, page.eval_on_selector("body", body))
    assert paper > 0.9
    assert (paper + 0.05) / (ink + 0.05) > 7


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_no_serious_violation(open_page, path_of, axe, name, scheme):
    page = open_page(path_of(name), color_scheme=scheme, bypass_csp=True)
    page.add_script_tag(path=axe)
    found = page.evaluate("async () => (await axe.run()).violations")
    serious = [x for x in found if x["impact"] in ("serious", "critical")]
    assert [(x["id"], [node["html"] for node in x["nodes"][:3]]) for x in serious] == []


@pytest.mark.parametrize("name", PAGES)
def test_a_narrow_screen_needs_no_sideways_scrolling(open_page, path_of, picture, name):
    page = open_page(path_of(name), viewport={"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    hidden = page.evaluate(
        """[...document.querySelectorAll('figure, .scroll:has(td.words)')]
        .filter((x) => x.scrollWidth > x.clientWidth + 1 && !x.closest('#worst')).length"""
    )
    assert hidden == 0
    picture(page, f"{name}-narrow")


def test_a_report_of_a_thousand_classes_and_groups_stays_below_a_megabyte():
    rng = np.random.default_rng(0)
    n, k = 3000, 1000
    x = rng.normal(size=(n, k)).astype(np.float32)
    y = rng.integers(0, k, n)
    found = pandq.audit(pandq.Labels(y), pandq.Logits(x), by={"group": rng.integers(0, 2000, n)})
    text = found.to_html()
    assert len(text.encode()) < 1_000_000
    assert "more in the JSON" in text


def test_what_a_column_holds_cannot_break_out_of_a_page():
    bad = "</script><script>alert(1)</script><b onclick='x'>"
    rng = np.random.default_rng(0)
    q = rng.dirichlet(np.ones(2), 200)
    found = pandq.audit(
        pandq.Labels(rng.integers(0, 2, 200)),
        pandq.Probs(q),
        classes=[bad, "b"],
        by={bad: [bad] * 200},
    )
    text = found.to_html()
    assert text.count("<script") == 2
    assert "<b onclick" not in text


def test_a_notebook_shows_the_report_without_a_page_around_it(audit):
    text = audit[1]._repr_html_()
    assert text.startswith("<iframe title=")
    assert "<style" not in text
    assert "&lt;h1&gt;" in text


# ------------------------------------------------------------------------------------------ explore


def laws(page):
    return (
        np.array([json.loads(page.locator("#bars").get_attribute(f"data-{which}"))])
        for which in "pq"
    )


def assert_numbers_are_right(page):
    """What the page shows is what the library computes, to 6 digits."""
    p, q = (pandq.Probs.normalised(x) for x in laws(page))
    for name, value in {
        "h-p": pandq.entropy(p),
        "h-pq": pandq.cross_entropy(p, q),
        "kl-pq": pandq.kl_divergence(p, q),
        "kl-qp": pandq.kl_divergence(q, p),
        "js": pandq.js_divergence(p, q),
    }.items():
        shown = page.locator(f"#{name}").inner_text()
        want = "∞" if np.isinf(value[0]) else f"{value[0]:.6f}"
        assert shown == want or abs(float(shown) - value[0]) < 1e-6, name


DOG = "#p=1,0&q=0.9,0.1&n=dog,cat"


def test_it_starts_where_floor_and_divergence_are_both_seen_and_the_dog_is_next(open_page, explore):
    page = open_page(explore)
    p, _ = laws(page)
    assert p[0] == pytest.approx([0.5, 0.3, 0.2])
    assert_numbers_are_right(page)
    assert page.locator("#preset option").all_inner_texts()[:2] == ["three classes", "dog and cat"]
    page.locator("#preset").select_option(label="dog and cat")
    assert page.locator("#kl-pq").inner_text() == "0.105361"
    assert_numbers_are_right(page)


def test_the_cross_entropy_is_shown_as_its_sum(open_page, explore):
    page = open_page(explore)
    first, *terms = page.locator("#sum").inner_text().split("=")
    assert re.findall(r"[0-9.]+", first) == ["0.50", "0.20", "0.30", "0.20", "0.20", "0.60"]
    p, q = laws(page)
    shown = [float(x) for x in terms[0].split("+")]
    assert shown == pytest.approx((-p * np.log(q))[0], abs=6e-4)
    assert float(terms[1].split()[0]) == pytest.approx(-(p * np.log(q)).sum(), abs=6e-4)


def test_what_is_infinite_is_explained(open_page, explore):
    page = open_page(explore)
    assert page.locator("#infinite").is_hidden()
    page.locator("#preset").select_option(label="q = 0 where p > 0")
    assert "Q gives fox no probability" in page.locator("#infinite").inner_text()
    assert "∞" in page.locator("#sum").inner_text()
    page.locator("#preset").select_option(label="one-hot P")
    assert "KL(Q||P) is infinite" in page.locator("#infinite").inner_text()


def test_the_menu_follows_the_picture_and_its_address(open_page, explore):
    page = open_page(explore, fragment=DOG)
    chosen = page.locator("#preset option:checked")
    assert chosen.inner_text() == "dog and cat"
    page.locator("#q-0").focus()
    page.keyboard.press("ArrowDown")
    assert chosen.inner_text() == "your own"
    page.evaluate("location.hash = 'p=0.6,0.4&q=0.7,0.3&n=dog,cat'")
    page.wait_for_function("document.querySelector('#preset').selectedOptions[0].text[0] === 'p'")
    assert chosen.inner_text() == "people disagree"


def test_the_curve_of_training_has_axes_and_panels_have_no_holes(open_page, explore):
    page = open_page(explore)
    words = page.locator("#curve text").all_text_contents()
    assert {"0", "50", "100", "0.5", "1"} <= set(words)
    assert "steps of gradient descent; losses in nat" in words
    holes = page.evaluate(
        """[...document.querySelectorAll('.panel')].map((panel) =>
        panel.getBoundingClientRect().bottom - Math.max(...[...panel.children].map(
        (x) => x.getBoundingClientRect().bottom)))"""
    )
    assert max(holes) < 90


def test_dragging_a_bar_by_mouse_moves_the_divergence_to_its_true_value(open_page, explore):
    page = open_page(explore, fragment=DOG)
    box = page.locator("#q-0 .grip").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + 60, steps=5)
    page.mouse.up()
    _, q = laws(page)
    assert 0.3 < q[0, 0] < 0.8
    assert page.locator("#kl-pq").inner_text() != "0.105361"
    assert_numbers_are_right(page)


def test_a_bar_is_dragged_by_touch(browser, explore):
    context = browser.new_context(has_touch=True, viewport={"width": 390, "height": 800})
    page = context.new_page()
    page.goto(explore.as_uri() + DOG)
    box = page.locator("#q-0").bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    _, q = laws(page)
    assert q[0, 0] != 0.9
    assert_numbers_are_right(page)
    context.close()


def test_a_bar_is_moved_by_keyboard(open_page, explore):
    page = open_page(explore, fragment=DOG)
    page.locator("#q-0").focus()
    for key in ("ArrowDown", "ArrowDown", "PageDown", "ArrowUp"):
        page.keyboard.press(key)
    _, q = laws(page)
    assert q[0] == pytest.approx([0.79, 0.21])
    assert page.locator("#q-0").get_attribute("aria-valuenow") == "0.7900"
    assert_numbers_are_right(page)
    page.keyboard.press("Home")
    assert page.locator("#kl-pq").inner_text() == "∞"
    assert_numbers_are_right(page)


def test_from_an_audit_it_starts_with_the_worst_row(open_page, explore_from, audit):
    page = open_page(explore_from)
    worst = audit[1].worst[0]
    assert page.locator("#preset option:checked").inner_text().startswith(f"row {worst['id']}:")
    shown = float(page.locator("#kl-pq").get_attribute("data-nats"))
    assert shown == pytest.approx(worst["kl"], rel=1e-6)


def test_every_preset_shows_true_numbers_and_the_worst_rows_are_among_them(open_page, explore_from):
    page = open_page(explore_from)
    names = page.locator("#preset option").all_inner_texts()
    assert sum(name.startswith("row ") for name in names) == 10
    for name in names:
        page.locator("#preset").select_option(label=name)
        assert_numbers_are_right(page)
        assert page.errors == []


def test_bits_are_nats_over_log_2(open_page, explore):
    page = open_page(explore, fragment=DOG)
    page.locator("#bit").click()
    assert page.locator("#kl-pq").inner_text() == f"{0.10536051565782628 / np.log(2):.6f}"


def test_classes_are_added_and_taken_away_between_2_and_12(open_page, explore):
    page = open_page(explore)
    for _ in range(9):
        page.locator("#more").click()
    assert page.locator("#more").is_disabled()
    assert_numbers_are_right(page)
    for _ in range(10):
        page.locator("#fewer").click()
    assert page.locator("#fewer").is_disabled()
    assert_numbers_are_right(page)


@pytest.mark.parametrize("objective", ["minimise-kl", "minimise-cross"])
def test_training_lowers_both_losses_by_the_same_amount_and_never_below_the_floor(
    open_page, explore, picture, objective
):
    page = open_page(explore)
    page.locator("#preset").select_option(label="confident and wrong")
    page.locator(f"#{objective}").click()
    for step in ("1", "10", "100"):
        page.locator("#step").fill(step)
        fell = [
            float(page.locator(f"#fell-{x}").get_attribute("data-nats")) for x in ("cross", "kl")
        ]
        assert fell[0] == pytest.approx(fell[1], abs=1e-12)
        assert fell[0] > 0
        loss, floor = (
            float(page.locator(f"#{x}").get_attribute("data-nats")) for x in ("h-pq", "h-p")
        )
        assert loss >= floor
        assert_numbers_are_right(page)
    picture(page, f"explore-{objective}")


def test_the_address_brings_the_picture_back(open_page, explore):
    page = open_page(explore)
    page.locator("#preset").select_option(label="one-hot P")
    page.locator("#bit").click()
    page.locator("#q-1").focus()
    page.keyboard.press("PageUp")
    page.locator("#cover").click()
    again = open_page(explore, fragment=page.evaluate("location.hash"))
    for name in ("kl-pq", "js", "density-pq", "fit-0-value"):
        assert again.locator(f"#{name}").inner_text() == page.locator(f"#{name}").inner_text()


@pytest.mark.parametrize("fragment", ["#p=1,x&q=2", "#p=1,0&q=1,0,0", "#s=-4&u=shannon&h=1", "#%"])
def test_an_address_that_makes_no_sense_is_left_alone(open_page, explore, fragment):
    page = open_page(explore, fragment=fragment)
    assert page.errors == []
    assert page.locator("#kl-pq").inner_text() == "0.360062"


def humps(x):
    return 0.5 * stats.norm.pdf(x, -3, 0.7) + 0.5 * stats.norm.pdf(x, 3, 1)


def divergence(p, q):
    return integrate.quad(lambda x: special.rel_entr(p(x), q(x)), -8, 8, limit=200)[0]


def test_forward_kl_covers_both_humps_and_reverse_kl_seeks_one(open_page, explore, picture):
    page = open_page(explore)

    def fit():
        return [float(page.locator(f"#fit-{i}-value").inner_text()) for i in (0, 1)]

    page.locator("#cover").click()
    mean, spread = 0.0, np.sqrt((0.49 + 1) / 2 + 9)
    assert fit() == pytest.approx([mean, spread], abs=0.006)
    shown = float(page.locator("#density-pq").get_attribute("data-nats"))
    q = stats.norm(mean, spread).pdf
    inside = special.ndtr((8 - mean) / spread) - special.ndtr((-8 - mean) / spread)
    # the page integrates p log p/q - p + q from -8 to 8
    assert shown == pytest.approx(divergence(humps, q) - 1 + inside, abs=2e-4)
    picture(page, "explore-cover")
    page.locator("#seek").click()
    hump = [-3.0, 0.7] if fit()[0] < 0 else [3.0, 1.0]
    assert fit() == pytest.approx(hump, abs=0.05)
    reverse = float(page.locator("#density-qp").get_attribute("data-nats"))
    assert reverse == pytest.approx(divergence(stats.norm(*fit()).pdf, humps), abs=5e-3)
    assert reverse < divergence(q, humps)
    picture(page, "explore-seek")
