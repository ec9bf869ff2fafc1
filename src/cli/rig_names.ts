/**
 * How the Vireo outside of the rig and the one in it agree.
 *
 * @module
 */

/** Variable by which the Vireo in the rig is told the files that were found outside, where the network is: JSON of BootFiles. */
export const BOOT_FILES_VARIABLE = "VIREO_BOOT_FILES";

/** Command by which the executable becomes the rig's agent: in there it is all there is of Vireo. */
export const AGENT_COMMAND = "rig-agent";
