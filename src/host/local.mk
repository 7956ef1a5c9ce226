# SPDX-License-Identifier: GPL-3.0-or-later
libnmid_a_SOURCES += \
	src/host/notify.c src/host/notify.h \
	src/host/process.c src/host/process.h
