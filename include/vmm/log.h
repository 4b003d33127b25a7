/* Log levels and the callback through which libvmm speaks. */
#ifndef VMM_LOG_H
#define VMM_LOG_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum vmm_log_level {
	VMM_LOG_ERROR = 0, /* something that was asked for does not work */
	VMM_LOG_WARN = 1,  /* something is odd: a misbehaving guest, a slow path taken */
	VMM_LOG_INFO = 2,  /* life-cycle steps */
	VMM_LOG_DEBUG = 3, /* for those who develop guests or the VMM */
} vmm_log_level_t;

/*
 * Called with one line without a newline, from any thread of the VM, possibly from several at once.
 * LINE is valid for the call only. Must not call back into the VM.
 */
typedef void (*vmm_log_fn)(void *ctx, vmm_log_level_t level, const char *line);

#ifdef __cplusplus
}
#endif
#endif
