"""What `--output` keeps of a comparison, and reads back to draw it again: raw.json, table.md and the plots."""

import json
import os
import re
import shutil
import subprocess
from datetime import datetime, timezone

from Shared.machine import machine
from Shared.programs import ROOT

from . import plots, tables
from .comparison import as_json, compare
from .configuration import Configuration
from .contenders import PEER_TITLES, TITLES
from .measure import REFUSED
from .requirements import FASTEST_MPI, FOUR_RANKS, MPIS, baselines, required_ratio

VERSION = 3
# Before 2 there were neither suites nor registered memory nor baselines; before 3 the MPIs were Debian's alone.
VERSIONS_READ = (1, 2, 3)
RAW = "raw.json"


def facts(command, contenders, skipped, rounds, limits):
    """Everything about a comparison but its runs."""
    return {
        "version": VERSION,
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "command": command,
        "commit": commit(),
        "system": machine(),
        "contenders": {contender.name: contender.version for contender in contenders},
        "skipped": skipped,
        "rounds": rounds,
        "limits": {"runSeconds": limits.run_seconds, "sizeSeconds": limits.size_seconds,
                   "spinningRunSeconds": limits.spinning_run_seconds, "spinningSizeSeconds": limits.spinning_size_seconds},
        "configurations": [],
    }


def commit():
    """The sources that were built, where git knows: a commit, and whether files differ from it."""
    if shutil.which("git") is None:
        return None
    query = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True,
                           text=True, check=False)
    return query.stdout.strip() or None


def entry(configuration, runs):
    return {"collective": configuration.collective, "transport": configuration.transport, "ranks": configuration.ranks,
            "sizes": list(configuration.sizes), "registered": configuration.registered, "runs": runs}


def compared(raw):
    """The configurations of a comparison with their rows, and the peers and baselines that have columns in each."""
    for stored in raw["configurations"]:
        configuration = Configuration(stored["collective"], stored["transport"], stored["ranks"], tuple(stored["sizes"]),
                                      stored.get("registered", False))
        ran = {run["contender"] for run in stored["runs"] if run["outcome"] != REFUSED}
        peers = [name for name in PEER_TITLES if name in ran]
        # Who is absent has a column only where something is required of it: so that nobody overlooks it.
        peers += [name for name in PEER_TITLES if name in raw["skipped"] and is_required(configuration, name)]
        known = [name for name in baselines(configuration) if name in raw["contenders"] or name in raw["skipped"]]
        yield configuration, compare(configuration, stored["runs"], peers, known), peers, known


def is_required(configuration, peer):
    names = [peer, FASTEST_MPI] if peer in MPIS else [peer]
    return any(required_ratio(configuration, name, asked) is not None for name in names for asked in configuration.sizes)


def read(directory):
    with open(os.path.join(directory, RAW), encoding="utf-8") as file:
        raw = json.load(file)
    if raw.get("version") not in VERSIONS_READ:
        raise ValueError(f"{directory}/{RAW} has version {raw.get('version')}; this program reads up to {VERSION}")
    return raw


def write(directory, raw):
    """Writes all files; what is already there of the same name is replaced."""
    os.makedirs(directory, exist_ok=True)
    system, sections = raw["system"], []
    machine_text = f"{system['cpu']}, {system['cores']} cores"
    found = list(compared(raw))
    for stored, (configuration, rows, peers, known) in zip(raw["configurations"], found):
        stored["comparison"] = as_json(configuration, rows)
        subtitle = f"float32, best median of {raw['rounds']} rounds; {machine_text}; {raw['date'][:10]}"
        images = draw(directory, configuration, rows, peers, known, subtitle)
        table = tables.markdown_table(configuration, rows, peers, known, raw["rounds"])
        sections.append("\n".join([table, "", *images]).rstrip())
    raw["version"] = VERSION
    verdict = tables.verdict_lines(tables.verdicts(found))
    if verdict:
        sections.append("\n".join(["## Requirements", "", verdict[0] + ("." if len(verdict) == 1 else ":"), "",
                                   *(f"- {line}" for line in verdict[1:])]).rstrip())
    put(directory, RAW, one_result_a_line(json.dumps(raw, indent=1)) + "\n")
    put(directory, "table.md", "\n\n".join([heading(raw, machine_text), *sections]) + "\n")


def one_result_a_line(text):
    """Indented JSON with its innermost objects, and those around just one of these, on one line each."""
    inner = r"[\[{]\n[^\[\]{}]*\n *[\]}]"
    around = r"\{\n(?:[^\[\]{}]|\{[^{}\n]*\})*\n *\}"
    for pattern in (inner, around):
        text = re.sub(pattern, lambda match: re.sub(r"\n *", " ", match.group()), text)
    return text


def draw(directory, configuration, rows, peers, known, subtitle):
    """Writes the plots and returns what shows them in Markdown; without a single time there is nothing to draw."""
    network = {"tcp": "TCP", "shm": "shared memory"}[configuration.transport]
    title = f"{configuration.collective} over {network}, {configuration.ranks} ranks" + (
        ", registered memory" if configuration.registered else "")
    times = plots.series_of(rows, peers, known, lambda _, microseconds: microseconds)
    rates = plots.series_of(rows, peers, known, configuration.bus_gigabytes_per_second)
    if not any(line.points for line in times):
        return []
    pictures = {"time": plots.time_plot(title, subtitle, times), "busbw": plots.busbw_plot(title, subtitle, rates)}
    for kind, picture in pictures.items():
        put(directory, f"{configuration.file_name}-{kind}.svg", picture)
    return [f"![{kind} of {title}]({configuration.file_name}-{kind}.svg)" for kind in pictures]


def heading(raw, machine_text):
    versions = [f"{TITLES[name]} {version}" for name, version in raw["contenders"].items()
                if name != FOUR_RANKS]
    lines = [f"# Comparison of {raw['date'][:10]}", "", f"{machine_text}, Linux {raw['system']['kernel']}. "
             + ", ".join(versions) + (f"; commit {raw['commit']}." if raw["commit"] else "."),
             "", f"Made with `{raw['command']}`; every run is in [{RAW}]({RAW})."]
    for name, reason in raw["skipped"].items():
        lines.append(f"{TITLES[name]} was skipped: {reason}.")
    return "\n".join(lines)


def put(directory, name, content):
    with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
        file.write(content)
