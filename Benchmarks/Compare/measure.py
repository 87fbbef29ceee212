"""The rounds: contenders take turns, each with a whole sweep of sizes, because starting a job costs more than a size."""

import os
import time

from Shared.machine import show_progress
from Shared.programs import DidNotFinish, MeasurementError, ProgramError, run

from .contenders import results, without_folders

FINISHED, DID_NOT_FINISH, FAILED, REFUSED = "finished", "did not finish", "failed", "not possible"


def measure(configuration, contenders, rounds, limits, directory):
    """All rounds, as `raw.json` keeps them: one object a run of a contender.

    A size that a contender did not finish is not asked of it again, and a contender that failed runs no further round.
    Where the first one, this library, cannot run the configuration, nobody does: there is nothing to compare.
    """
    runs = []
    left = {}
    for contender in contenders:
        left[contender] = contender.sizes(configuration)
        reason = contender.refusal(configuration)
        if reason is not None:
            left[contender] = []
            runs.append({"contender": contender.name, "outcome": REFUSED, "message": reason, "results": []})
            if contender is contenders[0]:
                return runs
    for number in range(1, rounds + 1):
        for contender in contenders:
            if not left[contender]:
                continue
            show_progress(f"round {number}/{rounds}: {configuration.name}: {contender.title}")
            attempt = run_once(contender, configuration, left[contender], limits, directory)
            runs.append({"contender": contender.name, "round": number, **attempt})
            done = {result["bytes"] for result in attempt["results"]}
            left[contender] = [] if attempt["outcome"] == FAILED else [size for size in left[contender] if size in done]
    return runs


def run_once(contender, configuration, sizes, limits, directory):
    limits = contender.limits(configuration, limits)
    command = contender.command(configuration, sizes, limits)
    # Launchers keep their files with ours, so that what a stopped one leaves behind goes away too.
    environment = {**os.environ, "TMPDIR": directory, **contender.variables}
    start = time.monotonic()
    output, problem = "", None
    try:
        output = run(command, limits.run_seconds, env=environment)
    except ProgramError as error:
        output, problem = error.output, error
    except MeasurementError as error:
        problem = error
    seconds = time.monotonic() - start
    best = {}
    try:
        best = results(contender, command, sizes, output)
    except MeasurementError as error:
        problem = problem or error
    missing = [size for size in sizes if size not in best]
    if problem is None and missing:
        problem = MeasurementError(f"printed no result for {missing} bytes")
    if problem is None or not (missing or contender.must_end_well):
        outcome = FINISHED
    else:
        outcome = DID_NOT_FINISH if isinstance(problem, DidNotFinish) else FAILED
    return {"command": shown(command, directory), "seconds": round(seconds, 1), "outcome": outcome,
            "message": problem and str(problem).replace(" ".join(command), shown(command, directory)),
            "results": list(best.values())}


def shown(command, directory):
    """The command line without the folders of this machine."""
    words = [without_folders(word, directory) for word in command]
    return " ".join([os.path.basename(words[0]), *words[1:]])
