/* What libpixman takes to blend ARGB over XRGB: the peer of pixels.rs. Told how large on its standard input, in the
 * words of command.rs; times are those of one call, of REPEATS that are measured together. */
#define _GNU_SOURCE
#include <pixman.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { MOST_TIMES = 1 << 20 };

static uint64_t times[MOST_TIMES];
static size_t count;

static uint64_t now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

/* Memory of 4 KiB pages, all of them there. */
static uint32_t *memory(size_t bytes)
{
	uint32_t *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		exit(1);
	madvise(map, bytes, MADV_NOHUGEPAGE);
	memset(map, 0x5a, bytes);
	return map;
}

/* Premultiplied pixels of every alpha, the same as on the other side. */
static void paint(uint32_t *words, size_t length)
{
	uint32_t random = SEED;
	for (size_t index = 0; index < length; index++) {
		random ^= random << 13;
		random ^= random >> 17;
		random ^= random << 5;
		uint32_t alpha = random >> 24, word = alpha << 24;
		for (int shift = 0; shift < 24; shift += 8)
			word |= (random >> shift & 0xff) * alpha / 255 << shift;
		words[index] = word;
	}
}

int main(void)
{
	static char line[128];
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		char scene[16];
		unsigned width, height;
		unsigned long long milliseconds;
		if (sscanf(line, "%15s %u %u %llu", scene, &width, &height, &milliseconds) != 4)
			return 1;
		size_t pixels = (size_t)width * height;
		uint32_t *from = memory(pixels * 4), *to = memory(pixels * 4);
		paint(from, pixels);
		pixman_image_t *source =
			pixman_image_create_bits(PIXMAN_a8r8g8b8, width, height, from, width * 4);
		pixman_image_t *target = pixman_image_create_bits(PIXMAN_x8r8g8b8, width, height, to, width * 4);
		if (!source || !target)
			return 1;
		size_t repeats = REPEATS / pixels ? REPEATS / pixels : 1;
		count = 0;
		uint64_t begun = now(), end = begun + milliseconds * 1000000, after;
		do {
			uint64_t before = now();
			for (size_t repeat = 0; repeat < repeats; repeat++)
				pixman_image_composite32(PIXMAN_OP_OVER, source, NULL, target, 0, 0, 0, 0, 0, 0,
							 width, height);
			after = now();
			if (count < MOST_TIMES)
				times[count++] = (after - before) / repeats;
		} while (after < end);
		pixman_image_unref(source);
		pixman_image_unref(target);
		munmap(from, pixels * 4);
		munmap(to, pixels * 4);
		printf("0 %llu", (unsigned long long)(after - begun));
		for (size_t index = 0; index < count; index++)
			printf(" %llu", (unsigned long long)times[index]);
		putchar('\n');
		fflush(stdout);
	}
	return 0;
}
