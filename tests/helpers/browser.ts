/**
 * A headless Chromium, driven over its DevTools protocol.
 *
 * @module
 */
import { assert } from "@std/assert";
import { eventually, PATIENCE_MS } from "./patience.ts";
import { peerPath } from "./peers.ts";

/** How a page is looked at. */
export interface Look {
  /** The width of the window, pixels. */
  readonly width: number;
  /** The height of the window, pixels. */
  readonly height: number;
  /** Whether the user prefers dark pages. */
  readonly dark: boolean;
}

/** An answer of the DevTools protocol, or an event. */
interface Message {
  readonly id?: number;
  readonly sessionId?: string;
  readonly method?: string;
  // deno-lint-ignore no-explicit-any -- as the protocol has it
  readonly params?: any;
  // deno-lint-ignore no-explicit-any -- as the protocol has it
  readonly result?: any;
  readonly error?: { readonly message: string };
}

/** A browser with one page. To be used with `await using`. */
export class Browser implements AsyncDisposable {
  /** The addresses that the page has asked for. */
  readonly requests: string[] = [];
  /** Errors and warnings in the console of the page. */
  readonly complaints: string[] = [];
  readonly #process: Deno.ChildProcess;
  readonly #directory: string;
  #socket: WebSocket | undefined;
  #session = "";
  #next = 0;
  readonly #calls = new Map<number, PromiseWithResolvers<Message>>();

  private constructor(process: Deno.ChildProcess, directory: string) {
    this.#process = process;
    this.#directory = directory;
  }

  /**
   * Starts a browser.
   *
   * @returns The browser, with an empty page.
   */
  static async start(): Promise<Browser> {
    const directory = await Deno.makeTempDir({ prefix: "virstor-browser-" });
    const process = new Deno.Command(peerPath("chromium") ?? "", {
      args: [
        ...[
          "--headless=new",
          "--no-sandbox",
          "--disable-gpu",
          "--no-first-run",
        ],
        ...["--disable-dev-shm-usage", "--disable-background-networking"],
        ...["--disable-component-update", "--disable-extensions"],
        ...["--hide-scrollbars", "--remote-debugging-port=0"],
        `--user-data-dir=${directory}`,
        "about:blank",
      ],
      env: { HOME: directory },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const browser = new Browser(process, directory);
    await browser.#connect(await addressOf(process.stderr));
    return browser;
  }

  async #connect(address: string): Promise<void> {
    const socket = this.#socket = new WebSocket(address);
    socket.onmessage = ({ data }) => this.#take(JSON.parse(data));
    await new Promise((done, fail) => {
      socket.onopen = done;
      socket.onerror = fail;
    });
    const { targetId } = await this.send("Target.createTarget", {
      url: "about:blank",
    });
    const attached = await this.send("Target.attachToTarget", {
      targetId,
      flatten: true,
    });
    this.#session = attached.sessionId;
    for (const domain of ["Page", "Runtime", "Network", "Log"]) {
      await this.send(`${domain}.enable`);
    }
  }

  /**
   * Calls a method of the protocol.
   *
   * @param method For instance `Page.navigate`.
   * @param params Its parameters.
   * @returns The result.
   */
  // deno-lint-ignore no-explicit-any -- as the protocol has it
  async send(method: string, params: object = {}): Promise<any> {
    const id = ++this.#next;
    const call = Promise.withResolvers<Message>();
    this.#calls.set(id, call);
    const session = this.#session === "" ? {} : { sessionId: this.#session };
    this.#socket?.send(JSON.stringify({ id, method, params, ...session }));
    const { result, error } = await call.promise;
    assert(error === undefined, `${method}: ${error?.message}`);
    return result;
  }

  #take(message: Message): void {
    const { id, method, params } = message;
    if (id !== undefined) {
      this.#calls.get(id)?.resolve(message);
      this.#calls.delete(id);
    } else if (method === "Network.requestWillBeSent") {
      this.requests.push(params.request.url);
    } else if (method === "Log.entryAdded") {
      this.complaints.push(`${params.entry.text} ${params.entry.url ?? ""}`);
    } else if (method === "Runtime.exceptionThrown") {
      this.complaints.push(JSON.stringify(params.exceptionDetails));
    }
  }

