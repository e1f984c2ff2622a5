"""The look of the site: colors, pictures, phones, reading without a network, versions."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
from html import unescape
from itertools import product
from pathlib import Path
from typing import Any, Dict, Iterator, Tuple

import pytest

import sekha
from support.packages import require_packages
from support.programs import program
from support.site import QUIET, Site, build

ROOT = Path(__file__).parents[2]
ASSETS = ROOT / "docs" / "assets"
CSS = (ASSETS / "site.css").read_text("utf-8")
PHONE, DESKTOP = (390, 844), (1440, 900)
MEASURED = r"(index|command-line|(get-started|guides|help|contributing)/.*|integrations/(index|langchain|tested-with)|\
recipes/(fastapi|django)|reference/(methods|settings|errors|events|sync/(client|controller)|types/conversations))\.html$"
"""Pages that are measured on a phone: all that are written by hand, and some of each other kind."""
AA = 4.5
"""The least contrast of text by the Web Content Accessibility Guidelines, level AA."""

if str(ROOT / "tools") not in sys.path:
    sys.path.append(str(ROOT / "tools"))
badges: Any = importlib.import_module("badges")


def luminance(color: str) -> float:
    """The relative luminance of a color such as ``#27499e``."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def palette(scheme: str) -> Dict[str, str]:
    block = CSS.split(f'[data-md-color-scheme="{scheme}"] {{')[1].split("}")[0]
    return dict(re.findall(r"--sekha-([\w-]+): (#[0-9a-f]{6});", block))


def test_black_on_white_has_the_largest_contrast() -> None:
    assert round(contrast("#000000", "#ffffff"), 6) == 21
    assert round(contrast("#ffffff", "#767676"), 2) == 4.54  # the grey that is just dark enough


@pytest.mark.parametrize("scheme", ["default", "slate"])
def test_text_can_be_read_on_its_background(scheme: str) -> None:
    colors = palette(scheme)
    texts = [name for name in colors if name in ("text", "muted", "link", "hover") or name.startswith("code")]
    assert len(texts) == 12
    found = {
        (text, ground): round(contrast(colors[text], colors[ground]), 2)
        for text, ground in product(texts, ("page", "surface"))
    }
    assert {pair: ratio for pair, ratio in found.items() if ratio < AA} == {}
    assert contrast(colors["mark"], colors["surface"]) >= 3  # lines, such as that below the section that is open


def test_both_schemes_have_the_same_colors() -> None:
    assert list(palette("default")) == list(palette("slate"))
    assert set(re.findall(r"var\(--sekha-([\w-]+)\)", CSS)) <= {*palette("default"), "selection"}


def test_the_badges_say_what_the_project_says() -> None:
    drawn = badges.wanted(ROOT)
    assert len(drawn) == 3
    for path, text in drawn.items():
        assert (ROOT / path).read_text("utf-8") == text, "run: python tools/badges.py"
    assert "3.9 – 3.15" in drawn["docs/assets/badge-python.svg"]


def test_the_recording_shows_what_the_demo_prints() -> None:
    picture = (ASSETS / "demo.svg").read_text("utf-8")
    assert len(picture) < 300_000
    shown = "".join(unescape(text) for text in re.findall(r"<text [^>]*>(.*?)</text>", picture))
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "100", "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", "sekha", "demo"]
    printed = subprocess.run(command, env=environment, check=True, capture_output=True).stdout.decode()

    def essence(text: str) -> str:
        return re.sub(r"\s", "", re.sub(r"127\.0\.0\.1:\d+", "", text))  # lines are broken otherwise, ports differ

    assert essence(shown) == essence(f"$ sekha demo {printed}"), "run: python tools/recording.py"


def test_every_asset_is_used() -> None:
    texts = [path.read_text("utf-8") for path in (ROOT / "docs").rglob("*.md")]
    texts += [path.read_text("utf-8") for path in (ROOT / "docs" / "overrides").rglob("*.html")]
    texts += [(ROOT / name).read_text("utf-8") for name in ("README.md", "mkdocs.yml")]
    texts.append(CSS)
    used = "\n".join(texts)
    names = [path.relative_to(ASSETS).as_posix() for path in ASSETS.rglob("*") if path.is_file()]
    assert len(names) > 5
    assert [name for name in names if f"assets/{name}" not in used] == []


def test_no_picture_loads_anything() -> None:
    for path in ASSETS.glob("*.svg"):
        text = path.read_text("utf-8")
        assert re.findall(r'(?:href|src)="(?!#)[^"]*"|@import|url\((?!["\']?#)', text) == [], path.name


