# bash completion for vmm
# shellcheck shell=bash

# The table's lines: see src/completion/table. A function, so that sourcing costs nothing.
_vmm_table() {
	cat <<'END'
@TABLE@
END
}

# _vmm_values VALUES PREFIX WORD: candidates of a value that begin with WORD, behind PREFIX.
_vmm_values() {
	local values=$1 prefix=$2 word=$3 each list=()
	case $values in
	@file) mapfile -t list < <(compgen -f -- "$word") ;;
	@directory) mapfile -t list < <(compgen -d -- "$word") ;;
	@tap)
		for each in /sys/class/net/*/tun_flags; do
			[ -e "$each" ] && each=${each%/*} && list+=("${each##*/}")
		done
		;;
	@pci)
		for each in /sys/bus/pci/devices/*; do
			[ -e "$each" ] && list+=("${each##*/}")
		done
		;;
	*) IFS=, read -ra list <<<"$values" ;;
	esac
	for each in "${list[@]}"; do
		[[ $each == "$word"* ]] || continue
		[[ $values == @file && -d $each ]] && each+=/
		COMPREPLY+=("$prefix$each")
	done
	case $values in
	@file | @directory) compopt -o nospace 2>/dev/null ;;
	esac
}

# _vmm_keys WORDS PREFIX WORD: the last of a list of keys.
_vmm_keys() {
	local keys prefix=$2 word=$3 key name
	read -ra keys <<<"$1"
	if [[ $word == *,* ]]; then
		prefix+=${word%,*},
		word=${word##*,}
	elif [[ ${keys[0]} == @* && $word != *=* ]]; then
		_vmm_values "${keys[0]}" "$prefix" "$word"
	fi
	for key in "${keys[@]}"; do
		name=${key%%[?=]*}
		[[ $key != @* ]] || continue
		if [[ $word == "$name="* ]]; then
			[ "$key" = "$name" ] || _vmm_values "${key#*[?=]}" "$prefix$name=" "${word#*=}"
		elif [[ $name == "$word"* ]]; then
			[[ $key == "$name="* ]] && name+="="
			COMPREPLY+=("$prefix$name")
		fi
	done
	compopt -o nospace 2>/dev/null
}

# _vmm_value KIND WORDS PREFIX WORD
_vmm_value() {
	case ${1#\?} in
	words) _vmm_values "$2" "$3" "$4" ;;
	keys) _vmm_keys "$2" "$3" "$4" ;;
	file | directory | tap | pci) _vmm_values "@${1#\?}" "$3" "$4" ;;
	esac
}

# What is being completed, up to the cursor, is parted at blanks alone: '=' and ':' are parts of
# words here, whatever COMP_WORDBREAKS says. bash puts its own part of the word back by itself.
_vmm() {
	local line=${COMP_LINE:0:COMP_POINT} words=() word before command='' table=() fields
	local path option letter kind values wanted='' at=0 part options=()
	read -ra words <<<"$line"
	word=''
	[[ $line == *[[:space:]] ]] || word=${words[-1]}
	[ -z "$word" ] || unset 'words[-1]'
	before=${words[-1]}
	COMPREPLY=()
	mapfile -t table < <(_vmm_table)

	# The command: one word or two, as the table has them.
	for part in "${words[@]:1:2}"; do
		for fields in "${table[@]}"; do
			if [[ $fields == "${command:+$command }$part"$'\t'* ]]; then
				command+=${command:+ }$part
				break
			fi
		done
	done
	for fields in "${table[@]}"; do
		IFS=$'\t' read -r path option letter kind values _ <<<"$fields"
		if [ "$option" = + ]; then
			part=${path#"$command"}
			part=${part# }
			if [[ -n $part && $part != *' '* && $path == "$command"* && $part == "$word"* &&
				${#words[@]} -eq $(($(wc -w <<<"$command") + 1)) ]]; then
				COMPREPLY+=("$part")
			fi
			continue
		fi
		[ "$path" = "$command" ] || continue
		if [ "$option" = - ]; then
			wanted=${wanted:-$kind$'\t'$values}
			continue
		fi
		options+=("$option")
		if [[ $kind != -  && $kind != \?* && ($before == "$option" || $before == "$letter") ]]; then
			wanted=$kind$'\t'$values at=1
		elif [[ $kind != - && $word == "$option="* ]]; then
			wanted=$kind$'\t'$values at=2
		fi
	done
	case $at in
	2) _vmm_value "${wanted%$'\t'*}" "${wanted#*$'\t'}" "${word%%=*}=" "${word#*=}" ;;
	1) _vmm_value "${wanted%$'\t'*}" "${wanted#*$'\t'}" '' "$word" ;;
	0)
		if [[ $word == -* ]]; then
			[ -z "$command" ] || options+=(--help)
			for part in "${options[@]}"; do
				[[ $part != "$word"* ]] || COMPREPLY+=("$part")
			done
		elif [ -n "$wanted" ]; then
			_vmm_value "${wanted%$'\t'*}" "${wanted#*$'\t'}" '' "$word"
		fi
		;;
	esac

	# Readline replaces only what follows the last of its own word breaks.
	part=${word%"${word##*[=:]}"}
	if [[ -n $part && $COMP_WORDBREAKS == *"${part: -1}"* ]]; then
		COMPREPLY=("${COMPREPLY[@]#"$part"}")
	fi
}
complete -F _vmm vmm
