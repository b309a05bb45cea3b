"""The picture of the README: the demo's page as a browser shows it.

    python docs/pictures.py

Writes docs/_static/report.png; needs playwright and a chromium.
"""

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from pandq.demo import PAGE, run_demo

PICTURE = Path(__file__).parent / "_static" / "report.png"


def main():
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        run_demo(Path(folder) / "demo")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page(viewport={"width": 960, "height": 620})
        page.goto((Path(folder) / "demo" / PAGE).as_uri())
        page.screenshot(path=PICTURE)
        browser.close()


if __name__ == "__main__":
    main()
