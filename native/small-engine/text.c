/* Text of JavaScript and bytes, both ways. QuickJS takes and gives UTF-8 that may hold lone surrogates; here nobody sees those. */
#include <stdlib.h>
#include <string.h>

#include "host.h"

/* How many bytes of a character begin at `at`: a whole one (> 0), or as many as could have been the beginning of one (< 0),
 * which one U+FFFD stands for (https://encoding.spec.whatwg.org/#utf-8-decoder). */
static int character(const uint8_t *bytes, size_t length)
{
	uint8_t first = bytes[0], low = 0x80, high = 0xbf;
	int size, i;

	if (first < 0x80)
		return 1;
	if (first < 0xc2 || first > 0xf4)
		return -1;
	size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	if (first == 0xe0)
		low = 0xa0;
	else if (first == 0xed)
		high = 0x9f;
	else if (first == 0xf0)
		low = 0x90;
	else if (first == 0xf4)
		high = 0x8f;
	for (i = 1; i < size; i++) {
		if ((size_t)i >= length || bytes[i] < low || bytes[i] > high)
			return -i;
		low = 0x80;
		high = 0xbf;
	}
	return size;
}

/* How many bytes are UTF-8 from the beginning on. */
static size_t valid(const uint8_t *bytes, size_t length)
{
	size_t at = 0;
	int size;

	while (at < length) {
		if (bytes[at] < 0x80) {
			at++;
			continue;
		}
		size = character(bytes + at, length - at);
		if (size < 0)
			break;
		at += size;
	}
	return at;
}

static const char replacement[] = "\xef\xbf\xbd";

/* Writes `bytes` to `out`, which has room for three times as many, with replacements; returns how many it has written. */
static size_t repair(const uint8_t *bytes, size_t length, uint8_t *out)
{
	size_t from = 0, to = 0, good;

	for (;;) {
		good = valid(bytes + from, length - from);
		memcpy(out + to, bytes + from, good);
		from += good;
		to += good;
		if (from >= length)
			return to;
		from += -character(bytes + from, length - from);
		memcpy(out + to, replacement, 3);
		to += 3;
	}
}

/* The arguments of decodeUtf8 and decodeLatin1: bytes, where to begin, where to end. */
static const uint8_t *range(JSContext *ctx, JSValueConst *argv, size_t *length)
{
	size_t all;
	int64_t start, end;
	const uint8_t *bytes = bytes_of(ctx, argv[0], &all);

	if (!bytes || JS_ToInt64(ctx, &start, argv[1]) || JS_ToInt64(ctx, &end, argv[2]))
		return NULL;
	if (start < 0)
		start = 0;
	if (end > (int64_t)all)
		end = all;
	*length = end > start ? end - start : 0;
	return bytes + start;
}

JSValue text_of(JSContext *ctx, const uint8_t *bytes, size_t length)
{
	uint8_t *repaired;
	JSValue text;

	if (valid(bytes, length) == length)
		return JS_NewStringLen(ctx, (const char *)bytes, length);
	repaired = js_malloc(ctx, length * 3);
	if (!repaired)
		return JS_EXCEPTION;
	text = JS_NewStringLen(ctx, (const char *)repaired, repair(bytes, length, repaired));
	js_free(ctx, repaired);
	return text;
}

JSValue decode_utf8(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv)
{
	size_t length;
	const uint8_t *bytes = range(ctx, argv, &length);

	return bytes ? text_of(ctx, bytes, length) : JS_EXCEPTION;
}

JSValue decode_latin1(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv)
{
	size_t length, i, to = 0;
	const uint8_t *bytes = range(ctx, argv, &length);
	uint8_t *wide;
	JSValue text;

	if (!bytes)
		return JS_EXCEPTION;
	wide = js_malloc(ctx, length * 2 + 1);
	if (!wide)
		return JS_EXCEPTION;
	for (i = 0; i < length; i++) {
		if (bytes[i] < 0x80) {
			wide[to++] = bytes[i];
		} else {
			wide[to++] = 0xc0 | bytes[i] >> 6;
			wide[to++] = 0x80 | (bytes[i] & 0x3f);
		}
	}
	text = JS_NewStringLen(ctx, (const char *)wide, to);
	js_free(ctx, wide);
	return text;
}

JSValue encode_utf8(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv)
{
	size_t length, good;
	const char *text = JS_ToCStringLen(ctx, &length, argv[0]);
	uint8_t *repaired;
	JSValue bytes = JS_EXCEPTION;

	if (!text)
		return JS_EXCEPTION;
	good = valid((const uint8_t *)text, length);
	if (good == length) {
		bytes = JS_NewArrayBufferCopy(ctx, (const uint8_t *)text, length);
	} else if ((repaired = js_malloc(ctx, length))) {
		/* A lone surrogate is three bytes, of which each would be replaced by itself. */
		size_t from = 0, to = 0;

		for (; from < length; from += 3) {
			good = valid((const uint8_t *)text + from, length - from);
			memcpy(repaired + to, text + from, good);
			from += good;
			to += good;
			if (from >= length)
				break;
			memcpy(repaired + to, replacement, 3);
			to += 3;
		}
		bytes = JS_NewArrayBufferCopy(ctx, repaired, to);
		js_free(ctx, repaired);
	}
	JS_FreeCString(ctx, text);
	return bytes;
}

JSValue is_utf8(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv)
{
	size_t length;
	const uint8_t *bytes = bytes_of(ctx, argv[0], &length);

	return bytes ? JS_NewBool(ctx, valid(bytes, length) == length) : JS_EXCEPTION;
}
