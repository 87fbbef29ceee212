# The kernel and the initramfs of Scripts/rdma-vm, which sources this: taken from the distribution's packages, unpacked into
# the cache and never installed. One folder per kernel package and list of modules, complete or not there at all:
#   vmlinux     the kernel, unpacked where it can be (the machine would spend seconds on that, each time)
#   root/       busybox and the modules, named in the order in which they load
#   initramfs-* root/ with the init script of that checksum
# shellcheck shell=bash

CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/tutti-rdma-vm"
# What the machine loads; what these need in turn comes by itself. rxe asks for crc32_generic where modprobe cannot see it.
MODULES=(virtio_pci virtio_net 9pnet_virtio 9p crc32_generic rdma_rxe ib_uverbs rdma_ucm sch_netem)
# What is being filled; not there at other times.
staging=""

# Makes sure that the cache holds a kernel, and sets KERNEL and INITRAMFS. The newest one there is used; $1 = update looks
# for the distribution's newest first.
ensure_kernel() {
  local found="" checksum
  mkdir -p "$CACHE"
  # Two first runs at a time would download twice and get in each other's way.
  exec {cache_lock}>"$CACHE/lock"
  flock -w 600 "$cache_lock" || die "another Scripts/rdma-vm has been filling $CACHE for 10 minutes."
  if [ "${1:-}" != update ]; then found="$(newest_kernel)"; fi
  if [ -z "$found" ]; then
    staging="$CACHE/staging"
    rm -rf "$staging"
    mkdir "$staging"
    fetch_kernel
    drop_staging
    found="$(newest_kernel)"
  fi
  KERNEL="$found/vmlinux"
  checksum="$(cksum <"$ROOT/Scripts/lib/rdma-vm-init")"
  INITRAMFS="$found/initramfs-${checksum%% *}"
  if [ ! -e "$INITRAMFS" ]; then
    # Another checkout may be starting with one of today.
    find "$found" -maxdepth 1 -name 'initramfs-*' -mtime +0 -delete
    install -m 755 "$ROOT/Scripts/lib/rdma-vm-init" "$found/root/init"
    (cd "$found/root" && find . | cpio --create --format=newc --quiet --owner=0:0) >"$INITRAMFS.new"
    mv "$INITRAMFS.new" "$INITRAMFS"
  fi
  exec {cache_lock}>&-
}

# What the folders of this list of modules end with.
modules_key() { cksum <<<"${MODULES[*]}" | cut -d ' ' -f 1; }
newest_kernel() { find "$CACHE" -maxdepth 1 -name "linux-image-*.$(modules_key)" | sort -V | tail -n 1; }
drop_staging() { if [ -n "$staging" ]; then rm -rf "$staging"; fi && staging=""; }

