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

/* arena.c: the memory of JavaScript. Where it lies in memory, and where in the executable, at whose end scripts/small-engine.mjs puts it. */
#define ARENA_AT (64UL << 30) /* in the lower half of the smallest address space: arm64 with 39 bits */
#define REGION (1UL << 30)
#define ARENA_IN_FILE (4UL << 20)
#define ARENA_MAGIC 0x616e657261757274UL

struct arena_head {
	uint64_t magic;
	uint64_t large_at; /* where the large engine begins in the executable: scripts/small-engine.mjs writes it */
	JSRuntime *runtime;
	JSContext *context;
	size_t length[2];
};

extern const JSMallocFunctions arena_functions;
int arena_begin(void);
struct arena_head *arena_head(void);
int arena_freeze(int fd);
int arena_thaw(int fd, unsigned long at, const size_t length[2]);

/* text.c */
JSValue decode_utf8(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv);
JSValue decode_latin1(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv);
JSValue encode_utf8(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv);
JSValue is_utf8(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv);

/* sha256.c: 32 bytes into `digest`. */
void sha256(const uint8_t *bytes, size_t length, uint8_t digest[32]);

/* hand-over.c: makes this process what it were if the kernel had executed the large engine instead, which begins at `at` of `fd`. Returns
 * where it cannot. */
void hand_over(char **argv, int fd, unsigned long at);

/* The bytes of a typed array; NULL with an exception where it is none. */
uint8_t *bytes_of(JSContext *ctx, JSValueConst value, size_t *length);

#endif
