"""A flame graph, as SVG, of a compiled node that `perf record` has sampled.

perf script -F comm,tid,ip,sym,dso | python -m benchmarks.flame leader.svg

Each box is a function of ours, as wide as its share of the CPU time, above the one that called it; on top stands whose code it
was in, such as python3.11 for what the interpreter did for it. A browser shows name and share of the box under the pointer.
What is narrower than a thousandth is left out.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

WIDTH: Final = 1200.0
HEIGHT: Final = 17.0
CHARACTER: Final = 6.6
"""Width of one, in pixels."""
NARROWEST: Final = 0.001
GENERATED: Final = re.compile(r"_(gen|obj)_____\w+$")
"""What mypyc adds to the names of generators and of functions within functions."""
FRAME: Final = re.compile(r"\s*[0-9a-f]+ (\S+) \((.*)\)")
"""Symbol and file."""
LOOP: Final = ("uv_", "uv__", "__pyx_f_6uvloop")
"""What symbols begin with that tell the event loop's thread: the stack may be cut off further out."""


@dataclass(slots=True)
class Box:
    """One function, by the way that leads to it."""

    samples: int = 0
    above: "dict[str, Box]" = field(default_factory=dict)


def name_of(symbol: str) -> str:
    """Of a compiled function: with its class, if it has one.

    >>> name_of("CPyDef_raft___Raft___step+0x15d"), name_of("CPyDef_rows___varint")
    ('Raft.step', 'varint')
    """
    name = GENERATED.sub("", symbol.partition("+")[0].removeprefix("CPyDef_"))
    *outer, last = name.split("___")
    owner = outer[-1:] if outer and outer[-1].lstrip("_")[:1].isupper() else []
    return ".".join([*owner, last])


def stack(lines: Sequence[str]) -> list[str]:
    """Thread, functions of ours from the outermost on, and whose code it was in; of one sample, innermost frame first."""
    frames = [found.groups() for line in lines if (found := FRAME.match(line))]
    if not frames:
        return ["unknown"]
    symbols = [symbol for symbol, _ in frames]
    thread = "event loop" if any(symbol.startswith(LOOP) for symbol in symbols) else "other threads"
    ours = [name_of(symbol) for symbol in reversed(symbols) if symbol.startswith("CPyDef_")]
    file = next((file for _, file in frames if file != "inlined"), "unknown")
    place = "kernel" if "kernel" in file else Path(file).name.partition(".cpython")[0]
    return [thread, *ours, place]


def folded(script: str) -> Box:
    """All samples of `perf script`, one upon the other."""
    root = Box()
    for sample in script.strip().split("\n\n"):
        box = root
        box.samples += 1
        for name in stack(sample.splitlines()[1:]):
            box = box.above.setdefault(name, Box())
            box.samples += 1
    return root


def _boxes(
    name: str, box: Box, left: float, level: int, total: int
) -> Iterator[tuple[int, float, float, str]]:
    """(level, left, share, name) of a function and of all above it; left in shares too."""
    share = box.samples / total
    if share < NARROWEST:
        return
    yield level, left, share, name
    for above, inner in sorted(box.above.items(), key=lambda item: -item[1].samples):
        yield from _boxes(above, inner, left, level + 1, total)
        left += inner.samples / total


def svg(root: Box) -> str:
    """The drawing."""
    boxes = list(_boxes("the process", root, 0, 0, root.samples))
    height = (max(level for level, *_ in boxes) + 1) * HEIGHT
    rows = []
    for level, left, share, name in boxes:
        x, y, width = left * WIDTH, height - (level + 1) * HEIGHT, share * WIDTH
        shade = 60 + sum(name.encode()) % 30
        shown = name[: int(width / CHARACTER)] if width > 4 * CHARACTER else ""
        title = f"<title>{escape(name)}: {share:.1%}</title>"
        place = f'x="{x:.1f}" y="{y:.0f}" width="{width:.1f}" height="{HEIGHT - 1:.0f}"'
        rect = f'<rect {place} fill="hsl(32 85% {shade}%)"/>'
        text = f'<text x="{x + 3:.1f}" y="{y + HEIGHT - 5:.0f}">{escape(shown)}</text>'
        rows.append(f"<g>{title}{rect}{text}</g>")
    size = f'viewBox="0 0 {WIDTH:.0f} {height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="monospace" font-size="11">'
    return "\n".join([head, *rows, "</svg>\n"])


def main() -> None:
    Path(sys.argv[1]).write_text(svg(folded(sys.stdin.read())))


if __name__ == "__main__":
    main()
