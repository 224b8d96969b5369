/* What nobody can do without who keeps a client's picture and shows it: two copies and a page flip for each frame, and
 * nothing else. A child redraws the picture meanwhile, as the other clients do. Told what to do on its standard input, in the
 * words of command.rs; its argument is the card. */
#include "card.h"

#include <signal.h>
#include <sys/prctl.h>

int main(int count, char **words)
{
	static char line[128];
	unsigned width, height;
	unsigned long long frames;
	if (count != 2)
		return 1;
	puts("ready");
	fflush(stdout);
	char *picture = NULL, *kept = NULL;
	int draw[2] = { -1, -1 }, drawn[2] = { -1, -1 };
	uint32_t index = 0;
	while (fgets(line, sizeof line, stdin)) {
		if (sscanf(line, "redraw %u %u %llu", &width, &height, &frames) != 3)
			return 1;
		size_t row = width * 4ul, bytes = row * height;
		if (!picture) {
			light(words[1], width, height);
			picture = memory(bytes);
			kept = memory(bytes);
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
			flip(buffer);
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
