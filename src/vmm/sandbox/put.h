/* Files of the kernel's that take a line: in /proc, of control groups. */
#ifndef SRC_VMM_SANDBOX_PUT_H
#define SRC_VMM_SANDBOX_PUT_H

/* Write TEXT to the file PATH below DIR (AT_FDCWD: as open(2) has it), by one write, which the
 * kernel takes or refuses as a whole. 0 or an errno. */
int put_text(int dir, const char *path, const char *text);

#endif
