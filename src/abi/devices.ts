/**
 * Register bits of the chips that a PC has, named as their data sheets and Linux' headers name them.
 *
 * @module
 */

/** 16550 UART: register offsets (`linux/serial_reg.h`). With DLAB set, 0 and 1 are the divisor. */
export const UART_RX = 0;
export const UART_TX = 0;
export const UART_IER = 1;
export const UART_IIR = 2;
export const UART_FCR = 2;
export const UART_LCR = 3;
export const UART_MCR = 4;
export const UART_LSR = 5;
export const UART_MSR = 6;
export const UART_SCR = 7;

/** Interrupt enable register. */
export const UART_IER_RDI = 0x01;
export const UART_IER_THRI = 0x02;
export const UART_IER_RLSI = 0x04;
export const UART_IER_MSI = 0x08;

/** Interrupt identification register; bits 6 and 7 say that FIFOs are on. */
export const UART_IIR_NO_INT = 0x01;
export const UART_IIR_MSI = 0x00;
export const UART_IIR_THRI = 0x02;
export const UART_IIR_RDI = 0x04;
export const UART_IIR_RLSI = 0x06;
export const UART_IIR_RX_TIMEOUT = 0x0c;
export const UART_IIR_FIFO_ENABLED = 0xc0;

/** FIFO control register. */
export const UART_FCR_ENABLE_FIFO = 0x01;
export const UART_FCR_CLEAR_RCVR = 0x02;
export const UART_FCR_TRIGGER_MASK = 0xc0;

/** Line control register: divisor latch access. */
export const UART_LCR_DLAB = 0x80;

/** Modem control register. */
export const UART_MCR_DTR = 0x01;
export const UART_MCR_RTS = 0x02;
export const UART_MCR_OUT1 = 0x04;
export const UART_MCR_OUT2 = 0x08;
export const UART_MCR_LOOP = 0x10;

/** Line status register. */
export const UART_LSR_DR = 0x01;
export const UART_LSR_OE = 0x02;
export const UART_LSR_THRE = 0x20;
export const UART_LSR_TEMT = 0x40;

/** Modem status register; the low four bits say what has changed. */
export const UART_MSR_TERI = 0x04;
export const UART_MSR_CTS = 0x10;
export const UART_MSR_DSR = 0x20;
export const UART_MSR_RI = 0x40;
export const UART_MSR_DCD = 0x80;

/** i8042 keyboard controller, status: a byte waits at the data port. */
export const I8042_STR_OBF = 0x01;
/** Pulses the reset line, which is output bit 0. */
export const I8042_CMD_RESET = 0xfe;

/** MC146818 clock: registers (`linux/mc146818rtc.h`). */
export const RTC_SECONDS = 0;
export const RTC_SECONDS_ALARM = 1;
export const RTC_MINUTES = 2;
export const RTC_MINUTES_ALARM = 3;
export const RTC_HOURS = 4;
export const RTC_HOURS_ALARM = 5;
export const RTC_DAY_OF_WEEK = 6;
export const RTC_DAY_OF_MONTH = 7;
export const RTC_MONTH = 8;
export const RTC_YEAR = 9;
export const RTC_REG_A = 10;
export const RTC_REG_B = 11;
export const RTC_REG_C = 12;
export const RTC_REG_D = 13;
/** Where PCs keep the century, as the FADT says. */
export const RTC_CENTURY = 0x32;

/** Register A. */
export const RTC_UIP = 0x80;
export const RTC_DIV_MASK = 0x70;
/** The divider that makes the clock run, with a 32768 Hz crystal. */
export const RTC_REF_CLCK_32KHZ = 0x20;
export const RTC_RATE_MASK = 0x0f;

/** Register B; C has the flags that belong to the three interrupt bits at the same places. */
export const RTC_SET = 0x80;
export const RTC_PIE = 0x40;
export const RTC_AIE = 0x20;
export const RTC_UIE = 0x10;
export const RTC_DM_BINARY = 0x04;
export const RTC_24H = 0x02;
/** Register C: some flag is set whose interrupt is enabled. */
export const RTC_IRQF = 0x80;
/** Register D: the battery is good. */
export const RTC_VRT = 0x80;

/** ACPI sleep control register (ACPI 6.5 §4.8.3.7): SLP_TYPx in bits 2 to 4, SLP_EN in bit 5. */
export const ACPI_SLP_TYP_SHIFT = 2;
export const ACPI_SLP_TYP_MASK = 7;
export const ACPI_SLP_EN = 0x20;
/** pvpanic (`uapi/misc/pvpanic.h`): the guest has panicked; it has, and a crash kernel is taking over. */
export const PVPANIC_PANICKED = 0x01;
export const PVPANIC_CRASH_LOADED = 0x02;
