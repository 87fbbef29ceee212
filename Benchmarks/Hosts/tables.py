"""The table, the bars and the JSON of a measurement."""

from Shared.machine import size_text

from .bars import BOUND, CHOICE, HOLDS, MISSED, UNMEASURED
from .cells import AUTO

VERSION = 1


def table(rounds, titles):
    """A line for each cell of a layout: times in microseconds, and ratios, each with `!` where its bar does not hold."""
    peers = [titles[name] for name in rounds.names]
    rate = f"{rounds.rate * 8 / 1000:.3f} Gb/s" if rounds.rate else "not measured"
    width = max([len("best fixed"), *(len(name) for cell in rounds.cells for name in cell.fixed)])
    header = (f"{'collective':<14} {'size':>5} {'auto us':>10} {'chosen':<{width}} {'best fixed':<{width}} {'us':>10} "
              f"{'ratio':>6} {'/bound':>7}")
    lines = [f"{rounds.layout.name}, {rounds.layout.ranks} ranks; a link gives {rate}",
             header + "".join(f" {title:>10} {'ratio':>6}" for title in peers)]
    for cell in rounds.cells:
        bars = {bar.kind: bar for bar in rounds.bars(cell)}
        auto, (name, fixed) = cell.best(AUTO), cell.best_fixed or ("-", None)
        chosen = auto.algorithm if auto else "-"
        line = (f"{cell.collective:<14} {size_text(cell.bytes):>5} {time_text(auto)} {chosen:<{width}} {name:<{width}} "
                f"{time_text(fixed)} {ratio_text(bars[CHOICE]):>6} {ratio_text(bars.get(BOUND)):>7}")
        for peer in rounds.names:
            time = f"{'over 60 s':>10}" if peer in cell.unfinished else time_text(cell.best(peer))
            line += f" {time} {ratio_text(bars[peer]):>6}"
        lines.append(line)
    return "\n".join(lines)


def time_text(sample):
    return f"{sample.microseconds:>10.1f}" if sample else f"{'-':>10}"


def ratio_text(bar):
    if bar is None:
        return ""
    text = f"{bar.ratio:.2f}" if bar.ratio is not None else "-"
    return text if bar.verdict == HOLDS else text + "!"


def bar_lines(all_rounds, titles, everything):
    """Each bar in a line, those that do not hold last and in any case; then how many hold."""
    found = [(cell, bar) for rounds in all_rounds for cell in rounds.cells for bar in rounds.bars(cell)]
    lines = []
    for verdict in (HOLDS, UNMEASURED, MISSED):
        if verdict == HOLDS and not everything:
            continue
        lines += [f"{verdict:<10} {cell.name}: {titles.get(bar.kind, bar.kind)}{bar.text.removeprefix(bar.kind)}"
                  for cell, bar in found if bar.verdict == verdict]
    counts = {verdict: sum(bar.verdict == verdict for _, bar in found) for verdict in (HOLDS, MISSED, UNMEASURED)}
    others = "".join(f"; {counts[verdict]} {verdict}" for verdict in (MISSED, UNMEASURED) if counts[verdict])
    return [*lines, f"{counts[HOLDS]} of {len(found)} bars hold{others}"], counts


def as_json(all_rounds, facts):
    """Everything: each turn of each contender, and what came of the bars."""
    return {"version": VERSION, **facts, "layouts": [
        {"hosts": rounds.layout.hosts, "ranksPerHost": rounds.layout.ranks_per_host, "order": rounds.layout.order,
         "linkGBps": [rate / 1000 for rate in rounds.rates],
         "cells": [{"collective": cell.collective, "bytes": cell.bytes, "fixed": cell.fixed,
                    "samples": {name: [{"round": sample.round, "medianMicroseconds": sample.microseconds,
                                        "algorithm": sample.algorithm} for sample in samples]
                                for name, samples in cell.samples.items()},
                    "notes": cell.notes,
                    "bars": [{"kind": bar.kind, "ratio": bar.ratio, "limit": bar.limit, "verdict": bar.verdict,
                              "evidence": bar.evidence} for bar in rounds.bars(cell)]}
                   for cell in rounds.cells]}
        for rounds in all_rounds]}
