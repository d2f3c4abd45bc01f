/* The small engine: an interpreter that is up in a millisecond, for commands that do little but system calls. Everything that
 * Node would bring is TypeScript (src/node); here is what cannot be: system calls, text, and the modules of the program. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host.h"

/* native/syscall.c */
long tsrun_syscall(long nr, long a, long b, long c, long d, long e, long f);
long tsrun_child(long flags, long *calls);

/* The program that the monitor is, which JavaScript asks for: MONITOR is its path. */
__asm__(".section .rodata\n\t.balign 16\nmonitor:\n\t.incbin \"" MONITOR "\"\nmonitor_end:\n\t.previous");
extern const uint8_t monitor[] __attribute__((visibility("hidden"))), monitor_end[] __attribute__((visibility("hidden")));

/* The licenses of what is in the executable, for who looks for them: no part of the memory. NOTICE is the path. */
__asm__(".section .notice, \"\", %progbits\n\t.incbin \"" NOTICE "\"\n\t.previous");

/* What compile.c has made; only while it is loaded. */
static const uint8_t *program;

/* As the process was started. */
static char **arguments;
static sigset_t mask;
static struct sigaction of_pipe;

uint8_t *bytes_of(JSContext *ctx, JSValueConst value, size_t *length)
{
	size_t offset, size, all;
	JSValue buffer = JS_GetTypedArrayBuffer(ctx, value, &offset, length, &size);
	uint8_t *bytes;

	if (JS_IsException(buffer))
		return NULL;
	bytes = JS_GetArrayBuffer(ctx, &all, buffer);
	JS_FreeValue(ctx, buffer); /* the typed array keeps it */
	if (!bytes && all == 0)
		return (uint8_t *)1; /* an empty one */
	return bytes ? bytes + offset : NULL;
}

/* What an argument is for the kernel: numbers as they are, text and bytes by their address. `text` is to be freed. */
static int argument(JSContext *ctx, JSValueConst value, long *result, const char **text)
{
	int64_t number;
	double fraction;
	size_t length;

	*text = NULL;
	switch (JS_VALUE_GET_TAG(value)) {
	case JS_TAG_INT:
		*result = JS_VALUE_GET_INT(value);
		return 0;
	case JS_TAG_STRING:
		*text = JS_ToCStringLen(ctx, &length, value);
		if (!*text)
			return -1;
		*result = (long)*text;
		if (strlen(*text) == length)
			return 0;
		JS_ThrowTypeError(ctx, "a text for the kernel has a NUL byte in it");
		return -1;
	case JS_TAG_BIG_INT:
		if (JS_ToBigInt64(ctx, &number, value))
			return -1;
		*result = number;
		return 0;
	case JS_TAG_OBJECT:
		*result = (long)bytes_of(ctx, value, &length);
		if (*result && length == 0)
			*result = 0;
		else if (!*result)
			return -1;
		return 0;
	default:
		if (!JS_IsNumber(value)) {
			JS_ThrowTypeError(ctx, "no argument of a system call");
			return -1;
		}
		JS_ToFloat64(ctx, &fraction, value);
		*result = (long)fraction;
		return 0;
	}
}

static JSValue call_kernel(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv)
{
	long values[7] = { 0 };
	const char *texts[7] = { 0 };
	JSValue result = JS_EXCEPTION;
	int i, count = argc < 7 ? argc : 7;

	if (program)
		return JS_ThrowInternalError(ctx, "a module makes a system call while it is loaded, which happens when tsrun is built");
	for (i = 0; i < count; i++)
		if (argument(ctx, argv[i], &values[i], &texts[i]))
			break;
	if (i == count)
		result = JS_NewInt64(ctx, tsrun_syscall(values[0], values[1], values[2], values[3], values[4], values[5], values[6]));
	for (i = 0; i < count; i++)
		if (texts[i])
			JS_FreeCString(ctx, texts[i]);
	return result;
}

static JSValue make_child(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv)
{
	int64_t flags, calls;

	if (JS_ToInt64(ctx, &flags, argv[0]) || JS_ToInt64(ctx, &calls, argv[1]))
		return JS_EXCEPTION;
	return JS_NewInt64(ctx, tsrun_child(flags, (long *)calls));
}

