# SPDX-License-Identifier: GPL-3.0-or-later
libnmid_a_SOURCES += \
	src/loop/client.c src/loop/client.h \
	src/loop/client_headers.c src/loop/client_headers.h \
	src/loop/client_tls.c src/loop/client_tls.h \
	src/loop/loop.c src/loop/loop.h \
	src/loop/pool.c src/loop/pool.h
