#!/bin/bash
# Makes the disk of the guests that run systemd, a small Debian in ext4, available in the cache.
#
# usage: root-image.sh [--latest]
#
# Of the machine's own release and from its own apt sources, so that programs and packages made here
# run there. $IOB_VM_CACHE/root-RELEASE-KEY/image, with the hash of this script as the key. One that
# is there is used, and no mirror asked, unless --latest is given.
#
# Nothing of the rig is in it but users and what is switched off: units, kernel modules and the test
# come with each run. Needs root, or a kernel that lets the user make namespaces.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

# First what makes it a system; usr-is-merged stands for usrmerge, which would bring all of Perl.
# Then what the daemon's packages depend on: there is no mirror to get it from in the guest.
packages=(
	usr-is-merged systemd systemd-sysv udev kmod procps util-linux init-system-helpers
	libsystemd0 libevent-core-2.1-7 libseccomp2 libcap2 libbsd0 libinih1 libjson-c5
)

# No test asks for these, and each costs an emulated processor time: logins, timers that would run
# in the middle of a test, and what makes sense on a disk that stays.
masked=(
	getty.target getty-static.service serial-getty@ttyS0.service systemd-logind.service
	systemd-ask-password-console.path systemd-ask-password-wall.path
	apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer e2scrub_all.timer
	systemd-tmpfiles-clean.timer e2scrub_reap.service
	systemd-firstboot.service systemd-machine-id-commit.service systemd-random-seed.service
	systemd-journal-flush.service systemd-pstore.service systemd-binfmt.service
	systemd-update-utmp.service systemd-update-utmp-runlevel.service
	proc-sys-fs-binfmt_misc.automount
	modprobe@{configfs,dm_mod,drm,efi_pstore,fuse,loop}.service
)
# Programs that look for more units, at boot and in each daemon-reload. fstab's and the one that
# reads the kernel's command line stay.
generators=(
	bless-boot cryptsetup getty gpt-auto hibernate-resume integritysetup rc-local run system-update
	sysv veritysetup
)

# fill DIRECTORY: its file "tar" becomes its file "image". Runs as root, or as what is root in a
# namespace of the user's.
fill() {
	local root=$1/tree unit user name
	mkdir "$root"
	tar -C "$root" -xpf "$1/tar" --numeric-owner --exclude='./dev/*'
	for user in alice:1001 bob:1002 carol:1003; do
		chroot "$root" useradd -m -U -s /bin/sh -u "${user#*:}" "${user%:*}"
	done
	for unit in "${masked[@]}"; do
		ln -sf /dev/null "$root/etc/systemd/system/$unit"
	done
	mkdir -p "$root/etc/systemd/system-generators"
	for name in "${generators[@]}"; do
		ln -s /dev/null "$root/etc/systemd/system-generators/systemd-$name-generator"
	done
	# With an id the first boot is not a "first boot", which would enable every unit there is.
	echo 52696752696752696752696752696752 > "$root/etc/machine-id"
	echo iommu-broker-vm > "$root/etc/hostname"
	: > "$root/etc/fstab"
	mkdir -p "$root/etc/systemd/journald.conf.d"
	printf '[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\n' \
		> "$root/etc/systemd/journald.conf.d/rig.conf"
	# What served the making only. dpkg may leave out fsync in the guest too, but no files.
	rm -f "$root"/etc/apt/apt.conf.d/99mmdebstrap "$root"/etc/apt/sources.list "$root/etc/resolv.conf"
	rm -rf "${root:?}"/etc/apt/sources.list.d/* "$root"/var/log/*.log "$root"/var/log/apt/*
	echo force-unsafe-io > "$root/etc/dpkg/dpkg.cfg.d/99mmdebstrap"
	# No journal: nothing outlives the run. The tables are written here, not by the guest.
	truncate -s 1G "$1/image"
	mke2fs -q -t ext4 -L rig -O ^has_journal -N 32768 -m 0 -E lazy_itable_init=0,root_owner=0:0 \
		-d "$root" "$1/image"
	chmod 644 "$1/image"
	rm -rf "$root"
}

# sources: what apt has of Debian's own archives here, without backports
sources() {
	# shellcheck disable=SC2016  # $(..) is apt's syntax
	apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI) $(RELEASE) main' \
		'Created-By: Packages' | sed -nE 's/^Debian\|(Debian|Debian-Security)\|/deb /p' | sort -u
}

make_image() {
	# Proxies, and what else apt needs to be told here to reach the mirror
	apt-config dump | grep -E '^Acquire::(https?|Check-[A-Za-z-]+|Retries)\>' > "$pit/apt.conf" || :
	mmdebstrap --variant=apt --include="$(IFS=,; echo "${packages[*]}")" \
		--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr --aptopt="$pit/apt.conf" \
		--aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
		--dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
		"$(os_release)" - "$pit/sources" > "$pit/tar"
	"${as_root[@]}" bash "$vm_dir/root-image.sh" --fill "$pit"
}

if [ "${1:-}" = --fill ]; then
	fill "$2"
	exit
fi

latest=
case $*:$# in
:0) ;;
--latest:1) latest=1 ;;
*) die "usage: $0 [--latest]" ;;
esac
for tool in mmdebstrap mke2fs; do
	command -v "$tool" > /dev/null || die "$tool is missing; see the file packages"
done

mkdir -p "$vm_cache"
exec 9> "$vm_cache/lock.root"
flock -n 9 || { say "another one is at work, waiting for it"; flock 9; }

name=$(root_name)
if [ ! -e "$vm_cache/$name" ] || [ -n "$latest" ]; then
	as_root=()
	[ "$(id -u)" -eq 0 ] || as_root=(mmdebstrap --unshare-helper)
	# Not in the cache: root of a namespace cannot enter the home of the user.
	pit=$(mktemp -d)
	chmod 1777 "$pit"
	# shellcheck disable=SC2064  # as it is now
	trap "rm -rf '$pit' '$vm_cache'/.root.*" EXIT
	trap 'exit 130' INT TERM HUP
	sources > "$pit/sources"
	[ -s "$pit/sources" ] || die "apt knows no Debian mirror here; run 'apt-get update' first"
	say "$name: installing Debian's $(os_release), a minute or two"
	if ! make_image > "$pit/log" 2>&1 < /dev/null; then
		tail -n 40 "$pit/log" >&2
		die "failed: $name"
	fi
	out=$(mktemp -d "$vm_cache/.root.XXXXXX")
	chmod 755 "$out"
	cp --sparse=always "$pit/image" "$out/image"
	rm -rf "${vm_cache:?}/$name"
	mv -T "$out" "$vm_cache/$name"
	say "made $name, $SECONDS s"
else
	say "$name is there"
fi
