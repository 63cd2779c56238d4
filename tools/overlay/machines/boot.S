/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Starts an arm64 kernel as Documentation/arch/arm64/booting.rst wants it, in
 * place of QEMU's own loader, which would write the memory nodes of the device
 * tree anew. The addresses are those of lib/guest.sh.
 */
	ldr	x0, =TREE
	mov	x1, xzr
	mov	x2, xzr
	mov	x3, xzr
	ldr	x4, =KERNEL
	br	x4
