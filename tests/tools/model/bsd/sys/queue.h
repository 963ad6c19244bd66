/* SPDX-License-Identifier: MIT */
/* queue.h - for "make analyze" only, in front of the system's <bsd/sys/queue.h>. */
#include_next <bsd/sys/queue.h>

#include "tests/tools/model/lists.h"