static JSValue address(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv)
{
	size_t length;
	uint8_t *bytes = bytes_of(ctx, argv[0], &length);

	return bytes ? JS_NewInt64(ctx, (int64_t)bytes) : JS_EXCEPTION;
}

static JSValue hash(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv)
{
	size_t length;
	uint8_t digest[32], *bytes = bytes_of(ctx, argv[0], &length);

	if (!bytes)
		return JS_EXCEPTION;
	sha256(bytes, length, digest);
	return JS_NewArrayBufferCopy(ctx, digest, sizeof(digest));
}

static void become_large(void)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	sigset_t blocked;
	struct sigaction action;

	sigprocmask(SIG_SETMASK, &mask, &blocked);
	sigaction(SIGPIPE, &of_pipe, &action);
	if (fd >= 0)
		hand_over(arguments, fd, arena_head()->large_at);
	sigaction(SIGPIPE, &action, NULL);
	sigprocmask(SIG_SETMASK, &blocked, NULL);
}

static JSValue give_over(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv)
{
	become_large();
	return JS_ThrowInternalError(ctx, "the large engine cannot be started");
}

static JSValue list_of(JSContext *ctx, char **texts)
{
	JSValue list = JS_NewArray(ctx);
	uint32_t i;

	for (i = 0; texts[i]; i++)
		JS_SetPropertyUint32(ctx, list, i, text_of(ctx, (const uint8_t *)texts[i], strlen(texts[i])));
	return list;
}

/* Names of modules are those of the files, without directories. */
static char *name_of(JSContext *ctx, const char *base, const char *name, void *data)
{
	const char *last = strrchr(name, '/');

	return js_strdup(ctx, last ? last + 1 : name);
}

static const struct program_file *find(const char *name)
{
	const struct program_header *header = (const void *)program;
	const struct program_file *files = (const void *)(header + 1);
	size_t length = strlen(name);
	uint32_t i;

	for (i = 0; program && i < header->count; i++)
		if (files[i].name_length == length && !memcmp(program + files[i].name, name, length))
			return &files[i];
	return NULL;
}

static JSValue artifact(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv)
{
	const char *name = JS_ToCString(ctx, argv[0]);
	int known = name && !strcmp(name, "tsrun-monitor");

	if (!name)
		return JS_EXCEPTION;
	JS_FreeCString(ctx, name);
	return known ? JS_NewArrayBuffer(ctx, (uint8_t *)monitor, monitor_end - monitor, NULL, NULL, 0) : JS_UNDEFINED;
}

static JSModuleDef *load(JSContext *ctx, const char *name, void *data)
{
	const struct program_file *file = find(name);
	JSValue module;

	if (file) {
		module = JS_ReadObject(ctx, program + file->bytes, file->length, JS_READ_OBJ_BYTECODE);
		return JS_IsException(module) ? NULL : JS_VALUE_GET_PTR(module);
	}
	/* Not a part of what the small engine does. Whoever reads a module has done nothing yet that cannot be done again. */
	if (!program)
		become_large();
	JS_ThrowReferenceError(ctx, "the program has no file '%s', and the large engine cannot be started", name);
	return NULL;
}

static const JSCFunctionListEntry functions[] = {
	JS_CFUNC_DEF("syscall", 7, call_kernel),
	JS_CFUNC_DEF("child", 2, make_child),
	JS_CFUNC_DEF("address", 1, address),
	JS_CFUNC_DEF("decodeUtf8", 3, decode_utf8),
	JS_CFUNC_DEF("decodeLatin1", 3, decode_latin1),
	JS_CFUNC_DEF("encodeUtf8", 1, encode_utf8),
	JS_CFUNC_DEF("isUtf8", 1, is_utf8),
	JS_CFUNC_DEF("sha256", 1, hash),
	JS_CFUNC_DEF("artifact", 1, artifact),
	JS_CFUNC_DEF("handOver", 0, give_over),
};

static JSValue get(JSContext *ctx, JSValueConst object, const char *name)
{
	return JS_GetPropertyStr(ctx, object, name);
}

static JSValue engine_of(JSContext *ctx)
{
	JSValue global = JS_GetGlobalObject(ctx);
	JSValue engine = get(ctx, global, "tsrunEngine");

	JS_FreeValue(ctx, global);
	return engine;
}

