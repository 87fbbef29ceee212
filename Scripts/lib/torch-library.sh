# How the shared object of the PyTorch backend is made for one PyTorch; sourced after common.sh, never run.
# shellcheck shell=bash

# build_torch_object PYTHON LIBRARY FOLDER: compiles Python/torch for the PyTorch that PYTHON imports, to be used with LIBRARY, and
# leaves FOLDER/backend-MINOR.so. Without Python's headers: it serves every Python version.
build_torch_object() {
  local python="$1" library="$2" target="$3" facts version folder work
  ensure_packages g++=g++ /usr/include/stdlib.h=libc6-dev
  facts="$("$python" -c 'import os, torch; print(torch.__version__, os.path.dirname(torch.__file__))')" ||
    die "'$python' cannot import torch. Name the python of an environment that has it: --torch ENVIRONMENT/bin/python"
  version="${facts%% *}" folder="${facts#* }"
  work="$(mktemp -d)"
  # One unit, since PyTorch's headers are what takes the time.
  (cd "$ROOT/Python/torch" && printf '#include "%s"\n' *.cpp) >"$work/backend.cpp"
  ln -s "$(realpath "$library")" "$work/libtutti.so"
  say "building the backend for PyTorch $version"
  g++ -O2 -std=c++20 -fPIC -shared -fvisibility=hidden -Wall -Wextra -Werror -Wno-unused-parameter "$work/backend.cpp" \
    -I"$ROOT/Python/torch" -I"$ROOT/Sources/CTutti/include" -isystem "$folder/include" \
    -isystem "$folder/include/torch/csrc/api/include" -L"$folder/lib" -L"$work" -Wl,-z,defs,-s -ltorch_cpu -lc10 -ltutti \
    -o "$target/backend-$(cut -d . -f 1,2 <<<"$version").so" >&2 ||
    die "Python/torch does not compile for PyTorch $version. Minor versions change its classes: 2.13 is known to work."
  rm -rf "$work"
}
