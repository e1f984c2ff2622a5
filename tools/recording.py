"""Record `sekha demo` for the README: docs/assets/demo.svg.

python tools/recording.py

It needs the extras `cli` and `local`, on Linux or macOS. The command runs in a terminal of its own; rich draws what it
has printed. In the picture each line appears after a pause, since the command itself takes less than a second.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import List

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "assets" / "demo.svg"
COLUMNS, ROWS = 100, 26
LINE, STEP, END = 0.14, 0.9, 9.0
"""Seconds before a line, before a step of the demo, and at the end."""

THEME = TerminalTheme(
    (18, 22, 31),
    (220, 226, 238),
    [
        *((50, 59, 78), (255, 157, 191), (127, 214, 164), (245, 189, 79)),
        *((154, 182, 255), (216, 166, 242), (126, 206, 226), (220, 226, 238)),
    ],
)
PROMPT = "\x1b[32m$\x1b[0m \x1b[1msekha demo\x1b[0m\n"
FRAME = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 WIDTH HEIGHT" role="img" aria-labelledby="title">
<title id="title">sekha demo in a terminal: it starts a local server, stores, searches and asks</title>
<style>
text {{ font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; white-space: pre }}
{styles}
.scroll {{ animation: scroll DURATIONs step-end infinite; transform: translateY(-SCROLLEDpx) }}
.cover {{ animation: cover DURATIONs step-end infinite; transform: translateY(COVEREDpx) }}
@keyframes scroll {{ SCROLL }}
@keyframes cover {{ COVER }}
@media (prefers-reduced-motion: reduce) {{ .scroll, .cover {{ animation: none }} }}
</style>
<defs><clipPath id="screen"><rect y="5" width="{terminal_width}" height="SCREEN"/></clipPath>{lines}</defs>
<rect width="WIDTH" height="HEIGHT" rx="8" fill="BACKGROUND" stroke="#323b4e"/>
<g transform="translate(PADDING PADDING)" clip-path="url(#screen)"><g class="scroll">
{backgrounds}
{matrix}
<rect class="cover" width="{terminal_width}" height="TOTAL" fill="BACKGROUND"/>
</g></g>
</svg>
"""


def run_demo() -> str:
    """Run the command in a terminal, and return what it has printed, with its colors."""
    ours, its = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(ROWS)}
    environment.pop("NO_COLOR", None)
    printed = b""
    with subprocess.Popen([sys.executable, "-m", "sekha", "demo"], stdin=its, stdout=its, stderr=its, env=environment):
        os.close(its)
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # on Linux, the end of a terminal
                break
            if not piece:
                break
            printed += piece
    os.close(ours)
    return printed.decode().replace("\r\n", "\n")


def screen_lines(printed: str) -> List[Text]:
    """Break what was printed into lines of the terminal."""
    console = Console(width=COLUMNS, force_terminal=True, color_system="standard")
    whole = Text.from_ansi(PROMPT + printed.strip("\n") + "\n")
    lines = list(whole.wrap(console, COLUMNS))
    for line in lines:
        line.rstrip()
    return lines


def draw(lines: List[Text]) -> str:
    """Draw the lines as an SVG that shows one after another, and scrolls."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        console = Console(
            width=COLUMNS, record=True, file=nowhere, force_terminal=True, color_system="standard", legacy_windows=False
        )
        for line in lines:
            console.print(line, no_wrap=True, crop=True, highlight=False)
    picture = console.export_svg(theme=THEME, code_format=FRAME, unique_id="t")
    heights = sorted({float(y) for y in re.findall(r'<text [^>]* y="([\d.]+)"', picture)})
    row = (heights[-1] - heights[0]) / (len(lines) - 1)
    width = max(float(value) for value in re.findall(r'<rect [^>]*?width="([\d.]+)"', picture))
    moments: List[float] = []
    moment = 0.0
    for number, line in enumerate(lines):
        moment += 0 if number == 0 else STEP if line.plain.startswith("●") else LINE
        moments.append(moment)
    duration = moment + END
    cover: List[str] = []
    scroll: List[str] = []
    for number, moment in enumerate(moments):
        at = f"{100 * moment / duration:.2f}%"
        cover.append(f"{at} {{ transform: translateY({(number + 1) * row:.1f}px) }}")
        if number == 0 or number >= ROWS:
            scroll.append(f"{at} {{ transform: translateY(-{max(0, number + 1 - ROWS) * row:.1f}px) }}")
    values = {
        "DURATION": f"{duration:.1f}",
        "SCROLLED": f"{max(0, len(lines) - ROWS) * row:.1f}",
        "COVERED": f"{len(lines) * row:.1f}",
        "SCROLL": " ".join(scroll),
        "COVER": " ".join(cover),
        "SCREEN": f"{ROWS * row:.1f}",
        "WIDTH": f"{width + 28:.1f}",
        "HEIGHT": f"{ROWS * row + 28:.1f}",
        "TOTAL": f"{len(lines) * row:.1f}",
        "PADDING": "14",
        "BACKGROUND": THEME.background_color.hex,
    }
    return re.sub("|".join(sorted(values, key=len, reverse=True)), lambda match: values[match[0]], picture)


def main() -> None:
    """Write the picture."""
    PICTURE.write_text(draw(screen_lines(run_demo())), "utf-8")
    print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
