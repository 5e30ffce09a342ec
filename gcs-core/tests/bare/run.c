/* Runs the golden vectors in the library that this is linked with:
   run <folder of the vectors> [<file to damage>]
   With a file to damage, its last bit is another one, and the run must fail. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t run(uint32_t kind);

static const char *folder, *damaged = "";

void fail(const char *text, size_t length) {
    fprintf(stderr, "%.*s\n", (int)length, text);
    exit(1);
}

static FILE *open_file(const char *name, size_t length) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%.*s", folder, (int)length, name);
    FILE *file = fopen(path, "rb");
    if (!file) fail(path, strlen(path));
    return file;
}

size_t file_length(const char *name, size_t length) {
    FILE *file = open_file(name, length);
    fseek(file, 0, SEEK_END);
    long bytes = ftell(file);
    fclose(file);
    return (size_t)bytes;
}

void file_read(const char *name, size_t length, unsigned char *into) {
    size_t bytes = file_length(name, length);
    FILE *file = open_file(name, length);
    if (fread(into, 1, bytes, file) != bytes) fail(name, length);
    fclose(file);
    if (strlen(damaged) == length && memcmp(name, damaged, length) == 0) into[bytes - 1] ^= 1;
}

int main(int count, char **arguments) {
    if (count < 2) fail("the folder of the vectors is missing", 36);
    folder = arguments[1];
    if (count > 2) damaged = arguments[2];
    uint32_t kinds = 0, cases = 0;
    for (uint32_t of_kind; (of_kind = run(kinds)) != 0; kinds++) cases += of_kind;
    const uint16_t one = 1;
    const char *order = *(const unsigned char *)&one ? "little" : "big";
    printf("%u golden vectors of %u kinds hold, %s-endian\n", cases, kinds, order);
}
