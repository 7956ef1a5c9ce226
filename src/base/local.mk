# SPDX-License-Identifier: GPL-3.0-or-later
libnmid_a_SOURCES += \
	src/base/clock.c src/base/clock.h \
	src/base/digest.c src/base/digest.h \
	src/base/fault.c src/base/fault.h \
	src/base/heap.c src/base/heap.h \
	src/base/log.c src/base/log.h \
	src/base/map.c src/base/map.h \
	src/base/record.c src/base/record.h \
	src/base/report.c src/base/report.h \
	src/base/secret.c src/base/secret.h \
	src/base/url.c src/base/url.h \
	src/base/uuid.c src/base/uuid.h \
	src/base/verify.c src/base/verify.h \
	src/base/vault.c src/base/vault.h \
	src/base/when.c src/base/when.h \
	src/base/wipe.c
