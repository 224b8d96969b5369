/* How fast this machine copies pixels from memory that two processes share to other such memory, row by row: what no
 * server can be faster than that keeps one picture whole while it draws the next, and so copies to two places in turns.
 * The same to one place only, which a cache may hold, shows what that costs. Told what to copy on its standard input, in
 * the words of command.rs. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

enum { MOST_TIMES = 1 << 20 };

static uint64_t times[MOST_TIMES];
static size_t count;

static uint64_t now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

/* Memory of 4 KiB pages, all of them there, as a client's memfd has it. */
static char *memory(size_t bytes)
{
	int descriptor = memfd_create("bench", MFD_CLOEXEC);
	if (descriptor < 0 || ftruncate(descriptor, bytes))
		exit(1);
	char *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
	if (map == MAP_FAILED)
		exit(1);
	madvise(map, bytes, MADV_NOHUGEPAGE);
	memset(map, 0x5a, bytes);
	close(descriptor);
	return map;
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static void stream_wide(char *to, const char *from, size_t bytes)
{
	for (size_t at = 0; at < bytes; at += 128) {
		__m256i a = _mm256_loadu_si256((const __m256i *)(from + at));
		__m256i b = _mm256_loadu_si256((const __m256i *)(from + at + 32));
		__m256i c = _mm256_loadu_si256((const __m256i *)(from + at + 64));
		__m256i d = _mm256_loadu_si256((const __m256i *)(from + at + 96));
		_mm256_stream_si256((__m256i *)(to + at), a);
		_mm256_stream_si256((__m256i *)(to + at + 32), b);
		_mm256_stream_si256((__m256i *)(to + at + 64), c);
		_mm256_stream_si256((__m256i *)(to + at + 96), d);
	}
}

static void stream_narrow(char *to, const char *from, size_t bytes)
{
	for (size_t at = 0; at < bytes; at += 16)
		_mm_stream_si128((__m128i *)(to + at), _mm_loadu_si128((const __m128i *)(from + at)));
}

/* What writing alone takes, by the same stores. */
__attribute__((target("avx2"))) static void store_wide(char *to, size_t bytes)
{
	__m256i value = _mm256_set1_epi8(0x5a);
	for (size_t at = 0; at < bytes; at += 32)
		_mm256_stream_si256((__m256i *)(to + at), value);
}

static void store_narrow(char *to, size_t bytes)
{
	__m128i value = _mm_set1_epi8(0x5a);
	for (size_t at = 0; at < bytes; at += 16)
		_mm_stream_si128((__m128i *)(to + at), value);
}

static void store(char *to, const char *from, size_t row, size_t rows)
{
	(void)from;
	int wide = __builtin_cpu_supports("avx2") && row % 32 == 0;
	for (size_t index = 0; index < rows; index++)
		(wide ? store_wide : store_narrow)(to + index * row, row);
	_mm_sfence();
}

/* By stores that pass the cache. */
static void stream(char *to, const char *from, size_t row, size_t rows)
{
	int wide = __builtin_cpu_supports("avx2") && row % 128 == 0;
	for (size_t index = 0; index < rows; index++)
		(wide ? stream_wide : stream_narrow)(to + index * row, from + index * row, row);
	_mm_sfence();
}
#endif

static void copy(char *to, const char *from, size_t row, size_t rows)
{
	for (size_t index = 0; index < rows; index++)
		memmove(to + index * row, from + index * row, row);
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
		void (*how)(char *, const char *, size_t, size_t) = copy;
#ifdef __x86_64__
		if (!strncmp(scene, "stream", 6))
			how = stream;
		if (!strcmp(scene, "store"))
			how = store;
#endif
		int places = strstr(scene, "-one") ? 1 : 2;
		size_t row = width * 4ul, bytes = row * height;
		char *from = memory(bytes), *to[2] = { memory(bytes), memory(bytes) };
		count = 0;
		uint64_t begun = now(), end = begun + milliseconds * 1000000, after;
		do {
			uint64_t before = now();
			how(to[count % places], from, row, height);
			after = now();
			if (count < MOST_TIMES)
				times[count++] = after - before;
		} while (after < end);
		munmap(from, bytes);
		munmap(to[0], bytes);
		munmap(to[1], bytes);
		printf("0 %llu", (unsigned long long)(after - begun));
		for (size_t index = 0; index < count; index++)
			printf(" %llu", (unsigned long long)times[index]);
		putchar('\n');
		fflush(stdout);
	}
	return 0;
}
