# Types lines at a shell on a terminal of its own, completes each, and prints the arguments that vmm
# then would have. type.zsh SHELL SETUP DIRECTORY < LINES
zmodload zsh/zpty || exit 1
typeset -A start=(bash 'TERM=dumb bash --norc --noprofile -i' zsh 'TERM=dumb zsh -f -i')
zpty shell ${start[$1]}
zpty -w shell "$2; cd ${(q)3}; vmm() { echo \"<GOT>\$*</GOT>\"; }; echo REA''DY"
zpty -r shell out '*READY*' || exit 1
while IFS= read -r line; do
	# What follows the tabulator at once would be taken for a part of what is completed.
	zpty -n -w shell "$line"$'\t'
	sleep 0.1
	zpty -n -w shell $'\n'
	zpty -r shell out '*<GOT>*</GOT>*' || exit 1
	out=${out##*<GOT>}
	print -r -- ${${out%%</GOT>*}%% }
done
zpty -d shell
