/**
 * What is measured of disks and of requests: histograms of durations, and
 * counts of errors.
 *
 * @module
 */

export { DeviceErrors } from "./device_errors.ts";
export {
  DeviceDurations,
  DURATION_BOUNDS,
  DURATION_NUMBERS,
  Durations,
} from "./durations.ts";
