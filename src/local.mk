# SPDX-License-Identifier: GPL-3.0-or-later
sbin_PROGRAMS += nmid
nmid_SOURCES = src/main.c
nmid_LDADD = $(NMID_LIBS)
# It holds paths of the configuration, which make cannot see change.
src/main.$(OBJEXT): Makefile

# The commit, for -V, of a build from git itself: not of a tarball that lies in somebody's repository.
# Each make asks git; what includes it is built anew only when the answer is another one. A make within
# the tests is given COMMIT_ASKED= and leaves it, and so the programs, as they are.
src/main.$(OBJEXT) src/cli/nmictl.$(OBJEXT): commit.h
CLEANFILES += commit.h
COMMIT_ASKED = ask-commit
commit.h: $(COMMIT_ASKED)
	@commit=; if test -e "$(srcdir)/.git"; then commit=`git --no-optional-locks \
		--git-dir="$(srcdir)/.git" --work-tree="$(srcdir)" \
		describe --always --dirty --abbrev=12 --exclude='*' 2>/dev/null`; fi; \
	echo "#define COMMIT \"$${commit:+ (commit $$commit)}\"" >$@.$$$$ && \
	if cmp -s $@.$$$$ $@; then rm -f $@.$$$$; else mv -f $@.$$$$ $@; fi
ask-commit:
.PHONY: ask-commit
