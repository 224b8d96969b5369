/* Makes the mode that the environment names as WIDTHxHEIGHT the preferred one of every screen, for compositors that take the
 * preferred mode and cannot be told another: loaded before libdrm. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <xf86drmMode.h>

static drmModeConnectorPtr preferring(drmModeConnectorPtr connector)
{
	const char *wish = getenv("BENCH_MODE");
	unsigned width, height;
	if (!connector || !wish || sscanf(wish, "%ux%u", &width, &height) != 2)
		return connector;
	for (int index = 0; index < connector->count_modes; index++) {
		drmModeModeInfo *mode = &connector->modes[index];
		mode->type &= ~DRM_MODE_TYPE_PREFERRED;
		if (mode->hdisplay == width && mode->vdisplay == height)
			mode->type |= DRM_MODE_TYPE_PREFERRED;
	}
	return connector;
}

drmModeConnectorPtr drmModeGetConnector(int card, uint32_t connector)
{
	drmModeConnectorPtr (*next)(int, uint32_t) = dlsym(RTLD_NEXT, "drmModeGetConnector");
	return preferring(next(card, connector));
}
