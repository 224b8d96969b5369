/* What libpixman takes to blend ARGB over XRGB, and to scale XRGB by bilinear: the peer of pixels.rs and of bilinear.rs.
 * Told how large on its standard input, in the words of command.rs, and in its arguments what size is scaled; times are
 * those of one call, of as many as have REPEATS pixels. */
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

/* A picture of ARGB that is blended as it is, or one of XRGB that is scaled to so many pixels, its edges going on. */
static pixman_image_t *picture(int is_scaled, uint32_t *from, const unsigned size[2], const unsigned to[2])
{
	pixman_format_code_t format = is_scaled ? PIXMAN_x8r8g8b8 : PIXMAN_a8r8g8b8;
	pixman_image_t *picture = pixman_image_create_bits(format, size[0], size[1], from, size[0] * 4);
	if (!picture || !is_scaled)
		return picture;
	pixman_transform_t scale;
	pixman_transform_init_scale(&scale, ((uint64_t)size[0] << 16) / to[0], ((uint64_t)size[1] << 16) / to[1]);
	if (!pixman_image_set_transform(picture, &scale) ||
	    !pixman_image_set_filter(picture, PIXMAN_FILTER_BILINEAR, NULL, 0))
		exit(1);
	pixman_image_set_repeat(picture, PIXMAN_REPEAT_PAD);
	return picture;
}

int main(int count_of_arguments, char **arguments)
{
	static char line[128];
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		char scene[16];
		unsigned to[2];
		unsigned long long milliseconds;
		if (sscanf(line, "%15s %u %u %llu", scene, &to[0], &to[1], &milliseconds) != 4)
			return 1;
		int is_scaled = !strcmp(scene, "bilinear");
		unsigned size[2] = { to[0], to[1] };
		for (int side = 0; is_scaled && side < 2; side++)
			size[side] = count_of_arguments == 3 ? strtoul(arguments[1 + side], NULL, 10) : 0;
		size_t length = (size_t)size[0] * size[1], pixels = (size_t)to[0] * to[1];
		if (!length || !pixels)
			return 1;
		uint32_t *read = memory(length * 4), *written = memory(pixels * 4);
		paint(read, length);
		pixman_image_t *source = picture(is_scaled, read, size, to);
		pixman_image_t *target =
			pixman_image_create_bits(PIXMAN_x8r8g8b8, to[0], to[1], written, to[0] * 4);
		if (!source || !target)
			return 1;
		pixman_op_t operator = is_scaled ? PIXMAN_OP_SRC : PIXMAN_OP_OVER;
		size_t repeats = REPEATS / pixels ? REPEATS / pixels : 1;
		count = 0;
		uint64_t begun = now(), end = begun + milliseconds * 1000000, after;
		do {
			uint64_t before = now();
			for (size_t repeat = 0; repeat < repeats; repeat++)
				pixman_image_composite32(operator, source, NULL, target, 0, 0, 0, 0, 0, 0, to[0],
							 to[1]);
			after = now();
			if (count < MOST_TIMES)
				times[count++] = (after - before) / repeats;
		} while (after < end);
		pixman_image_unref(source);
		pixman_image_unref(target);
		munmap(read, length * 4);
		munmap(written, pixels * 4);
		printf("0 %llu", (unsigned long long)(after - begun));
		for (size_t index = 0; index < count; index++)
			printf(" %llu", (unsigned long long)times[index]);
		putchar('\n');
		fflush(stdout);
	}
	return 0;
}
