// The text of the bash rc: marks, prompt, and the function that begins and ends a terminal.run. Loads nothing from the workspace.
// The functions must work whatever the user set: errexit, nounset, xtrace, IFS, a locale, a closed stdout.

export interface RcOptions {
  /** What makes our marks ours: letters and digits. */
  readonly nonce: string;
  /** The spool as the shell sees it. */
  readonly directory: string;
}

/** Names here begin with __slotcast, so that they are nobody else's. */
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
  local start='\[\e]133;A;s=$?;${key}\a\]' end='\[\e]133;B;${key}\a\]'
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

# __slotcast ID begins a run: the typed line is replaced by the command, as if a person had typed it.
# __slotcast alone ends it. Both keep $?.
__slotcast() {
  { local status=$? traced=$- -; set +eux; } 2>/dev/null
  local path lines=() IFS=$' \t\n'
  if ((!$#)); then
    __slotcast= __slotcast_told=1
    __slotcast_path
    __slotcast_mark "D;$status;cwd=$path"
    return "$status"
  fi
  __slotcast_hook
  __slotcast=${options.directory}/$1
  mapfile -t lines <"$__slotcast.show"
  __slotcast_show "$1"
  return "$status"
}

# lines: "COLUMNS TYPED STATUS", then what to show.
__slotcast_show() {
  local header=${'$'}{lines[0]-80 0 -} columns typed keep prompt width char
  columns=${'$'}{header%% *} keep=${'$'}{header##* }
  typed=${'$'}{header#* }
  typed=${'$'}{typed% *}
  [[ $keep == - ]] || status=$keep
  prompt=${'$'}{PS1//'\[\e]133;A;s=$?;${key}\a\]'/}
  prompt=${'$'}{prompt//'\[\e]133;B;${key}\a\]'/}
  prompt=${'$'}{prompt@P}
  prompt=${'$'}{prompt##*$'\n'}
  width=$prompt
  while [[ $width == *$'\001'*$'\002'* ]]; do width=${'$'}{width%%$'\001'*}${'$'}{width#*$'\002'}; done
  # Characters of double width count twice, and the trace of the typed line has a row of its own.
  char=${'$'}{width//[!ᄀ-ᅟ⺀-꓏가-힣豈-﫿︰-﹏＀-｠￠-￦🌀-🫿]/}
  width=$((${'$'}{#width} + ${'$'}{#char} + typed))
  prompt=${'$'}{prompt//[$'\001\002']/}
  width=$(((width + columns) / columns))
  [[ $traced != *x* ]] || ((width++))
  [[ ! -t 2 ]] || prompt=$'\e['$width$'A\r\e[J'$prompt
  IFS=$'\n'
  builtin printf '%s%s\n\e]133;C;r=%s;${key}\a' "$prompt" "${'$'}{lines[*]:1}" "$1" >/dev/tty
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
