#!/usr/bin/env bash
# Runs a statically linked program on an emulated x86-64 processor that has AVX-512, and passes on what it prints and its exit code:
#
#   cmake/emulate_x86.sh <program> [argument]...
#
# It boots Debian's kernel (the cloud one, which needs no drivers) in Bochs, as an Intel Core i7-7800X: AVX-512 F, CD, DQ, BW and
# VL, without VNNI. That takes half a minute, and then some 20 million instructions are run in a second. The kernel is fetched with
# apt-get as a file, once, into build/test/emulator, and not installed. Needed: what cmake/test.cmake names as the emulator's.
set -euo pipefail

if (($# < 1)); then
  echo "usage: $0 <program> [argument]..." >&2
  exit 2
fi
folder=$(dirname "$(realpath "$0")")/../build/test/emulator
mkdir -p "$folder"
folder=$(realpath "$folder")
program=$(realpath "$1")
shift

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fetch_kernel() {
  local package
  package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
  [[ -n "$package" ]] && apt-get -qq download "$package"
}

# The kernel, once for all programs that run side by side. Where the package lists are too old for it they are fetched anew.
exec 9>"$folder/lock"
flock 9
if [[ ! -s "$folder/vmlinuz" ]]; then
  as_root=()
  ((EUID == 0)) || as_root=(sudo -n)
  if ! fetch_kernel 2>fetch.log && ! { "${as_root[@]}" apt-get -qq update && fetch_kernel; } >>fetch.log 2>&1; then
    cat fetch.log >&2
    echo "$0: the package that linux-image-cloud-amd64 depends on could not be fetched with apt-get" >&2
    exit 2
  fi
  dpkg-deb --fsys-tarfile linux-image-*.deb | tar -x --wildcards './boot/vmlinuz-*'
  mv boot/vmlinuz-* "$folder/vmlinuz"
fi
flock -u 9

# A first file system with the program, and an init that runs it. What it prints comes back over the serial port, between
# two lines that the kernel does not print; it has ended before the machine is switched off.
mkdir -p root/bin root/proc root/dev root/tmp
cp /bin/busybox root/bin/
strip -o root/program "$program"
chmod +x root/program
{
  echo '#!/bin/busybox sh'
  echo '/bin/busybox mount -t proc proc /proc; /bin/busybox mount -t devtmpfs dev /dev'
  echo 'echo; echo "=== begin"'
  printf '/program'
  (($# == 0)) || printf ' %q' "$@"
  echo
  echo 'code=$?; echo; echo "=== end $code"; /bin/busybox sleep 1; /bin/busybox poweroff -f'
} >root/init
chmod +x root/init
mkdir -p image/isolinux
(cd root && find . | /bin/busybox cpio -o -H newc 2>/dev/null | gzip -1) >image/initrd.gz
cp "$folder/vmlinuz" image/vmlinuz
cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 image/isolinux/

# Bochs 2.7 gives a wrong size for the compacted states of registers, by which the kernel would switch off AVX: without xsavec,
# xsaves and pku (321, 323, 515) it uses the plain form.
cat >image/isolinux/isolinux.cfg <<'END'
DEFAULT linux
PROMPT 0
TIMEOUT 1
LABEL linux
  KERNEL /vmlinuz
  INITRD /initrd.gz
  APPEND console=ttyS0 quiet loglevel=0 clearcpuid=321,323,515 mitigations=off nokaslr apparmor=0 lsm=capability tsc=reliable lpj=1000000 no_timer_check
END
xorriso -as mkisofs -quiet -o boot.iso -b isolinux/isolinux.bin -c isolinux/boot.cat -no-emul-boot -boot-load-size 4 \
  -boot-info-table image 2>/dev/null

cat >bochsrc <<'END'
megs: 1024
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
cpu: model=corei7_skylake_x, count=1, ips=10000000, reset_on_triple_fault=0
ata0-master: type=cdrom, path=boot.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=serial.txt
log: bochs.log
display_library: term
sound: waveoutdrv=dummy
plugin_ctrl: sb16=0, es1370=0, e1000=0
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
clock: sync=none, time0=1700000000
END
echo continue >debugger  # Debian's Bochs begins in its debugger

# The display needs a terminal, which `script` lends. ctest would wait for 900 seconds, and leave the emulator running.
script -qec "timeout --foreground 840 bochs -q -rc debugger -f bochsrc" /dev/null >screen.txt 2>&1 </dev/null || true

touch serial.txt
tr -d '\r' <serial.txt >said.txt
sed -n '/^=== begin$/,/^=== end/p' said.txt | grep -v '^=== ' || true
code=$(sed -n 's/^=== end \([0-9]*\)$/\1/p' said.txt)
if [[ -z "$code" ]]; then
  echo "$0: the emulated machine stopped before the program had ended:" >&2
  tail -n 20 said.txt bochs.log >&2
  exit 3
fi
exit "$code"
