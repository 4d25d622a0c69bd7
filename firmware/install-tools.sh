#!/usr/bin/env bash
# Install the system tools with apt where that needs no password; otherwise say the exact command.
set -euo pipefail

declare -A packages=(
  [arm-none-eabi-gcc]="gcc-arm-none-eabi libnewlib-arm-none-eabi"
  [qemu-system-arm]="qemu-system-arm"
  [cmake]="cmake"
  [make]="make"
  [gcc]="gcc libc6-dev"
)
missing=()
for tool in "${!packages[@]}"; do
  command -v "$tool" >/dev/null || missing+=(${packages[$tool]})
done
[ ${#missing[@]} -eq 0 ] && exit 0

install="apt-get install -y --no-install-recommends ${missing[*]}"
if ! command -v apt-get >/dev/null; then
  echo "Missing tools; install what your system calls: ${missing[*]}" >&2
elif [ "$(id -u)" -eq 0 ]; then
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive $install -qq >/dev/null
elif sudo -n true 2>/dev/null; then
  sudo apt-get update -qq && sudo DEBIAN_FRONTEND=noninteractive $install -qq >/dev/null
else
  echo "Missing tools; without them nothing runs on the emulator. Install them with:" >&2
  echo "  sudo $install" >&2
fi
