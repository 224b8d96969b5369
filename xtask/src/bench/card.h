/* The screen as programs have it that nothing else stands between: two buffers in turns, by atomic commits. For one file
 * each that is built with it. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

static int card;
static drmModeModeInfo mode;
static uint32_t crtc, connector, plane, framebuffer_property;

/* What the kernel has told of the last flip: the number of its vblank, and when that was, in nanoseconds of
 * CLOCK_MONOTONIC. */
static int flipped;
static uint32_t shown_sequence;
static uint64_t shown_time;

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
static void find_mode(unsigned width, unsigned height)
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

/* The plane that has the picture of a CRTC, and its property that names the framebuffer. */
static void find_plane(void)
{
	drmModePlaneRes *planes = drmModeGetPlaneResources(card);
	if (!planes)
		fail("the card's planes");
	for (uint32_t index = 0; index < planes->count_planes; index++) {
		uint32_t id = planes->planes[index], framebuffer = 0;
		int is_primary = 0;
		drmModeObjectProperties *properties = drmModeObjectGetProperties(card, id, DRM_MODE_OBJECT_PLANE);
		for (uint32_t number = 0; properties && number < properties->count_props; number++) {
			drmModePropertyRes *property = drmModeGetProperty(card, properties->props[number]);
			if (property && !strcmp(property->name, "type"))
				is_primary = properties->prop_values[number] == DRM_PLANE_TYPE_PRIMARY;
			if (property && !strcmp(property->name, "FB_ID"))
				framebuffer = property->prop_id;
		}
		/* The first CRTC is that of the first primary plane. */
		if (is_primary && framebuffer) {
			plane = id;
			framebuffer_property = framebuffer;
			return;
		}
	}
	fprintf(stderr, "the card has no primary plane\n");
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

/* Opens the card, makes the buffers and lights the screen. */
static void light(const char *path, unsigned width, unsigned height)
{
	if ((card = open(path, O_RDWR | O_CLOEXEC)) < 0)
		fail("the card");
	if (drmSetClientCap(card, DRM_CLIENT_CAP_UNIVERSAL_PLANES, 1) || drmSetClientCap(card, DRM_CLIENT_CAP_ATOMIC, 1))
		fail("atomic commits");
	find_mode(width, height);
	find_plane();
	make(&buffers[0]);
	make(&buffers[1]);
	if (drmModeSetCrtc(card, crtc, buffers[0].framebuffer, 0, 0, &connector, 1, &mode))
		fail("setting the mode");
}

static void on_glass(int file, unsigned sequence, unsigned seconds, unsigned microseconds, void *data)
{
	(void)file;
	(void)data;
	shown_sequence = sequence;
	shown_time = seconds * 1000000000ull + microseconds * 1000ull;
	flipped = 1;
}

/* Brings a buffer to the glass, and waits for the vblank that it comes with. */
static void flip(const struct buffer *buffer)
{
	static drmEventContext events = { .version = 2, .page_flip_handler = on_glass };
	drmModeAtomicReq *request = drmModeAtomicAlloc();
	if (!request || drmModeAtomicAddProperty(request, plane, framebuffer_property, buffer->framebuffer) < 0 ||
	    drmModeAtomicCommit(card, request, DRM_MODE_PAGE_FLIP_EVENT | DRM_MODE_ATOMIC_NONBLOCK, NULL))
		fail("a page flip");
	drmModeAtomicFree(request);
	flipped = 0;
	while (!flipped)
		if (drmHandleEvent(card, &events))
			fail("the card's events");
}
