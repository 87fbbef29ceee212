"""The trial that sorts out slow algorithms, and the rounds, in which all that is compared takes turns."""

from .bars import CHOICE, HOLDS, bars_of
from .cells import AUTO, ITERATIONS, TRIAL_ITERATIONS, Sample, by_size, warmup
from .job import Step, run_steps

# An algorithm that takes so many times the best one's time in the trial takes no further part.
TRIAL_LIMIT = 1.5
# So many stay in any case, because one lucky time must not leave an algorithm alone.
FIXED_MIN = 4
# How many stay at most, by size: the larger, the longer each takes and the less they differ.
FIXED_MAX = ((64 << 10, 8), (8 << 20, 5), (32 << 20, 3), (1 << 62, 2))
RATE_BYTES, RATE_ITERATIONS = 16 << 20, 3


def steps_by_iterations(sizes_of, algorithm, table):
    """One step for each number of iterations, with all the sizes of one collective that take it.

    `sizes_of` are pairs of a collective and bytes.
    """
    sizes = {}
    for collective, size in dict.fromkeys(sizes_of):
        sizes.setdefault((collective, by_size(size, table)), []).append(size)
    return [Step(collective, tuple(sorted(those)), count, warmup(count), algorithm)
            for (collective, count), those in sizes.items()]


def sort_out(layout, cells, algorithms, settings):
    """Fills in which fixed algorithms take part in each cell; `algorithms` are those to try, by collective.

    Returns why some could not run, by their names.
    """
    tried = [(cell.collective, cell.trial_bytes) for cell in cells]
    steps = [step for collective, names in algorithms.items() for name in names
             for step in steps_by_iterations([key for key in tried if key[0] == collective], name, TRIAL_ITERATIONS)]
    times, problems = {}, {}
    for step, outcome in zip(steps, run_steps(layout, steps, settings)):
        if outcome.problem:
            problems[f"{step.collective} {step.algorithm}"] = outcome.problem
        for result in outcome.results:
            # The least, because so few iterations have no median to speak of.
            times.setdefault((step.collective, result["bytes"]), {})[step.algorithm] = result["timeMicroseconds"]["min"]
    for cell in cells:
        found = times.get((cell.collective, cell.trial_bytes), {})
        ranked = sorted(found, key=found.get)
        within = [name for index, name in enumerate(ranked)
                  if index < FIXED_MIN or found[name] <= TRIAL_LIMIT * found[ranked[0]]]
        cell.fixed = within[:by_size(cell.bytes, FIXED_MAX)]
    return problems


class Rounds:
    """The rounds of one layout. `rates` are what one link gave in each, in bytes a microsecond."""

    def __init__(self, layout, cells, peers, names, settings):
        self.layout, self.cells, self.settings = layout, cells, settings
        # Those that are there, and the names of all that were asked for.
        self.peers, self.names = peers, names
        self.rates = []

    @property
    def rate(self):
        return max(self.rates, default=None)

    def bars(self, cell):
        return bars_of(cell, self.rate, self.names)

    def open_cells(self, kind=None):
        """The cells of which a bar does not hold yet: any, or one of a kind."""
        return [cell for cell in self.cells
                if any(bar.verdict != HOLDS and kind in (None, bar.kind) for bar in self.bars(cell))]

    def run(self, number, everything):
        """One round of what is open still, or of everything.

        What already holds is not measured again: a miss counts only where it stays.
        """
        cells = self.cells if everything else self.open_cells()
        if not cells:
            return
        chosen = self.cells if everything else self.open_cells(CHOICE)
        self.run_tutti(number, cells, chosen)
        for peer in self.peers:
            asked = [cell for cell in (self.cells if everything else self.open_cells(peer.name))
                     if peer.name not in cell.notes]
            if asked:
                self.run_peer(number, peer, asked)

    def run_tutti(self, number, cells, chosen):
        """`auto` in all the cells, and the fixed algorithms in those of which the choice is open, size by size."""
        steps = []
        by_key = {cell.key: cell for cell in self.cells}
        for step in steps_by_iterations([cell.key for cell in cells], AUTO, ITERATIONS):
            steps.append(step)
            beside = [cell for cell in chosen if cell.collective == step.collective and cell.bytes in step.sizes]
            for name in dict.fromkeys(name for cell in beside for name in cell.fixed):
                keys = [cell.key for cell in beside if name in cell.fixed]
                steps += steps_by_iterations(keys, name, ITERATIONS)
        link = Step("send-receive", (RATE_BYTES,), RATE_ITERATIONS, 1, is_pair=True)
        for step, outcome in zip([link, *steps], run_steps(self.layout, [link, *steps], self.settings)):
            if step is link:
                self.rates += [RATE_BYTES / result["timeMicroseconds"]["median"] for result in outcome.results]
                continue
            for result in outcome.results:
                sample = Sample(number, result["timeMicroseconds"]["median"], result["algorithm"])
                by_key[step.collective, result["bytes"]].add(step.algorithm, sample)
            for size in step.sizes if outcome.problem else []:
                by_key[step.collective, size].notes[step.algorithm] = outcome.problem

    def run_peer(self, number, peer, cells):
        """All the cells in one job of the peer, smallest sizes first. A peer that failed is not asked again."""
        plan = {}
        for cell in sorted(cells, key=lambda cell: cell.bytes):
            plan.setdefault(cell.collective, []).append(cell)
        asked = [cell for those in plan.values() for cell in those]
        sizes = [(collective, [(cell.bytes, by_size(cell.bytes, ITERATIONS)) for cell in those])
                 for collective, those in plan.items()]
        medians, problem, is_late = peer.run(self.layout, sizes, self.settings)
        missing = []
        for cell in asked:
            if cell.key in medians:
                cell.add(peer.name, Sample(number, medians[cell.key]))
            else:
                missing.append(cell)
        # The first size that is missing is what took so long; those after it may have another turn.
        for cell in missing[:1] if is_late else missing:
            cell.notes[peer.name] = problem
            if is_late:
                cell.unfinished.add(peer.name)
