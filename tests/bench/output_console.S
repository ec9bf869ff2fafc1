/*
 * The driver side of a virtio console on virtio-mmio, without a kernel: sends so many MiB in pieces of a page by its transmit queue, each when
 * the one before has come back. A byte to the serial port tells of the start, another of each MiB's end; the look at its line status
 * behind each is an exit, for a monitor that has KVM collect such bytes. QEMU has all of it as its firmware; what lies before `firmware` is
 * 32-bit code that runs wherever it is put.
 */
        .set COUNT, 256                 /* pieces in a MiB */
        .set TIMES, 16                  /* how many MiB */
        .set QUEUE, 1                   /* transmitq of port 0, virtio 1.3 §5.3.2 */
        .set DESCRIPTOR, 0x10000
        .set AVAIL, 0x11000
        .set USED, 0x12000
        .set DATA, 0x13000
        .set SIZE, 16

        .text
        .code32
        .globl _start
_start:
        movl    $0xfeb00000, %ebx       /* the window: QEMU's first one, replaced elsewhere */
        movl    $0, 0x70(%ebx)          /* Status: reset, ACKNOWLEDGE, DRIVER */
        movl    $1, 0x70(%ebx)
        movl    $3, 0x70(%ebx)
        movl    $1, 0x24(%ebx)          /* DriverFeatures: VERSION_1 alone */
        movl    $1, 0x20(%ebx)
        movl    $0, 0x24(%ebx)
        movl    $0, 0x20(%ebx)
        movl    $11, 0x70(%ebx)         /* FEATURES_OK */
        movl    $QUEUE, 0x30(%ebx)
        movl    $SIZE, 0x38(%ebx)
        movl    $DESCRIPTOR, 0x80(%ebx)
        movl    $0, 0x84(%ebx)
        movl    $AVAIL, 0x90(%ebx)
        movl    $0, 0x94(%ebx)
        movl    $USED, 0xa0(%ebx)
        movl    $0, 0xa4(%ebx)
        movl    $1, 0x44(%ebx)          /* QueueReady */
        movl    $15, 0x70(%ebx)         /* DRIVER_OK */
        movl    $DATA, DESCRIPTOR       /* one descriptor, which every entry of the ring names */
        movl    $4096, DESCRIPTOR + 8
        xorl    %esi, %esi
        movl    $TIMES, %edi
        movw    $0x3f8, %dx
        outb    %al, %dx
        movw    $0x3fd, %dx
        inb     %dx, %al
again:  movl    $COUNT, %ecx
next:   incl    %esi
        movw    %si, AVAIL + 2
        movl    $QUEUE, 0x50(%ebx)      /* QueueNotify */
wait:   movw    USED + 2, %ax
        cmpw    %si, %ax
        jne     wait
        decl    %ecx
        jnz     next
        movw    $0x3f8, %dx
        outb    %al, %dx
        movw    $0x3fd, %dx
        inb     %dx, %al
        decl    %edi
        jnz     again
        cli
        hlt

        .code16
firmware:
        lgdtl   %cs:(table - _start)
        movl    %cr0, %eax
        orb     $1, %al
        movl    %eax, %cr0
        ljmpl   $8, $protected
        .code32
protected:
        movw    $16, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        jmp     _start
        .balign 8
segments:
        .quad   0, 0x00cf9a000000ffff, 0x00cf92000000ffff
table:  .word   table - segments - 1
        .long   segments

        .org    0xfff0
        .code16
        jmp     firmware
        .org    0x10000
