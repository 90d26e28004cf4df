/**
 * The types of `parseArgs`: its options, and what it then knows of the
 * values. Simpler than those of the real package, and never looser, so what
 * compiles with these compiles with those. What is not known is `unknown`.
 *
 * @module
 */

/** One name, or several. */
type Names<Name extends string> = Name | readonly Name[];

/** Names that are known when compiling; none if it is just any string. */
type Known<Name extends string> = string extends Name ? never
  : Exclude<Name, "_">;

/** The options of `parseArgs`. */
export interface ParseOptions<
  Booleans extends string = string,
  Strings extends string = string,
  Collected extends string = string,
  Negatable extends string = string,
  Defaults extends Record<string, unknown> = Record<string, unknown>,
  DoubleDash extends boolean = boolean,
> {
  /** What follows `--` goes to `["--"]` of the result, instead of to `_`. */
  "--"?: DoubleDash;
  /** Other names of options. */
  alias?: Record<string, string | readonly string[]>;
  /**
   * Options that take no value, false unless given. `true`: all that begin
   * with two dashes and have no equal sign.
   */
  boolean?: boolean | Names<Booleans>;
  /** Values of the options that are not given. */
  default?: Defaults;
  /** All from the first argument that is no option on goes to `_`. */
  stopEarly?: boolean;
  /** Options whose value is taken as it is, also if it looks like a number. */
  string?: Names<Strings>;
  /** Options that may be given again: their values are listed. */
  collect?: Names<Collected>;
  /** Options that `--no-` before their name sets to false. */
  negatable?: Names<Negatable>;
  /** Called for what is not known; `false` leaves it out of the result. */
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

/** The type of one option's value. */
type Value<
  Name extends string,
  Booleans extends string,
  Strings extends string,
  Collected extends string,
  Negatable extends string,
> = Name extends Collected ? (
    Name extends Booleans ? boolean[]
      : Name extends Strings ? string[]
      : unknown[]
  )
  : Name extends Booleans ? boolean
  : Name extends Strings ? string | (Name extends Negatable ? false : never)
  : unknown;

/** The result of `parseArgs`. */
export type Args<
  Booleans extends string = never,
  Strings extends string = never,
  Collected extends string = never,
  Negatable extends string = never,
  Defaults extends Record<string, unknown> = Record<never, never>,
  DoubleDash extends boolean = false,
> =
  & Record<string, unknown>
  & {
    [Name in Known<Exclude<Booleans | Collected, keyof Defaults>>]: Value<
      Name,
      Booleans,
      Strings,
      Collected,
      Negatable
    >;
  }
  & {
    [
      Name in Known<Exclude<Strings, Booleans | Collected | keyof Defaults>>
    ]?: Value<Name, Booleans, Strings, Collected, Negatable>;
  }
  & {
    [Name in Known<Extract<keyof Defaults, string>>]:
      | Defaults[Name]
      | Value<Name, Booleans, Strings, Collected, Negatable>;
  }
  & {
    /** The arguments that are not options. */
    _: Array<string | number>;
  }
  & (DoubleDash extends true ? {
      /** The arguments after `--`. */
      "--": string[];
    }
    : unknown);
