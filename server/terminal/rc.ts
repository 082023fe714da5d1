// The text of the bash rc: marks, prompt, and the function that begins and ends a terminal.run. Loads nothing from the workspace.
// The functions must work whatever the user set: errexit, nounset, xtrace, IFS, a locale, a closed stdout.

export interface RcOptions {
  /** What makes our marks ours: letters and digits. */
  readonly nonce: string;
  /** The spool as the shell sees it. */
  readonly directory: string;
}

/** Names here begin with __slotcast, so that they are nobody else's; but what is typed for each run is __sc, since each character typed is three system calls. */
export function rcText(options: RcOptions): string {
  const key = `k=${options.nonce}`;
  return String.raw`__slotcast_status=$?
# Marks go to the terminal itself: stdout may be a file by now.
__slotcast_mark() { builtin printf '\e]133;%s;${key}\a' "$1" >/dev/tty; }

# The directory without characters that a mark can't hold.
__slotcast_path() {
  path=$PWD
  [[ $path == *[%\;[:cntrl:]]* ]] || return 0
  local LC_ALL=C index char code
  path=
  for ((index = 0; index < ${'$'}{#PWD}; index++)); do
    char=${'$'}{PWD:index:1}
    if [[ $char == [%\;[:cntrl:]] ]]; then
      builtin printf -v code '%%%02X' "'$char"
      char=$code
    fi
    path+=$char
  done
}

# Puts the marks back into prompts that the user has changed.
__slotcast_hook() {
  local start='\[\e]133;A;s=$?;o=$-;${key}\a\]' end='\[\e]133;B;${key}\a\]'
  local more='\[\e]133;B;c=2;${key}\a\]' output='\e]133;C;${key}\a'
  if [[ ${'$'}{PS1-} != "$start"*"$end" ]]; then
    PS1=${'$'}{PS1-}
    PS1=${'$'}{PS1//"$start"/}
    PS1=$start${'$'}{PS1//"$end"/}$end
  fi
  [[ ${'$'}{PS2-} == *"$more" ]] || PS2=${'$'}{PS2-}$more
  [[ ${'$'}{PS0-} == *"$output" ]] || PS0=${'$'}{PS0-}$output
  [[ ${'$'}{PROMPT_COMMAND-} == __slotcast_prompt ]] || PROMPT_COMMAND=(__slotcast_prompt "${'$'}{PROMPT_COMMAND[@]}")
}

__slotcast_prompt() {
  { local status=$? -; set +eux; } 2>/dev/null
  local path
  __slotcast_hook
  # A run has told its end already.
  if [[ -z ${'$'}{__slotcast_told-} ]]; then
    __slotcast_path
    __slotcast_mark "D;$status;cwd=$path"
  fi
  __slotcast_told=
  # The prompt goes to stderr; when that is elsewhere, its mark still has to be seen.
  [[ -t 2 ]] || __slotcast_mark B
  return 0
}

# __sc NAME begins a run: the typed line is replaced by the command, as if a person had typed it.
# __sc alone ends it. Both keep $?. Who calls it hides what is traced: a redirection takes longer than all else here.
__sc() {
  local status=$? -
  set +eux
  local path id show
  if ((!$#)); then
    __sc= __slotcast_told=1
    __slotcast_path
    __slotcast_mark "D;$status;cwd=$path"
    return "$status"
  fi
  # Where ours comes first it has just seen to the prompt.
  [[ ${'$'}{PROMPT_COMMAND-} == __slotcast_prompt ]] || __slotcast_hook
  __sc=${options.directory}/$1
  # Sets id, show, and status.
  builtin . "$__sc.show"
  builtin printf '%s\n\e]133;C;r=%s;${key}\a' "$show" "$id" >/dev/tty
  return "$status"
}

if [[ -z ${'$'}{__slotcast_set-} ]]; then
  __slotcast_set=1
  # The workspace is the home: neither its history nor its key bindings are read.
  unset HISTFILE PROMPT_COMMAND MAILCHECK
  INPUTRC=/dev/null
  HISTCONTROL=ignorespace
  PS0= PS1='\w \$ ' PS2='> '
  set +H
  shopt -s checkwinsize
  unalias -a
fi
__slotcast_hook
case $- in *e*) return 0 ;; esac
return "$__slotcast_status"
`;
}
