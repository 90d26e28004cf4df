/**
 * Where clients come in: the listeners of a server, the addresses that clients
 * can use, and the clients that `--allow` keeps out.
 *
 * @module
 */

import { resolve } from "node:path";
import { VirstorError } from "../../errors.ts";
import {
  type Address,
  isLocal,
  nbdUri,
  type OpenListener,
  openListener,
} from "../../nbd/listen/mod.ts";
import { trackDescriptors } from "../../nbd/server/stream/mod.ts";
import { inheritListeners, Listeners } from "../listen/mod.ts";
import { Denials } from "./denials.ts";
import type { ServerSettings } from "./server_settings.ts";

/** How long closed listeners may take to end, milliseconds. */
const LISTENERS_MS = 1000;

/** The open listeners of a server. */
export class Entrance {
  readonly #addresses: readonly Address[];
  readonly #listeners: Listeners;
  readonly #denials = new Denials();
  readonly #encrypted: boolean;
  readonly #privateDirectory: string | undefined;

  private constructor(
    opened: readonly OpenListener[],
    { allowed, tls }: ServerSettings,
    privateDirectory: string | undefined,
  ) {
    this.#addresses = opened.flatMap(({ address }) => address ?? []);
    this.#encrypted = tls?.required ?? false;
    this.#privateDirectory = privateDirectory;
    // Inherited listeners do not show the descriptors of their connections.
    const listeners = opened.map(({ listener }) =>
      listener.addr === undefined ? listener : trackDescriptors(listener)
    );
    this.#listeners = new Listeners(listeners, {
      allowed,
      onDenied: (address) => this.#denials.count(address),
    });
  }

  /**
   * Takes inherited sockets over, and opens the addresses of the settings. With
   * neither, a server with a command listens on a socket that only the command
   * has to find.
   *
   * @param settings The server's settings.
   * @returns The open listeners.
   * @throws {VirstorError} If an address cannot be opened; then none is open.
   */
  static async open(settings: ServerSettings): Promise<Entrance> {
    const { addresses, command } = settings;
    let directory: string | undefined;
    const opened: OpenListener[] = await inheritListeners();
    try {
      for (const address of addresses) {
        opened.push(await openAddress(address, settings));
      }
      if (opened.length === 0 && command !== undefined) {
        directory = await Deno.makeTempDir({ prefix: "virstor-" });
        opened.push(await openListener({ path: `${directory}/nbd.sock` }));
      }
      return new Entrance(opened, settings, directory);
    } catch (error) {
      for (const { listener } of opened) listener.close();
      await removeDirectory(directory);
      throw error;
    }
  }

  /** Accepts from all listeners, as one. */
  get listener(): Listeners["listener"] {
    return this.#listeners.listener;
  }

  /** The number of clients that `--allow` has kept out. */
  get deniedCount(): number {
    return this.#denials.total;
  }

  /** Whether clients of other machines can connect. */
  get isExposed(): boolean {
    return this.#addresses.some((address) => !isLocal(address));
  }

  /** The absolute path of the first Unix socket; "" without one. */
  get socketPath(): string {
    const socket = this.#addresses.find((address) => "path" in address);
    return socket !== undefined && "path" in socket ? resolve(socket.path) : "";
  }

  /**
   * The URIs of an export.
   *
   * @param name The export's name.
   * @returns One for each address that is known.
   */
  urisOf(name: string): string[] {
    const encrypted = this.#encrypted;
    return this.#addresses.map((address) =>
      nbdUri(address, name, { encrypted })
    );
  }

  /** Accepts no more clients. */
  close(): void {
    this.#listeners.close();
  }

  /** Waits, after {@linkcode close}, until all listeners have ended. */
  async ended(): Promise<void> {
    const limit = Promise.withResolvers<void>();
    const timer = setTimeout(limit.resolve, LISTENERS_MS);
    await Promise.race([this.#listeners.ended, limit.promise]);
    clearTimeout(timer);
    await removeDirectory(this.#privateDirectory);
  }
}

async function removeDirectory(path: string | undefined): Promise<void> {
  if (path !== undefined) await Deno.remove(path, { recursive: true });
}

/** Opens a listener. Names the option that chooses another port. */
async function openAddress(
  address: Address,
  settings: ServerSettings,
): Promise<OpenListener> {
  try {
    return await openListener(address, settings);
  } catch (error) {
    if ("path" in address || !(error instanceof VirstorError)) throw error;
    if (error.code !== "busy") throw error;
    const message = `${error.message} with --listen HOST:PORT`;
    throw new VirstorError("busy", message, { cause: error });
  }
}
