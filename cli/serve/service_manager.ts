/**
 * Tells a service manager about the server, by systemd's protocol `sd_notify`:
 * datagrams to the socket `NOTIFY_SOCKET`, and a sign of life for its watchdog
 * (`WATCHDOG_USEC`, `WATCHDOG_PID`).
 *
 * @module
 */

import { sendDatagram } from "../../device/linux/mod.ts";
import { readVariable } from "../terminal/mod.ts";

/** The pause between two looks at the server, milliseconds. */
const LOOK_MS = 2000;
/** The pause after a message that the socket has not taken, milliseconds. */
const RETRY_MS = 200;

type Timer = ReturnType<typeof setTimeout>;

/** The service manager that has started this process. */
export class ServiceManager {
  readonly #socket: string;
  readonly #describe: () => string;
  readonly #timers: Timer[] = [];
  /** The state that has not been sent yet: READY or STOPPING. */
  #due = "";
  #sent = "";
  #retry: Timer | undefined;

  private constructor(socket: string, describe: () => string) {
    this.#socket = socket;
    this.#describe = describe;
  }

  /**
   * Finds the service manager.
   *
   * @param describe Describes the state of the server in one line; called every
   *   two seconds, and only if there is a service manager.
   * @returns The service manager; undefined if none has started this process,
   *   or if the process may not read the variables.
   */
  static find(describe: () => string): ServiceManager | undefined {
    const socket = readVariable("NOTIFY_SOCKET") ?? "";
    if (!/^[/@]/.test(socket)) return undefined;
    return new ServiceManager(socket, describe);
  }

  /** Tells that the server begins to start. */
  starting(): void {
    this.#tell();
    const watchdogMs = watchdogTime();
    if (watchdogMs === undefined) return;
    const alive = () => sendDatagram(this.#socket, "WATCHDOG=1");
    alive();
    // Twice as often as needed, as sd_watchdog_enabled(3) advises.
    this.#every(watchdogMs / 2, alive);
  }

  /** Tells the state, if it is another. */
  changed(): void {
    this.#tell();
  }

  /** Tells that clients can connect. */
  ready(): void {
    this.#due = "READY=1";
    this.#tell();
    this.#every(LOOK_MS, () => this.#tell());
  }

  /** Tells that the server has begun to stop. */
  stopping(): void {
    this.#due = "STOPPING=1";
    this.#tell();
  }

  /** Ends the signs of life. */
  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    clearTimeout(this.#retry);
  }

  /** Sends what is due, and the state if it is another. */
  #tell(): void {
    clearTimeout(this.#retry);
    const state = this.#describe().replaceAll("\n", " ");
    const lines = [
      ...this.#due === "" ? [] : [this.#due],
      ...state === this.#sent ? [] : [`STATUS=${state}`],
    ];
    if (lines.length === 0) return;
    if (sendDatagram(this.#socket, lines.join("\n"))) {
      this.#due = "";
      this.#sent = state;
    } else {
      const retry = setTimeout(() => this.#tell(), RETRY_MS);
      Deno.unrefTimer(retry);
      this.#retry = retry;
    }
  }

  #every(ms: number, act: () => void): void {
    const timer = setInterval(act, ms);
    // It must not keep the process from ending.
    Deno.unrefTimer(timer);
    this.#timers.push(timer);
  }
}

/** Milliseconds within which a sign of life is due; undefined for never. */
function watchdogTime(): number | undefined {
  const pid = readVariable("WATCHDOG_PID") ?? String(Deno.pid);
  const usec = Number(readVariable("WATCHDOG_USEC"));
  return pid === String(Deno.pid) && usec > 0 ? usec / 1000 : undefined;
}
