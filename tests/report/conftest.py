"""A real browser, and pages to look at in it; without one the tests skip and say so."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import special

import pandq
from pandq.report.explore import explore_page
from pandq.report.page.writing import write_page, write_report

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "build" / "screenshots"
# a grey pixel, as PNG
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63686868"
    "00000304018177cd72b60000000049454e44ae426082"
)


@pytest.fixture(scope="session")
def browser():
    """Chromium, if it is installed."""
    sync_api = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("needs chromium: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser):
    """Open a file; what its console complains of and what it asks for are kept on the page."""
    contexts = []

    def opened(path, fragment="", **options):
        options = {"viewport": {"width": 1200, "height": 900}} | options
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.errors, page.requests = [], []
        page.on(
            "console", lambda said: page.errors.append(said.text) if said.type == "error" else None
        )
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("request", lambda request: page.requests.append(request.url))
        page.goto(Path(path).as_uri() + fragment)
        return page

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def axe():
    """axe-core's script, if it is installed."""
    path = ROOT / "build" / "browser" / "node_modules" / "axe-core" / "axe.min.js"
    if not path.exists():
        pytest.skip("needs axe-core: npm install --prefix build/browser axe-core")
    return path


@pytest.fixture(scope="session")
def picture():
    """Keep a screenshot where a person can look at it."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    return lambda page, name: page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


@pytest.fixture(scope="session")
def table(tmp_path_factory):
    """Votes, two models and pictures."""
    rng = np.random.default_rng(0)
    n, k = 900, 4
    x = rng.normal(size=(n, k)) * 2
    truth = special.softmax(x, axis=1)
    q, dull = (special.softmax(x * s + rng.normal(size=x.shape) / 2, axis=1) for s in (1.8, 0.6))
    path = tmp_path_factory.mktemp("pages") / "preds.parquet"
    columns = {
        "votes": rng.multinomial(6, truth).tolist(),
        "site": [f"site {i % 5}" for i in range(n)],
        "q": q.tolist(),
        "dull": dull.tolist(),
        "image": [{"bytes": PNG, "path": "x.png"}] * n,
    }
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture(scope="session")
def audit(table):
    rows = pandq.scan(table, p="counts:votes", q="probs:q", by="site", classes=list("abcd"))
    return rows, pandq.audit(rows)


@pytest.fixture(scope="session")
def report(audit, table):
    path = table.with_name("report.html")
    write_report(audit[1], [table], path, pictured=audit[0])
    return path


@pytest.fixture(scope="session")
def comparison(table):
    rows = pandq.scan(table, p="counts:votes", q=["probs:q", "probs:dull"], by="site")
    path = table.with_name("comparison.html")
    write_report(pandq.compare(rows), [table], path)
    return path


@pytest.fixture(scope="session")
def explore(table):
    path = table.with_name("explore.html")
    write_page(explore_page(), path)
    return path


@pytest.fixture(scope="session")
def explore_from(audit, table):
    path = table.with_name("explore_from.html")
    write_page(explore_page(audit[1].to_dict()), path)
    return path
