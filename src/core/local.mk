# SPDX-License-Identifier: GPL-3.0-or-later
libnmid_a_SOURCES += \
	src/core/action.c src/core/action.h \
	src/core/callback.c src/core/callback.h src/core/callback_state.h \
	src/core/callback_send.c \
	src/core/driver.h \
	src/core/engine.c src/core/engine.h src/core/engine_state.h \
	src/core/engine_record.c \
	src/core/journal.c src/core/journal.h src/core/journal_more.h src/core/journal_state.h \
	src/core/journal_history.c src/core/journal_load.c src/core/journal_more.c \
	src/core/journal_db.c src/core/journal_db.h src/core/journal_db_state.h \
	src/core/journal_db_write.c \
	src/core/ladder.c \
	src/core/policy.c src/core/policy.h \
	src/core/wait.c src/core/wait.h
libnmid_a_SOURCES += \
	src/core/conf.c src/core/conf.h src/core/conf_parts.h \
	src/core/conf_block.c \
	src/core/conf_callback.c \
	src/core/conf_file.c src/core/conf_file.h \
	src/core/conf_listen.c \
	src/core/conf_main.c \
	src/core/conf_node.c \
	src/core/conf_scan.c \
	src/core/conf_text.c \
	src/core/info.c src/core/info.h src/core/info_parts.h \
	src/core/node.c src/core/node.h
libnmid_a_SOURCES += src/core/auth.c src/core/auth.h