/* Ends the program as process.exit does, with its listeners: a terminal is put back by one. */
static int end(JSContext *ctx, int status)
{
	JSValue code = JS_NewInt32(ctx, status);

	if (JS_IsException(JS_Call(ctx, get(ctx, engine_of(ctx), "exit"), JS_UNDEFINED, 1, &code)))
		fprintf(stderr, "tsrun: %s\n", JS_ToCString(ctx, JS_GetException(ctx)));
	return status;
}

/* An error that nobody has caught: a fault of the program. */
static int fail(JSContext *ctx)
{
	JSValue error = JS_GetException(ctx);
	const char *text = JS_ToCString(ctx, error);
	JSValue stack = JS_IsObject(error) ? get(ctx, error, "stack") : JS_UNDEFINED;

	fprintf(stderr, "tsrun: %s\n", text ? text : "unknown error");
	if (JS_IsString(stack))
		fprintf(stderr, "%s", JS_ToCString(ctx, stack));
	return end(ctx, 125);
}

/* Promises that were rejected, and nobody has asked for their result yet. */
static struct rejection {
	JSValue promise, reason;
} rejections[32];
static unsigned rejection_count;

static void note_rejection(JSContext *ctx, JSValueConst promise, JSValueConst reason, JS_BOOL is_handled, void *data)
{
	struct rejection *rejection;

	if (!is_handled) {
		if (rejection_count == sizeof(rejections) / sizeof(rejections[0]))
			return; /* one of them is enough */
		rejections[rejection_count++] = (struct rejection){ JS_DupValue(ctx, promise), JS_DupValue(ctx, reason) };
		return;
	}
	for (rejection = rejections; rejection < rejections + rejection_count; rejection++) {
		if (JS_VALUE_GET_PTR(rejection->promise) != JS_VALUE_GET_PTR(promise))
			continue;
		JS_FreeValue(ctx, rejection->promise);
		JS_FreeValue(ctx, rejection->reason);
		*rejection = rejections[--rejection_count];
		return;
	}
}

/* Runs what is due until nothing is left: promises, then a turn of the event loop (src/node/loop.ts), which waits. */
static int run(JSContext *ctx, JSValueConst turn)
{
	JSContext *of_job;
	JSValue more;
	int result;

	for (;;) {
		while ((result = JS_ExecutePendingJob(JS_GetRuntime(ctx), &of_job)) > 0)
			;
		if (result < 0)
			return fail(of_job);
		if (rejection_count > 0) {
			JS_Throw(ctx, rejections[0].reason);
			return fail(ctx);
		}
		more = JS_Call(ctx, turn, JS_UNDEFINED, 0, NULL);
		if (JS_IsException(more))
			return fail(ctx);
		if (!JS_ToBool(ctx, more))
			return end(ctx, 0);
	}
}

static JSContext *new_engine(void)
{
	/* The collector of cycles is for what runs long; a command has ended before. */
	static const size_t collect_at = 64 << 20;
	JSRuntime *rt = JS_NewRuntime2(&arena_functions, NULL);
	JSContext *ctx = JS_NewContextRaw(rt);
	JSValue global, engine;

	JS_SetGCThreshold(rt, collect_at);
	JS_SetCanBlock(rt, 1); /* Atomics.wait */
	JS_SetHostPromiseRejectionTracker(rt, note_rejection, NULL);
	JS_AddIntrinsicBaseObjects(ctx);
	JS_AddIntrinsicDate(ctx);
	JS_AddIntrinsicEval(ctx); /* the loader of bytecode needs it */
	JS_AddIntrinsicRegExp(ctx);
	JS_AddIntrinsicJSON(ctx);
	JS_AddIntrinsicProxy(ctx);
	JS_AddIntrinsicMapSet(ctx);
	JS_AddIntrinsicTypedArrays(ctx);
	JS_AddIntrinsicPromise(ctx);
	JS_AddIntrinsicBigInt(ctx);
	JS_SetModuleLoaderFunc(rt, name_of, load, NULL);
	global = JS_GetGlobalObject(ctx);
	engine = JS_NewObject(ctx);
	JS_SetPropertyFunctionList(ctx, engine, functions, sizeof(functions) / sizeof(functions[0]));
	JS_SetPropertyStr(ctx, global, "tsrunEngine", engine);
	JS_FreeValue(ctx, global);
	return ctx;
}

