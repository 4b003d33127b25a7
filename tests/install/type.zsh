# Types lines at a shell on a terminal of its own, completes each, and prints the arguments that vmm
# then would have. type.zsh SHELL SETUP DIRECTORY < LINES
zmodload zsh/zpty || exit 1
typeset -A start=(bash 'TERM=dumb bash --norc --noprofile -i' zsh 'TERM=dumb zsh -f -i')
# One key that completes and then enters: what follows a tabulator at once, without a pause that a busy
# machine makes too short, would be taken for a part of what is completed.
typeset -A key=(bash $'bind \'"\\C-t": "\\C-i\\C-j"\''
	zsh "both() { zle expand-or-complete; zle accept-line; }; zle -N both; bindkey '^T' both")
zpty shell ${start[$1]}
zpty -w shell "$2; ${key[$1]}; cd ${(q)3}; vmm() { echo \"<GOT>\$*</GOT>\"; }; echo REA''DY"
zpty -r shell out '*READY*' || exit 1
while IFS= read -r line; do
	zpty -n -w shell "$line"$'\C-t'
	zpty -r shell out '*<GOT>*</GOT>*' || exit 1
	out=${out##*<GOT>}
	print -r -- ${${out%%</GOT>*}%% }
done
zpty -d shell
