/* The small engine: QuickJS with what JavaScript needs to make system calls, and a way over to the large one. */
#ifndef TSRUN_HOST_H
#define TSRUN_HOST_H

#include <stddef.h>
#include <stdint.h>

#include "quickjs.h"

/* The files of the program, compiled to bytecode (compile.c): this header, a table of them, then their names and contents, and of each the
 * profile (arena.c). They are in an order in which each comes behind those that it imports. */
#define PROGRAM_MAGIC 0x6e757274 /* "trun" */
struct program_header {
	uint32_t magic;
	uint32_t count;
};
struct program_file {
	uint32_t name, name_length; /* offsets are from the beginning of the header */
	uint32_t bytes, length;
	uint32_t profile, profile_length;
};

/* arena.c: the memory of JavaScript. Where it lies in memory, in the lower half of the smallest address space (arm64 with 39 bits), and where
 * in the executable, at whose end scripts/small-engine.mjs puts it. */
#define ARENA_AT (64UL << 30)
#define ARENA_IN_FILE (4UL << 20)
#define ARENA_MAGIC 0x616e657261757274UL
#define REGION (1UL << 30)

/* The regions of the memory, of blocks that are touched by: all usual commands and changed, some and changed, all and read, some and read,
 * none; and what a process adds. */
enum { REGION_COLD = 4, REGION_FRESH, REGIONS };

struct arena_head {
	uint64_t magic;
	uint64_t large_at; /* where the large engine begins in the executable: scripts/small-engine.mjs writes it */
	JSRuntime *runtime;
	JSContext *context;
	size_t lengths[REGION_FRESH];
};

/* What a log has of each block: its place, its bytes, the file of the program that it belongs to, its number there. */
struct arena_note {
	uint64_t address;
	uint32_t size;
	uint32_t file;
	uint64_t number;
};

extern const JSMallocFunctions arena_functions;
int arena_begin(void);
struct arena_head *arena_head(void);
int arena_freeze(int fd);
int arena_thaw(int fd, unsigned long at, const size_t *lengths);
/* From here on blocks belong to this file, whose n-th block goes to the n-th region of `profile`, and behind its end to the cold one. */
void arena_file(uint32_t file, const uint8_t *profile, uint32_t length);
/* Where each block is noted, of which each then lies in pages of its own. */
void arena_log(int fd);

/* text.c: as the decoder of WHATWG does, also for JavaScript (src/linux/small-engine.ts). */
JSValue text_of(JSContext *ctx, const uint8_t *bytes, size_t length);
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
