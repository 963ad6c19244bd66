# shellcheck shell=bash
# Shared by the scripts of this folder; to be sourced.

vm_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034  # used by those who source this
vm_cache=${IOB_VM_CACHE:-$HOME/.cache/iommu-broker-vm}

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 2; }

# Short name of the kernel configuration: comments and empty lines do not matter, what is read does.
config_key() {
	grep -E '^(CONFIG_|# CONFIG_[A-Z0-9_]+ is not set$)' "$vm_dir/kernel-iommufd.config" |
		sha256sum | cut -c1-12
}

# Short name of what is on the disk of root-image.sh
root_key() { sha256sum < "$vm_dir/root-image.sh" | cut -c1-12; }
