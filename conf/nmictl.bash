# SPDX-License-Identifier: GPL-3.0-or-later
# bash completion for nmictl: verbs, options, and the names of nodes as nmid has them.
# Nothing that comes from nmid is expanded by the shell: names outside a plain set of characters
# are left out, and nothing goes through compgen -W or eval.

# Adds those of the words $2... that begin with $1.
_nmictl_offer()
{
    local current=$1 word
    shift
    for word; do
        if [[ $word == "$current"* ]]; then
            COMPREPLY+=("$word")
        fi
    done
}

# The names of the nodes. A nmid that does not answer at once is not waited for.
_nmictl_nodes()
{
    local url=$1 line name
    local -a options=(--timeout 1 -f json)
    [[ -n $url ]] && options+=(-u "$url")
    [[ -n $user ]] && options+=(--user "$user")
    [[ -n $token_file && $token_file != - ]] && options+=(--token-file "$token_file")
    [[ -n $cacert ]] && options+=(--cacert "$cacert")
    [[ -n $cert ]] && options+=(--cert "$cert")
    [[ -n $key ]] && options+=(--key "$key")
    while IFS= read -r line; do
        if [[ $line =~ ^\ {6}\"name\":\ \"([A-Za-z0-9._-]+)\",?$ ]]; then
            name=${BASH_REMATCH[1]}
            printf '%s\n' "$name"
        fi
    done < <(timeout 2 nmictl "${options[@]}" nodes 2>/dev/null </dev/null)
}

_nmictl()
{
    local current previous word verb='' named='' url='' user='' token_file='' skip=''
    local cacert='' cert='' key='' i cword
    local -a words verbs statuses options
    COMPREPLY=()
    # Its words keep "http://h:1" in one piece, which COMP_WORDS does not.
    if declare -F _get_comp_words_by_ref >/dev/null; then
        _get_comp_words_by_ref -n := -w words -i cword
    else
        words=("${COMP_WORDS[@]}")
        cword=$COMP_CWORD
    fi
    current=${words[cword]}
    previous=${words[cword - 1]}
    verbs=(inject-nmi nodes show probe lock unlock status actions audit version help)
    statuses=(ACTIVE BUILD ERROR PAUSED RESCUED RESIZED SHELVED SHELVED_OFFLOADED SHUTOFF
        SUSPENDED SOFT_DELETED DELETED UNKNOWN default)

    for ((i = 1; i < cword; i++)); do
        word=${words[i]}
        if [[ -n $skip ]]; then
            case $skip in
            url) url=$word ;;
            user) user=$word ;;
            token_file) token_file=$word ;;
            cacert) cacert=$word ;;
            cert) cert=$word ;;
            key) key=$word ;;
            esac
            skip=
            continue
        fi
        case $word in
        -u | --url) skip=url ;;
        --user) skip=user ;;
        --token-file) skip=token_file ;;
        --cacert) skip=cacert ;;
        --cert) skip=cert ;;
        --key) skip=key ;;
        -f | --format | --timeout | --parallel | --node | --state | --limit | --marker | \
            --callback-url | --action | --idempotency-key | --by | --project | --since | --until) skip=value ;;
        --url=*) url=${word#--url=} ;;
        --user=*) user=${word#--user=} ;;
        --token-file=*) token_file=${word#--token-file=} ;;
        --cacert=*) cacert=${word#--cacert=} ;;
        --cert=*) cert=${word#--cert=} ;;
        --key=*) key=${word#--key=} ;;
        -*) ;;
        *) if [[ -z $verb ]]; then verb=$word; else named=yes; fi ;;
        esac
    done

    case $previous in
    -f | --format) _nmictl_offer "$current" table json ;;
    --state) _nmictl_offer "$current" accepted sent finished ;;
    --node)
        mapfile -t words < <(_nmictl_nodes "$url")
        _nmictl_offer "$current" "${words[@]}"
        ;;
    --token-file | --cacert | --cert | --key) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    -u | --url | --user | --timeout | --parallel | --limit | --marker | --callback-url | \
        --action | --idempotency-key | --by | --project | --since | --until) ;;
    *) _nmictl_words ;;
    esac
}

# What stands where no option wants its value: an option, a verb or a node.
_nmictl_words()
{
    options=(--url --user --token-file --cacert --cert --key --help --format --timeout)
    case $verb in
    '') options+=(--version) ;;
    inject-nmi) options+=(--force --parallel --callback-url) ;;
    probe | unlock | status) options+=(--parallel) ;;
    lock) options+=(--default --parallel) ;;
    actions) options+=(--node --state --limit --all --marker) ;;
    audit) options+=(--node --action --idempotency-key --by --project --refused --since --until --limit --all --marker) ;;
    help) options=() ;;
    esac
    if [[ $current == -* ]]; then
        _nmictl_offer "$current" "${options[@]}"
        return
    fi
    case $verb in
    '' | help) _nmictl_offer "$current" "${verbs[@]}" ;;
    inject-nmi | show | probe | lock | unlock | status)
        if [[ $verb == status && -n $named ]]; then
            _nmictl_offer "$current" "${statuses[@]}"
        fi
        mapfile -t words < <(_nmictl_nodes "$url")
        _nmictl_offer "$current" "${words[@]}"
        ;;
    esac
}

complete -F _nmictl nmictl
