/* The memory of JavaScript, at a place of its own that is the same in every process: when tsrun is built, the program is loaded into it
 * and all of it is written to the executable (freeze), from where each start maps it instead of loading anything. What a start changes,
 * it copies page by page (MAP_PRIVATE); what it does not touch is never read.
 *
 * Touching a page for the first time is what a start spends most of its time with. A profile says which blocks the usual commands touch
 * (scripts/profile.mjs): these lie together. A block is known by the file of the program that was being loaded and by its number among the
 * blocks of that file. A profile that does not fit makes the program slower, and nothing else. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host.h"

#define HEADER 8UL /* before each block: its size, with the header */
#define PAGE 4096UL
#define STEP (4UL << 20) /* by which the memory grows */
#define BATCH (64UL << 10) /* which is touched at once: a fault for each page would take longer */
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
	struct block *free[LISTS];
};

struct arena {
	struct arena_head head;
	struct region regions[REGIONS];
	struct region *fresh; /* where new blocks come from; while the program is loaded, the profile says it */
};

#define arena ((struct arena *)ARENA_AT)

/* While the program is loaded: what is known of the file that is being loaded, and where each block is noted. */
static const uint8_t *places;
static uint32_t place_count, number, file_number;
static int log_fd = -1, apart;

void arena_file(uint32_t file, const uint8_t *profile, uint32_t length)
{
	file_number = file;
	places = profile;
	place_count = length;
	number = 0;
}

void arena_log(int fd)
{
	log_fd = fd;
	apart = 1;
}

static struct region *region_of(const void *address)
{
	return &arena->regions[((size_t)address - ARENA_AT) / REGION];
}

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

static void *take(struct region *region, size_t size)
{
	struct block *block = (struct block *)region->next;
	size_t length = apart ? (size + PAGE - 1) & -PAGE : size;

	if (region->next + length > region->end && grow(region, length))
		return NULL;
	region->next += length;
	if (region->next > region->touched && region->touched + BATCH <= region->end) {
		madvise(region->touched, BATCH, MADV_POPULATE_WRITE);
		region->touched += BATCH;
	}
	block->size = size;
	return (char *)block + HEADER;
}

/* What is large, the program can do without. Without a little nothing can be said any more, not even by an error of JavaScript. */
static void *out_of_memory(size_t size)
{
	static const char text[] = "tsrun: out of memory\n";

	if (size <= STEP && write(2, text, sizeof(text) - 1))
		_exit(125);
	return NULL;
}

static void *allocate(JSMallocState *state, size_t wanted)
{
	size_t size = wanted + HEADER;
	unsigned list = list_of(&size);
	struct region *region = arena->fresh;
	struct block *block;
	void *bytes;

	if (state->malloc_size + size > state->malloc_limit)
		return NULL;
	if (!region)
		region = &arena->regions[number < place_count ? places[number] : REGION_COLD];
	block = region->free[list];
	if (block) {
		region->free[list] = block->next;
		bytes = (char *)block + HEADER;
	} else {
		bytes = take(region, size);
		if (!bytes)
			return out_of_memory(size);
	}
	state->malloc_count++;
	state->malloc_size += size;
	if (!arena->fresh) {
		struct arena_note note = { (uint64_t)bytes, size - HEADER, file_number, number++ };

		if (log_fd >= 0 && write(log_fd, &note, sizeof(note)) != sizeof(note))
			return NULL;
	}
	return bytes;
}

static void release(JSMallocState *state, void *bytes)
{
	struct block *block;
	struct region *region;
	size_t size;
	unsigned list;

	if (!bytes)
		return;
	block = (struct block *)((char *)bytes - HEADER);
	region = arena->fresh ? arena->fresh : region_of(bytes);
	size = block->size;
	list = list_of(&size);
	state->malloc_count--;
	state->malloc_size -= size;
	block->next = region->free[list];
	region->free[list] = block;
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
	int i;

	if (mmap(arena, STEP, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != arena)
		return -1;
	for (i = 0; i < REGIONS; i++)
		regions[i].next = regions[i].touched = regions[i].end = (char *)ARENA_AT + i * REGION;
	regions[0].next = regions[0].touched = (char *)arena + ((sizeof(*arena) + PAGE - 1) & -PAGE);
	regions[0].end = (char *)arena + STEP;
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
	size_t *lengths = arena->head.lengths;
	int i;

	for (i = 0; i < REGION_FRESH; i++) {
		/* What is allocated later shall lie together, and not in the gaps of pages that nobody changes otherwise. */
		memset(regions[i].free, 0, sizeof(regions[i].free));
		regions[i].next = (char *)(((size_t)regions[i].next + PAGE - 1) & -PAGE);
		lengths[i] = regions[i].next - ((char *)ARENA_AT + i * REGION);
	}
	arena->head.magic = ARENA_MAGIC;
	arena->fresh = &regions[REGION_FRESH];
	for (i = 0; i < REGION_FRESH; i++)
		if (write_all(fd, (char *)ARENA_AT + i * REGION, lengths[i]))
			return -1;
	return 0;
}

int arena_thaw(int fd, unsigned long at, const size_t *lengths)
{
	int i;

	for (i = 0; i < REGION_FRESH; at += lengths[i++]) {
		char *place = (char *)ARENA_AT + i * REGION;

		if (lengths[i] && mmap(place, lengths[i], PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd, at) != place)
			return -1;
	}
	return 0;
}
