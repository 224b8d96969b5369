/* A client of a Wayland compositor that redraws all of the screen for each frame, in memory that both sides map: the scene
 * `redraw` of client.rs. Told what to do on its standard input, in the words of command.rs. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <wayland-client.h>
#include "xdg-shell.h"

enum { MOST_FRAMES = 1 << 16 };

static struct wl_compositor *compositor;
static struct wl_shm *shm;
static struct xdg_wm_base *shell;
static struct wl_surface *surface;
static int width, height, is_configured;

static struct picture {
	struct wl_buffer *buffer;
	uint32_t *pixels;
	int is_lent;
} pictures[2];

/* How many frames it has been told to draw and has not; the times of those that it has. */
static unsigned long long wanted;
static uint64_t begun, before, times[MOST_FRAMES];
static size_t count;

static void fail(const char *what)
{
	fprintf(stderr, "the Wayland client: %s\n", what);
	exit(1);
}

static void released(void *data, struct wl_buffer *buffer)
{
	(void)buffer;
	((struct picture *)data)->is_lent = 0;
}

static const struct wl_buffer_listener buffer_listener = { released };

static void make_pictures(void)
{
	size_t bytes = (size_t)width * height * 4;
	int descriptor = memfd_create("bench", MFD_CLOEXEC);
	if (descriptor < 0 || ftruncate(descriptor, 2 * bytes))
		fail("no memory");
	char *map = mmap(NULL, 2 * bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
	if (map == MAP_FAILED)
		fail("no memory");
	struct wl_shm_pool *pool = wl_shm_create_pool(shm, descriptor, 2 * bytes);
	for (int index = 0; index < 2; index++) {
		struct picture *picture = &pictures[index];
		picture->pixels = (uint32_t *)(map + index * bytes);
		picture->buffer = wl_shm_pool_create_buffer(pool, index * bytes, width, height, width * 4,
							    WL_SHM_FORMAT_XRGB8888);
		wl_buffer_add_listener(picture->buffer, &buffer_listener, picture);
	}
	wl_shm_pool_destroy(pool);
	close(descriptor);
}

static uint64_t now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

static void answer(void)
{
	printf("0 %llu", (unsigned long long)(now() - begun));
	for (size_t index = 0; index < count; index++)
		printf(" %llu", (unsigned long long)times[index]);
	putchar('\n');
	fflush(stdout);
}

static void hear(void)
{
	static char line[128];
	unsigned to_width, to_height;
	if (!fgets(line, sizeof line, stdin))
		exit(0);
	if (sscanf(line, "redraw %u %u %llu", &to_width, &to_height, &wanted) != 3 || wanted > MOST_FRAMES)
		fail("it is told what it cannot do");
	if ((int)to_width != width || (int)to_height != height)
		fail("the screen has another size than is asked for");
	count = 0;
	begun = before = now();
}

static void draw(void);

static void shown(void *data, struct wl_callback *callback, uint32_t time)
{
	(void)data;
	(void)time;
	wl_callback_destroy(callback);
	uint64_t after = now();
	times[count++] = after - before;
	before = after;
	if (!--wanted)
		answer();
	draw();
}

static const struct wl_callback_listener frame_listener = { shown };

static void draw(void)
{
	static uint32_t colour;
	if (!wanted)
		hear();
	struct picture *picture = pictures[0].is_lent ? &pictures[1] : &pictures[0];
	if (picture->is_lent)
		fail("the compositor keeps both buffers");
	colour += 0x00010203;
	for (size_t index = 0; index < (size_t)width * height; index++)
		picture->pixels[index] = colour + (uint32_t)index;
	struct wl_callback *callback = wl_surface_frame(surface);
	wl_callback_add_listener(callback, &frame_listener, NULL);
	wl_surface_attach(surface, picture->buffer, 0, 0);
	wl_surface_damage_buffer(surface, 0, 0, width, height);
	picture->is_lent = 1;
	wl_surface_commit(surface);
}

static void ping(void *data, struct xdg_wm_base *base, uint32_t serial)
{
	(void)data;
	xdg_wm_base_pong(base, serial);
}

static const struct xdg_wm_base_listener shell_listener = { ping };

static void configured(void *data, struct xdg_surface *role, uint32_t serial)
{
	(void)data;
	xdg_surface_ack_configure(role, serial);
	if (is_configured)
		return;
	is_configured = 1;
	make_pictures();
	puts("ready");
	fflush(stdout);
	draw();
}

static const struct xdg_surface_listener surface_listener = { configured };

static void resized(void *data, struct xdg_toplevel *toplevel, int32_t to_width, int32_t to_height,
		    struct wl_array *states)
{
	(void)data;
	(void)toplevel;
	(void)to_width;
	(void)to_height;
	(void)states;
}

static void closed(void *data, struct xdg_toplevel *toplevel)
{
	(void)data;
	(void)toplevel;
	fail("the compositor closes it");
}

static const struct xdg_toplevel_listener toplevel_listener = { .configure = resized, .close = closed };

/* Some compositors leave the size to who wants all of the screen. */
static void has_mode(void *data, struct wl_output *output, uint32_t flags, int32_t mode_width, int32_t mode_height,
		     int32_t refresh)
{
	(void)data;
	(void)output;
	(void)refresh;
	if (flags & WL_OUTPUT_MODE_CURRENT) {
		width = mode_width;
		height = mode_height;
	}
}

static void has_geometry(void *data, struct wl_output *output, int32_t x, int32_t y, int32_t millimetres_wide,
			 int32_t millimetres_high, int32_t subpixels, const char *make, const char *model,
			 int32_t transform)
{
	(void)data;
	(void)output;
	(void)x;
	(void)y;
	(void)millimetres_wide;
	(void)millimetres_high;
	(void)subpixels;
	(void)make;
	(void)model;
	(void)transform;
}

static const struct wl_output_listener output_listener = { .geometry = has_geometry, .mode = has_mode };

static void global(void *data, struct wl_registry *registry, uint32_t name, const char *interface, uint32_t version)
{
	(void)data;
	if (!strcmp(interface, wl_compositor_interface.name) && version >= 4)
		compositor = wl_registry_bind(registry, name, &wl_compositor_interface, 4);
	else if (!strcmp(interface, wl_shm_interface.name))
		shm = wl_registry_bind(registry, name, &wl_shm_interface, 1);
	else if (!strcmp(interface, xdg_wm_base_interface.name))
		shell = wl_registry_bind(registry, name, &xdg_wm_base_interface, 1);
	else if (!strcmp(interface, wl_output_interface.name))
		wl_output_add_listener(wl_registry_bind(registry, name, &wl_output_interface, 1), &output_listener, NULL);
}

static void global_gone(void *data, struct wl_registry *registry, uint32_t name)
{
	(void)data;
	(void)registry;
	(void)name;
}

static const struct wl_registry_listener registry_listener = { global, global_gone };

int main(void)
{
	struct wl_display *display = wl_display_connect(NULL);
	if (!display)
		fail("no compositor");
	wl_registry_add_listener(wl_display_get_registry(display), &registry_listener, NULL);
	for (int turn = 0; turn < 2; turn++)
		if (wl_display_roundtrip(display) < 0)
			fail("the compositor is gone");
	if (!compositor || !shm || !shell || !width)
		fail("the compositor lacks something");
	xdg_wm_base_add_listener(shell, &shell_listener, NULL);
	surface = wl_compositor_create_surface(compositor);
	struct xdg_surface *role = xdg_wm_base_get_xdg_surface(shell, surface);
	xdg_surface_add_listener(role, &surface_listener, NULL);
	struct xdg_toplevel *toplevel = xdg_surface_get_toplevel(role);
	xdg_toplevel_add_listener(toplevel, &toplevel_listener, NULL);
	xdg_toplevel_set_fullscreen(toplevel, NULL);
	wl_surface_commit(surface);
	while (wl_display_dispatch(display) >= 0)
		;
	fail("the compositor is gone");
}
