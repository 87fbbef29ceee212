"""What the rounds say: each side's best median at each size, the ratios, and whether what is required holds."""

from dataclasses import dataclass, field, replace

from .contenders import TITLES
from .measure import DID_NOT_FINISH, FAILED, REFUSED
from .requirements import AHEAD, FASTEST_MPI, FLOOR, MPIS, NEAR_FLOOR, at_most, required_ratio

HOLDS, MISSED, NEAR_BARE_C, UNMEASURED = "holds", "missed", "near bare C", "unmeasured"


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
    # The peer's time over bare C's, where that was measured: the largest ratio that a library could reach.
    floor_ratio: float | None = None
    # Missed, but the library is so near bare C that it does not count.
    excused: bool = False

    @property
    def verdict(self):
        """One of the verdicts, or None where nothing is required."""
        if self.required is None:
            return None
        return NEAR_BARE_C if self.excused else {True: HOLDS, False: MISSED, None: UNMEASURED}[self.holds]


@dataclass(frozen=True)
class Over:
    """The library over a baseline at one size. `ratio` is its time over the baseline's: 1 is as fast."""
    cell: Cell
    ratio: float | None
    limit: float | None
    holds: bool | None

    @property
    def verdict(self):
        return None if self.limit is None else {True: HOLDS, False: MISSED, None: UNMEASURED}[self.holds]


@dataclass(frozen=True)
class Row:
    asked: int
    bytes: int
    tutti: Cell
    peers: dict = field(default_factory=dict)
    # The fastest MPI, where something is required against it.
    fastest: Against | None = None
    baselines: dict = field(default_factory=dict)


def compare(configuration, runs, peers, baselines):
    """A row for each size. `peers` and `baselines` are the names to have a column; who never ran has empty cells."""
    rows = []
    for asked in configuration.sizes:
        size = configuration.bytes_of(asked)
        tutti = best_cell(runs, "tutti", size)
        against = {peer: against_peer(tutti, best_cell(runs, peer, size), required_ratio(configuration, peer, asked))
                   for peer in peers}
        over = {name: over_baseline(tutti, best_cell(runs, name, size), at_most(name, asked)) for name in baselines}
        required, fastest = required_ratio(configuration, FASTEST_MPI, asked), None
        # Where nobody asked for either, there is nothing to say of them; one alone is not the fastest of three.
        if required is not None and any(peer in against for peer in MPIS):
            cells = [against[peer].cell if peer in against else Cell(note="skipped") for peer in MPIS]
            fastest = beside_floor(against_fastest(tutti, cells, required), over.get(FLOOR))
        rows.append(Row(asked, size, tutti, against, fastest, over))
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


def against_fastest(tutti, cells, required):
    """Against the fastest of several cells. A win is none while one of them may have been faster still: absent, failed."""
    def slowness(cell):
        return cell.microseconds if cell.microseconds is not None else float("inf")

    unknown = [cell for cell in cells if cell.microseconds is None and cell.note != DID_NOT_FINISH]
    against = against_peer(tutti, min(cells, key=slowness), required)
    return replace(against, holds=None) if unknown and against.holds else against


def over_baseline(tutti, cell, limit):
    if tutti.microseconds is None or cell.microseconds is None:
        lost = tutti.note == DID_NOT_FINISH and cell.microseconds is not None
        return Over(cell, None, limit, False if limit is not None and lost else None)
    ratio = tutti.microseconds / cell.microseconds
    return Over(cell, ratio, limit, None if limit is None else ratio <= limit)


def beside_floor(against, floor):
    """What bare C reaches against the same peer, and whether the library is so near it that a miss does not count."""
    if floor is None or floor.cell.microseconds is None or against.cell.microseconds is None:
        return against
    reached = against.cell.microseconds / floor.cell.microseconds
    return replace(against, floor_ratio=reached,
                   excused=against.holds is False and floor.ratio is not None and floor.ratio <= NEAR_FLOOR)


@dataclass(frozen=True)
class Requirement:
    """One required value of a row: `text` says what was found and what was wanted."""
    asked: int
    verdict: str
    text: str


def requirements(row):
    """Every requirement in a row."""
    def why(title, cell):
        notes = [f"{name} {side.note}" for name, side in ((TITLES["tutti"], row.tutti), (title, cell)) if side.note]
        return f" ({', '.join(notes)})" if notes else ""

    pairs = [(TITLES[peer], against) for peer, against in row.peers.items()]
    pairs += [("fastest MPI", row.fastest)] if row.fastest else []
    for title, against in pairs:
        if against.verdict is not None:
            found = "" if against.ratio is None else f" {against.ratio:.2f}"
            bare = f"; bare C reaches {against.floor_ratio:.2f}" if against.floor_ratio is not None else ""
            yield Requirement(row.asked, against.verdict,
                              f"{title} / Tutti{found}, required {against.required:g}{bare}{why(title, against.cell)}")
    for name, over in row.baselines.items():
        if over.verdict is not None:
            found = "" if over.ratio is None else f" {over.ratio:.2f}"
            yield Requirement(row.asked, over.verdict,
                              f"Tutti / {TITLES[name]}{found}, at most {over.limit:g}{why(TITLES[name], over.cell)}")


def as_json(configuration, rows):
    def cell_json(cell):
        return {"microseconds": cell.microseconds, "algorithm": cell.algorithm, "note": cell.note or None}

    def against_json(against):
        return {**cell_json(against.cell), "ratio": against.ratio, "required": against.required, "pass": against.holds,
                "floorRatio": against.floor_ratio, "verdict": against.verdict}

    def over_json(over):
        return {**cell_json(over.cell), "ratio": over.ratio, "limit": over.limit, "pass": over.holds,
                "verdict": over.verdict}

    def busbw(cell, size):
        return cell.microseconds and configuration.bus_gigabytes_per_second(size, cell.microseconds)

    return [{"asked": row.asked, "bytes": row.bytes,
             "tutti": {**cell_json(row.tutti), "busbwGBps": busbw(row.tutti, row.bytes)},
             "peers": {name: {**against_json(against), "busbwGBps": busbw(against.cell, row.bytes)}
                       for name, against in row.peers.items()},
             "fastestMPI": row.fastest and against_json(row.fastest),
             "baselines": {name: over_json(over) for name, over in row.baselines.items()}}
            for row in rows]
