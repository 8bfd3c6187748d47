#!/usr/bin/env bash
# The README's blocks are true: ```lg NAME blocks are written to NAME and checked, the commands of
# ```console blocks run in order, and what they print is what stands below them ("..." is anything).
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
lg=$(realpath "${LG:-$root/build/lg}")
passed=0 failed=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
ln -s "$root/examples" examples # where the reader is: the root of the repository
ln -s "$(dirname "$lg")" build

matches() { # matches TEXT PATTERN
    local p=$2
    p=${p//\\/\\\\}
    p=${p//\[/\\[}
    p=${p//\*/\\*}
    p=${p//\?/\\?}
    p=${p//.../*}
    # shellcheck disable=SC2053
    [[ $1 == $p ]]
}
verdict() { # verdict NAME
    if [ "$2" = yes ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED line $line: $1"
        printf '%s\n' "$got" | head -n 12 | sed 's/^/    got: /'
    fi
}
run_command() {
    [ -n "$command" ] || return 0
    got=$(timeout 120 bash -c "$command" 2>&1 </dev/null)
    matches "$got" "$want" && verdict "$command" yes || verdict "$command" no
    command=
}
line=0 kind= file= command= want= blocks=0
while IFS= read -r text || [ -n "$text" ]; do
    line=$((line + 1))
    if [ -z "$kind" ] && [[ $text == '```'* ]]; then
        read -r kind file <<<"${text#'```'}"
        kind=${kind:-text}
        blocks=$((blocks + 1))
        [ "$kind" = lg ] && : >"$file"
    elif [ "$text" = '```' ]; then
        run_command
        if [ "$kind" = lg ]; then
            got=$("$lg" check --quiet "$file" 2>&1) && verdict "$file" yes || verdict "$file" no
            got=$("$lg" fmt --check "$file" 2>&1) && verdict "layout of $file" yes || verdict "layout of $file" no
        fi
        kind=
    elif [ "$kind" = lg ]; then
        printf '%s\n' "$text" >>"$file"
    elif [ "$kind" = console ] && [[ $text == '$ '* ]]; then
        run_command
        command=${text#'$ '} want=
    elif [ "$kind" = console ]; then
        want+=${want:+$'\n'}$text
    fi
done <"$root/README.md"
got="$blocks blocks"
[ "$blocks" -ge 15 ] && verdict "blocks of the README" yes || verdict "blocks of the README" no

# Files and folders that the text names are there.
for name in $(grep -o '`[a-zA-Z_/]*/[a-zA-Z_.]*`\|`[A-Z]*\.md`' "$root/README.md" | tr -d '`' | sort -u); do
    got=$name
    [ "${name%%/*}" = build ] || [ -e "$root/$name" ] && verdict "$name" yes || verdict "$name is not there" no
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