# Downloads and unpacks into the staging folder, then moves the result to its place in the cache, where older ones go.
fetch_kernel() {
  local meta image version packages package file target
  apt-cache show busybox-static >/dev/null 2>&1 || as_root apt-get update -qq </dev/null >&2 ||
    die "apt-get update failed, and there is no kernel in $CACHE yet."
  for meta in linux-image-amd64 linux-image-generic; do
    image="$(apt-cache depends "$meta" 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)"
    [ -z "$image" ] || break
  done
  [ -n "$image" ] || die "found no kernel package: neither linux-image-amd64 (Debian) nor linux-image-generic (Ubuntu)."
  packages=("$image" busybox-static)
  # Ubuntu's kernel packages hold only the kernel.
  for package in "${image/image/modules}" "${image/image/modules-extra}"; do
    if apt-cache show "$package" >/dev/null 2>&1; then packages+=("$package"); fi
  done
  say "downloading ${packages[*]} (once; they are kept in $CACHE)"
  # The user that apt would download as may not write here.
  (cd "$staging" && apt-get -qq -o APT::Sandbox::User= download "${packages[@]}" </dev/null >&2) ||
    die "could not download ${packages[*]}. Is there a network, and is 'apt-get update' recent?"
  for file in "$staging"/*.deb; do dpkg -x "$file" "$staging/unpacked"; done
  version="${image#linux-image-}"
  file="$(basename "$staging/$image"_*.deb)"
  mkdir -p "$staging/done/root/bin" "$staging/done/root/modules"
  cp "$(find "$staging/unpacked" -path '*bin/busybox' -type f)" "$staging/done/root/bin/busybox"
  unpack_kernel "$staging/unpacked/boot/vmlinuz-$version" "$staging/done/vmlinux"
  take_modules "$staging/unpacked" "$version" "$staging/done/root/modules"
  target="$CACHE/${file%.deb}.$(modules_key)"
  rm -rf "$CACHE"/linux-image-*."$(modules_key)"
  mv "$staging/done" "$target"
}

# unpack_kernel VMLINUZ TO: the ELF file inside, which QEMU starts directly; else the file as it is. The offsets are those of
# the kernel's Documentation/arch/x86/boot.rst.
unpack_kernel() {
  local sectors offset length tool
  sectors="$(od -An -t u1 -j 0x1f1 -N 1 "$1")"
  offset="$(od -An -t u4 -j 0x248 -N 4 "$1")"
  length="$(od -An -t u4 -j 0x24c -N 4 "$1")"
  for tool in xz zstd gzip; do
    # The last four bytes are the length of the result. The first tool of the pipe is told early that it is enough.
    tail -c "+$(((sectors + 1) * 512 + offset + 1))" "$1" | head -c "$((length - 4))" | "$tool" -dc >"$2" 2>/dev/null || true
    if [ "$(head -c 4 "$2" | tail -c 3)" = ELF ]; then return; fi
  done
  cp "$1" "$2"
}

# take_modules ROOT VERSION TO: copies what has to be loaded, uncompressed, under names in loading order.
take_modules() {
  local module lines kind file name count=100
  local -A taken=()
  # Distributions differ in where modules are, and modprobe in where it looks.
  mkdir -p "$1/lib" "$1/usr/lib"
  [ -d "$1/lib/modules" ] || ln -s ../usr/lib/modules "$1/lib/modules"
  [ -d "$1/usr/lib/modules" ] || ln -s ../../lib/modules "$1/usr/lib/modules"
  depmod -b "$1" "$2"
  for module in "${MODULES[@]}"; do
    lines="$(modprobe -d "$1" -S "$2" --show-depends "$module" 2>/dev/null)" || {
      # Newer kernels have it inside.
      [ "$module" = crc32_generic ] || die "the kernel $2 has no module $module."
      continue
    }
    while read -r kind file _; do
      # The others are "builtin".
      if [ "$kind" != insmod ] || [ -n "${taken[$file]:-}" ]; then continue; fi
      taken[$file]=1
      name="$3/$((count += 1))-$(basename "${file%.ko*}").ko"
      case "$file" in
        *.xz) xz -dc "$file" >"$name" ;;
        *.zst) zstd -qdc "$file" >"$name" ;;
        *.gz) gzip -dc "$file" >"$name" ;;
        *) cp "$file" "$name" ;;
      esac
    done <<<"$lines"
  done
}

# kvm_works LOG: whether KVM works. It can be there and hang, so a machine has to get through its start with it, in a limited
# time; known until the next boot of this computer.
kvm_works() {
  local log="$1" known pid
  [ -r /dev/kvm ] && [ -w /dev/kvm ] || return 1
  known="$CACHE/kvm-$(cat /proc/sys/kernel/random/boot_id)"
  if [ ! -e "$known" ]; then
    say "trying whether KVM works here (once)"
    rm -f "$CACHE"/kvm-*
    setsid setpriv --pdeathsig KILL "$QEMU" -nodefaults -no-user-config -display none -no-reboot -m 256 \
      -accel kvm -cpu host -kernel "$KERNEL" -initrd "$INITRAMFS" -serial "file:$log" \
      -append 'console=ttyS0 quiet panic=-1 rdma-vm-probe' </dev/null >/dev/null 2>&1 &
    pid=$!
    for _ in $(seq 100); do
      if ! kill -0 "$pid" 2>/dev/null; then break; fi
      sleep 0.1
    done
    # Not waited for: what hangs in the kernel may not even end by this.
    kill -KILL "$pid" 2>/dev/null && disown "$pid"
    if grep -qs 'the probe works' "$log"; then echo yes >"$known"; else echo no >"$known"; fi
  fi
  [ "$(cat "$known")" = yes ]
}
