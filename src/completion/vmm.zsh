#compdef vmm
# zsh completion for vmm

# The table's lines: see src/completion/table.
_vmm_table() {
	cat <<'END'
@TABLE@
END
}

# _vmm_values VALUES: "a,b", or what this host has.
_vmm_values() {
	case $1 in
	@file) _files ;;
	@directory) _files -/ ;;
	@tap) compadd -- /sys/class/net/*/tun_flags(N:h:t) ;;
	@pci) compadd -- /sys/bus/pci/devices/*(N:t) ;;
	*) compadd -- ${(s:,:)1} ;;
	esac
}

# _vmm_keys WORDS: the last of a list of keys.
_vmm_keys() {
	local -a keys bare valued
	local key name
	keys=(${=1})
	compset -P '*,' || [[ $PREFIX == *=* || $keys[1] != @* ]] || _vmm_values $keys[1]
	name=${PREFIX%%=*}
	if compset -P '*='; then
		for key in $keys; do
			[[ ${key%%[=?]*} != $name || $key == $name ]] || _vmm_values ${key#*[=?]}
		done
		return
	fi
	for key in $keys; do
		name=${key%%[=?]*}
		case $key in
		@*) ;;
		$name=*) valued+=($name) ;;
		*) bare+=($name) ;;
		esac
	done
	compadd -S = -a valued
	compadd -qS , -a bare
}

# What an option's value is: an action of _arguments in REPLY.
_vmm_action() {
	local kind=${1#\?} values=$2
	case $kind in
	keys) REPLY=" _vmm_keys ${(q)values}" ;;
	words) REPLY=" _vmm_values ${(q)values}" ;;
	text) REPLY=' ' ;;
	*) REPLY=" _vmm_values @$kind" ;;
	esac
}

_vmm() {
	local -a table below specs row
	local line command='' next text option names many joined REPLY n=1
	local -A commands
	table=(${(f)"$(_vmm_table)"})
	for line in $table; do
		commands[${line%%$'\t'*}]=1
	done
	while ((n < CURRENT - 1)); do
		next="${command:+$command }${words[n+1]}"
		[[ -n ${commands[$next]} ]] || break
		command=$next
		((n++))
	done
	for line in $table; do
		row=("${(@ps:\t:)line}")
		if [[ $row[2] == + ]]; then
			names=${row[1]#$command}
			names=${names# }
			[[ $row[1] == $command* && -n $names && $names != *' '* ]] &&
				below+=("$names:${row[6]:#-}")
			continue
		fi
		[[ $row[1] == $command ]] || continue
		_vmm_action $row[4] $row[5]
		if [[ $row[2] == - ]]; then
			specs+=("*:${row[4]}:$REPLY")
			continue
		fi
		text=${row[6]:#-}
		text=${${text//\]/\\]}//:/\\:}
		option=$row[2] many='' joined=''
		[[ $row[4] == keys ]] && many='*'
		[[ $command == run && $option == --* ]] && joined='='
		case $row[4] in
		-) REPLY='' joined='' ;;
		\?*) REPLY="::value:$REPLY" joined='=-' ;;
		*) REPLY=":value:$REPLY" ;;
		esac
		names=($option $row[3])
		[[ -n $many ]] || many="($option ${row[3]:#-})"
		specs+=("${many}${option}${joined}[${text}]${REPLY}")
		[[ $row[3] == - || $joined == '=-' ]] || specs+=("${many}${row[3]}[${text}]${REPLY}")
	done
	if ((CURRENT == n + 1)) && ((${#below})); then
		_describe -t commands command below
		return
	fi
	[[ -z $command || $command == run ]] || specs+=('(- *)--help[this text]')
	words=(vmm "${(@)words[n+1,-1]}")
	((CURRENT -= n - 1))
	_arguments -S $specs
}

_vmm "$@"
