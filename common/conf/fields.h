/*
 * What the structs of conf.h are made of, as tables: one row per field with
 * its type, its limit and the processes that may see it. Encoder, decoder,
 * slicing, comparison, release and the walk over table names all read these
 * rows, so that no field is named twice. Only common/conf includes this.
 */
#ifndef CONF_FIELDS_H
#define CONF_FIELDS_H

#include <sys/types.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "conf/conf.h"
#include "ipc/enums.h"

enum field_type {
	FIELD_BOOL,
	FIELD_U16,
	FIELD_U32, /* limit: the most that may be written, 0: anything */
	FIELD_SECONDS, /* 32 bits, written as a duration */
	FIELD_U64,
	FIELD_ENUM, /* limit: the highest value */
	FIELD_OCTETS, /* limit: how many */
	FIELD_WHERE,
	FIELD_STRING, /* limit: octets without the terminator */
	FIELD_TABLE, /* a string that names a table */
	FIELD_STRUCT, /* shape */
	FIELD_LIST /* shape, count_offset; limit: elements */
};

struct field {
	const char *name;
	enum field_type type;
	size_t offset;
	size_t count_offset;
	uint64_t limit;
	const struct shape *shape;
	unsigned int see; /* set of 1 << enum process_kind */
	enum conf_service service; /* FIELD_TABLE: asked for what */
};

struct shape {
	size_t size;
	const struct field *fields;
	size_t nfields;
	/* Whether a process sees this element of a list; NULL: yes. */
	bool (*wanted)(const void *element, enum process_kind);
};

/* The tree itself, and the sections whose rows carry the words of the
 * grammar: max_conn_per_host is `max-conn-per-host`. */
extern const struct shape shape_conf;
extern const struct shape shape_paths;
extern const struct shape shape_mta_limit;
extern const struct shape shape_mda;
extern const struct shape shape_scheduler;
extern const struct shape shape_smtp;

/* The row of a word, NULL if there is none of that type. */
const struct field *field_by_word(
    const struct shape *, enum field_type, const char *word);

/* Octets of the types that are numbers, in memory and on the wire. */
static const unsigned int field_width[] = {
	[FIELD_BOOL] = 1,
	[FIELD_U16] = 2,
	[FIELD_U32] = 4,
	[FIELD_SECONDS] = 4,
	[FIELD_U64] = 8,
	[FIELD_ENUM] = 4,
};
_Static_assert(sizeof(bool) == 1 && sizeof(enum conf_family) == 4,
    "bool and enum are as wide as field_width says");

static inline bool
shape_wanted(
    const struct shape *shape, const void *element, enum process_kind process)
{
	return shape->wanted == NULL || shape->wanted(element, process);
}

static inline bool
field_visible(const struct field *field, enum process_kind process)
{
	return process == PROC_MASTER || (field->see & (1U << process)) != 0;
}

static inline void *
field_at(const struct field *field, const void *element)
{
	return (void *)((uintptr_t)element + field->offset);
}

static inline char **
field_string(const struct field *field, const void *element)
{
	return field_at(field, element);
}

static inline uint32_t *
field_count(const struct field *field, const void *element)
{
	return (uint32_t *)((uintptr_t)element + field->count_offset);
}

/* The elements below a FIELD_STRUCT (one) or a FIELD_LIST: how many there
 * are, and the first; 0 for any other field. */
static inline uint32_t
field_children(const struct field *field, const void *element, char **first)
{
	if (field->type == FIELD_STRUCT) {
		*first = field_at(field, element);
		return 1;
	}
	if (field->type != FIELD_LIST)
		return 0;
	memcpy(first, field_at(field, element), sizeof(*first));
	return *field_count(field, element);
}

/* Calls visit for every string of the tree that is not NULL (types STRING and
 * TABLE), in canonical order, with the element that holds it. visit may
 * replace the string; what it returns other than 0 ends the walk. */
typedef int field_visit(
    void *arg, const struct field *, void *element, const struct conf_where *);
int field_walk_strings(struct conf *, field_visit *, void *arg);

#endif
