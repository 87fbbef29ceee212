"""What is required of a cell, and whether it holds: against the best fixed algorithm, the links, and the other libraries."""

from dataclasses import dataclass

from .cells import AUTO

HOLDS, MISSED, UNMEASURED = "holds", "missed", "unmeasured"
CHOICE, BOUND = "choice", "bound"

CHOICE_LIMIT = 1.10
# Times the bound of the links, by size.
BOUND_LIMITS = {16 << 20: 1.15, 64 << 20: 1.10}
# Up to this size the library has to be ahead of the peers; above, where all of them fill the link, at most this much slower.
AHEAD_BYTES_MAX = 1 << 20
PEER_LIMIT = 1.03


@dataclass(frozen=True)
class Bar:
    """One requirement. `ratio` is the time of `auto` over the other side's: at most `limit`, or below it if strict."""
    kind: str
    ratio: float | None
    limit: float
    verdict: str
    evidence: str
    is_strict: bool = False

    @property
    def text(self):
        found = f"{self.ratio:.2f}" if self.ratio is not None else "-"
        return f"{self.kind} {found} ({'below' if self.is_strict else 'at most'} {self.limit:g}): {self.evidence}"


def bars_of(cell, rate, peers):
    """Every bar of a cell. `rate` is a link's in bytes a microsecond, or None; `peers` are the names asked for."""
    auto = cell.best(AUTO)
    bars = [choice_bar(cell, auto)]
    if cell.bytes in BOUND_LIMITS:
        bars.append(bound_bar(cell, auto, rate))
    return bars + [peer_bar(cell, auto, peer) for peer in peers]


def compared(kind, auto, other_us, limit, evidence, is_strict=False):
    if auto is None or other_us is None:
        return Bar(kind, None, limit, UNMEASURED, evidence, is_strict)
    ratio = auto.microseconds / other_us
    holds = ratio < limit if is_strict else ratio <= limit
    return Bar(kind, ratio, limit, HOLDS if holds else MISSED, evidence, is_strict)


def choice_bar(cell, auto):
    best = cell.best_fixed
    chosen = f"chose {auto.algorithm}" if auto else cell.notes.get(AUTO, "auto was not measured")
    if best is None:
        return compared(CHOICE, auto, None, CHOICE_LIMIT, f"{chosen}; no fixed algorithm was measured")
    name, sample = best
    return compared(CHOICE, auto, sample.microseconds, CHOICE_LIMIT, f"{chosen}, best is {name}")


def bound_bar(cell, auto, rate):
    limit = BOUND_LIMITS[cell.bytes]
    if rate is None:
        return compared(BOUND, auto, None, limit, "the rate of a link was not measured")
    bound = cell.layout.bound_microseconds(cell.collective, cell.bytes, rate)
    return compared(BOUND, auto, bound, limit, f"the links alone take {bound / 1000:.1f} ms")


def peer_bar(cell, auto, peer):
    is_strict = cell.bytes <= AHEAD_BYTES_MAX
    limit = 1 if is_strict else PEER_LIMIT
    best = cell.best(peer)
    if best is None and peer in cell.unfinished:
        return Bar(peer, None, limit, HOLDS if auto else UNMEASURED, cell.notes[peer], is_strict)
    evidence = f"{best.microseconds:.1f} us" if best else cell.notes.get(peer, "was not measured")
    return compared(peer, auto, best and best.microseconds, limit, evidence, is_strict)
