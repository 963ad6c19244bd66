/* SPDX-License-Identifier: MIT */
/* place.h - how the models say "somewhere": functions that have no definition. */
#ifndef MODEL_PLACE_H
#define MODEL_PLACE_H

void *model_place(const void *member);
void model_keep(void *element);

/* An lvalue of the member's type, of which nothing is known. */
#define MODEL_PLACE(member) (*(__typeof__(member) *)model_place(&(member)))

#endif
