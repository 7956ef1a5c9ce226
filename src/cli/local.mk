# SPDX-License-Identifier: GPL-3.0-or-later
# Everything of nmictl but main(), so that tests link what they test.
noinst_LIBRARIES += libnmictl.a
libnmictl_a_SOURCES = \
	src/cli/action_show.c src/cli/action_show.h \
	src/cli/answer.c src/cli/answer.h \
	src/cli/asking.c src/cli/asking.h \
	src/cli/cli.c src/cli/cli.h \
	src/cli/client.c src/cli/client.h \
	src/cli/client_auth.c src/cli/client_away.c src/cli/client_state.h \
	src/cli/client_url.c src/cli/client_url.h \
	src/cli/credentials.c src/cli/credentials.h \
	src/cli/evidence.c src/cli/evidence.h \
	src/cli/header.c src/cli/header.h \
	src/cli/hostlist.c src/cli/hostlist.h \
	src/cli/inject.c src/cli/inject.h \
	src/cli/interrupt.c src/cli/interrupt.h \
	src/cli/login.c src/cli/login.h \
	src/cli/openrc.c src/cli/openrc.h \
	src/cli/prompt.c src/cli/prompt.h \
	src/cli/table.c src/cli/table.h \
	src/cli/targets.c src/cli/targets.h \
	src/cli/text.c src/cli/text.h \
	src/cli/tls.c src/cli/tls.h \
	src/cli/verb_actions.c \
	src/cli/verb_audit.c \
	src/cli/verb_inject.c \
	src/cli/verb_lock.c \
	src/cli/verb_nodes.c \
	src/cli/verb_probe.c \
	src/cli/verb_show.c \
	src/cli/verb_version.c

bin_PROGRAMS += nmictl
nmictl_SOURCES = src/cli/nmictl.c
nmictl_LDADD = libnmictl.a libnmid.a $(CURL_LIBS) $(JANSSON_LIBS)
