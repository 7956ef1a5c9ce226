# SPDX-License-Identifier: GPL-3.0-or-later
libnmid_a_SOURCES += \
	src/core/action.c src/core/action.h \
	src/core/callback.c src/core/callback.h src/core/callback_state.h \
	src/core/callback_ironic.c \
	src/core/callback_send.c \
	src/core/driver.h \
	src/core/engine.c src/core/engine.h src/core/engine_state.h \
	src/core/engine_queue.c src/core/engine_record.c \
	src/core/journal.c src/core/journal.h src/core/journal_more.h src/core/journal_state.h \
	src/core/journal_audit.c src/core/journal_audit.h src/core/journal_db_audit.c \
	src/core/journal_ops.c src/core/journal_ops.h \
	src/core/journal_history.c src/core/journal_load.c src/core/journal_more.c \
	src/core/journal_db.c src/core/journal_db.h src/core/journal_db_state.h \
	src/core/journal_db_write.c \
	src/core/generation.c src/core/generation.h \
	src/core/ladder.c \
	src/core/limits.c src/core/limits.h \
	src/core/policy.c src/core/policy.h \
	src/core/subject.c src/core/subject.h \
	src/core/tls.h src/core/tls_state.h \
	src/core/tls_failures.c src/core/tls_failures.h \
	src/core/wait.c src/core/wait.h
if HAVE_GNUTLS
libnmid_a_SOURCES += src/core/tls.c src/core/tls_dates.c src/core/tls_session.c
else
libnmid_a_SOURCES += src/core/tls_none.c
endif
libnmid_a_SOURCES += \
	src/core/conf.c src/core/conf.h src/core/conf_parts.h \
	src/core/conf_block.c \
	src/core/conf_callback.c \
	src/core/conf_file.c src/core/conf_file.h \
	src/core/conf_listen.c src/core/conf_listen.h \
	src/core/conf_main.c \
	src/core/conf_node.c \
	src/core/conf_scan.c \
	src/core/conf_tls.c \
	src/core/conf_text.c \
	src/core/info.c src/core/info.h src/core/info_parts.h \
	src/core/node.c src/core/node.h
libnmid_a_SOURCES += \
	src/core/access.c src/core/access.h \
	src/core/attempts.c src/core/attempts.h \
	src/core/audit.c src/core/audit.h src/core/audit_read.c src/core/audit_state.h \
	src/core/auth.c src/core/auth.h src/core/auth_state.h \
	src/core/auth_basic.c \
	src/core/auth_certificate.c \
	src/core/auth_keystone.c src/core/auth_keystone_ask.c src/core/auth_keystone_state.h \
	src/core/keystone.c src/core/keystone.h \
	src/core/keystone_login.c \
	src/core/keystone_parse.c src/core/keystone_parse.h \
	src/core/trouble.c src/core/trouble.h \
	src/core/verdicts.c src/core/verdicts.h \
	src/core/auth_local.c \
	src/core/conf_auth.c src/core/conf_auth.h \
	src/core/conf_copy.c \
	src/core/conf_ironic.c \
	src/core/conf_keystone.c \
	src/core/conf_policy.c \
	src/core/conf_secret.c \
	src/core/conf_trust.c \
	src/core/delays.c src/core/delays.h \
	src/core/htpasswd.c src/core/htpasswd.h \
	src/core/htpasswd_file.c \
	src/core/remembered.c src/core/remembered.h \
	src/core/ironic.c src/core/ironic.h src/core/ironic_state.h \
	src/core/ironic_ask.c src/core/ironic_known.c \
	src/core/ironic_parse.c src/core/ironic_parse.h \
	src/core/node_state.c src/core/node_state.h \
	src/core/principal.c src/core/principal.h
