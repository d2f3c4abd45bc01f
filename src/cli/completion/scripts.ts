/** The shells' side of completion: each script hands over what is typed, and shows what comes back. */

/** The first line of the answer: whether files are wanted too, and whether more is typed behind the word. */
const bash = `# bash completion for tsrun: eval "$(tsrun completion bash)"
# With \`alias docker=tsrun\`: complete -o nosort -F _tsrun docker
_tsrun() {
    local program=tsrun reply how current
    case $1 in */tsrun) program=$1 ;; esac
    mapfile -t reply < <("$program" __complete bash "\${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null)
    how=\${reply[0]-}
    COMPREPLY=("\${reply[@]:1}")
    current=$2
    [[ $current == [=:] ]] && current=
    case $how in
        *directories*) compopt -o filenames; mapfile -t -O "\${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "$current") ;;
        *files*) compopt -o filenames; mapfile -t -O "\${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$current") ;;
    esac
    case $how in *open*) compopt -o nospace ;; esac
}
complete -o nosort -F _tsrun tsrun
`;

const zsh = `#compdef tsrun
# zsh completion for tsrun: source <(tsrun completion zsh), or write it to a file _tsrun in a directory of $fpath
# With \`alias docker=tsrun\`: compdef _tsrun docker
_tsrun() {
    local program=tsrun how line
    local -a reply values shown
    case $words[1] in */tsrun) program=$words[1] ;; esac
    reply=("\${(@f)$("$program" __complete zsh "\${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    how=$reply[1]
    for line in "\${(@)reply[2,-1]}"; do
        [[ -n $line ]] || continue
        values+=("\${line%%$'\\t'*}")
        shown+=("\${line/$'\\t'/  -- }")
    done
    local -a options
    [[ $how == *open* ]] && options=(-S '')
    (( $#values )) && compadd -Q -l $options -d shown -- "\${(@q)values}"
    case $how in
        *directories*) _files -/ ;;
        *files*) _files ;;
    esac
}
if [[ $funcstack[1] == _tsrun ]]; then
    _tsrun "$@"
else
    compdef _tsrun tsrun
fi
`;

const fish = `# fish completion for tsrun: tsrun completion fish | source
# With \`alias docker=tsrun\`: complete -c docker -w tsrun
function __tsrun_complete
    set -l before (commandline -opc)
    set -l reply (tsrun __complete fish $before[2..-1] (commandline -ct) 2>/dev/null)
    if test (count $reply) -gt 1
        printf '%s\\n' $reply[2..-1]
    end
    switch "$reply[1]"
        case '*directories*'
            __fish_complete_directories (commandline -ct)
        case '*files*'
            __fish_complete_path (commandline -ct)
    end
end
complete -c tsrun -f -a '(__tsrun_complete)'
`;

export const scripts: Readonly<Record<string, string>> = { bash, fish, zsh };
