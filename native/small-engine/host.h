/* The small engine: QuickJS with what JavaScript needs to make system calls, and a way over to the large one. */
#ifndef TSRUN_HOST_H
#define TSRUN_HOST_H

#include <stddef.h>
#include <stdint.h>

#include "quickjs.h"

/* The files of the program, compiled to bytecode (compile.c): this header, a table of them, then their names and contents. */
#define PROGRAM_MAGIC 0x6e757274 /* "trun" */
struct program_header {
	uint32_t magic;
	uint32_t count;
};
struct program_file {
	uint32_t name, name_length; /* offsets are from the beginning of the header */
	uint32_t bytes, length;
};

/* Where the large engine's executable begins in the file of this one: whoever appends it pads up to here. */
#ifndef LARGE_ENGINE_AT
#define LARGE_ENGINE_AT (4UL << 20)
#endif

/* text.c */
JSValue decode_utf8(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv);
JSValue decode_latin1(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv);
JSValue encode_utf8(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv);
JSValue is_utf8(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv);

/* sha256.c: 32 bytes into `digest`. */
void sha256(const uint8_t *bytes, size_t length, uint8_t digest[32]);

/* hand-over.c: makes this process what it were if the kernel had executed the large engine instead. Returns where it cannot. */
void hand_over(char **argv);

/* The bytes of a typed array; NULL with an exception where it is none. */
uint8_t *bytes_of(JSContext *ctx, JSValueConst value, size_t *length);

#endif
