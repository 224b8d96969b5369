/* The client of the X server that blitd is compared with: MIT-SHM over xcb, told what to draw on its standard input,
 * in the words of command.rs. `peer DISPLAY WINDOW BYTES`: a window of 0 has it make one that covers the screen.
 * `peer start` measures how long a server takes to start.
 *
 * BATCH and PAUSE are those of scenes.rs: how many draws a batch has, and how many nanoseconds a probe pauses at most.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <xcb/shm.h>
#include <xcb/xcb.h>

enum { MOST_TIMES = 1 << 20, DEPTH = 24, SAMPLE = 64 };

static xcb_connection_t *connection;
static xcb_drawable_t window;
static xcb_gcontext_t context;
static xcb_shm_seg_t segment;
static uint32_t *pixels;
static uint8_t completion;

static uint64_t times[MOST_TIMES];
static size_t count;

static void give_up(const char *why)
{
	fprintf(stderr, "the X client of the benchmark: %s\n", why);
	exit(1);
}

static uint64_t now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

static void keep(uint64_t time)
{
	if (count < MOST_TIMES)
		times[count++] = time;
}

/* Image number `index` of the memory, to place number `index` of a grid. */
static void put(unsigned width, unsigned height, unsigned index, int with_completion)
{
	xcb_shm_put_image(connection, window, context, width, height, 0, 0, width, height, index % 10 * width,
			  index / 10 * height, DEPTH, XCB_IMAGE_FORMAT_Z_PIXMAP, with_completion, segment,
			  index * width * height * 4);
}

static void wait_for_completion(void)
{
	for (;;) {
		xcb_generic_event_t *event = xcb_wait_for_event(connection);
		if (!event)
			give_up("the X server has gone");
		uint8_t kind = event->response_type & 0x7f;
		free(event);
		if (kind == 0)
			give_up("the X server refuses a request");
		if (kind == completion)
			return;
	}
}

static void draw(unsigned width, unsigned height)
{
	put(width, height, 0, 1);
	xcb_flush(connection);
	wait_for_completion();
}

static void round_trip(void)
{
	xcb_get_input_focus_reply_t *reply =
		xcb_get_input_focus_reply(connection, xcb_get_input_focus(connection), NULL);
	if (!reply)
		give_up("the X server has gone");
	free(reply);
}

static void batch(unsigned width, unsigned height)
{
	for (unsigned index = 0; index < BATCH; index++)
		put(width, height, index, 0);
	round_trip();
}

static void pipeline(unsigned width, unsigned height)
{
	for (unsigned index = 0; index < BATCH; index++)
		put(width, height, index, 1);
	xcb_flush(connection);
	for (unsigned index = 0; index < BATCH; index++)
		wait_for_completion();
}

static void timed(void (*step)(unsigned, unsigned), unsigned width, unsigned height, uint64_t milliseconds)
{
	uint64_t end = now() + milliseconds * 1000000, after;
	do {
		uint64_t before = now();
		step(width, height);
		after = now();
		keep(after - before);
	} while (after < end);
}

static void probe(unsigned width, unsigned height, uint64_t draws)
{
	uint32_t random = 1;
	while (draws--) {
		random = random * 1664525 + 1013904223;
		struct timespec pause = { 0, (uint64_t)random * PAUSE >> 32 };
		nanosleep(&pause, NULL);
		uint64_t before = now();
		draw(width, height);
		keep(now() - before);
	}
}

/* Until there is something to read, or nobody who writes. */
static void flood(unsigned width, unsigned height)
{
	struct pollfd input = { .fd = 0, .events = POLLIN };
	draw(width, height);
	puts("flooding");
	fflush(stdout);
	while (poll(&input, 1, 0) == 0) {
		uint64_t before = now();
		draw(width, height);
		keep(now() - before);
	}
}

static void make_window(xcb_screen_t *screen)
{
	window = xcb_generate_id(connection);
	uint32_t override_redirect = 1;
	xcb_create_window(connection, XCB_COPY_FROM_PARENT, window, screen->root, 0, 0, screen->width_in_pixels,
			  screen->height_in_pixels, 0, XCB_WINDOW_CLASS_INPUT_OUTPUT, XCB_COPY_FROM_PARENT,
			  XCB_CW_OVERRIDE_REDIRECT, &override_redirect);
	xcb_map_window(connection, window);
}

static void lend(size_t bytes)
{
	int memory = shmget(IPC_PRIVATE, bytes, IPC_CREAT | 0600);
	if (memory < 0)
		give_up("no shared memory");
	pixels = shmat(memory, NULL, 0);
	if (pixels == (void *)-1)
		give_up("shared memory that cannot be mapped");
	madvise(pixels, bytes, MADV_NOHUGEPAGE);
	for (size_t index = 0; index < bytes / 4; index++)
		pixels[index] = index * 2654435761u & 0xffffff;
	segment = xcb_generate_id(connection);
	xcb_generic_error_t *error =
		xcb_request_check(connection, xcb_shm_attach_checked(connection, segment, memory, 1));
	/* Both sides have it: it goes with the last of them. */
	shmctl(memory, IPC_RMID, NULL);
	if (error)
		give_up("the X server does not take shared memory");
}