def test_pictures_can_be_read_on_a_phone_and_in_the_dark() -> None:
    """Text keeps a height of 8.5 pixels where a picture has 358; it has colors for a dark page, or is on white."""
    pages = "\n".join(path.read_text("utf-8") for path in (ROOT / "docs").rglob("*.md"))
    shown = [path for path in sorted(ASSETS.glob("*.svg")) if f"assets/{path.name})" in pages]
    shown = [path for path in shown if path.name != "demo.svg"]  # a terminal, which leads to itself in its full size
    assert len(shown) >= 2
    for path in shown:
        text = path.read_text("utf-8")
        width = float(re.findall(r'viewBox="0 0 ([\d.]+) ', text)[0])
        sizes = [float(size) for size in re.findall(r"font-size: ([\d.]+)px", text)]
        if sizes:
            assert min(sizes) * min(1, 358 / width) >= 8.5, path.name
            assert "prefers-color-scheme: dark" in text, path.name
        else:  # matplotlib draws characters as paths, and on white
            assert 'id="patch_1"' in text, path.name
            assert width <= 358, path.name


def test_cells_have_the_names_of_their_columns_if_there_are_more_than_two() -> None:
    require_packages("docs", "mkdocs")
    hook: Any = importlib.import_module("site_hook")
    head = "<table><thead><tr><th>a</th><th>b <code>&lt;x&gt;</code></th>{}</tr></thead>"
    rows = "<tbody><tr><td>1</td><td class='c'>2</td><td>3</td></tr><tr><td>4</td></tr></tbody></table>"
    assert hook.label_cells(head.format("") + rows) == head.format("") + rows
    labeled = hook.label_cells(f"<p>{head.format('<th></th>')}{rows}</p>")
    assert re.findall(r'<td data-label="([^"]*)"', labeled) == ["a", "b &lt;x&gt;", "", "a"]
    assert re.sub(r' data-label="[^"]*"', "", labeled) == f"<p>{head.format('<th></th>')}{rows}</p>"


