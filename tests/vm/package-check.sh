#!/bin/bash
# The Debian packages in a guest with systemd: installed, started by the first client, installed again
# while a device is in use, removed, purged. Builds them first.
#
# usage: package-check.sh [KIND]...       (default: iommufd)
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

kinds=("$@")
[ ${#kinds[@]} -gt 0 ] || kinds=(iommufd)
top=$(realpath "$vm_dir/../..")
build=$(realpath -m "${IOB_BUILD:-$top/build}")

"$vm_dir/kernels.sh"
"$vm_dir/root-image.sh"
make -C "$top" deb BUILD="$build"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
mkdir -p "$work/stage/opt/test"
cp "$build"/deb/*.deb "$work/stage/opt/test/"
rm -f "$work"/stage/opt/test/*-dbgsym_*
# Linked statically: the guest has our library only while the package is installed.
"${CC:-cc}" -I"$build/include" -o "$work/stage/opt/test/client" "$top/tests/install/client.c" \
	"$build/lib/libiommubroker.a"
cp "$vm_dir/guest-checks.sh" "$work/stage/opt/test/"
cp "$vm_dir/guest-package-check.sh" "$work/stage/guest.sh"
chmod 755 "$work/stage/guest.sh"

passed=0 failed=0
for kind in "${kinds[@]}"; do
	say "$kind: booting"
	status=0
	"$vm_dir/run.sh" "$kind" --systemd --timeout 900 --out "$work/$kind.log" "$work/stage" |
		sed -u "s/^/$kind: /" || status=$?
	read -r p _ f _ < <(grep -aE '^[0-9]+ passed, [0-9]+ failed$' "$work/$kind.log" | tail -n 1) || :
	[ "$status" -eq 0 ] || [ "${f:-0}" -gt 0 ] || f=1
	passed=$((passed + ${p:-0})) failed=$((failed + ${f:-1}))
	say "$kind: status $status after $SECONDS s"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
