# SPDX-License-Identifier: GPL-3.0-or-later
libnmid_a_SOURCES += \
	src/http/authenticate.c \
	src/http/certificates.c src/http/certificates.h \
	src/http/connection.c src/http/connection.h \
	src/http/dispatch.c \
	src/http/exchange.c src/http/exchange.h src/http/exchange_state.h \
	src/http/fields.c \
	src/http/guard.c src/http/guard.h \
	src/http/lists.c \
	src/http/refused.c src/http/refused.h \
	src/http/route.c src/http/route.h \
	src/http/secure.c src/http/secure.h \
	src/http/server.c src/http/server.h \
	src/http/socket.c src/http/state.h
