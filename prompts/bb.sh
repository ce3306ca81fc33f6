# bb: report to the blackboard in one word. Plain POSIX sh with curl; good from any folder, with an empty environment.
# Texts never become part of a command line: each field of a report is a file in $report, kept byte for byte.
# A report that gets no good answer is kept in the attempt's spool, from where it is taken in by its turn, once.
# Exit: 0 stored, or kept in the spool · 1 refused, the sentence says why · 2 used wrongly · 75 try again later.

PATH=${PATH:-/usr/local/bin:/usr/bin:/bin}
LC_ALL=C
export PATH LC_ALL
umask 077
set -u
url=$base/api/projects/$project/tasks/$task
wanted=next
spool=${conf%/*}/spool
route=
payload=

usage() {
    cat <<'USAGE'
usage: bb start                                you have begun
       bb output TYPE TITLE FILE|- [SUMMARY]   hand in the content of a file, or of standard input
       bb path TYPE TITLE PATH [SUMMARY]       hand in a file of your workspace by its path
       bb upload FILE [--type TYPE] [--title TITLE|-] [--summary TEXT]
                                               hand in a file whole, whatever is in it
       bb submit [COMMENT|-]                   done: hand the task in for review
       bb fail [--final] TEXT|-                it cannot be done; --final: trying again would not help
       bb limited TEXT|- [WHEN]                the model's provider refuses for now; WHEN: seconds, or 2026-01-31T09:00:00Z
       bb block KIND TEXT|-                    you need something; KIND: needs_input dependency capability transient
       bb approve [TEXT|-]                     a review: it is good, the task is done
       bb reject TEXT|-                        a review: do it again; the text says what is missing
       bb comment TEXT|-                       a remark for people and for later attempts
       bb heartbeat [TEXT|-]                   still at work
       bb child TITLE TEXT|- [AGENT]           post a child task
       bb show                                 everything about the task, as JSON
       bb help                                 this text
TYPE is one of: code document data config other.
A - in the place of a text reads it from standard input. A - in the place of TITLE reads the first line of
standard input as the title, and what follows as the summary (of an output) or as the text (of a child).
USAGE
}

die() {
    printf 'bb: %s\n' "$1" >&2
    exit 2
}
wrong() {
    usage >&2
    exit 2
}

# --- A report is a folder: one file a field -------------------------------------------------------------------------

new_report() {
    report=$(mktemp -d "${conf%/*}/report.XXXXXX" 2>/dev/null) || report=$(mktemp -d) ||
        die 'no folder for the report could be made: is the disk full?'
    trap 'rm -rf "$report"' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

# field NAME TEXT: '-' is standard input.
field() {
    if [ "$2" = - ]; then cat >"$report/$1"; else printf '%s' "$2" >"$report/$1"; fi || die 'the report could not be written'
}

# heading TITLE: the field `title`, from the first line of standard input when TITLE is '-'.
heading() {
    title=$1
    if [ "$title" = - ]; then IFS= read -r title || [ -n "$title" ] || die 'there is no title on standard input'; fi
    printf '%s' "$title" >"$report/title" || die 'the report could not be written'
}

encoded() { od -An -v -tx1 <"$report/$1" | tr -d ' \n' | sed 's/../%&/g'; }

# --- Sending --------------------------------------------------------------------------------------------------------

# send ARGUMENTS: one call, judged by its status. Ends bb. Whatever a later delivery needs is in $report.
# Its key is the same at each of curl's retries: what was stored, and only its answer lost, is not stored twice.
send() {
    cd "$report" || die 'the report is gone'
    key=bb-$$-$(date +%s)-${report##*[./]}
    [ -z "$route" ] || in_turn
    code=$(curl -q --config "$conf" --header "Idempotency-Key: $key" --output answer --write-out '%{http_code}' "$@")
    fate=$?
    case $fate:$code in
    0:2??)
        sentence "$wanted"
        exit 0
        ;;
    *:408 | *:429 | *:5??)
        sentence detail >&2
        later
        ;;
    *:4??)
        sentence detail >&2
        exit 1
        ;;
    2:* | 26:* | 126:* | 127:*) die "curl could not be used (its exit code is $fate)" ;;
    *) later ;;
    esac
}

# in_turn: what waits in the spool goes first. It is taken in within a second or two while somebody takes it.
in_turn() {
    tries=0
    while behind; do
        [ $tries -lt 5 ] || later
        tries=$((tries + 1))
        sleep 1
    done
}

behind() {
    for each in "$spool"/[0-9]*.json; do
        if [ -e "$each" ]; then return 0; fi
    done
    return 1
}

# later: no good answer. The report goes into the spool; where that is impossible it is told to try again. Ends bb.
later() {
    if [ -n "$route" ] && keep; then
        printf '%s\n' 'bb: the API gives no good answer. Your report is kept and will be taken in by its turn: do not repeat it, go on as if it were stored.'
        exit 0
    fi
    printf '%s\n' 'bb: the API gave no good answer. Nothing is lost: keep your result in your folder and run the same command again later.' >&2
    exit 75
}

# keep: write the report into the spool, whole or not at all, under the next number.
keep() {
    mkdir -p "$spool" 2>/dev/null && part=$(mktemp "$spool/.part.XXXXXX" 2>/dev/null) || return 1
    trap 'rm -rf "$report" "$part"' EXIT
    if [ -n "$payload" ]; then
        cp "$payload" "$part" 2>/dev/null && mv "$part" "$spool/$key.file" || return 1
    fi
    as_json >"$part" && number=$(last_number) || return 1
    while number=$((number + 1)); do
        name=$spool/$(printf '%06d' "$number").json
        if ln "$part" "$name" 2>/dev/null; then return 0; fi
        [ -e "$name" ] || return 1
    done
}

# as_json: the report as the spool holds it. Percent signs and digits need no quoting.
as_json() {
    printf '{"route": "%s", "key": "%s", ' "${route#/}" "$key" || return 1
    [ -z "$payload" ] || printf '"file": "%s", ' "$key.file"
    joint='"form": "'
    for name in agent body comment content content_path description detail final kind retry_at status summary title type; do
        [ -f "$name" ] || continue
        printf '%s%s=' "$joint" "$name"
        encoded "$name" || return 1
        joint='&'
    done
    [ "$joint" = '&' ] || printf '%s' "$joint"
    printf '"}\n'
}

# last_number: the highest number a report of the spool has had.
last_number() {
    highest=0
    for each in "$spool"/[0-9]*.json "$spool"/[0-9]*.json.taken; do
        each=${each##*/}
        each=${each%%.*}
        each=${each#"${each%%[!0]*}"}
        case $each in
        '' | *[!0-9]* | ??????????*) ;;
        *) [ "$each" -le "$highest" ] || highest=$each ;;
        esac
    done
    printf '%s' "$highest"
}

