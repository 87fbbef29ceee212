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
from .measure import REFUSED

VERSION = 1
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
        "limits": {"runSeconds": limits.run_seconds, "sizeSeconds": limits.size_seconds},
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
            "sizes": list(configuration.sizes), "runs": runs}


def compared(raw):
    """The configurations of a comparison with their rows, and the peers that have a column in each."""
    for stored in raw["configurations"]:
        configuration = Configuration(stored["collective"], stored["transport"], stored["ranks"], tuple(stored["sizes"]))
        refused = {run["contender"] for run in stored["runs"] if run["outcome"] == REFUSED}
        peers = [name for name in raw["contenders"] if name != "tutti" and name not in refused]
        # A peer that is absent has a column only where something is required of it: so that nobody overlooks it.
        peers += [name for name in raw["skipped"]
                  if any(configuration.required_ratio(name, asked) is not None for asked in configuration.sizes)]
        yield configuration, compare(configuration, stored["runs"], peers), peers


def read(directory):
    with open(os.path.join(directory, RAW), encoding="utf-8") as file:
        raw = json.load(file)
    if raw.get("version") != VERSION:
        raise ValueError(f"{directory}/{RAW} has version {raw.get('version')}; this program reads version {VERSION}")
    return raw


def write(directory, raw):
    """Writes all files; what is already there of the same name is replaced."""
    os.makedirs(directory, exist_ok=True)
    system, sections = raw["system"], []
    machine_text = f"{system['cpu']}, {system['cores']} cores"
    for stored, (configuration, rows, peers) in zip(raw["configurations"], compared(raw)):
        stored["comparison"] = as_json(configuration, rows)
        subtitle = f"float32, best median of {raw['rounds']} rounds; {machine_text}; {raw['date'][:10]}"
        images = draw(directory, configuration, rows, peers, subtitle)
        sections.append("\n".join([tables.markdown_table(configuration, rows, peers, raw["rounds"]), "", *images]))
    put(directory, RAW, one_result_a_line(json.dumps(raw, indent=1)) + "\n")
    put(directory, "table.md", "\n\n".join([heading(raw, machine_text), *sections]) + "\n")


def one_result_a_line(text):
    """Indented JSON with its innermost objects, and those around just one of these, on one line each."""
    inner = r"[\[{]\n[^\[\]{}]*\n *[\]}]"
    around = r"\{\n(?:[^\[\]{}]|\{[^{}\n]*\})*\n *\}"
    for pattern in (inner, around):
        text = re.sub(pattern, lambda match: re.sub(r"\n *", " ", match.group()), text)
    return text


def draw(directory, configuration, rows, peers, subtitle):
    """Writes the plots and returns what shows them in Markdown; without a single time there is nothing to draw."""
    network = {"tcp": "TCP", "shm": "shared memory"}[configuration.transport]
    title = f"{configuration.collective} over {network}, {configuration.ranks} ranks"
    times = plots.series_of(rows, peers, lambda _, microseconds: microseconds)
    rates = plots.series_of(rows, peers, configuration.bus_gigabytes_per_second)
    if not any(line.points for line in times):
        return []
    pictures = {"time": plots.time_plot(title, subtitle, times), "busbw": plots.busbw_plot(title, subtitle, rates)}
    for kind, picture in pictures.items():
        put(directory, f"{configuration.file_name}-{kind}.svg", picture)
    return [f"![{kind} of {title}]({configuration.file_name}-{kind}.svg)" for kind in pictures]


def heading(raw, machine_text):
    versions = [f"{plots.STYLES[name].title} {version}" for name, version in raw["contenders"].items()]
    lines = [f"# Comparison of {raw['date'][:10]}", "", f"{machine_text}, Linux {raw['system']['kernel']}. "
             + ", ".join(versions) + (f"; commit {raw['commit']}." if raw["commit"] else "."),
             "", f"Made with `{raw['command']}`; every run is in [{RAW}]({RAW})."]
    for name, reason in raw["skipped"].items():
        lines.append(f"{plots.STYLES[name].title} was skipped: {reason}.")
    return "\n".join(lines)


def put(directory, name, content):
    with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
        file.write(content)
