#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The architecture, as far as grep can see it: arrows between the folders of src/ point one way,
# each library has one home, functions fit a screen, files a sitting, headers a page.
#
#   tests/unit/test_layers.sh [DIR]    of DIR/src (default: the tree of $top_srcdir)
#
# First it looks at a tree with one of each mistake, to be sure that it sees them.
set -eu
LC_ALL=C
export LC_ALL

FUNCTION_LINES=60
FILE_LINES=500
HEADER_LINES=120

# What a folder may include, besides itself. "main" is src/*.c, which alone knows them all.
may_include() {
    case $1 in
        base) echo "" ;;
        loop) echo "base" ;;
        core) echo "base loop" ;;
        drivers) echo "base loop core" ;;
        http) echo "base loop core" ;;
        host) echo "base loop" ;;
        contracts) echo "base loop core http" ;;
        cli) echo "base" ;;
        main) echo "base loop core drivers http host contracts" ;;
        *) return 1 ;;
    esac
}

# Header and homes of each library, all as shell patterns.
homes() {
    cat <<'HOMES'
uv.h          src/loop/*
uv/*          src/loop/*
microhttpd.h  src/http/*
libconfig.h*  src/core/conf*.c
freeipmi/*    src/drivers/ipmi_codec*
gcrypt.h      src/drivers/ipmi_seal.c src/base/digest.c
gnutls/*      src/core/tls.c src/core/tls_session.c src/core/tls_state.h
curl/*        src/cli/* src/loop/client.c src/loop/client_tls.* src/loop/client_headers.*
sqlite3*      src/core/journal_db*
crypt.h       src/core/htpasswd.c
HOMES
}

includes() { # FILE KIND: what it includes with this opening: " or < or either
    sed -nE "s/^[[:space:]]*#[[:space:]]*include[[:space:]]*$2([^\">]*)[\">].*/\1/p;" "$1"
}

