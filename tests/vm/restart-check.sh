#!/bin/bash
# A monitor that ends while devices do DMA: killed, restarted, upgraded by a package, in a guest with systemd.
# Builds the packages first, in two versions.
#
# usage: restart-check.sh [KIND]...       (default: type1 iommufd)
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

kinds=("$@")
[ ${#kinds[@]} -gt 0 ] || kinds=(type1 iommufd)
top=$(realpath "$vm_dir/../..")
build=$(realpath -m "${IOB_BUILD:-$top/build}")

"$vm_dir/kernels.sh"
"$vm_dir/root-image.sh"
make -C "$top" deb BUILD="$build"

work=$(mktemp -d)
pids=()
# shellcheck disable=SC2317  # called by the trap
clean_up() {
	[ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || :
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP
mkdir -p "$work/stage/opt/test/first" "$work/stage/opt/test/second"
cp "$build"/deb/*.deb "$work/stage/opt/test/first/"
make -C "$top" deb BUILD="$build" VERSION=0.1.1
cp "$build"/deb/*0.1.1*.deb "$work/stage/opt/test/second/"
rm -f "$work"/stage/opt/test/*/*-dbgsym_*
cp "$build/tests/steady" "$work/stage/opt/test/"
cp "$vm_dir/guest-checks.sh" "$work/stage/opt/test/"
cp "$vm_dir/guest-restart-check.sh" "$work/stage/guest.sh"
chmod 755 "$work/stage/guest.sh"

# At the same time: most of it is waiting.
for kind in "${kinds[@]}"; do
	say "$kind: booting"
	"$vm_dir/run.sh" "$kind" --systemd --timeout 900 --out "$work/$kind.log" "$work/stage" \
		> >(sed -u "s/^/$kind: /") 2>&1 &
	pids+=($!)
done

passed=0 failed=0
for i in "${!kinds[@]}"; do
	kind=${kinds[i]} status=0 p=0 f=0
	wait "${pids[i]}" || status=$?
	read -r p _ f _ < <(grep -aE '^[0-9]+ passed, [0-9]+ failed$' "$work/$kind.log" | tail -n 1) || :
	[ "$status" -eq 0 ] || [ "${f:-0}" -gt 0 ] || f=1
	[ "${p:-0}" -gt 0 ] || f=1
	passed=$((passed + ${p:-0})) failed=$((failed + ${f:-1}))
	say "$kind: status $status after $SECONDS s"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
