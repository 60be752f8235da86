/*
 * The wire form of a configuration tree. All numbers are big endian; a field
 * stands at its place in the rows of fields.c, without tags:
 *   bool         one octet, 0 or 1
 *   number       2, 4 or 8 octets; an enum 4
 *   where        three numbers of 4 octets
 *   string       4 octets of length and the octets; length NO_STRING: NULL
 *   list         4 octets of count and the elements
 * A field that the receiver may not see is written empty. Master encodes,
 * workers decode; the decoder checks every length against what is left, every
 * limit, and that no octet stays over.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/codec.h"
#include "conf/fields.h"

#define CODEC_MAGIC 0x524c4331U /* "RLC1" */
#define NO_STRING UINT32_MAX

struct encoder {
	uint8_t *data;
	size_t len;
	size_t size;
	enum process_kind process;
	int error;
};

struct decoder {
	const uint8_t *data;
	size_t len;
	size_t at;
	const char *field; /* where it went wrong */
	const char *error;
};

/* ---- out -------------------------------------------------------------- */

static void
put_octets(struct encoder *enc, const void *octets, size_t len)
{
	uint8_t *grown;
	size_t size;

	if (enc->error != 0 || len == 0)
		return;
	if (len > enc->size - enc->len) {
		size = (enc->len + len) * 2 + 256;
		if ((grown = malloc(size)) == NULL) {
			enc->error = ENOMEM;
			return;
		}
		/* No realloc: the old copy may hold a key. */
		if (enc->data != NULL) {
			memcpy(grown, enc->data, enc->len);
			explicit_bzero(enc->data, enc->len);
		}
		free(enc->data);
		enc->data = grown;
		enc->size = size;
	}
	memcpy(enc->data + enc->len, octets, len);
	enc->len += len;
}

static void
put_number(struct encoder *enc, uint64_t value, unsigned int width)
{
	uint8_t octets[8];
	unsigned int i;

	for (i = 0; i < width; i++)
		octets[i] = (uint8_t)(value >> (8 * (width - 1 - i)));
	put_octets(enc, octets, width);
}

static void
put_string(struct encoder *enc, const char *string, uint64_t limit)
{
	size_t len;

	if (string == NULL) {
		put_number(enc, NO_STRING, 4);
		return;
	}
	if ((len = strlen(string)) > limit)
		enc->error = EMSGSIZE;
	put_number(enc, len, 4);
	put_octets(enc, string, len);
}

/* A number, enum or bool of an element. Sizes are those of conf.h. */
static uint64_t
number_load(const struct field *field, const void *element)
{
	union {
		bool flag;
		uint16_t u16;
		uint32_t u32;
		uint64_t u64;
	} value;

	memcpy(&value, field_at(field, element), field_width[field->type]);
	switch (field->type) {
	case FIELD_BOOL:
		return value.flag;
	case FIELD_U16:
		return value.u16;
	case FIELD_U64:
		return value.u64;
	default:
		return value.u32;
	}
}

static void
number_store(const struct field *field, void *element, uint64_t number)
{
	const bool flag = number != 0;
	const uint16_t u16 = (uint16_t)number;
	const uint32_t u32 = (uint32_t)number;
	const void *from;

	switch (field->type) {
	case FIELD_BOOL:
		from = &flag;
		break;
	case FIELD_U16:
		from = &u16;
		break;
	case FIELD_U64:
		from = &number;
		break;
	default:
		from = &u32;
		break;
	}
	memcpy(field_at(field, element), from, field_width[field->type]);
}

/* How many elements of a list the receiver sees. */
static uint32_t
count_wanted(
    const struct encoder *enc, const struct field *field, const void *element)
{
	uint32_t n, wanted = 0;
	char *child = NULL;

	if (!field_visible(field, enc->process))
		return 0;
	for (n = field_children(field, element, &child); n > 0; n--) {
		wanted += shape_wanted(field->shape, child, enc->process);
		child += field->shape->size;
	}
	return wanted;
}

static void
put_where(struct encoder *enc, const struct conf_where *where)
{
	put_number(enc, where->file, 4);
	put_number(enc, where->line, 4);
	put_number(enc, where->column, 4);
}

static void
put_field(struct encoder *enc, const struct field *field, const void *element)
{
	static const uint8_t none[16];
	bool visible = field_visible(field, enc->process);
	uint32_t count;

	switch (field->type) {
	case FIELD_STRUCT:
		break;
	case FIELD_LIST:
		count = count_wanted(enc, field, element);
		if (count > field->limit)
			enc->error = EMSGSIZE;
		put_number(enc, count, 4);
		break;
	case FIELD_STRING:
	case FIELD_TABLE:
		put_string(enc, visible ? *field_string(field, element) : NULL,
		    field->limit);
		break;
	case FIELD_OCTETS:
		put_octets(enc, visible ? field_at(field, element) : none,
		    field->limit);
		break;
	case FIELD_WHERE:
		put_where(enc, field_at(field, element));
		break;
	default:
		put_number(enc, visible ? number_load(field, element) : 0,
		    field_width[field->type]);
		break;
	}
}

static void
put_element(struct encoder *enc, const struct shape *shape, const void *element)
{
	const struct field *field, *end = shape->fields + shape->nfields;
	char *child = NULL;
	uint32_t n;

	for (field = shape->fields; field < end; field++) {
		put_field(enc, field, element);
		if (field->type == FIELD_LIST &&
		    !field_visible(field, enc->process))
			continue;
		for (n = field_children(field, element, &child); n > 0; n--) {
			if (shape_wanted(field->shape, child, enc->process))
				put_element(enc, field->shape, child);
			child += field->shape->size;
		}
	}
}