/* Whether pixels come where they should: what is not visible X does not draw. */
static void check(void)
{
	draw(SAMPLE, SAMPLE);
	xcb_get_image_reply_t *image = xcb_get_image_reply(
		connection,
		xcb_get_image(connection, XCB_IMAGE_FORMAT_Z_PIXMAP, window, 0, 0, SAMPLE, SAMPLE, ~0u), NULL);
	if (!image || xcb_get_image_data_length(image) != SAMPLE * SAMPLE * 4)
		give_up("what is drawn cannot be read back");
	const uint32_t *drawn = (const uint32_t *)xcb_get_image_data(image);
	for (int index = 0; index < SAMPLE * SAMPLE; index++)
		if ((drawn[index] & 0xffffff) != pixels[index])
			give_up("what is drawn does not come on the screen");
	free(image);
}

static void answer(uint64_t duration)
{
	printf("0 %llu", (unsigned long long)duration);
	for (size_t index = 0; index < count; index++)
		printf(" %llu", (unsigned long long)times[index]);
	putchar('\n');
	fflush(stdout);
}

static xcb_screen_t *connect_to(const char *display)
{
	connection = xcb_connect(display, NULL);
	if (xcb_connection_has_error(connection))
		give_up("the X server cannot be reached");
	const xcb_query_extension_reply_t *extension = xcb_get_extension_data(connection, &xcb_shm_id);
	if (!extension || !extension->present)
		give_up("the X server has no MIT-SHM");
	completion = extension->first_event + XCB_SHM_COMPLETION;
	xcb_screen_t *screen = xcb_setup_roots_iterator(xcb_get_setup(connection)).data;
	if (screen->root_depth != DEPTH)
		give_up("the X server's screen is not 24 bits deep");
	return screen;
}

static void make_context(void)
{
	context = xcb_generate_id(connection);
	uint32_t exposures = 0;
	xcb_create_gc(connection, context, window, XCB_GC_GRAPHICS_EXPOSURES, &exposures);
}

/* Starts an X server, draws once, and says how many nanoseconds both took. */
static int start(void)
{
	int ready[2];
	pid_t server;
	char number[16];
	if (pipe(ready))
		give_up("no pipe");
	snprintf(number, sizeof number, "%d", ready[1]);
	char *arguments[] = { "Xvfb", "-displayfd", number, "-noreset", "-extension", "GLX", NULL };

	posix_spawn_file_actions_t quiet;
	posix_spawn_file_actions_init(&quiet);
	posix_spawn_file_actions_addopen(&quiet, STDERR_FILENO, "/dev/null", O_WRONLY, 0);

	uint64_t begun = now();
	if (posix_spawnp(&server, "Xvfb", &quiet, NULL, arguments, environ))
		give_up("Xvfb cannot be started");
	close(ready[1]);
	char display[16] = ":";
	for (size_t at = 1; at < sizeof display - 1; at++)
		if (read(ready[0], display + at, 1) != 1)
			give_up("Xvfb does not start");
		else if (display[at] == '\n') {
			display[at] = 0;
			break;
		}
	make_window(connect_to(display));
	make_context();
	lend(SAMPLE * SAMPLE * 4);
	draw(SAMPLE, SAMPLE);
	uint64_t time = now() - begun;

	xcb_disconnect(connection);
	kill(server, SIGTERM);
	waitpid(server, NULL, 0);
	printf("%llu\n", (unsigned long long)time);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "start"))
		return start();
	if (argc != 4)
		give_up("usage: peer DISPLAY WINDOW BYTES, or peer start");
	xcb_screen_t *screen = connect_to(argv[1]);
	window = strtoul(argv[2], NULL, 0);
	if (!window)
		make_window(screen);
	make_context();
	lend(strtoul(argv[3], NULL, 0));
	check();
	printf("%u\n", window);
	fflush(stdout);

	static char line[128];
	while (fgets(line, sizeof line, stdin)) {
		char scene[16];
		unsigned width, height;
		unsigned long long amount;
		int words = sscanf(line, "%15s %u %u %llu", scene, &width, &height, &amount);
		if (words < 4)
			continue;
		count = 0;
		uint64_t begun = now();
		if (!strcmp(scene, "draw"))
			timed(draw, width, height, amount);
		else if (!strcmp(scene, "batch"))
			timed(batch, width, height, amount);
		else if (!strcmp(scene, "pipeline"))
			timed(pipeline, width, height, amount);
		else if (!strcmp(scene, "probe"))
			probe(width, height, amount);
		else if (!strcmp(scene, "flood"))
			flood(width, height);
		else
			give_up("a scene that it does not know");
		answer(now() - begun);
	}
	return 0;
}
