# SPDX-License-Identifier: MIT
# Completion of iommuctl(1) for bash. IOMMUCTL_SYSFS, for tests, is looked at in place of /sys.

# The words that go before the command, and the values that follow options, are skipped.
_iommuctl_command() {
	local i
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-s | --socket | -t | --timeout | -d | --domain | --root | --brokerd | --config)
			((i++))
			[[ ${COMP_WORDS[i]-} != '=' ]] || ((i++))
			;;
		-*) ;;
		*)
			echo "${COMP_WORDS[i]}"
			return
			;;
		esac
	done
}

# The value of -s or --socket; the last one counts, as for the command.
_iommuctl_socket() {
	local i value path=
	for ((i = 1; i < COMP_CWORD; i++)); do
		value=
		case ${COMP_WORDS[i]} in
		-s | --socket)
			((i++))
			[[ ${COMP_WORDS[i]-} != '=' ]] || ((i++))
			value=${COMP_WORDS[i]-}
			;;
		-s?*) value=${COMP_WORDS[i]#-s} ;;
		esac
		((i >= COMP_CWORD)) || path=${value:-$path}
	done
	path=${path/#~\//$HOME/}
	path=${path//[\"\'\\]/}
	echo "$path"
}

# What the broker on the command line says; nothing when it does not answer at once.
_iommuctl_ask() {
	local socket
	socket=$(_iommuctl_socket)
	timeout 2 "${COMP_WORDS[0]}" ${socket:+--socket "$socket"} --timeout 1 "$@" 2>/dev/null
}

# Simulated devices are not in /sys. Of real ones, it has also those that the broker does not give.
_iommuctl_device_names() {
	local bdf
	if [[ $(_iommuctl_ask status) =~ backend\ +sim ]]; then
		_iommuctl_ask devices | awk 'NR > 1 { print $1 }'
	else
		for bdf in "${IOMMUCTL_SYSFS-/sys}"/bus/pci/devices/*; do
			[[ ! -e $bdf ]] || echo "${bdf##*/}"
		done
	fi
}

# PCI addresses have colons, at which bash cuts words: what is before the last one is there already.
_iommuctl_devices() {
	local word=$1 bdf
	while read -r bdf; do
		[[ $bdf != "$word"* ]] || COMPREPLY+=("$bdf")
	done < <(_iommuctl_device_names)
	if [[ $word == *:* && $COMP_WORDBREAKS == *:* ]]; then
		COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*:}"}"}")
	fi
}

# The word at the cursor, put together again from the pieces.
_iommuctl_word() {
	local line=${COMP_LINE:0:COMP_POINT}
	echo "${line##*[[:space:]]}"
}

# Is there an argument behind the command already? In the line, where addresses are not cut.
_iommuctl_has_argument() {
	local words i count=0 line=${COMP_LINE:0:COMP_POINT}
	read -ra words <<<"${line%"$1"}"
	for ((i = 1; i < ${#words[@]}; i++)); do
		case ${words[i]} in
		-s | --socket | -t | --timeout | -d | --domain | --root | --brokerd | --config)
			((i++))
			[[ ${words[i]-} != '=' ]] || ((i++))
			;;
		-*) ;;
		*) ((++count)) ;;
		esac
	done
	((count > 1))
}

# Files (-f) or folders (-d); bash quotes what has to be, and puts a slash behind a folder.
_iommuctl_paths() {
	compopt -o filenames 2>/dev/null
	mapfile -t COMPREPLY < <(compgen "$1" -- "${2/#\~\//$HOME/}")
}

_iommuctl() {
	local cur previous command word
	COMPREPLY=()
	cur=${COMP_WORDS[COMP_CWORD]}
	previous=${COMP_WORDS[COMP_CWORD - 1]}
	[[ $cur != '=' ]] || cur=
	if [[ $previous == '=' ]] && ((COMP_CWORD >= 2)); then
		previous=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	command=$(_iommuctl_command)
	word=$(_iommuctl_word)
	case $previous in
	-s | --socket | --brokerd | --config)
		_iommuctl_paths -f "$cur"
		return
		;;
	--root)
		_iommuctl_paths -d "$cur"
		return
		;;
	-t | --timeout) return ;;
	-d | --domain)
		mapfile -t COMPREPLY < <(compgen -W "$(_iommuctl_domains)" -- "$cur")
		return
		;;
	esac
	if [[ $cur == -* ]]; then
		local options='--json --socket --help --version'
		[[ $command == doctor ]] || options+=' --timeout'
		case $command in
		maps) options+=' --domain' ;;
		doctor) options+=' --config --root --brokerd' ;;
		bind | unbind) options+=' --group --yes --force' ;;
		esac
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
		return
	fi
	! _iommuctl_has_argument "$word" || return
	case $command in
	'') mapfile -t COMPREPLY < <(compgen -W 'bind devices doctor domains maps status unbind' -- "$cur") ;;
	devices | bind | unbind) _iommuctl_devices "$word" ;;
	maps) mapfile -t COMPREPLY < <(compgen -W "$(_iommuctl_domains)" -- "$cur") ;;
	esac
}

# Numbers of the domains that the broker shows.
_iommuctl_domains() {
	_iommuctl_ask domains | awk 'NR > 1 { print $1 }'
}

complete -F _iommuctl iommuctl
