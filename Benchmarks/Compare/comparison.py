"""What the rounds say: each side's best median at each size, the ratios, and whether what is required holds."""

from dataclasses import dataclass, field

from .configuration import AHEAD
from .contenders import PEER_TITLES
from .measure import DID_NOT_FINISH, FAILED, REFUSED


@dataclass(frozen=True)
class Cell:
    """One contender at one size: a time, or `note` says why there is none."""
    microseconds: float | None = None
    algorithm: str | None = None
    note: str = ""


@dataclass(frozen=True)
class Against:
    """A peer at one size. `ratio` is its time over the library's: above 1 the library is faster."""
    cell: Cell
    ratio: float | None
    required: float | None
    # None: nothing is required, or one of the two could not be measured.
    holds: bool | None

    @property
    def unmeasured(self):
        return self.required is not None and self.holds is None


@dataclass(frozen=True)
class Row:
    asked: int
    bytes: int
    tutti: Cell
    peers: dict = field(default_factory=dict)


def compare(configuration, runs, peers):
    """A row for each size. `peers` are the names to have a column; a peer that never ran has empty cells."""
    rows = []
    for asked in configuration.sizes:
        size = configuration.bytes_of(asked)
        tutti = best_cell(runs, "tutti", size)
        against = {peer: against_peer(tutti, best_cell(runs, peer, size), configuration.required_ratio(peer, asked))
                   for peer in peers}
        rows.append(Row(asked, size, tutti, against))
    return rows


def best_cell(runs, contender, size):
    own = [run for run in runs if run["contender"] == contender]
    results = [result for run in own for result in run["results"] if result["bytes"] == size]
    if results:
        best = min(results, key=lambda result: result["timeMicroseconds"]["median"])
        return Cell(best["timeMicroseconds"]["median"], best["algorithm"])
    outcomes = {run["outcome"] for run in own}
    notes = [outcome for outcome in (FAILED, DID_NOT_FINISH, REFUSED) if outcome in outcomes]
    return Cell(note=notes[0] if notes else "skipped")


def against_peer(tutti, cell, required):
    if tutti.microseconds is None or cell.microseconds is None:
        # Who did not finish has lost to whom did.
        won = tutti.microseconds is not None and cell.note == DID_NOT_FINISH
        lost = tutti.note == DID_NOT_FINISH and cell.microseconds is not None
        return Against(cell, None, required, won if required is not None and (won or lost) else None)
    ratio = cell.microseconds / tutti.microseconds
    return Against(cell, ratio, required, None if required is None else ratio >= required and ratio > AHEAD)


def verdicts(rows):
    """Every requirement in the rows, as (size asked for, peer's title, Against)."""
    return [(row.asked, PEER_TITLES[peer], against) for row in rows for peer, against in row.peers.items()
            if against.required is not None]


def as_json(configuration, rows):
    def peer_json(against):
        return {"microseconds": against.cell.microseconds, "algorithm": against.cell.algorithm,
                "note": against.cell.note or None, "ratio": against.ratio, "required": against.required,
                "pass": against.holds}

    def busbw(cell, size):
        return cell.microseconds and configuration.bus_gigabytes_per_second(size, cell.microseconds)

    return [{"asked": row.asked, "bytes": row.bytes,
             "tutti": {"microseconds": row.tutti.microseconds, "algorithm": row.tutti.algorithm,
                       "note": row.tutti.note or None, "busbwGBps": busbw(row.tutti, row.bytes)},
             "peers": {name: {**peer_json(against), "busbwGBps": busbw(against.cell, row.bytes)}
                       for name, against in row.peers.items()}}
            for row in rows]
