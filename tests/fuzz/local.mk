# SPDX-License-Identifier: GPL-3.0-or-later
# One short harness per parser. A new one, X: fuzz_X.c, a corpus in corpus/X/, X in FUZZ_HARNESSES,
# and the four lines of "conf" below with its name.
#
# Without --enable-fuzzers each harness is linked with replay_main.c, and `make check` runs it over
# its corpus. With it (./configure CC=clang --enable-fuzzers) everything is instrumented, and
#     make check TESTS= && tests/fuzz/fuzz_X -max_total_time=300 tests/fuzz/corpus/X
# looks for new inputs; keep the ones that it adds only after `fuzz_X -merge=1`.
FUZZ_HARNESSES = conf

if FUZZERS
AM_CFLAGS += -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined \
	-fno-omit-frame-pointer
AM_LDFLAGS += -fsanitize=address,undefined
FUZZ_MAIN =
FUZZ_LINK = -fsanitize=fuzzer
else
FUZZ_MAIN = tests/fuzz/replay_main.c
FUZZ_LINK =
endif

check_PROGRAMS += tests/fuzz/fuzz_conf
tests_fuzz_fuzz_conf_SOURCES = tests/fuzz/fuzz_conf.c $(FUZZ_MAIN)
tests_fuzz_fuzz_conf_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_conf_LDADD = $(NMID_LIBS)

TESTS += tests/fuzz/replay.sh
AM_TESTS_ENVIRONMENT += FUZZ_HARNESSES='$(FUZZ_HARNESSES)'; export FUZZ_HARNESSES;
EXTRA_DIST += tests/fuzz/corpus tests/fuzz/replay.sh

FUZZ_HARNESSES += hostlist
check_PROGRAMS += tests/fuzz/fuzz_hostlist
tests_fuzz_fuzz_hostlist_SOURCES = tests/fuzz/fuzz_hostlist.c $(FUZZ_MAIN)
tests_fuzz_fuzz_hostlist_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_hostlist_LDADD = libnmictl.a libnmid.a

FUZZ_HARNESSES += http_body http_guard
check_PROGRAMS += tests/fuzz/fuzz_http_body tests/fuzz/fuzz_http_guard
tests_fuzz_fuzz_http_body_SOURCES = tests/fuzz/fuzz_http_body.c $(FUZZ_MAIN)
tests_fuzz_fuzz_http_body_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_http_body_LDADD = $(NMID_LIBS)
tests_fuzz_fuzz_http_guard_SOURCES = tests/fuzz/fuzz_http_guard.c $(FUZZ_MAIN)
tests_fuzz_fuzz_http_guard_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_http_guard_LDADD = $(NMID_LIBS)

FUZZ_HARNESSES += ipmi
check_PROGRAMS += tests/fuzz/fuzz_ipmi
tests_fuzz_fuzz_ipmi_SOURCES = tests/fuzz/fuzz_ipmi.c $(IPMI_RIG) $(FUZZ_MAIN)
tests_fuzz_fuzz_ipmi_CPPFLAGS = $(IPMI_RIG_CPPFLAGS)
tests_fuzz_fuzz_ipmi_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_ipmi_LDADD = $(NMID_LIBS) $(GCRYPT_LIBS)

FUZZ_HARNESSES += url
check_PROGRAMS += tests/fuzz/fuzz_url
tests_fuzz_fuzz_url_SOURCES = tests/fuzz/fuzz_url.c $(FUZZ_MAIN)
tests_fuzz_fuzz_url_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_url_LDADD = $(NMID_LIBS)

FUZZ_HARNESSES += ironic
check_PROGRAMS += tests/fuzz/fuzz_ironic
tests_fuzz_fuzz_ironic_SOURCES = tests/fuzz/fuzz_ironic.c $(FUZZ_MAIN)
tests_fuzz_fuzz_ironic_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_ironic_LDADD = $(NMID_LIBS)

FUZZ_HARNESSES += basic_login htpasswd
check_PROGRAMS += tests/fuzz/fuzz_basic_login tests/fuzz/fuzz_htpasswd
tests_fuzz_fuzz_basic_login_SOURCES = tests/fuzz/fuzz_basic_login.c $(FUZZ_MAIN)
tests_fuzz_fuzz_basic_login_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_basic_login_LDADD = $(NMID_LIBS)
tests_fuzz_fuzz_htpasswd_SOURCES = tests/fuzz/fuzz_htpasswd.c $(FUZZ_MAIN)
tests_fuzz_fuzz_htpasswd_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_htpasswd_LDADD = $(NMID_LIBS) $(CRYPT_LIBS)

FUZZ_HARNESSES += when
check_PROGRAMS += tests/fuzz/fuzz_when
tests_fuzz_fuzz_when_SOURCES = tests/fuzz/fuzz_when.c $(FUZZ_MAIN)
tests_fuzz_fuzz_when_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_when_LDADD = libnmid.a

FUZZ_HARNESSES += subject
check_PROGRAMS += tests/fuzz/fuzz_subject
tests_fuzz_fuzz_subject_SOURCES = tests/fuzz/fuzz_subject.c $(FUZZ_MAIN)
tests_fuzz_fuzz_subject_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_subject_LDADD = libnmid.a

FUZZ_HARNESSES += keystone
check_PROGRAMS += tests/fuzz/fuzz_keystone
tests_fuzz_fuzz_keystone_SOURCES = tests/fuzz/fuzz_keystone.c $(FUZZ_MAIN)
tests_fuzz_fuzz_keystone_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_keystone_LDADD = $(NMID_LIBS)

# From the socket inward: the real server, with pools that have no threads.
HTTP_STILL = tests/fuzz/http_still.c tests/fuzz/http_still.h $(STATE_DIR)
FUZZ_HARNESSES += http_call http_socket
check_PROGRAMS += tests/fuzz/fuzz_http_call tests/fuzz/fuzz_http_socket
tests_fuzz_fuzz_http_call_SOURCES = tests/fuzz/fuzz_http_call.c tests/fuzz/http_shape.c \
	tests/fuzz/http_shape.h $(HTTP_STILL) $(FUZZ_MAIN)
tests_fuzz_fuzz_http_call_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_http_call_LDADD = $(NMID_LIBS)
tests_fuzz_fuzz_http_socket_SOURCES = tests/fuzz/fuzz_http_socket.c tests/fuzz/http_shape.c \
	tests/fuzz/http_shape.h $(HTTP_STILL) $(FUZZ_MAIN)
tests_fuzz_fuzz_http_socket_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_http_socket_LDADD = $(NMID_LIBS)

# What nmictl reads: its environment, its options, a server's answers.
FUZZ_HARNESSES += nmictl
check_PROGRAMS += tests/fuzz/fuzz_nmictl
tests_fuzz_fuzz_nmictl_SOURCES = tests/fuzz/fuzz_nmictl.c $(FUZZ_MAIN)
tests_fuzz_fuzz_nmictl_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_nmictl_LDADD = libnmictl.a libnmid.a $(CURL_LIBS) $(JANSSON_LIBS)

FUZZ_HARNESSES += nova_query record
check_PROGRAMS += tests/fuzz/fuzz_nova_query tests/fuzz/fuzz_record
tests_fuzz_fuzz_nova_query_SOURCES = tests/fuzz/fuzz_nova_query.c $(FUZZ_MAIN)
tests_fuzz_fuzz_nova_query_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_nova_query_LDADD = $(NMID_LIBS)
tests_fuzz_fuzz_record_SOURCES = tests/fuzz/fuzz_record.c $(FUZZ_MAIN)
tests_fuzz_fuzz_record_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_record_LDADD = libnmid.a
