# Virtual environments with MPI launchers from PyPI; sourced, never run. Each has one to itself, because they overwrite each other's
# programs. Benchmarks/hosts --install makes the same ones.
# shellcheck shell=bash

MPI_CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/tutti-mpi"

# mpi_environment REQUIREMENT: prints the folder of the environment that has it, made now if it lacks. Fails, with the reason on
# standard error, when that cannot be done.
mpi_environment() {
  local folder="$MPI_CACHE/${1//=/}"
  if ! compgen -G "$folder/bin/mpi*" >/dev/null; then
    say "installing $1 into $folder"
    python3 -m venv --clear "$folder" >&2 || return 1
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$1" >&2 || return 1
  fi
  echo "$folder"
}
