# How the C library is made of the objects of a release build, and the backend of PyTorch that uses it; sourced after
# common.sh, never run.
# shellcheck shell=bash

# What a program links with besides libtutti.a.
# shellcheck disable=SC2034
STATIC_LIBRARIES="-lstdc++ -lm -lpthread -ldl"
C_SOURCES="$ROOT/Sources/CTutti"

# version_part NAME: a part of the version that the header has.
version_part() { sed -n "s/^#define TUTTI_VERSION_$1 \([0-9]*\)$/\1/p" "$C_SOURCES/include/tutti.h"; }
library_version() { echo "$(version_part MAJOR).$(version_part MINOR).$(version_part PATCH)"; }
# What programs are linked with: libraries of one series fit them. Before 1.0 a minor version may change anything.
library_series() {
  local major
  major="$(version_part MAJOR)"
  if [ "$major" -gt 0 ]; then echo "$major"; else echo "0.$(version_part MINOR)"; fi
}
# The functions of the header.
header_functions() {
  sed -nE 's/^[a-z][a-z_ *]*\b(tutti_[a-z_]+)\(.*/\1/p' "$C_SOURCES/include/tutti.h" | sort -u
}

# build_c_library FOLDER: leaves libtutti.so and libtutti.a there.
build_c_library() {
  local folder="$1" options objects runtime name archive archives=()
  options=("${RELEASE_OPTIONS[@]}" --package-path "$ROOT")
  say "building the C library"
  swift build "${options[@]}" --product tutti </dev/null >&2
  objects="$(swift build "${options[@]}" --show-bin-path)/tutti.product/Objects.LinkFileList"
  [ -s "$objects" ] || die "the build left no list of objects ($objects). Report this with 'swift --version'."
  runtime="$(dirname "$(realpath "$(command -v swiftc)")")/../lib/swift_static/linux"
  [ -e "$runtime/libswiftCore.a" ] || die "Swift's static libraries are not in $runtime. Install a complete toolchain."

  # The linker takes an archive where it finds that before the shared library.
  mkdir -p "$folder/archives"
  for name in libcrypto.a libyaml.a; do
    archive="$(gcc -print-file-name="$name")"
    [ -e "$archive" ] || die "there is no $name. Install libssl-dev and libyaml-dev, or their like with static libraries."
    ln -sfn "$archive" "$folder/archives/$name"
  done
  say "linking libtutti.so"
  swiftc -emit-library -o "$folder/libtutti.so" "@$objects" -static-stdlib -L "$folder/archives" \
    -Xlinker -soname -Xlinker "libtutti.so.$(library_series)" -Xlinker "--version-script=$C_SOURCES/tutti.map" \
    -Xlinker --gc-sections -Xlinker --strip-all -Xlinker -z -Xlinker nodelete -Xlinker --no-undefined >&2

  # One object, in which only the functions of the header are global: what is inside meets no other copy of it.
  say "making libtutti.a"
  swift-autolink-extract "@$objects" -o "$folder/autolink"
  for name in $(tr ' ' '\n' <"$folder/autolink" | sed -n 's/^-l//p' | sort -u) swiftCore dispatch BlocksRuntime; do
    for archive in "$runtime/lib$name.a" "$folder/archives/lib$name.a"; do
      if [ -e "$archive" ]; then archives+=("$archive"); fi
    done
  done
  # -d: an object that is declared without a value is one of its own, too.
  ld -r -d -o "$folder/whole.o" "$runtime/$(uname -m)/swiftrt.o" "@$objects" --start-group "${archives[@]}" --end-group >&2
  header_functions >"$folder/functions"
  objcopy --keep-global-symbols="$folder/functions" --strip-debug "$folder/whole.o" "$folder/tutti.o"
  rm -f "$folder/libtutti.a"
  ar rcs "$folder/libtutti.a" "$folder/tutti.o"
}

# build_torch_object PYTHON LIBRARY FOLDER: compiles Python/torch for the PyTorch that PYTHON imports, to be used with
# LIBRARY, and leaves FOLDER/backend-MINOR.so. Without Python's headers: it serves every Python version.
build_torch_object() {
  local python="$1" library="$2" target="$3" facts version folder work
  ensure_packages g++=g++ /usr/include/stdlib.h=libc6-dev
  facts="$("$python" -c 'import os, torch; print(torch.__version__, os.path.dirname(torch.__file__))')" ||
    die "'$python' cannot import torch. Name the python of an environment that has it: --torch ENVIRONMENT/bin/python"
  version="${facts%% *}" folder="${facts#* }"
  work="$(mktemp -d)"
  # One unit, since PyTorch's headers are what takes the time.
  (cd "$ROOT/Python/torch" && printf '#include "%s"\n' *.cpp Collectives/*.cpp) >"$work/backend.cpp"
  ln -s "$(realpath "$library")" "$work/libtutti.so"
  say "building the backend for PyTorch $version"
  g++ -O2 -std=c++20 -fPIC -shared -fvisibility=hidden -Wall -Wextra -Werror -Wno-unused-parameter "$work/backend.cpp" \
    -I"$ROOT/Python/torch" -I"$ROOT/Sources/CTutti/include" -isystem "$folder/include" \
    -isystem "$folder/include/torch/csrc/api/include" -L"$folder/lib" -L"$work" -Wl,-z,defs,-s -ltorch_cpu -lc10 -ltutti \
    -o "$target/backend-$(cut -d . -f 1,2 <<<"$version").so" >&2 ||
    die "Python/torch does not compile for PyTorch $version. Minor versions change its classes: 2.13 is known to work."
  rm -rf "$work"
}