  /**
   * Looks at the page in another way.
   *
   * @param look The size of the window, and the colours.
   */
  async look({ width, height, dark }: Look): Promise<void> {
    await this.send("Emulation.setDeviceMetricsOverride", {
      width,
      height,
      deviceScaleFactor: 1,
      mobile: false,
    });
    const value = dark ? "dark" : "light";
    await this.send("Emulation.setEmulatedMedia", {
      features: [{ name: "prefers-color-scheme", value }],
    });
  }

  /**
   * Opens an address.
   *
   * @param url The address.
   */
  async open(url: string): Promise<void> {
    await this.send("Page.navigate", { url });
    await this.until("document.readyState === 'complete'");
  }

  /**
   * Evaluates an expression in the page.
   *
   * @param expression JavaScript; may be a promise.
   * @returns Its value, which JSON can hold.
   */
  // deno-lint-ignore no-explicit-any -- whatever the page has
  async evaluate(expression: string): Promise<any> {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", {
      expression,
      awaitPromise: true,
      returnByValue: true,
    });
    assert(exceptionDetails === undefined, JSON.stringify(exceptionDetails));
    return result.value;
  }

  /**
   * Waits until something holds in the page.
   *
   * @param expression JavaScript.
   */
  async until(expression: string): Promise<void> {
    const holds = async () => await this.evaluate(`!!(${expression})`);
    await eventually(expression, holds, 50);
  }

  /**
   * Presses a key.
   *
   * @param key The name of the key, for instance `Tab`.
   */
  async press(key: string): Promise<void> {
    const codes: Readonly<Record<string, number>> = {
      Tab: 9,
      Enter: 13,
      Escape: 27,
      ArrowRight: 39,
      ArrowDown: 40,
    };
    const about = { key, code: key, windowsVirtualKeyCode: codes[key] ?? 0 };
    const text = key === "Enter" ? { text: "\r" } : {};
    await this.send("Input.dispatchKeyEvent", {
      type: "keyDown",
      ...about,
      ...text,
    });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", ...about });
  }

  /**
   * Takes a picture of the whole page.
   *
   * @param path Where it goes, a PNG.
   */
  async picture(path: string): Promise<void> {
    const { data } = await this.send("Page.captureScreenshot", {
      captureBeyondViewport: true,
    });
    await Deno.writeFile(path, Uint8Array.fromBase64(data));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket?.close();
    try {
      this.#process.kill("SIGKILL");
    } catch (error) {
      // It may have ended by itself.
      if (!(error instanceof TypeError)) throw error;
    }
    await this.#process.status;
    // Its helpers may still write for a moment.
    await eventually("the files of the browser are gone", async () => {
      try {
        await Deno.remove(this.#directory, { recursive: true });
        return true;
      } catch {
        return false;
      }
    }, 50);
  }
}

/** Where the browser listens for the protocol, which it prints. */
async function addressOf(
  stderr: ReadableStream<Uint8Array<ArrayBuffer>>,
): Promise<string> {
  const found = Promise.withResolvers<string>();
  const timer = setTimeout(
    () => found.reject(new Error("The browser does not listen")),
    PATIENCE_MS,
  );
  const read = async () => {
    let text = "";
    for await (const piece of stderr.pipeThrough(new TextDecoderStream())) {
      text = (text + piece).slice(-10_000);
      const [, address] = /DevTools listening on (ws:\S+)/.exec(text) ?? [];
      if (address !== undefined) found.resolve(address);
    }
    found.reject(new Error(`The browser has ended: ${text}`));
  };
  void read();
  try {
    return await found.promise;
  } finally {
    clearTimeout(timer);
  }
}
