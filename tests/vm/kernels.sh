#!/bin/bash
# Makes the guest kernels available in the cache: $IOB_VM_CACHE/type1 and $IOB_VM_CACHE/iommufd.
#
# usage: kernels.sh [--latest] [type1] [iommufd]     (both when none is named)
#
#   type1/    Debian's own 6.1: vmlinuz, modules/, modules.order and modules.disk (what to load, in
#             order: for VFIO, for a root on a disk)
#   iommufd/  no Debian kernel has iommufd, so one is built from Debian's sources with
#             kernel-iommufd.config: vmlinuz, config, key, uapi/include (headers for programs)
#
# Both are links to a directory whose name says what it was made from (version, hash of the
# configuration or of the list of modules). One that is there is used, and no mirror asked, unless --latest is given.
#
# IOB_VM_SUITE (trixie-backports) and IOB_VM_LINUX (7.3) say where the sources come from.
# IOB_VM_JOBS (number of CPUs) says how many compilers run at once.
set -euo pipefail
. "$(dirname "$0")/common.sh"

suite=${IOB_VM_SUITE:-trixie-backports}
series=${IOB_VM_LINUX:-7.3}
jobs=${IOB_VM_JOBS:-$(nproc)}

# Load order. vfio_virqfd became a part of vfio in later kernels.
type1_modules=(irqbypass vfio_virqfd vfio vfio_iommu_type1 vfio-pci-core vfio-pci)
type1_disk_modules=(
	virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk
	crc32c_generic crc16 mbcache jbd2 ext4 autofs4
)

latest=
kinds=()
for arg; do
	case $arg in
	--latest) latest=1 ;;
	type1 | iommufd) kinds+=("$arg") ;;
	*) die "usage: $0 [--latest] [type1] [iommufd]" ;;
	esac
