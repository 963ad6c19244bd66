#!/bin/bash
# apt for one more Debian suite, beside the machine's own sources and without touching them.
#
# usage: apt-suite.sh SUITE update | download PACKAGE... | APT-CACHE-COMMAND ARGUMENT...
#
# Mirror: the one the machine itself takes Debian's main archive from. State: in the rig's cache.
set -euo pipefail
. "$(dirname "$0")/common.sh"

[ $# -ge 2 ] || die "usage: $0 SUITE update|download|APT-CACHE-COMMAND [ARGUMENT...]"
suite=$1 verb=$2
shift 2

state=$vm_cache/apt/$suite
mkdir -p "$state/lists/partial" "$state/cache/archives/partial"

# apt knows its sources whatever the format and the file they are written in; the origin is known
# once their lists have been fetched.
# shellcheck disable=SC2016  # $(..) is apt's syntax
mirror=$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' |
	sed -n 's/^Debian|Debian|//p' | sed -n 1p)
[ -n "$mirror" ] || die "apt knows no Debian mirror here; run 'apt-get update' first"

printf 'deb [signed-by=%s] %s %s main\n' \
	/usr/share/keyrings/debian-archive-keyring.gpg "$mirror" "$suite" > "$state/sources.list"

apt=(
	-o "Dir::Etc::SourceList=$state/sources.list" -o Dir::Etc::SourceParts=-
	-o "Dir::State::Lists=$state/lists" -o "Dir::Cache=$state/cache"
	# Names and descriptions of packages are never shown: fetch the one index that is needed.
	-o Acquire::Languages=none -o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false
	# _apt may not be able to enter the cache in somebody's home.
	-o APT::Sandbox::User=root
)
case $verb in
update | download) exec apt-get -q "${apt[@]}" "$verb" "$@" ;;
*) exec apt-cache "${apt[@]}" "$verb" "$@" ;;
esac
