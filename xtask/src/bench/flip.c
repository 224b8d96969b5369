/* What nobody can do without who keeps a client's picture and shows it: two copies and a page flip for each frame, and
 * nothing else. A child redraws the picture meanwhile, as the other clients do. Told what to do on its standard input, in the
 * words of command.rs; its argument is the card. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

static int card, flipped;
static drmModeModeInfo mode;
static uint32_t crtc, connector;

static struct buffer {
	uint32_t framebuffer, pitch;
	char *pixels;
} buffers[2];

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

/* The first screen that has a mode of this size. */
static void find(unsigned width, unsigned height)
{
	drmModeRes *resources = drmModeGetResources(card);
	if (!resources)
		fail("the card's resources");
	for (int index = 0; index < resources->count_connectors; index++) {
		drmModeConnector *found = drmModeGetConnector(card, resources->connectors[index]);
		for (int number = 0; found && number < found->count_modes; number++) {
			drmModeModeInfo *candidate = &found->modes[number];
			if (candidate->hdisplay == width && candidate->vdisplay == height && candidate->vrefresh == 60) {
				mode = *candidate;
				connector = found->connector_id;
				crtc = resources->crtcs[0];
				return;
			}
		}
	}
	fprintf(stderr, "no screen has a mode of %ux%u at 60 Hz\n", width, height);
	exit(1);
}

static void make(struct buffer *buffer)
{
	uint32_t handle;
	uint64_t size, offset;
	if (drmModeCreateDumbBuffer(card, mode.hdisplay, mode.vdisplay, 32, 0, &handle, &buffer->pitch, &size) ||
	    drmModeAddFB(card, mode.hdisplay, mode.vdisplay, 24, 32, buffer->pitch, handle, &buffer->framebuffer) ||
	    drmModeMapDumbBuffer(card, handle, &offset))
		fail("a dumb buffer");
	buffer->pixels = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, card, offset);
	if (buffer->pixels == MAP_FAILED)
		fail("mapping a dumb buffer");
}

static char *memory(size_t bytes)
{
	int descriptor = memfd_create("bench", MFD_CLOEXEC);
	char *map = MAP_FAILED;
	if (descriptor >= 0 && !ftruncate(descriptor, bytes))
		map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
	if (map == MAP_FAILED)
		fail("memory");
	memset(map, 0, bytes);
	return map;
}

static void on_glass(int file, unsigned sequence, unsigned seconds, unsigned microseconds, void *data)
{
	(void)file;
	(void)sequence;
	(void)seconds;
	(void)microseconds;
	(void)data;
	flipped = 1;
}

int main(int count, char **words)
{
	static char line[128];
	unsigned width, height;
	unsigned long long frames;
	if (count != 2 || (card = open(words[1], O_RDWR | O_CLOEXEC)) < 0)
		fail("the card");
	puts("ready");
	fflush(stdout);
	char *picture = NULL, *kept = NULL;
	int draw[2] = { -1, -1 }, drawn[2] = { -1, -1 };
	uint32_t index = 0;
	drmEventContext events = { .version = 2, .page_flip_handler = on_glass };
	while (fgets(line, sizeof line, stdin)) {
		if (sscanf(line, "redraw %u %u %llu", &width, &height, &frames) != 3)
			return 1;
		size_t row = width * 4ul, bytes = row * height;
		if (!picture) {
			find(width, height);
			make(&buffers[0]);
			make(&buffers[1]);
			picture = memory(bytes);
			kept = memory(bytes);
			if (drmModeSetCrtc(card, crtc, buffers[0].framebuffer, 0, 0, &connector, 1, &mode))
				fail("setting the mode");
			if (pipe2(draw, O_CLOEXEC) || pipe2(drawn, O_CLOEXEC))
				fail("a pipe");
			if (!fork()) {
				uint32_t colour = 0;
				char byte;
				prctl(PR_SET_PDEATHSIG, SIGKILL);
				while (read(draw[0], &byte, 1) == 1) {
					colour += 0x00010203;
					for (size_t at = 0; at < bytes / 4; at++)
						((uint32_t *)picture)[at] = colour + (uint32_t)at;
					if (write(drawn[1], &byte, 1) != 1)
						break;
				}
				_exit(0);
			}
		}
		uint64_t begun = now(), *times = calloc(frames + 1, sizeof *times);
		for (unsigned long long frame = 0; frame < frames; frame++) {
			uint64_t before = now();
			char byte = 0;
			if (write(draw[1], &byte, 1) != 1 || read(drawn[0], &byte, 1) != 1)
				fail("the child");
			struct buffer *buffer = &buffers[++index % 2];
			for (unsigned y = 0; y < height; y++)
				memcpy(kept + y * row, picture + y * row, row);
			for (unsigned y = 0; y < height; y++)
				memcpy(buffer->pixels + y * buffer->pitch, kept + y * row, row);
			flipped = 0;
			if (drmModePageFlip(card, crtc, buffer->framebuffer, DRM_MODE_PAGE_FLIP_EVENT, NULL))
				fail("a page flip");
			while (!flipped)
				if (drmHandleEvent(card, &events))
					fail("the card's events");
			times[frame] = now() - before;
		}
		printf("0 %llu", (unsigned long long)(now() - begun));
		for (unsigned long long frame = 0; frame < frames; frame++)
			printf(" %llu", (unsigned long long)times[frame]);
		putchar('\n');
		fflush(stdout);
		free(times);
	}
	return 0;
}
