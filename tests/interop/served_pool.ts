/**
 * A pool, served by a real process, for real clients.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { StatusReport } from "../../cli/control/control_protocol.ts";
import type { FormatName } from "../../pool/mod.ts";
import { assertFreebsd } from "../helpers/freebsd_checker.ts";
import { peerPath } from "../helpers/peers.ts";
import {
  type CommandResult,
  type Server,
  Workspace,
} from "../helpers/virstor.ts";
import { BusyClient } from "../helpers/busy_client.ts";
import { PATIENCE_MS } from "../helpers/patience.ts";

/** 1 KiB. */
export const KIB = 1024;
/** 1 MiB. */
export const MIB = 1024 * KIB;
/** The chunk size of the pools here, the smallest there is. */
export const CHUNK: number = 128 * KIB;

/** How a pool is made and served. */
export interface ServedPoolOptions {
  /** Its format; `freebsd`. */
  readonly format?: FormatName;
  /** The size of each component as the command takes it; `2M`. */
  readonly componentSize?: string;
  /** How many components; 2. */
  readonly components?: number;
  /** The virtual size as the command takes it; `64M`. */
  readonly virtualSize?: string;
  /** The chunk size as the command takes it; `128K`. */
  readonly chunkSize?: string;
  /** TCP instead of a Unix socket. */
  readonly tcp?: boolean;
  /** More options of `serve`. */
  readonly serve?: readonly string[];
}

/** A pool called `pool`, served. To be used with `await using`. */
export class ServedPool implements AsyncDisposable {
  /** Where it is. */
  readonly work: Workspace;
  /** Its components, in order; `add` makes them more. */
  readonly paths: string[];
  /** The process that serves it now. */
  server: Server;
  readonly #format: FormatName;
  readonly #serveArgs: readonly string[];

  private constructor(
    work: Workspace,
    format: FormatName,
    paths: string[],
    server: Server,
    serveArgs: readonly string[],
  ) {
    this.work = work;
    this.#format = format;
    this.paths = paths;
    this.server = server;
    this.#serveArgs = serveArgs;
  }

  /**
   * Makes and serves a pool. With the usual options it has 28 chunks of
   * 128 KiB for data: 13 on the first component and 15 on the second; in the
   * native format 14 on each.
   *
   * @param options How.
   * @returns The pool; clients can connect.
   */
  static async start(options: ServedPoolOptions = {}): Promise<ServedPool> {
    const work = await Workspace.create();
    try {
      const { components: count = 2, format = "freebsd" } = options;
      const paths = Array.from({ length: count }, (_, i) => work.path(`c${i}`));
      await work.succeed([
        ...["label", "--format", format],
        ...["-s", options.virtualSize ?? "64M"],
        ...["-m", options.chunkSize ?? "128K"],
        ...["--create", options.componentSize ?? "2M"],
        "pool",
        ...paths,
      ]);
      const address = options.tcp === true
        ? ["--listen", "127.0.0.1:0"]
        : ["--socket", work.path("socket")];
      const args = ["serve", ...address, ...options.serve ?? [], "pool"];
      const server = await work.serve(args);
      return new ServedPool(work, format, paths, server, args);
    } catch (error) {
      await work[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The URI that the server gave to its clients. */
  get uri(): string {
    return this.server.uri;
  }

  /** The Unix socket. */
  get socket(): string {
    return this.work.path("socket");
  }

  /**
   * Connects to the Unix socket.
   *
   * @returns A client.
   */
  connect(): Promise<BusyClient> {
    return BusyClient.open({ path: this.socket }, "pool");
  }

  /**
   * Asks with `virstor status --json`, in a process of its own.
   *
   * @returns What it said.
   */
  async status(): Promise<StatusReport> {
    return JSON.parse(await this.work.succeed(["status", "--json", "pool"]));
  }

  /**
   * Asks for the status until it is as wanted; fails after a long time.
   *
   * @param isAsWanted Tells whether it is.
   * @returns The status that was.
   */
  async statusUntil(
    isAsWanted: (report: StatusReport) => boolean,
  ): Promise<StatusReport> {
    for (const end = Date.now() + PATIENCE_MS;;) {
      const report = await this.status();
      if (isAsWanted(report)) return report;
      if (Date.now() > end) {
        throw new Error(`Still ${JSON.stringify(report, null, 2)}`);
      }
      await delay(20);
    }
  }

  /**
   * Adds a component with `virstor add`, in a process of its own.
   *
   * @param size Its size as the command takes it.
   */
  async add(size = "2M"): Promise<void> {
    const path = this.work.path(`c${this.paths.length}`);
    await this.work.succeed(["add", "--create", size, "pool", path]);
    this.paths.push(path);
  }

  /** Serves the pool again. */
  async restart(): Promise<void> {
    this.server = await this.work.serve(this.#serveArgs);
  }

  /**
   * Stops the server with a signal; then the pool must be sound, for our own
   * check and, if it is of its format, for FreeBSD.
   *
   * @returns What became of the server.
   */
  async stopAndCheck(): Promise<CommandResult> {
    const ended = await this.server.stop();
    assertEquals(ended.code, 0, ended.stderr);
    await this.assertSound();
    return ended;
  }

  /** Fails unless the stopped pool is sound. */
  async assertSound(): Promise<void> {
    const check = await this.work.run(["check", "pool"]);
    assertEquals(check, {
      code: 0,
      stdout: 'Pool "pool" is sound\n',
      stderr: "",
    });
    if (this.#format === "freebsd") assertFreebsd(this.paths);
  }

  /** Kills the server if it still runs, and removes everything. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.work[Symbol.asyncDispose]();
  }
}

/**
 * Runs another program to its end.
 *
 * @param name The program.
 * @param args Its arguments.
 * @param cwd Its working directory.
 * @returns What became of it.
 */
export async function runPeer(
  name: string,
  args: readonly string[],
  cwd?: string,
): Promise<CommandResult> {
  const { code, stdout, stderr } = await new Deno.Command(
    peerPath(name) ?? name,
    {
      args: [...args],
      stdin: "null",
      env: { LC_ALL: "C" },
      ...cwd !== undefined && { cwd },
    },
  ).output();
  const decoder = new TextDecoder();
  return {
    code,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}

/**
 * Runs another program that must succeed.
 *
 * @param name The program.
 * @param args Its arguments.
 * @param cwd Its working directory.
 * @returns What it printed.
 */
export async function peerSucceeds(
  name: string,
  args: readonly string[],
  cwd?: string,
): Promise<string> {
  const { code, stdout, stderr } = await runPeer(name, args, cwd);
  assertEquals(
    code,
    0,
    `${name} ${args.join(" ")} failed:\n${stdout}${stderr}`,
  );
  return stdout;
}

/**
 * Waits.
 *
 * @param ms Milliseconds.
 */
export async function delay(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * Bytes that tell where they belong: every 8 of them hold a number of their
 * own.
 *
 * @param length How many, a multiple of 8.
 * @param seed Tells patterns apart.
 * @returns The bytes.
 */
export function stampedBytes(length: number, seed: number): Uint8Array {
  const words = new Uint32Array(length / 4);
  for (let i = 0; i < words.length; i += 2) {
    words[i] = seed;
    words[i + 1] = i;
  }
  return new Uint8Array(words.buffer);
}
