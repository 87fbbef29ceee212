"""Who is there: absent peers installed on request, programs built, and why the others are skipped."""

import subprocess

from Shared.programs import MeasurementError

from . import baselines
from .contenders import Tutti, without_folders
from .peers import PEER_CLASSES, PyPIMPI


def install(names, root):
    """Installs the peers' packages: Debian's with the scripts' own function, which asks for root, and those of PyPI."""
    for name in names:
        if issubclass(PEER_CLASSES[name], PyPIMPI):
            PEER_CLASSES[name](name).environment.install()
    script = 'source "$1/Scripts/lib/common.sh"; shift; ensure_packages "$@"'
    wanted = [entry for name in names for entry in PEER_CLASSES[name].installed]
    status = subprocess.run(["bash", "-c", script, "compare", root, *wanted], check=False).returncode
    if status != 0:
        raise MeasurementError("the peers' packages could not be installed; without --install absent peers are skipped")


def prepared(peer_names, baseline_names, collbench, directory):
    """The library and who else is there, ready to run; and, by name, why the others are not."""
    tutti = Tutti(collbench)
    tutti.prepare(directory)
    ready, skipped = [tutti], {}
    for contender in [PEER_CLASSES[name](name) for name in peer_names] + baselines.of_names(baseline_names, tutti):
        reason = contender.absence()
        if reason is not None:
            skipped[contender.name] = f"{reason}; {contender.remedy()}"
            continue
        try:
            contender.prepare(directory)
            ready.append(contender)
        except MeasurementError as error:
            skipped[contender.name] = "could not be built: " + " ".join(without_folders(str(error), directory).split())
    return ready, skipped
