"""The comparison as a table for a terminal and as one in Markdown: the same words, laid out twice."""

from .configuration import AHEAD
from .contenders import PEER_TITLES


def time_text(cell):
    if cell.microseconds is None:
        return cell.note
    return f"{cell.microseconds:.2f}" if cell.microseconds < 100 else f"{cell.microseconds:.0f}"


def ratio_text(against):
    return "" if against.ratio is None else f"{against.ratio:.2f}"


def required_text(against):
    if against.required is None:
        return ""
    wanted = "ahead" if against.required == AHEAD else f"{against.required:g}"
    return f"{wanted} {'?' if against.holds is None else 'yes' if against.holds else 'NO'}"


def cells(configuration, rows, peers):
    """The header and the rows, as text. A peer of which nothing is required has no column for it."""
    required = {peer: any(row.peers[peer].required is not None for row in rows) for peer in peers}
    header = ["size", "Tutti", "algorithm"]
    for peer in peers:
        header += [PEER_TITLES[peer], "ratio"] + (["required"] if required[peer] else [])
    lines = []
    for row in rows:
        line = [configuration.size_text(row.asked), time_text(row.tutti), row.tutti.algorithm or ""]
        for peer in peers:
            against = row.peers[peer]
            line += [time_text(against.cell), ratio_text(against)]
            line += [required_text(against)] if required[peer] else []
        lines.append(line)
    return header, lines


def caption(rounds):
    return f"microseconds, best median of {rounds} rounds, float32; ratio is peer / Tutti, above 1 Tutti is faster"


def terminal_table(configuration, rows, peers, rounds):
    header, lines = cells(configuration, rows, peers)
    widths = [max(len(line[column]) for line in [header, *lines]) for column in range(len(header))]
    text = [f"{configuration.name}: {caption(rounds)}"]
    text += ["  ".join(word.rjust(width) for word, width in zip(line, widths)) for line in [header, *lines]]
    return "\n".join(text)


def markdown_table(configuration, rows, peers, rounds):
    header, lines = cells(configuration, rows, peers)
    text = [f"## {configuration.name}", "", caption(rounds) + ".", ""]
    text += ["| " + " | ".join(header) + " |", "| " + " | ".join("---:" for _ in header) + " |"]
    text += ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join(text)
