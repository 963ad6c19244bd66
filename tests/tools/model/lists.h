/* SPDX-License-Identifier: MIT */
/*
 * lists.h - lists as "make analyze" sees them.
 *
 * The analyzer cannot follow an element through its le_prev: it believes that what was removed and
 * freed is still the first of the list. Here the places of a list are unknown at each look.
 */
#include "tests/tools/model/place.h"

#undef LIST_EMPTY
#undef LIST_FIRST
#undef LIST_NEXT
#define LIST_EMPTY(head)      (LIST_FIRST(head) == NULL)
#define LIST_FIRST(head)      MODEL_PLACE((head)->lh_first)
#define LIST_NEXT(elm, field) MODEL_PLACE((elm)->field.le_next)

#undef STAILQ_EMPTY
#undef STAILQ_FIRST
#undef STAILQ_NEXT
#define STAILQ_EMPTY(head)	(STAILQ_FIRST(head) == NULL)
#define STAILQ_FIRST(head)	MODEL_PLACE((head)->stqh_first)
#define STAILQ_NEXT(elm, field) MODEL_PLACE((elm)->field.stqe_next)

#undef TAILQ_EMPTY
#undef TAILQ_FIRST
#undef TAILQ_NEXT
#define TAILQ_EMPTY(head)      (TAILQ_FIRST(head) == NULL)
#define TAILQ_FIRST(head)      MODEL_PLACE((head)->tqh_first)
#define TAILQ_NEXT(elm, field) MODEL_PLACE((elm)->field.tqe_next)
