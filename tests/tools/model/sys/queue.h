/* SPDX-License-Identifier: MIT */
/* queue.h - for "make analyze" only, in front of the system's <sys/queue.h>. */
#include_next <sys/queue.h>

#include "tests/tools/model/lists.h"
