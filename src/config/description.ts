/**
 * A machine as people describe it: in a file, by flags, or as an object. Whoever builds it turns names into what they stand for.
 *
 * @module
 */

import type { EntryLevel } from "../base/log.ts";
import type { CpuFeatureName } from "./cpu_features.ts";
import type { DiskCache } from "./machine_config.ts";

/** Where a serial port or console is connected to. */
export type ConsoleBackend = "stdio" | "pty" | "file" | "unix" | "none";
/** The same for the serial port, whose output may also be kept alone, for the case of a crash. */
export type SerialBackend = "log" | ConsoleBackend;
/** What happens when a guest ends in one of its ways. */
export type EndAction = "exit" | "restart";
/** Which of Vireo's own messages are given. */
export type LogLevel = EntryLevel | "off";

/** A disk: a file, or an empty one of a size that is gone afterwards. */
export interface DiskDescription {
  /** Unique; `disk0` and so on where absent. */
  readonly id: string;
  /** Absolute path; absent for a scratch disk. */
  readonly path?: string;
  /** Bytes of a scratch disk. */
  readonly size?: number;
  /** How it lies in the file. */
  readonly format: "raw";
  /** The guest may not write. */
  readonly readonly: boolean;
  /** What VIRTIO_BLK_T_GET_ID gives. */
  readonly serial: string;
  /** When a write is on the disk. */
  readonly cache: DiskCache;
}

/** A machine, with every default filled in and every path absolute. Names are those of the file. */
export interface Description {
  /** Of the process in `ps`, and in front of messages. */
  readonly name: string;
  /** In lower case; absent for none. */
  readonly uuid?: string;
  /** What kind it is, and what becomes of its ends. */
  readonly machine: {
    readonly type: "microvm";
    readonly on_reboot: EndAction;
    readonly on_poweroff: EndAction;
    readonly on_crash: EndAction;
    /** Path of KVM's device. */
    readonly kvm: string;
    readonly interrupts: boolean;
  };
  /** Its processors. */
  readonly cpu: {
    readonly count: number;
    /** vCPUs that the guest makes room for: the product of the three below. */
    readonly max: number;
    readonly sockets: number;
    readonly cores: number;
    readonly threads: number;
    readonly model: "host";
    /** `-avx2` takes one away. */
    readonly features: readonly `-${CpuFeatureName}`[];
  };
  /** Its RAM. */
  readonly memory: {
    /** Bytes. */
    readonly size: number;
    /** Guest physical address of its first byte. */
    readonly base: number;
    /** File that holds it. */
    readonly path?: string;
    readonly shared: boolean;
    readonly hugepages: boolean;
    readonly prealloc: boolean;
    readonly lock: boolean;
  };
  /** What it boots. */
  readonly kernel: {
    /** Absolute; empty where a program's own loader stands in for the kernel. */
    readonly path: string;
    readonly initrd?: string;
    readonly cmdline: string;
    /** How an ELF kernel is entered. */
    readonly entry: "auto" | "linux64" | "pvh";
  };
  /** Its disks in the guest's order. */
  readonly disk: readonly DiskDescription[];
  /** hvc0: where it is. */
  readonly console: { readonly backend: ConsoleBackend; readonly path?: string };
  /** ttyS0: where it is. */
  readonly serial: { readonly backend: SerialBackend; readonly path?: string };
  /** Its entropy device. */
  readonly rng: {
    /** `getrandom`, `none`, or an absolute path. */
    readonly source: string;
    /** Most bytes in each period; absent for no limit. */
    readonly max_bytes?: number;
    /** Milliseconds. */
    readonly period: number;
  };
  /** What Vireo says by itself. */
  readonly log: { readonly level: LogLevel; readonly file?: string };
}
