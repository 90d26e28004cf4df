/**
 * A parser of command lines in the manner of minimist.
 *
 * `util.parseArgs` of `node:util` cannot be used: it has no numbers, no `-s10`,
 * no optional values, no `=` after one dash and no call for unknown options.
 * Left out of the real one: names with dots, which it makes objects of.
 *
 * @module
 */
import type { Args, ParseOptions } from "./types.ts";
export type { Args, ParseOptions } from "./types.ts";

/**
 * Takes a command line apart.
 *
 * @param args The arguments.
 * @param options What is known of them.
 * @returns The options by name, also by their other names, and the rest in `_`.
 */
export function parseArgs<
  const Booleans extends string = never,
  const Strings extends string = never,
  const Collected extends string = never,
  const Negatable extends string = never,
  Defaults extends Record<string, unknown> = Record<never, never>,
  DoubleDash extends boolean = false,
>(
  args: string[],
  options: ParseOptions<
    Booleans,
    Strings,
    Collected,
    Negatable,
    Defaults,
    DoubleDash
  > = {},
): Args<Booleans, Strings, Collected, Negatable, Defaults, DoubleDash> {
  const result = new Parser(options).parse(args);
  return result as Args<
    Booleans,
    Strings,
    Collected,
    Negatable,
    Defaults,
    DoubleDash
  >;
}

type FlagValue = string | boolean;

class Parser {
  readonly #options: ParseOptions;
  readonly #aliases: Map<string, Set<string>>;
  readonly #booleans: Set<string>;
  readonly #strings: Set<string>;
  readonly #collected: Set<string>;
  readonly #negatable: Set<string>;
  readonly #positionals: Array<string | number> = [];
  readonly #result: Record<string, unknown> = { _: this.#positionals };

