"""Pages in a real browser: Chromium without a window (tests/install_browser.sh installs it)."""

import shutil
from pathlib import Path

from tests.patience import run_patiently

QUIET = ("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", *QUIET, "--virtual-time-budget=2000")


def dump_dom(page: Path, folder: Path, fragment: str = "", script: str = "") -> str:
    """The page's DOM after its scripts, and then `script`, have run; `folder` is the browser's own."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert chromium, "the page is tested in a real browser: install chromium (tests/install_browser.sh does)"
    tried = folder / "tried.html"
    tried.write_text(page.read_text().replace("</body>", f"<script>{script}</script></body>"))
    command = [chromium, *FLAGS, f"--user-data-dir={folder}/browser", "--dump-dom", f"{tried.as_uri()}#{fragment}"]
    done = run_patiently(command)
    assert done.returncode == 0, done.stderr
    return done.stdout