# send_form ROUTE: every field of the report, as a form. (curl drops the name of an empty file: hence the --data.)
send_form() {
    route=$1
    set -- "$url$1"
    cd "$report" || die 'the report is gone'
    for name in *; do
        [ -e "$name" ] || continue
        if [ -s "$name" ]; then set -- "$@" --data-urlencode "$name@$name"; else set -- "$@" --data "$name="; fi
    done
    [ $# -gt 1 ] || set -- "$@" --data ''
    send "$@"
}

# sentence KEY: that text of the JSON answer; without one, the whole answer (bounded: it may be a page of a proxy).
sentence() {
    [ -f answer ] || return 0
    if [ "$1" = everything ]; then cat answer && return; fi
    text=$(tr '\n\r' '  ' <answer | sed -nE 's/.*"'"$1"'" *: *"(([^"\\]|\\.)*)".*/\1/p' | plain)
    if [ -n "$text" ]; then printf '%s\n' "$text"; else head -c 4000 answer; fi
}

# A JSON text without its escapes; a doubled backslash waits as SOH so that it is not read twice.
plain() {
    soh=$(printf '\001')
    sed -e 's/\\\\/'"$soh"'/g' -e 's/\\"/"/g' -e 's/\\\//\//g' -e 's/\\[ntr]/ /g' -e 's/'"$soh"'/\\/g'
}

# --- The words ------------------------------------------------------------------------------------------------------

hand_in_content() {
    [ "$2" != - ] || [ "$3" != - ] || die 'the title and the content cannot both come from standard input'
    [ "$3" = - ] || { [ -f "$3" ] && [ -r "$3" ]; } || die "there is no file that can be read at $3"
    new_report
    field type "$1"
    heading "$2"
    if [ "$2" = - ]; then field summary -; else field summary "${4-}"; fi
    if [ "$3" = - ]; then field content -; else field content - <"$3"; fi
    query="type=$(encoded type)&title=$(encoded title)&summary=$(encoded summary)"
    # The address goes through a file too: a long summary has no place among the arguments, which everybody can see.
    printf 'url = "%s"\n' "$url/outputs?$query" >"$report/request" || die 'the report could not be written'
    route=/outputs
    send --config request --header 'Content-Type: text/plain; charset=utf-8' --data-binary @content
}

hand_in_path() {
    path=$3
    case $path in
    /*) ;;
    *) if [ -e "$path" ]; then path=$(pwd -L)/$path; fi ;;
    esac
    new_report
    field type "$1"
    heading "$2"
    if [ "$2" = - ]; then field summary -; else field summary "${4-}"; fi
    printf '%s' "$path" >"$report/content_path"
    send_form /outputs
}

hand_in_whole() {
    [ -f "$1" ] && [ -r "$1" ] || die "there is no file that can be read at $1"
    case $1 in
    /*) whole=$1 ;;
    *) whole=$(pwd)/$1 ;;
    esac
    type=other title=${1##*/} summary=
    shift
    while [ $# -gt 0 ]; do
        [ $# -gt 1 ] || wrong
        case $1 in
        --type) type=$2 ;;
        --title) title=$2 ;;
        --summary) summary=$2 ;;
        *) wrong ;;
        esac
        shift 2
    done
    new_report
    field type "$type"
    first=$title
    heading "$title"
    if [ "$first" = - ]; then field summary -; else field summary "$summary"; fi
    ln -s "$whole" "$report/payload" || die 'the report could not be written'
    route=/outputs payload=payload
    send --max-time 900 --retry-max-time 900 --form 'type=<type' --form 'title=<title' --form 'summary=<summary' \
        --form 'file=@payload;type=application/octet-stream' "$url/outputs"
}