check_arrows() { # FILE
    folder=${1#src/}
    case $folder in
        */*) folder=${folder%%/*} ;;
        *) folder=main ;;
    esac
    if ! allowed=$(may_include "$folder"); then
        echo "$1: the folder $folder has no place among the layers"
        return
    fi
    for header in $(includes "$1" '"'); do
        target=${header%%/*}
        case " $folder $allowed " in
            *" $target "*) ;;
            *) [ "$header" = config.h ] || echo "$1: includes \"$header\": no arrow from $folder to $target" ;;
        esac
    done
    for header in $(includes "$1" '<'); do
        [ ! -e "src/$header" ] || echo "$1: includes <$header>: the tree's own headers stand in quotes"
    done
}

is_home() { # FILE HOME...
    file=$1
    shift
    for home; do
        # shellcheck disable=SC2254
        case $file in
            $home) return 0 ;;
        esac
    done
    return 1
}

check_homes() { # FILE
    for header in $(includes "$1" '[<"]'); do
        homes | while read -r library where; do
            set -f # the homes are patterns for names, not for files
            # shellcheck disable=SC2254
            case $header in
                $library) ;;
                *) continue ;;
            esac
            # shellcheck disable=SC2086
            is_home "$1" $where || echo "$1: includes <$header>, whose home is $where"
        done
    done
}

check_sizes() { # FILE
    case $1 in
        *.h) limit=$HEADER_LINES ;;
        *) limit=$FILE_LINES ;;
    esac
    lines=$(wc -l <"$1")
    [ "$lines" -le "$limit" ] || echo "$1: $lines lines, over $limit"
    # A function begins with its first line at the margin and ends with a brace there.
    awk -v limit="$FUNCTION_LINES" -v file="$1" '
        /^[A-Za-z_]/ && !first { first = NR; name = $0 }
        /^{/ { inside = 1 }
        /^}/ {
            if (inside && NR - first + 1 > limit)
                printf "%s:%d: a function of %d lines, over %d: %s\n", file, first, NR - first + 1, limit, name
            inside = first = 0
        }
        !inside && (/;[ \t]*(\/\*.*)?$/ || /^$/ || /^#/) { first = 0 }
    ' "$1"
}

check_tree() { # DIR; prints what is wrong
    (
        cd "$1"
        find src -type f \( -name '*.c' -o -name '*.h' \) | sort | while read -r file; do
            check_arrows "$file"
            check_homes "$file"
            check_sizes "$file"
        done
    )
}

# ---- A tree with one of each mistake ----

bad=$(mktemp -d)
trap 'rm -rf "$bad"' EXIT

plant() { # FILE LINE...: a file of these lines
    mkdir -p "$bad/$(dirname "$1")"
    file=$bad/$1
    shift
    printf '%s\n' "$@" >"$file"
}

repeat() { # COUNT TEXT
    awk -v count="$1" -v text="$2" 'BEGIN { while (count-- > 0) print text }'
}

see() { # PATTERN...: each finds a line of the report, and there are no others
    report=$(check_tree "$bad")
    count=$(printf '%s' "$report" | grep -c . || true)
    [ "$count" = "$#" ] || { echo "test_layers: $# mistakes planted, seen: $report" >&2; exit 1; }
    for pattern in "$@"; do
        printf '%s\n' "$report" | grep -qF -- "$pattern" ||
            { echo "test_layers: blind to: $pattern; seen: $report" >&2; exit 1; }
    done
    rm -rf "$bad/src"
}

plant src/base/a.c '#include "loop/loop.h"'
plant src/loop/b.c '#include "core/node.h"' '#include <uv.h>' '#include "base/map.h"'
plant src/core/c.c '  #  include "http/server.h"' '#include "drivers/ipmi.h"'
plant src/drivers/d.c '#include "contracts/nova.h"' '#include "core/driver.h"'
plant src/contracts/e.h '#include "drivers/ipmi.h"' '#include "http/server.h"'
plant src/host/k.c '#include "core/node.h"' '#include "loop/loop.h"'
plant src/http/f.c '#include "contracts/nova.h"' '#include <microhttpd.h>' '#include "core/conf.h"'
plant src/cli/g.c '#include "core/node.h"' '#include <config.h>' '#include "base/map.h"'
plant src/odd/h.c ''
plant src/drivers/i.c '#include "../core/node.h"' '#include "j.h"'
plant src/main.c '#include "config.h"' '#include "drivers/ipmi.h"' '#include "contracts/nova.h"'
see 'base/a.c: includes "loop/loop.h"' 'loop/b.c: includes "core/node.h"' \
    'core/c.c: includes "http/server.h"' 'core/c.c: includes "drivers/ipmi.h"' \
    'drivers/d.c: includes "contracts/nova.h"' 'contracts/e.h: includes "drivers/ipmi.h"' \
    'http/f.c: includes "contracts/nova.h"' 'cli/g.c: includes "core/node.h"' 'the folder odd' \
    'includes "../core/node.h"' 'includes "j.h"' \
    'host/k.c: includes "core/node.h"'

plant src/core/loop.c '#include <uv.h>'
plant src/core/node.c '#include <libconfig.h>'
plant src/core/conf_x.c '#include <libconfig.h>'
plant src/drivers/ipmi.c '#include <freeipmi/freeipmi.h>' '#include "drivers/ipmi_net.h"'
plant src/drivers/ipmi_codec_in.c '#include <freeipmi/freeipmi.h>'
plant src/contracts/a.c '#include <microhttpd.h>' '#include <base/map.h>'
plant src/base/map.h ''
plant src/http/a.c '#include <curl/curl.h>'
plant src/loop/b.c '#include <curl/curl.h>'
plant src/loop/client.c '#include <curl/curl.h>' '#include <gcrypt.h>'
plant src/cli/a.c '#include <curl/curl.h>'
plant src/drivers/ipmi_seal.c '#include <gcrypt.h>'
plant src/base/digest.c '#include <gcrypt.h>'
plant src/base/c.c '#include <gcrypt.h>'
plant src/core/tls.c '#include <gnutls/x509.h>'
plant src/http/b.c '#include <gnutls/gnutls.h>'
plant src/base/a.c '#include <sqlite3.h>'
see 'core/loop.c: includes <uv.h>' 'core/node.c: includes <libconfig.h>' \
    'drivers/ipmi.c: includes <freeipmi/freeipmi.h>' 'contracts/a.c: includes <microhttpd.h>' \
    'contracts/a.c: includes <base/map.h>' 'http/a.c: includes <curl/curl.h>' \
    'loop/b.c: includes <curl/curl.h>' 'loop/client.c: includes <gcrypt.h>' \
    'base/c.c: includes <gcrypt.h>' 'http/b.c: includes <gnutls/gnutls.h>' \
    'base/a.c: includes <sqlite3.h>'

plant src/base/long.c 'struct a {' '    int a;' '};' '' 'static int f(int a,' '             int b)' '{' \
    "$(repeat 57 '    a();')" '}' '' 'static const int t[] = {' "$(repeat 70 '    1,')" '};'
plant src/base/fits.c 'int g(void);' '/* About h. */' 'int h(void)' '{' "$(repeat 57 '    a();')" '}'
plant src/base/big.c "$(repeat 501 '/* */')"
plant src/base/whole.c "$(repeat 500 '/* */')"
plant src/base/big.h "$(repeat 121 '/* */')"
plant src/base/whole.h "$(repeat 120 '/* */')"
see 'long.c:5: a function of 61 lines' 'big.c: 501 lines' 'big.h: 121 lines'

# ---- The tree ----

tree=${1:-${top_srcdir:-$(dirname "$0")/../..}}
[ -f "$tree/src/main.c" ] || { echo "test_layers: no src/main.c in $tree" >&2; exit 1; }
report=$(check_tree "$tree")
if [ -n "$report" ]; then
    printf '%s\n' "$report" >&2
    exit 1
fi