int
conf_slice(const struct conf *conf, enum process_kind process, uint8_t **data,
    size_t *len)
{
	struct encoder enc = { .process = process };

	put_number(&enc, CODEC_MAGIC, 4);
	put_element(&enc, &shape_conf, conf);
	if (enc.error != 0) {
		if (enc.data != NULL)
			explicit_bzero(enc.data, enc.len);
		free(enc.data);
		errno = enc.error;
		return -1;
	}
	*data = enc.data;
	*len = enc.len;
	return 0;
}

int
conf_encode(const struct conf *conf, uint8_t **data, size_t *len)
{
	return conf_slice(conf, PROC_MASTER, data, len);
}

/* ---- in --------------------------------------------------------------- */

static int
decode_fail(struct decoder *dec, const char *error)
{
	if (dec->error == NULL)
		dec->error = error;
	return -1;
}

static int
get_octets(struct decoder *dec, void *octets, size_t len)
{
	if (len > dec->len - dec->at)
		return decode_fail(dec, "is cut short");
	memcpy(octets, dec->data + dec->at, len);
	dec->at += len;
	return 0;
}

static int
get_number(struct decoder *dec, uint64_t *value, unsigned int width)
{
	uint8_t octets[8];
	unsigned int i;

	if (get_octets(dec, octets, width) == -1)
		return -1;
	for (*value = 0, i = 0; i < width; i++)
		*value = *value << 8 | octets[i];
	return 0;
}

static int
get_string(struct decoder *dec, char **string, uint64_t limit)
{
	uint64_t len;

	if (get_number(dec, &len, 4) == -1)
		return -1;
	if (len == NO_STRING)
		return 0;
	if (len > limit)
		return decode_fail(dec, "is over its limit");
	if (len > dec->len - dec->at)
		return decode_fail(dec, "is cut short");
	if (memchr(dec->data + dec->at, '\0', len) != NULL)
		return decode_fail(dec, "holds a NUL");
	if ((*string = malloc(len + 1)) == NULL)
		return decode_fail(dec, "does not fit in memory");
	(*string)[len] = '\0';
	return get_octets(dec, *string, len);
}

static int
get_where(struct decoder *dec, struct conf_where *where)
{
	uint32_t *const parts[] = { &where->file, &where->line,
		&where->column };
	uint64_t value;
	size_t i;

	for (i = 0; i < 3; i++) {
		if (get_number(dec, &value, 4) == -1)
			return -1;
		*parts[i] = (uint32_t)value;
	}
	return 0;
}

static int
get_scalar(struct decoder *dec, const struct field *field, void *element)
{
	uint64_t value;

	if (get_number(dec, &value, field_width[field->type]) == -1)
		return -1;
	if (field->type == FIELD_BOOL && value > 1)
		return decode_fail(dec, "is neither 0 nor 1");
	if (field->type == FIELD_ENUM && value > field->limit)
		return decode_fail(dec, "is an unknown value");
	number_store(field, element, value);
	return 0;
}

/* Makes room for a list; the elements are still zero. An element is at least
 * as many octets as it has fields, so a count that the octets left cannot
 * hold allocates nothing. */
static int
get_list(struct decoder *dec, const struct field *field, void *element)
{
	uint64_t count;
	char *list;

	if (get_number(dec, &count, 4) == -1)
		return -1;
	if (count > field->limit)
		return decode_fail(dec, "has too many elements");
	if (count > (dec->len - dec->at) / field->shape->nfields)
		return decode_fail(dec, "is cut short");
	if (count == 0)
		return 0;
	if ((list = calloc(count, field->shape->size)) == NULL)
		return decode_fail(dec, "does not fit in memory");
	memcpy(field_at(field, element), &list, sizeof(list));
	*field_count(field, element) = (uint32_t)count;
	return 0;
}

static int
get_field(struct decoder *dec, const struct field *field, void *element)
{
	switch (field->type) {
	case FIELD_STRUCT:
		return 0;
	case FIELD_LIST:
		return get_list(dec, field, element);
	case FIELD_STRING:
	case FIELD_TABLE:
		return get_string(
		    dec, field_string(field, element), field->limit);
	case FIELD_OCTETS:
		return get_octets(dec, field_at(field, element), field->limit);
	case FIELD_WHERE:
		return get_where(dec, field_at(field, element));
	default:
		return get_scalar(dec, field, element);
	}
}

static int
get_element(struct decoder *dec, const struct shape *shape, void *element)
{
	const struct field *field, *end = shape->fields + shape->nfields;
	char *child = NULL;
	uint32_t n;

	for (field = shape->fields; field < end; field++) {
		dec->field = field->name;
		if (get_field(dec, field, element) == -1)
			return -1;
		for (n = field_children(field, element, &child); n > 0; n--) {
			if (get_element(dec, field->shape, child) == -1)
				return -1;
			child += field->shape->size;
		}
	}
	return 0;
}

struct conf *
conf_decode(const uint8_t *data, size_t len, char *error, size_t errorlen)
{
	struct decoder dec = { .data = data, .len = len, .field = "slice" };
	struct conf *conf;
	uint64_t magic;

	if ((conf = calloc(1, sizeof(*conf))) == NULL) {
		snprintf(error, errorlen, "does not fit in memory");
		return NULL;
	}
	if (get_number(&dec, &magic, 4) == -1)
		goto fail;
	if (magic != CODEC_MAGIC) {
		decode_fail(&dec, "has another version");
		goto fail;
	}
	if (get_element(&dec, &shape_conf, conf) == -1)
		goto fail;
	if (dec.at != dec.len) {
		dec.field = "slice";
		decode_fail(&dec, "has octets after its end");
		goto fail;
	}
	return conf;
fail:
	snprintf(
	    error, errorlen, "octet %zu: %s %s", dec.at, dec.field, dec.error);
	conf_free(conf);
	return NULL;
}