/* When tsrun is built: loads the program and writes what has become of it. */
static int freeze(const char *program_path, const char *output)
{
	const struct program_header *header;
	const struct program_file *files;
	struct stat stat;
	char name[256];
	int in = open(program_path, O_RDONLY | O_CLOEXEC), out;
	uint32_t i;
	JSContext *ctx;

	if (in < 0 || fstat(in, &stat) || arena_begin())
		return perror(program_path), 1;
	program = mmap(NULL, stat.st_size, PROT_READ, MAP_PRIVATE, in, 0);
	header = (const void *)program;
	files = (const void *)(header + 1);
	/* The first file is none: what belongs to the engine itself. */
	arena_file(0, program + files[0].profile, files[0].profile_length);
	if (getenv("TSRUN_BLOCKS"))
		arena_log(open(getenv("TSRUN_BLOCKS"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
	ctx = new_engine();
	for (i = 0; i < header->count; i++) {
		snprintf(name, sizeof(name), "%.*s", (int)files[i].name_length, (const char *)program + files[i].name);
		arena_file(i, program + files[i].profile, files[i].profile_length);
		if (i && !JS_RunModule(ctx, "", name))
			return fail(ctx);
	}
	JS_RunGC(JS_GetRuntime(ctx));
	arena_head()->runtime = JS_GetRuntime(ctx);
	arena_head()->context = ctx;
	out = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (out < 0 || arena_freeze(out) || close(out))
		return perror(output), 1;
	return 0;
}

/* Whatever is opened shall not become stdin, stdout or stderr. */
static void fill_standard_streams(void)
{
	int fd;

	for (fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null", O_RDWR);
}

/* Before anything runs that could say it better. */
static int give_up(const char *what)
{
	fprintf(stderr, "tsrun: %s: %s\n", what, strerror(errno));
	return 125;
}

/* Half of what there is is for JavaScript, which says so where it goes beyond: the rest is for what does not look. */
static size_t stack_size(void)
{
	static const size_t enough = 4 << 20;
	struct rlimit limit;

	return getrlimit(RLIMIT_STACK, &limit) || limit.rlim_cur / 2 > enough ? enough : limit.rlim_cur / 2;
}

int main(int argc, char **argv, char **envp)
{
	static const struct sigaction ignore = { .sa_handler = SIG_IGN };
	const char *wanted = getenv("TSRUN_ENGINE");
	struct arena_head head = { 0 };
	JSContext *ctx;
	JSValue engine;
	ssize_t has;
	int fd;

	fill_standard_streams();
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return give_up(errno == ENOENT ? "cannot open /proc/self/exe (is proc mounted at /proc?)" : "cannot open /proc/self/exe");
	has = pread(fd, &head, sizeof(head), ARENA_IN_FILE);
	if (has == 0 && argc == 3)
		return freeze(argv[1], argv[2]);
	if (has != sizeof(head) || head.magic != ARENA_MAGIC)
		return give_up("cannot read /proc/self/exe");
	arguments = argv;
	/* `learn` has the large engine run the scripts of people. */
	if ((wanted && !strcmp(wanted, "large")) || getenv("BUN_BE_BUN")) {
		hand_over(argv, fd, head.large_at);
		return give_up("cannot start the large engine");
	}
	if (arena_thaw(fd, ARENA_IN_FILE, head.lengths)) {
		hand_over(argv, fd, head.large_at);
		return give_up("cannot map the program (ulimit -v says how much a process may)");
	}
	close(fd);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	/* Whoever reads what this process writes may leave: that is an error of write(2), and no signal that ends it without a word. */
	sigaction(SIGPIPE, &ignore, &of_pipe);
	ctx = head.context;
	JS_UpdateStackTop(head.runtime);
	JS_SetMaxStackSize(head.runtime, stack_size());
	engine = engine_of(ctx);
	JS_SetPropertyStr(ctx, engine, "argv", list_of(ctx, argv));
	JS_SetPropertyStr(ctx, engine, "environment", list_of(ctx, envp));
	if (JS_IsException(JS_Call(ctx, get(ctx, engine, "start"), JS_UNDEFINED, 0, NULL)))
		return fail(ctx);
	return run(ctx, get(ctx, engine, "turn"));
}
