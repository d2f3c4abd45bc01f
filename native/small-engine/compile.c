/* Puts the files of the program into one, scripts as bytecode: compile OUTPUT FILE... (host.h has the format). Runs when tsrun is built. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

static char *read_file(const char *path, size_t *length)
{
	FILE *file = fopen(path, "rb");
	char *text;

	if (!file || fseek(file, 0, SEEK_END)) {
		perror(path);
		exit(1);
	}
	*length = ftell(file);
	rewind(file);
	text = malloc(*length + 1);
	if (!text || fread(text, 1, *length, file) != *length) {
		perror(path);
		exit(1);
	}
	text[*length] = 0;
	fclose(file);
	return text;
}

static const char *base(const char *path)
{
	const char *last = strrchr(path, '/');

	return last ? last + 1 : path;
}

static char *name_of(JSContext *ctx, const char *from, const char *name, void *data)
{
	return js_strdup(ctx, base(name));
}

/* Files are compiled one by one: what they import is a name. */
static int nothing(JSContext *ctx, JSModuleDef *module)
{
	return 0;
}

static JSModuleDef *load(JSContext *ctx, const char *name, void *data)
{
	return JS_NewCModule(ctx, name, nothing);
}

static int is_script(const char *path)
{
	size_t length = strlen(path);

	return length > 3 && !strcmp(path + length - 3, ".js");
}

static uint8_t *compile(JSContext *ctx, const char *path, const char *text, size_t *length)
{
	JSValue error, module = JS_Eval(ctx, text, *length, base(path), JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);

	if (!JS_IsException(module))
		return JS_WriteObject(ctx, length, module, JS_WRITE_OBJ_BYTECODE);
	error = JS_GetException(ctx);
	fprintf(stderr, "%s: %s\n%s", path, JS_ToCString(ctx, error), JS_ToCString(ctx, JS_GetPropertyStr(ctx, error, "stack")));
	exit(1);
}

int main(int argc, char **argv)
{
	JSRuntime *rt = JS_NewRuntime();
	JSContext *ctx = JS_NewContext(rt);
	struct program_header header = { PROGRAM_MAGIC, argc - 2 };
	struct program_file *files = calloc(argc, sizeof(*files));
	uint8_t **contents = calloc(argc, sizeof(*contents));
	uint32_t at = sizeof(header) + (argc - 2) * sizeof(*files);
	FILE *output;
	int i;

	if (argc < 3)
		return 2;
	JS_SetModuleLoaderFunc(rt, name_of, load, NULL);
	for (i = 2; i < argc; i++) {
		struct program_file *file = &files[i - 2];
		size_t length;

		contents[i - 2] = (uint8_t *)read_file(argv[i], &length);
		if (is_script(argv[i]))
			contents[i - 2] = compile(ctx, argv[i], (char *)contents[i - 2], &length);
		file->name_length = strlen(base(argv[i]));
		file->name = at;
		file->bytes = at + file->name_length;
		file->length = length;
		at = file->bytes + length;
	}
	output = fopen(argv[1], "wb");
	if (!output) {
		perror(argv[1]);
		return 1;
	}
	fwrite(&header, sizeof(header), 1, output);
	fwrite(files, sizeof(*files), argc - 2, output);
	for (i = 0; i < argc - 2; i++) {
		fwrite(base(argv[i + 2]), 1, files[i].name_length, output);
		fwrite(contents[i], 1, files[i].length, output);
	}
	if (fclose(output)) {
		perror(argv[1]);
		return 1;
	}
	return 0;
}
