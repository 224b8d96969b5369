/* How many frames come later than they should where nothing stands between a program and the screen: what the machine
 * itself costs those who begin a frame late. For each frame a picture is copied to where it is kept, and from there, so long
 * before the vblank, to the screen's buffer, which is then flipped to. Does what compositor/tests/animation.rs and deadline.rs
 * have blitd do, and says how many of how many frames are lost. */
#include "card.h"

static struct size {
	unsigned width, height;
} screen;

static char *picture, *kept;
static uint32_t at;

/* How long before the vblank the copy to the screen's buffer begins, and how long vblanks are apart, in nanoseconds. */
static uint64_t lead, period;

static const uint64_t MS = 1000000;

static void wait_until(uint64_t time)
{
	struct timespec until = { time / 1000000000, time % 1000000000 };
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL))
		;
}

static void copy(char *to, size_t pitch, const char *from, struct size size)
{
	for (unsigned y = 0; y < size.height; y++)
		memcpy(to + y * pitch, from + y * screen.width * 4ul, size.width * 4ul);
}

/* What a draw does. */
static void keep(struct size size)
{
	copy(kept, screen.width * 4ul, picture, size);
}

/* What a frame does, for the vblank of this time. */
static void show(struct size size, uint64_t vblank)
{
	struct buffer *buffer = &buffers[++at % 2];
	wait_until(vblank - lead);
	copy(buffer->pixels, buffer->pitch, kept, size);
	flip(buffer);
}

/* Every frame comes with the vblank after that of the one before. */
static unsigned animation(unsigned frames)
{
	unsigned lost = 0;
	for (unsigned frame = 0; frame <= frames; frame++) {
		uint32_t before = shown_sequence;
		memset(picture, frame, screen.width * screen.height * 4ul);
		keep(screen);
		show(screen, shown_time + period);
		/* The mode is set with the first frames. */
		if (frame > 1)
			lost += shown_sequence - before - 1;
	}
	return lost;
}

/* What is drawn 2 to 4 ms before a vblank comes with it. */
static unsigned draws(unsigned count)
{
	const struct size sizes[4] = { screen, { screen.width, screen.height / 2 }, { 500, 500 }, { 64, 64 } };
	uint64_t took[4] = { 0 };
	unsigned counted = 0, lost = 0;
	show(screen, now());
	for (unsigned round = 0; counted < count; round++) {
		unsigned kind = round % 4;
		/* The other buffer has not got what the frame before showed. */
		struct size size = sizes[kind], stale = sizes[kind ? kind - 1 : 0];
		uint32_t before = shown_sequence, ahead = 2 + round / 4 % 3 + (round % 32 == 12 ? 80 : 0);
		uint64_t vblank = shown_time + ahead * period;
		wait_until(vblank - 2 * MS - MS / 5 - round % 8 * MS / 5 - took[kind]);
		uint64_t begun = now();
		keep(size);
		uint64_t finished = now(), left = vblank > finished ? vblank - finished : 0;
		took[kind] = (took[kind] * 3 + finished - begun) / 4;
		show(stale, vblank);
		if (round >= 40 && left >= 2 * MS && left <= 4 * MS) {
			counted++;
			lost += shown_sequence != before + ahead;
		}
	}
	return lost;
}

int main(int count, char **words)
{
	if (count != 7) {
		fprintf(stderr, "late CARD WIDTH HEIGHT LEAD animation|draws FRAMES; LEAD in microseconds\n");
		return 1;
	}
	screen = (struct size) { atoi(words[2]), atoi(words[3]) };
	lead = atoll(words[4]) * 1000;
	unsigned frames = atoi(words[6]);
	size_t bytes = screen.width * screen.height * 4ul;
	light(words[1], screen.width, screen.height);
	/* The kernel's own sum: mode.clock is in kHz. */
	period = mode.htotal * mode.vtotal * MS / mode.clock;
	picture = memory(bytes);
	kept = memory(bytes);
	unsigned lost = strcmp(words[5], "draws") ? animation(frames) : draws(frames);
	printf("%u of %u frames lost\n", lost, frames);
	return 0;
}
