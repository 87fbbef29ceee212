"""Line plots over message size as SVG, drawn here so that nothing needs to be installed: time (log-log) and busbw."""

import math
from dataclasses import dataclass
from xml.sax.saxutils import escape

from Shared.machine import size_text

from .contenders import TITLES
from .requirements import BOUND, FLOOR

WIDTH, HEIGHT = 760, 460
LEFT, RIGHT, TOP, BOTTOM = 84, 736, 104, 400
FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"
INK, MUTED, GRID, FAINT = "#1f2328", "#656d76", "#d0d7de", "#eef1f4"
MARKER_RADIUS = 4
SIZE_LABELS_MAX = 12


@dataclass(frozen=True)
class Style:
    """Colours that stay apart for colour-blind readers (Okabe and Ito), and a marker each for print."""
    color: str
    marker: str
    width: float


STYLES = {
    "tutti": Style("#d55e00", "circle", 3),
    "openmpi": Style("#0072b2", "square", 1.8),
    "mpich": Style("#009e73", "diamond", 1.8),
    "openmpi5": Style("#0072b2", "triangle", 1.8),
    "mpich5": Style("#009e73", "circle", 1.8),
    "intelmpi": Style("#e69f00", "diamond", 1.8),
    "gloo": Style("#8f6fb0", "triangle", 1.8),
    "torch": Style("#cc79a7", "square", 1.8),
    FLOOR: Style("#57606a", "circle", 1.4),
    BOUND: Style("#57606a", "circle", 1.4),
}


@dataclass(frozen=True)
class Series:
    """A contender's line: points of (bytes, value). Without points only the legend names it, with `note`."""
    name: str
    points: list
    note: str = ""

    @property
    def legend(self):
        title = TITLES[self.name]
        return f"{title} ({self.note})" if self.note else title


def series_of(rows, peers, baselines, value):
    """The lines of a plot; `value(bytes, microseconds)` is what it shows. Only baselines of as many ranks have one."""
    columns = {"tutti": [(row.bytes, row.tutti) for row in rows]}
    for peer in peers:
        columns[peer] = [(row.bytes, row.peers[peer].cell) for row in rows]
    for name in baselines:
        if name in STYLES:
            columns[name] = [(row.bytes, row.baselines[name].cell) for row in rows]
    lines = []
    for name, column in columns.items():
        points = [(size, value(size, cell.microseconds)) for size, cell in column if cell.microseconds is not None]
        notes = {cell.note for _, cell in column if cell.note}
        # A note on some sizes only would read as one on the whole line; the table says which.
        lines.append(Series(name, points, "" if points else ", ".join(sorted(notes))))
    return lines


def time_plot(title, subtitle, lines):
    values = [value for line in lines for _, value in line.points]
    low, high = step_below(min(values)), step_above(max(values))
    ticks = [mantissa * 10.0 ** power
             for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1) for mantissa in (1, 2, 5)]
    inside = [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]
    # With few decades the steps between them are named too.
    every = high / low < 1000
    labels = {tick: time_label(tick) if every or is_power_of_ten(tick) else "" for tick in inside}
    return draw(title, subtitle, "time of one operation", lines, labels,
                lambda value: math.log(value / low) / math.log(high / low))


def busbw_plot(title, subtitle, lines):
    high = max(value for line in lines for _, value in line.points)
    step = step_above(high / 6)
    top = math.ceil(high * 1.02 / step) * step
    labels = {number * step: f"{number * step:.3g}" for number in range(round(top / step) + 1)}
    return draw(title, subtitle, "busbw, GB/s", lines, labels, lambda value: value / top)