def test_pictures_of_screens_lead_to_themselves() -> None:
    require_packages("docs", "mkdocs")
    hook: Any = importlib.import_module("site_hook")
    linked = '<a href="x"><img src="y.png"></a> <img src="drawing.svg">'
    assert hook.link_pictures(linked) == linked
    assert hook.link_pictures('<img alt="A" src="a/b.png" />') == '<a href="a/b.png"><img alt="A" src="a/b.png" /></a>'


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The site, built to be read as files."""
    require_packages("docs", "material", "mkdocs", "mkdocstrings")
    return build(tmp_path_factory.mktemp("site") / "site", {**os.environ, "OFFLINE": "true"})


def texts(site: Site) -> Dict[str, str]:
    """The pages of a site: their files, and what is in them."""
    files = [address if address.endswith(".html") else f"{address}index.html" for address in site.pages]
    found = {file: (site.folder / file).read_text("utf-8") for file in files}
    return {file: text for file, text in found.items() if 'http-equiv="refresh"' not in text and file != "404.html"}


@pytest.mark.slow
def test_nothing_is_loaded_from_elsewhere(offline: Site) -> None:
    assert len(texts(offline)) > 50
    for address, page in offline.pages.items():
        elsewhere = [loaded for loaded in page.loaded if re.match(r"(\w+:)?//", loaded)]
        assert elsewhere == [], address
    for file, text in texts(offline).items():
        assert re.findall(r'(?:srcset|poster|data)="[^"]*//|style="[^"]*url\(', text) == [], file
    for sheet in offline.folder.rglob("*.css"):
        loaded = re.findall(r"(?:url\(|@import )[\"']?(?!data:|#)([^)\"';]+)", sheet.read_text("utf-8"))
        assert loaded == [], sheet.name


@pytest.mark.slow
def test_every_page_has_repository_version_license_changelog_and_neighbors(offline: Site) -> None:
    neighbors: Dict[str, int] = {}
    for file, text in texts(offline).items():
        page = offline.pages[file.removesuffix("index.html")]
        links = {offline.resolve(file, link)[0] for link in page.links}
        assert "https://github.com/sekha-ai/sekha-python-sdk" in page.links, file
        assert {"LICENSE.txt", "help/changelog.html"} <= links, file
        assert f'md-source__fact--version">{sekha.__version__}<' in text, file
        assert any(loaded.endswith("assets/logo.svg") for loaded in page.loaded), file
        neighbors[file] = text.count('class="md-footer__link ')
    assert len(neighbors) > 50
    assert sorted(neighbors.values())[:3] == [1, 1, 2]  # the first and the last page have one
    assert (offline.folder / "LICENSE.txt").read_text("utf-8") == (ROOT / "LICENSE").read_text("utf-8")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    tool: Any = importlib.import_module("screenshots")
    if tool.find_chromium() is None:
        program("chromium")
    with tool.Chromium(tmp_path_factory.mktemp("chromium"), "--hide-scrollbars") as chromium:
        yield chromium


def show(browser: Any, page: Path, size: Tuple[int, int]) -> None:
    browser.resize(*size)
    browser.open(page.as_uri())
    browser.wait_for(f"location.href === '{page.as_uri()}' && document.readyState === 'complete'")


@pytest.mark.slow
def test_no_page_is_wider_than_a_phone(offline: Site, browser: Any) -> None:
    """Code scrolls in its box; tables of all kinds fit."""
    wide = {}
    shown = [name for name in texts(offline) if re.match(MEASURED, name)]
    assert len(shown) > 20
    for name in shown:
        show(browser, offline.folder / name, PHONE)
        width = browser.value("document.documentElement.scrollWidth")
        tables = browser.value(
            "[...document.querySelectorAll('.md-typeset table:not(.highlighttable)')]"
            ".filter(table => table.getBoundingClientRect().right > innerWidth).length"
        )
        if width > PHONE[0] or tables:
            wide[name] = (width, tables)
    assert wide == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["index.html", "reference/sync/controller.html", "guides/errors.html"])
def test_a_line_of_88_characters_fits_on_a_desktop(offline: Site, browser: Any, name: str) -> None:
    show(browser, offline.folder / name, DESKTOP)
    codes = "[...document.querySelectorAll('.md-content pre > code')].filter(code => code.offsetParent)"
    scrolled = browser.value(
        f"{codes}.filter(code => code.scrollWidth > code.clientWidth).map(code => code.textContent)"
    )
    assert browser.value(f"{codes}.length") > 0
    assert [text for text in scrolled if max(map(len, text.split("\n"))) <= 88] == []
    longest = "x".ljust(88, "x")
    browser.value(f"{codes}[0].textContent = '{longest}'")
    assert browser.value(f"{codes}[0].scrollWidth <= {codes}[0].clientWidth")


@pytest.mark.slow
def test_the_search_works_in_files(offline: Site, browser: Any) -> None:
    show(browser, offline.folder / "index.html", DESKTOP)
    browser.value("document.querySelector('[data-md-toggle=search]').click()")
    browser.value("document.querySelector('[name=query]').focus()")
    browser.value("document.querySelector('[name=query]').value = 'stream'")
    browser.value("document.querySelector('[name=query]').dispatchEvent(new Event('keyup', {bubbles: true}))")
    browser.wait_for("document.querySelector('.md-search-result__link') !== null")
    address = browser.value("document.querySelector('.md-search-result__link').href")
    assert address.startswith(offline.folder.as_uri())
    assert "stream" in address


def test_mike_publishes_a_version_in_a_branch(tmp_path: Path) -> None:
    """In a repository that is made for it, without a remote; with our theme, and one page in place of all."""
    require_packages("docs", "mkdocs", "material", "mike")
    git = program("git")
    for name in ("docs/assets", "docs/overrides"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("tools/site_hook.py", "src/sekha/_version.py", "LICENSE"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "mkdocs.yml", tmp_path / "all.yml")
    (tmp_path / "mkdocs.yml").write_text("INHERIT: all.yml\nnav: [index.md]\nplugins: [search]\n", "utf-8")
    (tmp_path / "docs" / "index.md").write_text("# Home\n", "utf-8")
    us = {f"GIT_{role}_{key}": "Test" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    programs = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))  # mike, mkdocs
    environment = {
        **os.environ,
        **QUIET,
        **us,
        "PATH": programs,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }

    def run(*command: str) -> str:
        return subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True).stdout

    run(git, "init", "-q", "-b", "main")
    run(git, "add", "-A")
    run(git, "commit", "-q", "-m", "All")
    run("mike", "deploy", "0.3", "latest")
    run("mike", "set-default", "latest")
    published = run(git, "ls-tree", "-r", "--name-only", "gh-pages").splitlines()
    assert {"0.3/index.html", "latest", "index.html", "versions.json", "0.3/assets/site.css"} <= {*published}
    assert run("mike", "list").strip() == "0.3 [latest]"
    assert run(git, "branch", "--show-current").strip() == "main"
