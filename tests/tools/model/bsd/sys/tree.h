/* SPDX-License-Identifier: MIT */
/*
 * tree.h - for "make analyze" only, in front of the system's <bsd/sys/tree.h>.
 *
 * As lists.h; and an insertion inserts: whoever ignores its result knows that the key is new.
 */
#include_next <bsd/sys/tree.h>

#include "tests/tools/model/place.h"

#undef RB_INSERT
#undef RB_ROOT
#define RB_INSERT(name, head, elm) (model_keep(elm), name##_RB_INSERT(head, elm))
#define RB_ROOT(head)		   MODEL_PLACE((head)->rbh_root)