def step_above(value):
    """The next number that is 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(mantissa * power for mantissa in (1, 2, 5, 10) if value <= mantissa * power * 1.0001)


def step_below(value):
    power = 10.0 ** math.floor(math.log10(value) + 1e-9)
    return next(mantissa * power for mantissa in (5, 2, 1) if value >= mantissa * power * 0.9999)


def is_power_of_ten(value):
    return abs(math.log10(value) - round(math.log10(value))) < 1e-6


def time_label(microseconds):
    for unit, factor in (("s", 1e6), ("ms", 1e3)):
        if microseconds >= factor * 0.999:
            return f"{microseconds / factor:g} {unit}"
    return f"{microseconds:g} µs"


def size_label(size):
    text = size_text(size)
    return f"{text[:-1]} {text[-1]}iB" if text[-1] in "KMG" else f"{text} B"


def draw(title, subtitle, axis, lines, labels, fraction):
    """`labels` are the grid lines' values and names; `fraction` places a value between the bottom (0) and the top (1)."""
    sizes = sorted({size for line in lines for size, _ in line.points})
    span = math.log2(sizes[-1] / sizes[0]) or 1

    def x_of(size):
        return LEFT + 14 + (RIGHT - LEFT - 34) * (math.log2(size / sizes[0]) / span if len(sizes) > 1 else 0.5)

    def y_of(value):
        return BOTTOM - (BOTTOM - TOP) * fraction(value)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="{FONT}" font-size="12" role="img" aria-label="{escape(title + ": " + axis)}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#ffffff"/>',
        text(24, 32, title, size=17, weight=600),
        text(24, 52, subtitle, color=MUTED),
    ]
    for value, label in labels.items():
        y = y_of(value)
        parts.append(line_between(LEFT, y, RIGHT, y, GRID if label else FAINT))
        if label:
            parts.append(text(LEFT - 8, y + 4, label, anchor="end", color=MUTED))
    every = -(-len(sizes) // SIZE_LABELS_MAX)
    for index, size in enumerate(sizes):
        parts.append(line_between(x_of(size), TOP, x_of(size), BOTTOM, FAINT))
        if index % every == 0:
            parts.append(text(x_of(size), BOTTOM + 18, size_label(size), anchor="middle", color=MUTED))
    parts.append(line_between(LEFT, BOTTOM, RIGHT, BOTTOM, MUTED))
    parts.append(text((LEFT + RIGHT) / 2, BOTTOM + 42, "message size", anchor="middle"))
    parts.append(text(22, (TOP + BOTTOM) / 2, axis, anchor="middle", rotated=True))
    # The library's line comes last, so that it lies on top.
    for line in reversed(lines):
        parts.append(curve(STYLES[line.name], [(x_of(size), y_of(value)) for size, value in line.points]))
    parts.append(legend(lines))
    return "\n".join([*parts, "</svg>", ""])


def curve(style, points):
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    marks = "".join(marker(style, x, y) for x, y in points)
    return (f'<polyline points="{path}" fill="none" stroke="{style.color}" stroke-width="{style.width}" '
            f'stroke-linejoin="round" stroke-linecap="round"/>{marks}')


def marker(style, x, y):
    r = MARKER_RADIUS
    corners = {"square": [(-r, -r), (r, -r), (r, r), (-r, r)], "diamond": [(0, -r - 1), (r + 1, 0), (0, r + 1), (-r - 1, 0)],
               "triangle": [(0, -r - 1), (r + 1, r), (-r - 1, r)]}.get(style.marker)
    look = f'fill="{style.color}" stroke="#ffffff" stroke-width="1"'
    if corners is None:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r + 0.5}" {look}/>'
    path = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners)
    return f'<polygon points="{path}" {look}/>'


def legend(lines):
    parts, x, y = [], LEFT, 80
    for line in lines:
        style = STYLES[line.name]
        parts.append(f'<line x1="{x}" y1="{y}" x2="{x + 26}" y2="{y}" stroke="{style.color}" stroke-width="{style.width}"/>')
        parts.append(marker(style, x + 13, y))
        parts.append(text(x + 33, y + 4, line.legend, weight=600 if line.name == "tutti" else 400))
        # Wide enough for the widest usual letters: an SVG cannot measure its text.
        x += 33 + round(7.2 * len(line.legend)) + 22
    return "".join(parts)


def line_between(x1, y1, x2, y2, color):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}"/>'


def text(x, y, words, size=12, weight=400, anchor="start", color=INK, rotated=False):
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if rotated else ""
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" '
            f'fill="{color}"{turn}>{escape(words)}</text>')
