/* The memory of JavaScript, at a place of its own that is the same in every process: when tsrun is built, the program is loaded into it
 * and all of it is written to the executable (freeze), from where each start maps it instead of loading anything. What a start changes,
 * it copies page by page (MAP_PRIVATE); what it does not touch is never read. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host.h"

#define HEADER 8UL /* before each block: its size, with the header */
#define STEP (4UL << 20) /* by which the memory grows */
#define BATCH (256UL << 10) /* which is touched at once: a fault for each page would take longer */
#define SMALL 1024UL /* blocks up to here have a list for each 16 bytes, above it for each eighth of a power of two */
#define LISTS 512

struct block {
	size_t size;
	struct block *next; /* of the free ones */
};

/* A range of addresses of which the first part is in use. */
struct region {
	char *next; /* where the next new block begins */
	char *touched; /* up to here */
	char *end; /* of what is mapped */
};

struct arena {
	struct arena_head head;
	struct region regions[3];
	struct region *small, *big; /* the regions of new blocks */
	struct block *free[LISTS];
};

#ifndef BIG
#define BIG 128
#endif

#define arena ((struct arena *)ARENA_AT)

/* The list of a block of so many bytes, and the size that all of its blocks have. */
static unsigned list_of(size_t *size)
{
	unsigned shift;

	if (*size <= SMALL) {
		*size = (*size + 15) & ~15UL;
		return *size / 16;
	}
	shift = 60 - __builtin_clzl(*size - 1); /* of an eighth of the power of two below */
	*size = (*size + (1UL << shift) - 1) >> shift << shift;
	return SMALL / 16 + 1 + (shift - 7) * 8 + ((*size - 1) >> shift) - 8;
}

static int grow(struct region *region, size_t size)
{
	size_t length = (size + STEP - 1) / STEP * STEP;

	if (mmap(region->end, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != region->end)
		return -1;
	region->end += length;
	return 0;
}

static void *take(size_t size)
{
	struct region *region = size <= BIG ? arena->small : arena->big;
	struct block *block = (struct block *)region->next;

	if (region->next + size > region->end && grow(region, size))
		return NULL;
	region->next += size;
	if (region->next > region->touched && region->touched + BATCH <= region->end) {
		madvise(region->touched, BATCH, MADV_POPULATE_WRITE);
		region->touched += BATCH;
	}
	block->size = size;
	return (char *)block + HEADER;
}

static void *allocate(JSMallocState *state, size_t wanted)
{
	size_t size = wanted + HEADER;
	unsigned list = list_of(&size);
	struct block *block = arena->free[list];

	if (state->malloc_size + size > state->malloc_limit)
		return NULL;
	state->malloc_count++;
	state->malloc_size += size;
	if (!block)
		return take(size);
	arena->free[list] = block->next;
	return (char *)block + HEADER;
}

static void release(JSMallocState *state, void *bytes)
{
	struct block *block = (struct block *)((char *)bytes - HEADER);
	size_t size;
	unsigned list;

	if (!bytes)
		return;
	size = block->size;
	list = list_of(&size);
	state->malloc_count--;
	state->malloc_size -= size;
	block->next = arena->free[list];
	arena->free[list] = block;
}

static size_t usable(const void *bytes)
{
	return bytes ? ((const struct block *)((const char *)bytes - HEADER))->size - HEADER : 0;
}

static void *resize(JSMallocState *state, void *bytes, size_t wanted)
{
	size_t has = usable(bytes);
	void *other;

	if (!wanted) {
		release(state, bytes);
		return NULL;
	}
	if (bytes && wanted <= has && wanted * 2 > has)
		return bytes;
	other = allocate(state, wanted);
	if (!other || !bytes)
		return other;
	memcpy(other, bytes, has < wanted ? has : wanted);
	release(state, bytes);
	return other;
}

const JSMallocFunctions arena_functions = { allocate, release, resize, usable };

int arena_begin(void)
{
	struct region *regions = arena->regions;
	char *place = (char *)ARENA_AT;
	int i;

	if (mmap(arena, STEP, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != arena)
		return -1;
	for (i = 0; i < 3; i++, place += REGION)
		regions[i].next = regions[i].touched = regions[i].end = place;
	regions[0].next = regions[0].touched = (char *)arena + ((sizeof(*arena) + 15) & ~15UL);
	regions[0].end = (char *)arena + STEP;
	arena->small = &regions[0];
	arena->big = &regions[1];
	return 0;
}

struct arena_head *arena_head(void)
{
	return &arena->head;
}

static int write_all(int fd, const char *bytes, size_t length)
{
	ssize_t part;

	for (; length; bytes += part, length -= part)
		if ((part = write(fd, bytes, length)) <= 0)
			return -1;
	return 0;
}

int arena_freeze(int fd)
{
	struct region *regions = arena->regions;
	int i;

	/* What is allocated later shall lie together, and not in the gaps of pages that nobody changes otherwise. */
	memset(arena->free, 0, sizeof(arena->free));
	for (i = 0; i < 2; i++) {
		regions[i].next = (char *)(((size_t)regions[i].next + 4095) & ~4095UL);
		arena->head.length[i] = regions[i].next - ((char *)ARENA_AT + i * REGION);
	}
	arena->head.magic = ARENA_MAGIC;
	arena->small = arena->big = &regions[2];
	return write_all(fd, (char *)arena, arena->head.length[0]) || write_all(fd, (char *)arena + REGION, arena->head.length[1]);
}

int arena_thaw(int fd, unsigned long at, const size_t length[2])
{
	char *big = (char *)arena + REGION;

	if (mmap(arena, length[0], PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd, at) != arena)
		return -1;
	if (mmap(big, length[1], PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd, at + length[0]) != big)
		return -1;
	return 0;
}
