//! The few lines that are changed in Linux 6.12 so that its vkms, in User-Mode Linux, does what tests and measurements
//! need.
//!
//! An edit whose place is not found is an error: another version of the source may need none, or another one.

use std::fs;
use std::path::Path;

use crate::tools::TaskError;

/// One place in the source, and what stands there afterwards.
struct Edit {
    file: &'static str,
    why: &'static str,
    before: &'static str,
    after: &'static str,
}

const EDITS: &[Edit] = &[
    Edit {
        file: "drivers/gpu/drm/vkms/vkms_drv.c",
        why: "a change of a connector's sysfs file 'status' is told by a hotplug event",
        before: "return vkms_output_init(vkmsdev, 0);",
        after: "int error = vkms_output_init(vkmsdev, 0);\n\n\tif (!error)\n\t\tdrm_kms_helper_poll_init(dev);\n\treturn error;",
    },
    Edit {
        file: "drivers/gpu/drm/vkms/vkms_output.c",
        why: "the kernel refuses a commit with the writeback connector unless the two encoders are clones",
        before: "\tdrm_mode_config_reset(dev);",
        after: "\tif (vkmsdev->config->writeback)\n\t\tencoder->possible_clones = output->wb_connector.encoder.possible_clones =\n\t\t\tdrm_encoder_mask(encoder) | drm_encoder_mask(&output->wb_connector.encoder);\n\n\tdrm_mode_config_reset(dev);",
    },
    Edit {
        file: "arch/um/kernel/time.c",
        why: "the scheduler counts CPU time in nanoseconds, not in jiffies of 10 ms; under virtual time in jiffies",
        before: "static u64 timer_read(struct clocksource *cs)",
        after: "unsigned long long notrace sched_clock(void)\n{\n\tif (time_travel_mode == TT_MODE_OFF)\n\t\treturn os_nsecs();\n\treturn (unsigned long long)(jiffies - INITIAL_JIFFIES) * (NSEC_PER_SEC / HZ);\n}\n\nstatic u64 timer_read(struct clocksource *cs)",
    },
    Edit {
        file: "drivers/gpu/drm/vkms/vkms_plane.c",
        why: "vkms.nomap=1 leaves out the mapping of each scanout buffer at each flip, which costs milliseconds here: for measuring CPU time only, since CRC and writeback need it",
        before: "static int vkms_prepare_fb(",
        after: "static bool nomap;\nmodule_param(nomap, bool, 0444);\n\nstatic int vkms_prepare_fb(",
    },
    Edit {
        file: "drivers/gpu/drm/vkms/vkms_plane.c",
        why: "as above",
        before: "\treturn drm_gem_fb_vmap(fb,",
        after: "\tif (nomap)\n\t\treturn 0;\n\treturn drm_gem_fb_vmap(fb,",
    },
    Edit {
        file: "drivers/gpu/drm/vkms/vkms_plane.c",
        why: "as above",
        before: "\tif (!fb)\n\t\treturn;\n",
        after: "\tif (!fb || nomap)\n\t\treturn;\n",
    },
    Edit {
        file: "drivers/gpu/drm/vkms/vkms_plane.c",
        why: "module_param",
        before: "#include <linux/iosys-map.h>",
        after: "#include <linux/iosys-map.h>\n#include <linux/module.h>",
    },
];

/// Makes all edits in the source in this folder.
pub(super) fn make(source: &Path) -> Result<(), TaskError> {
    for edit in EDITS {
        let path = source.join(edit.file);
        let text = fs::read_to_string(&path)
            .map_err(|error| TaskError::File { path: path.clone(), source: error })?;
        if !text.contains(edit.before) {
            let what = format!("{}: the source is not as expected for this edit: {}", edit.file, edit.why);
            return Err(TaskError::Expected(what));
        }
        let text = text.replacen(edit.before, edit.after, 1);
        fs::write(&path, text).map_err(|error| TaskError::File { path, source: error })?;
    }
    Ok(())
}

/// What the edits are, for telling one kernel from another.
pub(super) fn text() -> String {
    EDITS.iter().flat_map(|edit| [edit.file, edit.before, edit.after]).collect()
}
