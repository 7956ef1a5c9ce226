/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Asking for a password on the terminal, without echo. */
#ifndef NMID_CLI_PROMPT_H
#define NMID_CLI_PROMPT_H

#include "base/fault.h"
#include "base/secret.h"

#define PROMPT_MAX 1024

/* The line that the user types; NULL with a fault. stdin must be a terminal. */
struct secret *prompt_password(const char *question, struct fault *fault);

#endif
