"""The comparison as tables, for a terminal and in Markdown, and what came of the requirements: the same words twice."""

from Shared.machine import size_text

from .comparison import HOLDS, MISSED, NEAR_BARE_C, UNMEASURED, requirements
from .contenders import TITLES
from .requirements import AHEAD, FLOOR

VERDICTS = {HOLDS: "yes", MISSED: "NO", NEAR_BARE_C: "near bare C", UNMEASURED: "?", None: ""}
SUMMARY = {MISSED: "missed", NEAR_BARE_C: "missed, but so near bare C that they hold",
           UNMEASURED: "could not be taken"}


def time_text(cell):
    if cell.microseconds is None:
        return cell.note
    return f"{cell.microseconds:.2f}" if cell.microseconds < 100 else f"{cell.microseconds:.0f}"


def ratio_text(ratio):
    return "" if ratio is None else f"{ratio:.2f}"


def required_text(against):
    if against is None or against.required is None:
        return ""
    return f"{'ahead' if against.required == AHEAD else f'{against.required:g}'} {VERDICTS[against.verdict]}"


def limit_text(over):
    return "" if over.limit is None else f"{over.limit:g} {VERDICTS[over.verdict]}"


def columns(configuration, rows, peers, baselines):
    """The columns of a table: a heading and what it shows of a row. What nothing is required of has no column for it."""
    found = [("size", lambda row: configuration.size_text(row.asked)), ("Tutti", lambda row: time_text(row.tutti)),
             ("algorithm", lambda row: row.tutti.algorithm or "")]
    for peer in peers:
        found += [(TITLES[peer], lambda row, peer=peer: time_text(row.peers[peer].cell)),
                  ("ratio", lambda row, peer=peer: ratio_text(row.peers[peer].ratio))]
        if any(row.peers[peer].required is not None for row in rows):
            found.append(("required", lambda row, peer=peer: required_text(row.peers[peer])))
    if any(row.fastest for row in rows):
        found += [("fastest MPI / Tutti", lambda row: ratio_text(row.fastest and row.fastest.ratio)),
                  ("required", lambda row: required_text(row.fastest))]
        if FLOOR in baselines:
            found.append(("fastest MPI / bare C", lambda row: ratio_text(row.fastest and row.fastest.floor_ratio)))
    for name in baselines:
        found += [(TITLES[name], lambda row, name=name: baseline_text(row.baselines[name].cell)),
                  (f"Tutti / {TITLES[name]}", lambda row, name=name: ratio_text(row.baselines[name].ratio))]
        if any(row.baselines[name].limit is not None for row in rows):
            found.append(("at most", lambda row, name=name: limit_text(row.baselines[name])))
    return found


def baseline_text(cell):
    return time_text(cell) + (f" ({cell.algorithm})" if cell.algorithm else "")


def cells(configuration, rows, peers, baselines):
    """The header and the rows, as text."""
    shown = columns(configuration, rows, peers, baselines)
    return [heading for heading, _ in shown], [[text(row) for _, text in shown] for row in rows]


def caption(rounds):
    return f"microseconds, best median of {rounds} rounds, float32; ratio is peer / Tutti, above 1 Tutti is faster"


def terminal_table(configuration, rows, peers, baselines, rounds):
    header, lines = cells(configuration, rows, peers, baselines)
    widths = [max(len(line[column]) for line in [header, *lines]) for column in range(len(header))]
    text = [f"{configuration.name}: {caption(rounds)}"]
    text += ["  ".join(word.rjust(width) for word, width in zip(line, widths)) for line in [header, *lines]]
    return "\n".join(text)


def markdown_table(configuration, rows, peers, baselines, rounds):
    header, lines = cells(configuration, rows, peers, baselines)
    text = [f"## {configuration.name}", "", caption(rounds) + ".", ""]
    text += ["| " + " | ".join(header) + " |", "| " + " | ".join("---:" for _ in header) + " |"]
    text += ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join(text)


def verdicts(compared):
    """Every requirement of a comparison, as (configuration, Requirement)."""
    return [(configuration, requirement) for configuration, rows, *_ in compared for row in rows
            for requirement in requirements(row)]


def verdict_lines(found):
    """How many of the requirements hold, and each of the others in a line."""
    if not found:
        return []
    counts = {verdict: sum(requirement.verdict == verdict for _, requirement in found) for verdict in VERDICTS}
    others = [f"{counts[verdict]} {words}" for verdict, words in SUMMARY.items() if counts[verdict]]
    lines = [f"{counts[HOLDS]} of {len(found)} requirements hold" + "".join(f"; {words}" for words in others)]
    for verdict in SUMMARY:
        lines += [f"{verdict}: {configuration.name}, {size_text(requirement.asked)}: {requirement.text}"
                  for configuration, requirement in found if requirement.verdict == verdict]
    return lines