  constructor(options: ParseOptions) {
    this.#options = options;
    this.#aliases = aliasesOf(options.alias ?? {});
    const booleans = options.boolean;
    this.#booleans = this.#withAliases(
      typeof booleans === "boolean" ? undefined : booleans,
    );
    this.#strings = this.#withAliases(options.string);
    this.#collected = this.#withAliases(options.collect);
    this.#negatable = this.#withAliases(options.negatable);
  }

  parse(args: string[]): Record<string, unknown> {
    const dashes = args.indexOf("--");
    const parsed = dashes === -1 ? args : args.slice(0, dashes);
    const rest = dashes === -1 ? [] : args.slice(dashes + 1);
    for (let i = 0; i < parsed.length; i++) {
      const arg = parsed[i] ?? "";
      if (arg.length > 2 && arg.startsWith("--")) {
        if (this.#parseLong(arg, parsed[i + 1])) i++;
      } else if (arg.length > 1 && arg.startsWith("-")) {
        if (this.#parseShort(arg, parsed[i + 1])) i++;
      } else {
        this.#addPositional(arg);
        if (this.#options.stopEarly) {
          this.#positionals.push(...parsed.slice(i + 1));
          break;
        }
      }
    }
    this.#addDefaults();
    if (this.#options["--"]) this.#result["--"] = rest;
    else this.#positionals.push(...rest);
    return this.#result;
  }

  /** `--name`, `--name=value`, `--name value`: whether it took `next`. */
  #parseLong(arg: string, next: string | undefined): boolean {
    const negated = arg.startsWith("--no-") && arg.length > "--no-".length;
    const body = arg.slice(negated ? "--no-".length : "--".length);
    // The name has at least one character, and so has the value after it.
    const equals = body.indexOf("=", 1);
    if (equals !== -1 && equals < body.length - 1) {
      const name = body.slice(0, equals);
      const value = body.slice(equals + 1);
      const isBoolean = this.#booleans.has(name);
      this.#set(name, isBoolean ? value !== "false" : value, arg);
      return false;
    }
    if (negated && this.#negatable.has(body)) {
      this.#set(body, NEGATED, arg);
      return false;
    }
    const name = negated ? `no-${body}` : body;
    const mayTake = next !== undefined && !next.startsWith("-") &&
      this.#options.boolean !== true;
    return this.#takeNext(name, arg, next, mayTake);
  }

  /** `-abc`, `-n5`, `-n=value`, `-n value`: whether it took `next`. */
  #parseShort(arg: string, next: string | undefined): boolean {
    for (let i = 1; i < arg.length - 1; i++) {
      const letter = arg.charAt(i);
      const rest = arg.slice(i + 1);
      if (rest === "-") {
        this.#set(letter, rest, arg);
        continue;
      }
      const attached = attachedValue(letter, rest);
      if (attached !== undefined) {
        this.#set(letter, attached, arg);
        return false;
      }
      this.#set(letter, this.#strings.has(letter) ? "" : true, arg);
    }
    const last = arg.slice(-1);
    if (last === "-") return false;
    const mayTake = next !== undefined && !/^--?[^-]/.test(next);
    return this.#takeNext(last, arg, next, mayTake);
  }

  /** Sets an option that has no value of its own: whether it took `next`. */
  #takeNext(
    name: string,
    arg: string,
    next: string | undefined,
    mayTake: boolean,
  ): boolean {
    if (next && mayTake && !this.#isBoolean(name)) {
      this.#set(name, next, arg);
      return true;
    }
    if (next === "true" || next === "false") {
      this.#set(name, next === "true", arg);
      return true;
    }
    this.#set(name, this.#strings.has(name) ? "" : true, arg);
    return false;
  }

  #set(name: string, given: FlagValue | typeof NEGATED, arg: string): void {
    const value = given === NEGATED ? false : given;
    if (!this.#isKnown(name, arg)) {
      if (this.#options.unknown?.(arg, name, value) === false) return;
    }
    const typed = typeof value === "string" && !this.#strings.has(name)
      ? numberIfSo(value)
      : value;
    const collect = given !== NEGATED && this.#collected.has(name);
    for (const each of this.#namesOf(name)) {
      const before = this.#result[each];
      if (!collect) this.#result[each] = typed;
      else if (Array.isArray(before)) before.push(typed);
      else this.#result[each] = before ? [before, typed] : [typed];
    }
  }

  #addPositional(arg: string): void {
    if (this.#options.unknown?.(arg) === false) return;
    this.#positionals.push(this.#strings.has("_") ? arg : numberIfSo(arg));
  }

  #addDefaults(): void {
    for (const [name, value] of Object.entries(this.#options.default ?? {})) {
      if (Object.hasOwn(this.#result, name)) continue;
      for (const each of this.#namesOf(name)) this.#result[each] = value;
    }
    for (const name of this.#booleans) {
      if (Object.hasOwn(this.#result, name)) continue;
      this.#result[name] = this.#collected.has(name) ? [] : false;
    }
    for (const name of this.#strings) {
      if (Object.hasOwn(this.#result, name)) continue;
      if (this.#collected.has(name)) this.#result[name] = [];
    }
  }

  #isKnown(name: string, arg: string): boolean {
    return this.#booleans.has(name) || this.#strings.has(name) ||
      this.#aliases.has(name) ||
      (this.#options.boolean === true && /^--[^=]+$/.test(arg));
  }

  #isBoolean(name: string): boolean {
    return this.#namesOf(name).some((each) => this.#booleans.has(each));
  }

  #namesOf(name: string): string[] {
    return [name, ...(this.#aliases.get(name) ?? [])];
  }

  #withAliases(names: string | readonly string[] | undefined): Set<string> {
    const listed = typeof names === "string" ? [names] : names ?? [];
    return new Set(listed.filter(Boolean).flatMap((n) => this.#namesOf(n)));
  }
}

/** Set to false by `--no-`; unlike a given value it replaces a list. */
const NEGATED = Symbol("negated");

/** Every name with all its other names. */
function aliasesOf(
  alias: Record<string, string | readonly string[]>,
): Map<string, Set<string>> {
  const aliases = new Map<string, Set<string>>();
  for (const [name, others] of Object.entries(alias)) {
    const all = [name, ...(typeof others === "string" ? [others] : others)];
    for (const each of all) {
      aliases.set(each, new Set(all.filter((other) => other !== each)));
    }
  }
  return aliases;
}

/** What follows a letter in the same argument, if that is its value. */
function attachedValue(letter: string, rest: string): string | undefined {
  if (/[A-Za-z]/.test(letter)) {
    const afterEquals = /=(.+)/.exec(rest)?.[1];
    if (afterEquals !== undefined) return afterEquals;
    if (/-?\d+(\.\d*)?(e-?\d+)?$/.test(rest)) return rest;
  }
  // A sign that is no letter begins a value, unless it is the last one.
  return rest.length > 1 && /^\W/.test(rest) ? rest : undefined;
}

function numberIfSo(text: string): string | number {
  const isNumber = /^0x[0-9a-f]+$/i.test(text) ||
    /^[-+]?(?:\d+(?:\.\d*)?|\.\d+)(e[-+]?\d+)?$/.test(text);
  return isNumber ? Number(text) : text;
}