done
[ ${#kinds[@]} -gt 0 ] || kinds=(type1 iommufd)

mkdir -p "$vm_cache"
# One builder at a time, so everything called .work.* that is found under the lock is left over
# from a run that was killed.
exec 9> "$vm_cache/lock"
flock -n 9 || { say "another one is at work, waiting for it"; flock 9; }
rm -rf "$vm_cache"/.work.*
work=$(mktemp -d "$vm_cache/.work.XXXXXX")
job=
clean_up() {
	[ -z "$job" ] || kill -- "-$job" 2>/dev/null || :
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

# step TEXT COUNTER COMMAND...: runs the command with its output in a log, and says every 15
# seconds how far it is; COUNTER is a shell command that tells. Shows the log when it fails.
step() {
	local text=$1 counter=$2 start=$SECONDS next=15
	shift 2
	say "$text"
	# A process group of its own (-m): make's children end with it.
	set -m
	"$@" > "$work/log" 2>&1 < /dev/null 9>&- &
	job=$!
	set +m
	while kill -0 "$job" 2>/dev/null; do
		sleep 1
		if [ $((SECONDS - start)) -ge "$next" ]; then
			say "  $((SECONDS - start)) s, $(eval "$counter")"
			next=$((SECONDS - start + 15))
		fi
	done
	if ! wait "$job"; then
		job=
		tail -n 40 "$work/log" >&2
		die "failed: $text"
	fi
	job=
	say "  done after $((SECONDS - start)) s"
}

fetched() { du -sm "$work" | awk '{ print $1 " MB so far" }'; }
unpacked() { du -sm "$work/src" | awk '{ print $1 " MB unpacked" }'; }
compiled() { find "$work/build" -name '*.o' | wc -l | awk '{ print $1 " objects compiled" }'; }

# publish KIND NAME: $work/out becomes the finished $vm_cache/NAME, and KIND a link to it. Two
# renames: at no time can anybody see a part of it.
publish() {
	rm -rf "${vm_cache:?}/$2"
	mv -T "$work/out" "$vm_cache/$2"
	link_kind "$1" "$2"
}
link_kind() {
	ln -s "$2" "$work/link"
	mv -fT "$work/link" "$vm_cache/$1"
}

# newest GLOB: the name of the newest finished directory, nothing when there is none
newest() { (cd "$vm_cache" && compgen -G "$1" | sort -V | tail -n 1) || :; }

candidate() { sed -n 's/^ *Candidate: //p' | sed 's/(none)//'; }

# add_modules ORDER MODULE...: copies them, and notes the order in the file ORDER
add_modules() {
	local order=$work/out/$1 module file
	shift
	for module; do
		file=$(find "$work/tree" -name "$module.ko")
		if [ -n "$file" ]; then
			cp "$file" "$work/out/modules/"
			echo "$module.ko" >> "$order"
		elif [ "$module" != vfio_virqfd ]; then
			die "type1: there is no module $module"
		fi
	done
}

make_type1() {
	local image version name key
	key=$(echo "${type1_modules[@]}" "${type1_disk_modules[@]}" | sha256sum | cut -c1-12)
	name=$(newest "type1-*-$key")
	if [ -z "$name" ] || [ -n "$latest" ]; then
		image=$(apt-cache depends linux-image-amd64 |
			sed -n 's/^ *Depends: \(linux-image-.*\)/\1/p' | sed -n 1p)
		[ -n "$image" ] || die "apt knows no linux-image-amd64; run 'apt-get update' first"
		version=$(apt-cache policy "$image" | candidate)
		name=type1-${version//[^A-Za-z0-9.+~-]/_}-$key
	fi
	if [ -e "$vm_cache/$name" ]; then
		link_kind type1 "$name"
		say "type1: $name is there"
		return
	fi
	mkdir "$work/deb" "$work/tree" "$work/out" "$work/out/modules"
	step "type1: downloading $image $version" fetched \
		env -C "$work/deb" apt-get -q -o APT::Sandbox::User=root download "$image=$version"
	step "type1: unpacking" fetched dpkg -x "$work"/deb/*.deb "$work/tree"
	cp "$work"/tree/boot/vmlinuz-* "$work/out/vmlinuz"
	add_modules modules.order "${type1_modules[@]}"
	add_modules modules.disk "${type1_disk_modules[@]}"
	publish type1 "$name"
	rm -rf "$work"/{deb,tree}
	say "type1: made $name"
}

# Options that kconfig drops because something they need is off must not go by unseen.
check_config() {
	local line bad=0
	while read -r line; do
		case $line in
		CONFIG_*) grep -qxF "$line" "$1" ;;
		'# CONFIG_'*' is not set') line=${line#\# } && ! grep -q "^${line%% *}=" "$1" ;;
		*) : ;;
		esac || { say "not honoured by kconfig: $line"; bad=1; }
	done < "$vm_dir/kernel-iommufd.config"
	return "$bad"
}

# The builder's name is not compiled in: two builds of the same input look the same.
kmake() {
	make -s -C "$work/src" O="$work/build" \
		KBUILD_BUILD_USER=rig KBUILD_BUILD_HOST=iommu-broker-vm "$@"
}

unpack_source() {
	dpkg --fsys-tarfile "$work"/deb/*.deb |
		tar -xO "./usr/src/linux-source-$series.tar.xz" |
		tar -xJ --strip-components=1 -C "$work/src"
}

make_iommufd() {
	local key package version name
	key=$(config_key)
	package=linux-source-$series
	name=$(newest "iommufd-${series}[.-]*-$key")
	if [ -z "$name" ] || [ -n "$latest" ]; then
		step "iommufd: reading the list of $suite" fetched "$vm_dir/apt-suite.sh" "$suite" update
		version=$("$vm_dir/apt-suite.sh" "$suite" policy "$package" | candidate)
		if [ -z "$version" ]; then
			say "$suite has no $package. On offer (choose with IOB_VM_LINUX):"
			"$vm_dir/apt-suite.sh" "$suite" search --names-only '^linux-source-[0-9]' >&2
			exit 2
		fi
		name=iommufd-${version//[^A-Za-z0-9.+~-]/_}-$key
	fi
	if [ -e "$vm_cache/$name" ]; then
		link_kind iommufd "$name"
		say "iommufd: $name is there"
		return
	fi
	mkdir "$work"/{deb,src,build,out}
	step "iommufd: downloading $package $version" fetched \
		env -C "$work/deb" "$vm_dir/apt-suite.sh" "$suite" download "$package=$version"
	step "iommufd: unpacking the sources" unpacked unpack_source
	rm -r "$work/deb"
	step "iommufd: configuring" compiled \
		kmake KCONFIG_ALLCONFIG="$vm_dir/kernel-iommufd.config" allnoconfig
	check_config "$work/build/.config" || die "kernel-iommufd.config does not fit $package $version"
	step "iommufd: compiling, $jobs at a time" compiled kmake -j"$jobs" bzImage
	step "iommufd: headers for programs" compiled kmake headers
	cp "$work/build/arch/x86/boot/bzImage" "$work/out/vmlinuz"
	cp "$work/build/.config" "$work/out/config"
	echo "$key" > "$work/out/key"
	mkdir "$work/out/uapi"
	cp -R "$work/build/usr/include" "$work/out/uapi/include"
	find "$work/out/uapi" -type f ! -name '*.h' -delete
	publish iommufd "$name"
	say "iommufd: made $name; removing sources and objects"
	rm -rf "$work"/{src,build}
}

for kind in "${kinds[@]}"; do
	"make_$kind"
done
