"""Which fixed algorithms `auto` is held against, unless the user names them."""

import json

from Shared.programs import MeasurementError, run

# Outer algorithms of compositions: two levels with any of them differ little, so a handful stands for all pairs.
OUTER = {
    "all-reduce": ("ring", "recursive-doubling", "circulant", "binomial", "two-shot", "one-shot"),
    "reduce-scatter": ("ring", "circulant", "direct"),
    "all-gather": ("ring", "circulant", "direct"),
    "broadcast": ("binomial", "chain", "direct", "scatter-all-gather"),
}
# What is inside groups: one message each way through shared memory.
FORMS = ("hierarchical:direct+", "leader:direct+")


def known(collbench):
    """The names of each collective's algorithms in this build."""
    text = run([collbench, "list", "--format", "json"], 30)
    try:
        return {entry["name"]: entry["algorithms"] for entry in json.loads(text)["collectives"]}
    except (ValueError, KeyError, TypeError) as error:
        raise MeasurementError(f"`collbench list --format json` cannot be read: {error}") from error


def candidates(collectives, collbench, wanted):
    """By collective: the names in `wanted` that it has, or all plain ones and some compositions."""
    found = {}
    for collective, names in known(collbench).items():
        if collective not in collectives:
            continue
        composed = [form + outer for form in FORMS for outer in OUTER[collective]]
        found[collective] = [name for name in names if (name in wanted if wanted else "+" not in name or name in composed)]
    missing = [name for name in wanted or [] if not any(name in names for names in found.values())]
    if missing:
        raise MeasurementError(f"no collective here has an algorithm {', '.join(missing)}; see `collbench list`")
    return found