# status WORD: the status, with the fields that the report holds already.
status() {
    field status "$1"
    send_form /status
}

word=${1-}
[ $# -eq 0 ] || shift
case $word in
start)
    [ $# -eq 0 ] || wrong
    new_report
    status working
    ;;
output)
    [ $# -eq 3 ] || [ $# -eq 4 ] || wrong
    hand_in_content "$@"
    ;;
upload)
    [ $# -ge 1 ] || wrong
    hand_in_whole "$@"
    ;;
path)
    [ $# -eq 3 ] || [ $# -eq 4 ] || wrong
    hand_in_path "$@"
    ;;
submit)
    [ $# -le 1 ] || wrong
    new_report
    [ $# -eq 0 ] || field comment "$1"
    status review
    ;;
fail)
    final=
    if [ "${1-}" = --final ]; then final=true && shift; fi
    [ $# -eq 1 ] || wrong
    new_report
    field detail "$1"
    [ -z "$final" ] || field final true
    status failed
    ;;
limited)
    [ $# -eq 1 ] || [ $# -eq 2 ] || wrong
    new_report
    field detail "$1"
    field kind rate_limit
    [ $# -eq 1 ] || field retry_at "$2"
    status failed
    ;;
block)
    [ $# -eq 2 ] || wrong
    new_report
    field kind "$1"
    field detail "$2"
    status blocked
    ;;
approve)
    [ $# -le 1 ] || wrong
    new_report
    [ $# -eq 0 ] || field detail "$1"
    status done
    ;;
reject)
    [ $# -eq 1 ] || wrong
    new_report
    field detail "$1"
    status pending
    ;;
comment)
    [ $# -eq 1 ] || wrong
    new_report
    field body "$1"
    send_form /comments
    ;;
heartbeat)
    [ $# -le 1 ] || wrong
    new_report
    [ $# -eq 0 ] || field detail "$1"
    send_form /heartbeat
    ;;
child)
    [ $# -eq 2 ] || [ $# -eq 3 ] || wrong
    [ "$1" != - ] || [ "$2" = - ] || die 'with the title on standard input the text is there too: bb child - -'
    new_report
    heading "$1"
    field description "$2"
    [ $# -eq 2 ] || field agent "$3"
    send_form /children
    ;;
show)
    [ $# -eq 0 ] || wrong
    new_report
    wanted=everything
    send "$url?expand=all"
    ;;
help | -h | --help)
    usage
    ;;
*)
    wrong
    ;;
esac
